/* The check of one value, by the kind of its field, and the sentence for each
 * way to be wrong. Nothing is composed, searched or allocated until something
 * is wrong. A text's content and a phone number never stand in a sentence. */
#include "clo_field.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clo_format.h"
#include "clo_hint.h"

/* Compared by hand: a counted string may hold a NUL where a listed one ends. */
int clo_field_value(const struct clo_field *field,
                    const struct clo_value *value) {
  const char *word;
  size_t i;
  int index;
  if (value->type != CLO_STRING) return -1;
  for (index = 0; (word = field->values[index]); index++) {
    for (i = 0; i < value->len; i++)
      if (word[i] == '\0' || word[i] != value->data[i]) break;
    if (i == value->len && word[i] == '\0') return index;
  }
  return -1;
}

void clo_check_report(const struct clo_check *check, const char *code,
                      const char *format, ...) {
  const char *name = check->field ? check->field->name : "";
  char path[64], sentence[512];
  va_list args;
  if (check->item == 0)
    snprintf(path, sizeof path, "%s", name);
  else
    snprintf(path, sizeof path, "attachments[%zu]%s%s", check->item,
             *name != '\0' ? "." : "", name);
  va_start(args, format);
  vsnprintf(sentence, sizeof sentence, format, args);
  va_end(args);
  clo_violations_add(check->violations, path, code, "%s %s", path, sentence);
}

const char *clo_field_join(const struct clo_field *field, unsigned mask,
                           char out[CLO_JOIN_SIZE]) {
  size_t i, used = 0;
  out[0] = '\0';
  for (i = 0; field->values[i] && used < CLO_JOIN_SIZE; i++)
    if ((mask >> i & 1u) != 0)
      used += (size_t)snprintf(out + used, CLO_JOIN_SIZE - used, "%s\"%s\"",
                               used > 0 ? ", " : "", field->values[i]);
  return out;
}

static int is_utf8(const struct clo_check *check,
                   const struct clo_value *value) {
  size_t bad = clo_utf8_check(value->data, value->len);
  if (bad == value->len) return 1;
  clo_check_report(check, "format",
                   "is not valid UTF-8: byte %zu is 0x%02X; encode it as UTF-8 "
                   "first",
                   bad + 1, (unsigned)(unsigned char)value->data[bad]);
  return 0;
}

/* ---- one check for each kind ---- */

static void check_phone(const struct clo_check *check,
                        const struct clo_value *value) {
  char number[CLO_E164_SIZE], odd[CLO_ODD_SIZE];
  if (clo_e164_check(value->data, value->len) || !is_utf8(check, value)) return;
  clo_describe_odd(value->data, value->len, odd);
  if (value->len >= 5 && memcmp(value->data, "phon_", 5) == 0)
    clo_check_report(check, "format",
                     "is the id of a phone number; give the number itself in "
                     "E.164 form, such as +14154445555");
  else if (clo_e164_hint(value->data, value->len, number))
    clo_check_report(check, "format",
                     "is not in E.164 form, \"+\" and digits only%s; did you "
                     "mean %s?",
                     odd, number);
  else
    clo_check_report(check, "format",
                     "is not in E.164 form: \"+\", then 2 to 15 digits that "
                     "start with the country code, such as +14154445555%s",
                     odd);
}

static void check_date(const struct clo_check *check,
                       const struct clo_value *value) {
  char written[CLO_RFC3339_SIZE], quoted[CLO_QUOTE_SIZE], odd[CLO_ODD_SIZE];
  const char *wrong;
  if (value->type == CLO_NUMBER) {
    if (clo_rfc3339_write(value->number, written) == 0)
      clo_check_report(check, "range",
                       "is not within the years 0000 to 9999; a number counts "
                       "seconds (not milliseconds) since 1970-01-01T00:00:00Z");
    return;
  }
  wrong = clo_rfc3339_check(value->data, value->len);
  if (!wrong || !is_utf8(check, value)) return;
  clo_check_report(check, "format",
                   "is not an RFC 3339 date-time such as 2026-11-23T08:00:00Z: "
                   "%s; got %s%s",
                   wrong, clo_quote(value->data, value->len, quoted),
                   clo_describe_odd(value->data, value->len, odd));
}

#define LISTED_MAX 8 /* of a longer list of values not all are named */

