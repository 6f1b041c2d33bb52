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

#endif
