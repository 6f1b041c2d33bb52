/* The filters of a list and their check. clo_field.c checks types, dates and
 * UTF-8, as for the fields of an SMS. */
#include "clo_filter.h"

#include <stdio.h>
#include <string.h>

#include "clo_field.h"
#include "clo_hint.h"

#define FILTER(title, type) \
  {                                                                    \
    .name = title, .len = sizeof title - 1, .kind = CLO_KIND_##type,   \
    .query = 1                                                         \
  }

const struct clo_field clo_filter_fields[CLO_FILTERS] = {
    [CLO_FILTER_LIMIT] = FILTER("_limit", COUNT),
    [CLO_FILTER_SKIP] = FILTER("_skip", COUNT),
    [CLO_FILTER_FIELDS] = FILTER("_fields", WORDS),
    [CLO_FILTER_PLAIN_LIMIT] = FILTER("limit", COUNT),
    [CLO_FILTER_PLAIN_SKIP] = FILTER("skip", COUNT),
    [CLO_FILTER_PLAIN_FIELDS] = FILTER("fields", WORDS),
    [CLO_FILTER_ID_IN] = FILTER("id__in", WORDS),
    [CLO_FILTER_LEAD_ID] = FILTER("lead_id", WORDS),
    [CLO_FILTER_CONTACT_ID] = FILTER("contact_id", WORDS),
    [CLO_FILTER_USER_ID] = FILTER("user_id", WORDS),
    [CLO_FILTER_ORGANIZATION_ID] = FILTER("organization_id", STRING),
    [CLO_FILTER_DATE_CREATED_GTE] = FILTER("date_created__gte", DATE),
    [CLO_FILTER_DATE_CREATED_LTE] = FILTER("date_created__lte", DATE),
    [CLO_FILTER_DATE_CREATED_GT] = FILTER("date_created__gt", DATE),
    [CLO_FILTER_DATE_CREATED_LT] = FILTER("date_created__lt", DATE),
    [CLO_FILTER_ACTIVITY_AT_GTE] = FILTER("activity_at__gte", DATE),
    [CLO_FILTER_ACTIVITY_AT_LTE] = FILTER("activity_at__lte", DATE),
    [CLO_FILTER_ACTIVITY_AT_GT] = FILTER("activity_at__gt", DATE),
    [CLO_FILTER_ACTIVITY_AT_LT] = FILTER("activity_at__lt", DATE),
};

int clo_filter_find(const char *name, size_t len) {
  int i;
  for (i = 0; i < CLO_FILTERS; i++)
    if (clo_filter_fields[i].len == len &&
        memcmp(clo_filter_fields[i].name, name, len) == 0)
      return i;
  return -1;
}

enum clo_filter clo_filter_meant(enum clo_filter filter) {
  switch (filter) {
    case CLO_FILTER_PLAIN_LIMIT: return CLO_FILTER_LIMIT;
    case CLO_FILTER_PLAIN_SKIP: return CLO_FILTER_SKIP;
    case CLO_FILTER_PLAIN_FIELDS: return CLO_FILTER_FIELDS;
    default: return filter;
  }
}

/* ---- the check of one value ---- */

#define COUNT_MAX 9007199254740991.0 /* 2^53 - 1: doubles are exact to it */

static void check_count(const struct clo_check *check, enum clo_filter meant,
                        double number) {
  double least = meant == CLO_FILTER_LIMIT ? 1 : 0;
  /* Written so that NaN fails; makes the cast defined. */
  if (number >= least && number <= COUNT_MAX &&
      number == (double)(long long)number)
    return;
  clo_check_report(check, "range", "must be a whole number, at least %.0f",
                   least);
}

int clo_filter_word(const struct clo_value *value, size_t *at,
                    const char **word, size_t *len) {
  const char *s = value->data;
  size_t from = *at, end, to;
  if (from > value->len) return 0;
  for (end = from; end < value->len && s[end] != ',';) end++;
  *at = end + 1;
  for (to = end; from < to && s[from] == ' ';) from++;
  while (to > from && s[to - 1] == ' ') to--;
  *word = s + from;
  *len = to - from;
  return 1;
}

static void check_commas(const struct clo_check *check,
                         const struct clo_value *value) {
  const char *word;
  size_t at = 0, len, place = 0;
  while (clo_filter_word(value, &at, &word, &len)) {
    place++;
    if (len > 0) continue;
    if (place == 1 && at > value->len)
      clo_check_report(check, "format", "is empty: leave it out for no filter");
    else
      clo_check_report(check, "format",
                       "has nothing between two commas, at its word %zu",
                       place);
    return;
  }
}

/* One item of a list. It is checked as a field whose name has its place. */
static void check_item(const struct clo_check *check, size_t place,
                       const struct clo_value *value) {
  struct clo_field field = *check->field;
  struct clo_check item = {&field, 0, check->violations};
  char name[64];
  size_t i;
  snprintf(name, sizeof name, "%s[%zu]", check->field->name, place);
  field.name = name;
  field.len = strlen(name);
  field.kind = CLO_KIND_STRING;
  clo_check_value(&item, value);
  if (!clo_field_takes(&field, value)) return;
  for (i = 0; i < value->len && value->data[i] == ' ';) i++;
  if (i == value->len)
    clo_check_report(&item, "format", "is empty: leave it out of the list");
  else if (memchr(value->data, ',', value->len))
    clo_check_report(&item, "format",
                     "has a comma: make an item of each of its words");
}