static void check_enum(const struct clo_check *check,
                       const struct clo_value *value) {
  const struct clo_field *field = check->field;
  char list[CLO_JOIN_SIZE], quoted[CLO_QUOTE_SIZE], odd[CLO_ODD_SIZE];
  char meant[64 + CLO_ODD_SIZE] = "";
  const char *hint = NULL;
  size_t count = 0;
  if (clo_field_value(field, value) >= 0 || !is_utf8(check, value)) return;
  while (field->values[count]) count++;
  if (check->violations->count < CLO_VIOLATIONS_MAX) /* a search takes time */
    hint = clo_hint_value(field, value->data, value->len);
  if (hint)
    snprintf(meant, sizeof meant, "%s; did you mean \"%s\"?",
             clo_describe_odd(value->data, value->len, odd), hint);
  clo_quote(value->data, value->len, quoted);
  if (count <= LISTED_MAX)
    clo_check_report(check, "enum", "must be one of %s, got %s%s",
                     clo_field_join(field, ~0u, list), quoted, meant);
  else
    clo_check_report(check, "enum",
                     "must be one of the %zu types listed at https://"
                     "developer.close.com/api/resources/activities/sms/create, "
                     "got %s%s",
                     count, quoted, meant);
}

/* send_in is the only field of this kind: a delay for undo, under a minute. */
static void check_number(const struct clo_check *check,
                         const struct clo_value *value) {
  if (value->number >= 0 && value->number < 60) return;
  clo_check_report(check, "range",
                   "must be a finite number of seconds, at least 0 and less "
                   "than 60; for longer, use status \"scheduled\" with "
                   "date_scheduled");
}

/* ---- types ---- */

/* What each kind of field takes, and what to call it in a sentence. */
static const struct {
  unsigned types;
  const char *name;
} kinds[] = {
    [CLO_KIND_STRING] = {1u << CLO_STRING, "a string"},
    [CLO_KIND_PHONE] = {1u << CLO_STRING,
                        "a string in E.164 form, such as \"+14154445555\""},
    [CLO_KIND_DATE] = {1u << CLO_STRING | 1u << CLO_NUMBER,
                       "an RFC 3339 string or a number of seconds since 1970"},
    [CLO_KIND_ENUM] = {1u << CLO_STRING, "a string"},
    [CLO_KIND_NUMBER] = {1u << CLO_NUMBER, "a number"},
    [CLO_KIND_BOOLEAN] = {1u << CLO_BOOLEAN, "a boolean"},
    [CLO_KIND_LIST] = {1u << CLO_LIST,
                       "a list of attachments, even if it is of one"},
    [CLO_KIND_COUNT] = {1u << CLO_NUMBER, "a whole number"},
    [CLO_KIND_WORDS] = {1u << CLO_STRING | 1u << CLO_LIST,
                        "a string or a list of strings"},
};

int clo_field_takes(const struct clo_field *field,
                    const struct clo_value *value) {
  return (kinds[field->kind].types >> value->type & 1u) != 0;
}

void clo_check_report_type(const struct clo_check *check, enum clo_type type,
                           const char *name, size_t len) {
  static const char *const names[] = {
      [CLO_ABSENT] = "nothing", [CLO_NULL] = "null",
      [CLO_BOOLEAN] = "a boolean", [CLO_NUMBER] = "a number",
      [CLO_STRING] = "a string", [CLO_LIST] = "a list",
      [CLO_OBJECT] = "an object"};
  if (!name || len == 0) {
    name = names[type];
    len = strlen(name);
  }
  clo_check_report(check, "type", "must be %s, got %.*s",
                   check->field ? kinds[check->field->kind].name
                              : "a map with content_type, filename and url",
                   (int)(len < 80 ? len : 80), name);
}

static void report_required(const struct clo_check *check) {
  if (check->item > 0)
    clo_check_report(check, "required",
                     "is required: an attachment has content_type, filename "
                     "and url");
  else /* status: the only one that is always required */
    clo_check_report(check, "required",
                     "is required: \"outbox\" sends the SMS, \"scheduled\" "
                     "sends it at date_scheduled, \"draft\" keeps it for "
                     "later, \"inbox\" and \"sent\" log it");
}

void clo_check_value(const struct clo_check *check,
                     const struct clo_value *value) {
  const struct clo_field *field = check->field;
  if (value->type == CLO_ABSENT) {
    if (field->required) report_required(check);
    return;
  }
  if (value->type == CLO_NULL && field->nullable) return;
  if (!clo_field_takes(field, value)) {
    clo_check_report_type(check, value->type,
                          value->type == CLO_OBJECT ? value->data : NULL,
                          value->len);
    return;
  }
  switch (field->kind) {
    case CLO_KIND_STRING: is_utf8(check, value); break;
    case CLO_KIND_PHONE: check_phone(check, value); break;
    case CLO_KIND_DATE: check_date(check, value); break;
    case CLO_KIND_ENUM: check_enum(check, value); break;
    case CLO_KIND_NUMBER: check_number(check, value); break;
    case CLO_KIND_WORDS:
      if (value->type == CLO_STRING) is_utf8(check, value);
      break;
    case CLO_KIND_COUNT: /* clo_filter.c checks its range */
    case CLO_KIND_BOOLEAN:
    case CLO_KIND_LIST: break;
  }
}
