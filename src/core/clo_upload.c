/* The check of an upload's two fields, by the table of an attachment's, and
 * what a form has no room for besides. */
#include "clo_upload.h"

#include <string.h>

#include "clo_field.h"

static void check_content_type(const struct clo_value *value,
                               struct clo_violations *violations) {
  struct clo_check check = {&clo_attachment_fields[CLO_ATTACHMENT_CONTENT_TYPE],
                            0, violations};
  if (value->type == CLO_ABSENT)
    clo_check_report(&check, "required",
                     "is required, as the filename has no known ending: "
                     "give one of the types listed at https://"
                     "developer.close.com/api/resources/activities/sms/create");
  else
    clo_check_value(&check, value);
}

static void check_filename(const struct clo_value *value,
                           struct clo_violations *violations) {
  struct clo_check check = {&clo_attachment_fields[CLO_ATTACHMENT_FILENAME], 0,
                            violations};
  if (value->type == CLO_ABSENT) {
    clo_check_report(&check, "required",
                     "is required if there is no path: give "
                     "a name such as \"menu.pdf\"");
    return;
  }
  clo_check_value(&check, value);
  if (value->type != CLO_STRING) return;
  if (value->len == 0)
    clo_check_report(&check, "range",
                     "must not be empty; give a name such as \"menu.pdf\"");
  else if (value->len > CLO_FILENAME_MAX)
    clo_check_report(&check, "range", "must be at most %d bytes long",
                     CLO_FILENAME_MAX);
  else if (memchr(value->data, '\0', value->len))
    clo_check_report(&check, "format",
                     "must not contain a byte 0; leave that out");
}

void clo_upload_check(const struct clo_upload *upload,
                      struct clo_violations *violations) {
  check_content_type(&upload->content_type, violations);
  check_filename(&upload->filename, violations);
}
