/* Unknown names, reported with a hint: the right name, by the known mistakes
 * (to, from, body, message, phone, ...) or the nearest. */
#ifndef CLO_UNKNOWN_H
#define CLO_UNKNOWN_H

#include "clo_sms.h"

/* Adds an unknown_field violation for a name that clo_sms_find (item 0) or
 * clo_attachment_find (item = the attachment's place, from 1) does not know. A
 * hint is a field that the verb takes. */
void clo_sms_unknown(enum clo_verb verb, const char *name, size_t len,
                     size_t item, struct clo_violations *violations);

/* The same for a name that is neither of an upload's two. */
void clo_upload_unknown(const char *name, size_t len,
                        struct clo_violations *violations);

#endif
