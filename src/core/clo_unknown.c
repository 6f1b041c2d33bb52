/* The known mistakes, and the sentence for each kind of name. */
#include "clo_unknown.h"

#include <stdio.h>
#include <string.h>

#include "clo_hint.h"

static const struct clo_alias sms_aliases[] = {
    {"to", "remote_phone"}, {"phone", "remote_phone"}, {"from", "local_phone"},
    {"body", "text"},       {"message", "text"},       {NULL, NULL},
};

static const char *hint_attachment(const char *name, size_t len) {
  return clo_hint_nearest(clo_attachment_fields, CLO_ATTACHMENT_FIELDS, name,
                          len);
}

/* The name of a field that the verb takes, or NULL. */
static const char *hint_taken(enum clo_verb verb, const char *name,
                              size_t len) {
  const char *hint =
      clo_hint_name(sms_aliases, clo_sms_fields, CLO_SMS_FIELDS, name, len);
  int field = hint ? clo_sms_find(hint, strlen(hint)) : -1;
  return field >= 0 && clo_sms_takes(verb, (enum clo_sms_field)field) ? hint
                                                                      : NULL;
}

void clo_sms_unknown(enum clo_verb verb, const char *name, size_t len,
                     size_t item, struct clo_violations *violations) {
  char quoted[CLO_QUOTE_SIZE], shown[CLO_QUOTE_SIZE];
  char field[CLO_QUOTE_SIZE + 48], place[48] = "";
  const char *hint = NULL;
  if (violations->count < CLO_VIOLATIONS_MAX) /* a search takes time */
    hint = item > 0 ? hint_attachment(name, len) : hint_taken(verb, name, len);
  clo_quote(name, len, quoted);
  if (item > 0) snprintf(place, sizeof place, "attachments[%zu].", item);
  snprintf(field, sizeof field, "%s%s", place,
           clo_show_name(name, len, shown));
  if (hint)
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a field of an %s; did you mean \"%s\"?",
                       quoted, item > 0 ? "attachment" : "SMS", hint);
  else if (item > 0)
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a field of an attachment: it has "
                       "content_type, filename and url; leave it out",
                       quoted);
  else if (clo_hint_is_option(name, len))
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a field of an SMS, " CLO_HINT_OPTION,
                       quoted);
  else
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a field of an SMS; leave it out, or put it "
                       "in `extra` if it is newer than this library",
                       quoted);
}

void clo_upload_unknown(const char *name, size_t len,
                        struct clo_violations *violations) {
  char quoted[CLO_QUOTE_SIZE], field[CLO_QUOTE_SIZE];
  const char *hint = NULL;
  if (violations->count < CLO_VIOLATIONS_MAX) /* a search takes time */
    hint = hint_attachment(name, len);
  if (hint && strcmp(hint, "url") == 0) hint = NULL;
  clo_quote(name, len, quoted);
  clo_show_name(name, len, field);
  if (hint)
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a field of an upload; did you mean \"%s\"?",
                       quoted, hint);
  else
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a field of an upload: it has content_type "
                       "and filename; leave it out",
                       quoted);
}