static void check_words(const struct clo_check *check,
                        const struct clo_filters *filters, int filter) {
  size_t i;
  if (filters->value[filter].type == CLO_STRING) {
    check_commas(check, &filters->value[filter]);
    return;
  }
  /* Close would ignore an empty list, and list everything. */
  if (filters->count[filter] == 0)
    clo_check_report(check, "range",
                     "is an empty list: leave it out for no filter");
  for (i = 0; i < filters->count[filter]; i++)
    check_item(check, i + 1, &filters->items[filter][i]);
}

static void check_filter(const struct clo_check *check,
                         const struct clo_filters *filters, int filter) {
  const struct clo_value *value = &filters->value[filter];
  /* A null in place of an id is a mistake, and would list everything. */
  if (value->type == CLO_NULL) {
    clo_check_report(check, "type",
                     "cannot be null: leave it out for no filter");
    return;
  }
  clo_check_value(check, value);
  if (!clo_field_takes(check->field, value)) return;
  if (check->field->kind == CLO_KIND_COUNT)
    check_count(check, clo_filter_meant((enum clo_filter)filter),
                value->number);
  else if (check->field->kind == CLO_KIND_WORDS)
    check_words(check, filters, filter);
  else if (check->field->kind == CLO_KIND_STRING && value->len == 0)
    clo_check_report(check, "format", "is empty: leave it out for no filter");
}

/* A string may be in a list many times, so this comes first. */
static int is_too_large(const struct clo_filters *filters,
                        struct clo_violations *violations) {
  double bytes = 0;
  size_t i;
  int at;
  for (at = 0; at < CLO_FILTERS; at++) {
    bytes += (double)filters->value[at].len;
    for (i = 0; i < filters->count[at]; i++)
      bytes += (double)filters->items[at][i].len;
  }
  if (bytes <= CLO_QUERY_MAX) return 0;
  clo_violations_add(violations, "filters", "range",
                     "filters make a URL of at least %.0f bytes: ask for fewer "
                     "at once, %d bytes is the most",
                     bytes, CLO_QUERY_MAX);
  return 1;
}

void clo_filters_check(const struct clo_filters *filters,
                       struct clo_violations *violations) {
  struct clo_check check = {NULL, 0, violations};
  enum clo_filter meant;
  int i;
  if (is_too_large(filters, violations)) return;
  for (i = 0; i < CLO_FILTERS; i++) {
    if (filters->value[i].type == CLO_ABSENT) continue;
    check.field = &clo_filter_fields[i];
    check_filter(&check, filters, i);
    meant = clo_filter_meant((enum clo_filter)i);
    if ((int)meant != i && filters->value[meant].type != CLO_ABSENT)
      clo_check_report(&check, "conflict",
                       "is another name of %s, which is there too; leave one "
                       "of them out",
                       clo_filter_fields[meant].name);
  }
}

/* ---- unknown filters ---- */

/* The length of a name up to a comparison, as in "status__in". */
static size_t base_len(const char *name, size_t len) {
  size_t i;
  for (i = 1; i + 1 < len; i++)
    if (name[i] == '_' && name[i + 1] == '_') return i;
  return len;
}

/* The first filter whose name begins with the whole of this one: what
 * "date_created" and "lead_id__in" stand for. Or NULL. */
static const char *begins_with(const char *name, size_t len) {
  int i;
  for (i = 0; i < CLO_FILTERS; i++)
    if (base_len(clo_filter_fields[i].name, clo_filter_fields[i].len) == len &&
        memcmp(clo_filter_fields[i].name, name, len) == 0)
      return clo_filter_fields[i].name;
  return NULL;
}

void clo_filter_unknown(const char *name, size_t len,
                        struct clo_violations *violations) {
  char quoted[CLO_QUOTE_SIZE], field[CLO_QUOTE_SIZE];
  size_t base = base_len(name, len);
  const char *hint = begins_with(name, base);
  int member = hint ? -1 : clo_sms_find(name, base);
  clo_quote(name, len, quoted);
  clo_show_name(name, len, field);
  /* A search takes time. */
  if (!hint && member < 0 && violations->count < CLO_VIOLATIONS_MAX)
    hint = clo_hint_nearest(clo_filter_fields, CLO_FILTERS, name, len);
  if (member >= 0)
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a filter: Close has no filter on %s; read "
                       "the pages and select there",
                       quoted, clo_sms_fields[member].name);
  else if (hint)
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a filter of SMS; did you mean \"%s\"?",
                       quoted, hint);
  else if (clo_hint_is_option(name, len))
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a filter of SMS, " CLO_HINT_OPTION, quoted);
  else
    clo_violations_add(violations, field, "unknown_field",
                       "%s is not a filter of SMS: there are id__in, lead_id, "
                       "contact_id, user_id, organization_id, and "
                       "date_created and activity_at with __gte, __lte, __gt "
                       "or __lt, newest first; leave it out",
                       quoted);
}
