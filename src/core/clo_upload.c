/* The check of an upload's two fields, by the table of an attachment's, and
 * what a form has no room for besides. */
#include "clo_upload.h"

#include <string.h>

#include "clo_field.h"

static void check_content_type(const struct clo_value *value,
                               struct clo_violations *violations) {
  struct clo_spot spot = {&clo_attachment_fields[CLO_ATTACHMENT_CONTENT_TYPE],
                          0, violations};
  if (value->type == CLO_ABSENT)
    clo_spot_report(&spot, "required",
                    "is required, as the filename's ending does not tell it: "
                    "give one of the types listed at https://"
                    "developer.close.com/api/resources/activities/sms/create");
  else
    clo_spot_check(&spot, value);
}

static void check_filename(const struct clo_value *value,
                           struct clo_violations *violations) {
  struct clo_spot spot = {&clo_attachment_fields[CLO_ATTACHMENT_FILENAME], 0,
                          violations};
  if (value->type == CLO_ABSENT) {
    clo_spot_report(&spot, "required",
                    "is required where there is no path to take it from: give "
                    "a name such as \"menu.pdf\"");
    return;
  }
  clo_spot_check(&spot, value);
  if (value->type != CLO_STRING) return;
  if (value->len == 0)
    clo_spot_report(&spot, "range",
                    "must not be empty; give a name such as \"menu.pdf\"");
  else if (value->len > CLO_FILENAME_MAX)
    clo_spot_report(&spot, "range", "must be at most %d bytes long",
                    CLO_FILENAME_MAX);
  else if (memchr(value->data, '\0', value->len))
    clo_spot_report(&spot, "format",
                    "must not contain a byte 0; leave that out");
}

void clo_upload_check(const struct clo_upload *upload,
                      struct clo_violations *violations) {
  check_content_type(&upload->content_type, violations);
  check_filename(&upload->filename, violations);
}
