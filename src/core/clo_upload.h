/* What a caller says of a file that is to become an attachment: two of an
 * attachment's fields, with the same values; its url is what the upload makes.
 * Source: https://developer.close.com/api/resources/files/ */
#ifndef CLO_UPLOAD_H
#define CLO_UPLOAD_H

#include "clo_sms.h"

#define CLO_FILENAME_MAX 1024 /* bytes; longer than any file system's names */

struct clo_upload {
  struct clo_value content_type, filename;
};

/* Adds to violations all that is wrong with upload. */
void clo_upload_check(const struct clo_upload *upload,
                      struct clo_violations *violations);

/* Adds an unknown_field violation for a name that is neither of the two, with
 * a hint where there is a right one. */
void clo_upload_unknown(const char *name, size_t len,
                        struct clo_violations *violations);

#endif
