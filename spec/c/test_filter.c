/* clo_filter: the table, what each filter may be, and the hints for others. */
#include "clo_filter.h"
#include "expect.h"

struct filter_case {
  enum clo_filter filter;
  struct clo_value value;
  struct expected expected[3];
};

#define GOOD {{NULL, NULL, NULL}}

static const struct filter_case cases[] = {
    {CLO_FILTER_LIMIT, NUM(1), GOOD},
    {CLO_FILTER_LIMIT, NUM(9007199254740991.0), GOOD},
    {CLO_FILTER_LIMIT, NUM(0), {{"_limit", "range", "at least 1"}}},
    {CLO_FILTER_LIMIT, NUM(1.5), {{"_limit", "range", "a whole number"}}},
    {CLO_FILTER_LIMIT, NUM(1e300), {{"_limit", "range", "a whole number"}}},
    {CLO_FILTER_LIMIT, NUM(-1e300), {{"_limit", "range", "a whole number"}}},
    {CLO_FILTER_LIMIT, STR("5"), {{"_limit", "type", "got a string"}}},
    {CLO_FILTER_PLAIN_LIMIT, NUM(0), {{"limit", "range", "at least 1"}}},
    {CLO_FILTER_SKIP, NUM(0), GOOD},
    {CLO_FILTER_SKIP, NUM(-0.0), GOOD},
    {CLO_FILTER_SKIP, NUM(-1), {{"_skip", "range", "at least 0"}}},
    {CLO_FILTER_SKIP, NIL, {{"_skip", "type", "cannot be null"}}},
    {CLO_FILTER_FIELDS, STR("id"), GOOD},
    {CLO_FILTER_FIELDS, STR("id, text"), GOOD},
    {CLO_FILTER_FIELDS, STR(""), {{"_fields", "format", "is empty"}}},
    {CLO_FILTER_FIELDS, STR("  "), {{"_fields", "format", "is empty"}}},
    {CLO_FILTER_FIELDS, STR("a,"), {{"_fields", "format", "its word 2"}}},
    {CLO_FILTER_FIELDS, STR(",a"), {{"_fields", "format", "its word 1"}}},
    {CLO_FILTER_FIELDS, STR("a,b, ,c"), {{"_fields", "format", "word 3"}}},
    {CLO_FILTER_LEAD_ID, STR("a\xFF"), {{"lead_id", "format", "UTF-8"}}},
    {CLO_FILTER_LEAD_ID, NUM(5), {{"lead_id", "type", "a list of strings"}}},
    {CLO_FILTER_LEAD_ID, NIL, {{"lead_id", "type", "leave it out"}}},
    {CLO_FILTER_ORGANIZATION_ID, STR("a,b"), GOOD},
    {CLO_FILTER_ORGANIZATION_ID,
     STR(""),
     {{"organization_id", "format", "is empty"}}},
    {CLO_FILTER_ORGANIZATION_ID,
     LIST,
     {{"organization_id", "type", "must be a string, got a list"}}},
    {CLO_FILTER_DATE_CREATED_GTE, NUM(0), GOOD},
    {CLO_FILTER_DATE_CREATED_LTE, STR("2026-11-23T08:00:00Z"), GOOD},
    {CLO_FILTER_DATE_CREATED_GT,
     STR("2026-11-23"),
     {{"date_created__gt", "format", "no time of day"}}},
    {CLO_FILTER_ACTIVITY_AT_LT,
     NUM(1e15),
     {{"activity_at__lt", "range", "not milliseconds"}}},
};

static void checks_each_filter(void **state) {
  struct clo_filters filters;
  struct clo_violations got;
  char *block = NULL;
  size_t i;
  for (i = 0; i < COUNT(cases); i++) {
    struct clo_value *value = &filters.value[cases[i].filter];
    memset(&filters, 0, sizeof filters);
    *value = cases[i].value;
    if (value->type == CLO_STRING) { /* in a block with no byte to spare */
      block = exact(value->data, value->len);
      value->data = block;
    }
    clo_violations_init(&got);
    clo_filters_check(&filters, &got);
    expect_violations(clo_filter_fields[cases[i].filter].name, &got,
                      cases[i].expected, COUNT(cases[i].expected));
    clo_violations_free(&got);
    free(block);
    block = NULL;
  }
}

static void checks_each_item_of_a_list(void **state) {
  static const struct clo_value items[] = {
      STR("a"), STR(""), STR(" "), STR("b,c"), NUM(5), NIL, STR("\xFF"),
      STR("z")};
  static const struct expected want[] = {
      {"id__in[2]", "format", "leave it out of the list"},
      {"id__in[3]", "format", "is empty"},
      {"id__in[4]", "format", "has a comma"},
      {"id__in[5]", "type", "must be a string, got a number"},
      {"id__in[6]", "type", "got null"},
      {"id__in[7]", "format", "UTF-8"},
      {0}};
  struct clo_filters filters;
  struct clo_violations got;
  memset(&filters, 0, sizeof filters);
  filters.value[CLO_FILTER_ID_IN].type = CLO_LIST;
  filters.items[CLO_FILTER_ID_IN] = items;
  filters.count[CLO_FILTER_ID_IN] = COUNT(items);
  clo_violations_init(&got);
  clo_filters_check(&filters, &got);
  expect_violations("items", &got, want, COUNT(want));
  clo_violations_free(&got);
}

static void refuses_an_empty_list(void **state) {
  static const struct expected want[] = {
      {"user_id", "range", "an empty list: leave it out"}, {0}};
  struct clo_filters filters;
  struct clo_violations got;
  memset(&filters, 0, sizeof filters);
  filters.value[CLO_FILTER_USER_ID].type = CLO_LIST;
  clo_violations_init(&got);
  clo_filters_check(&filters, &got);
  expect_violations("empty", &got, want, COUNT(want));
  clo_violations_free(&got);
}

static void refuses_both_names_of_one(void **state) {
  static const struct expected want[] = {
      {"limit", "conflict", "is another name of _limit"},
      {"fields", "conflict", "is another name of _fields"},
      {0}};
  static const struct clo_value five = NUM(5), word = STR("id");
  struct clo_filters filters;
  struct clo_violations got;
  memset(&filters, 0, sizeof filters);
  filters.value[CLO_FILTER_LIMIT] = five;
  filters.value[CLO_FILTER_PLAIN_LIMIT] = five;
  filters.value[CLO_FILTER_PLAIN_SKIP] = five;
  filters.value[CLO_FILTER_FIELDS] = word;
  filters.value[CLO_FILTER_PLAIN_FIELDS] = word;
  clo_violations_init(&got);
  clo_filters_check(&filters, &got);
  expect_violations("names", &got, want, COUNT(want));
  clo_violations_free(&got);
}

static void parts_words_at_commas(void **state) {
  static const struct clo_value value = STR(" a ,b,, c d ,");
  static const char *const want[] = {"a", "b", "", "c d", ""};
  const char *word;
  size_t at = 0, len, i;
  for (i = 0; i < COUNT(want); i++) {
    assert_true(clo_filter_word(&value, &at, &word, &len));
    assert_int_equal(len, strlen(want[i]));
    assert_memory_equal(word, want[i], len);
  }
  assert_false(clo_filter_word(&value, &at, &word, &len));
}

static const struct {
  const char *name;
  const char *part;
} unknown_cases[] = {
    {"page", "\"page\" is not a filter of SMS: there are id__in"},
    {"lead_ids", "did you mean \"lead_id\"?"},
    {"contact_id__in", "did you mean \"contact_id\"?"},
    {"id", "did you mean \"id__in\"?"},
    {"_feilds", "did you mean \"_fields\"?"},
    {"date_created", "did you mean \"date_created__gte\"?"},
    {"date_created_lt", "did you mean \"date_created__lt\"?"},
    {"activity_at", "did you mean \"activity_at__gte\"?"},
    {"activity_at__gtee", "did you mean \"activity_at__gte\"?"},
    {"status", "\"status\" is not a filter: Close has no filter on status; "
               "read the pages and select there"},
    {"status__in", "Close has no filter on status"},
    {"remote_phone", "Close has no filter on remote_phone"},
    {"order", "newest first; leave it out"},
    {"timeout", "\"timeout\" is not a filter of SMS, but an option: give it "
                "in a table of its own, as the last argument"},
    {"colour", "there are id__in, lead_id, contact_id, user_id"},
    {"", "\"\" is not a filter of SMS: there are"},
    {"__", "\"__\" is not a filter of SMS: there are"},
    {"a\nb", "\"a\\x0Ab\" is not a filter"},
};

static void hints_at_the_right_filter(void **state) {
  struct clo_violations got;
  char *name;
  size_t i, len;
  for (i = 0; i < COUNT(unknown_cases); i++) {
    len = strlen(unknown_cases[i].name);
    name = exact(unknown_cases[i].name, len);
    clo_violations_init(&got);
    clo_filter_unknown(name, len, &got);
    assert_int_equal(got.count, 1);
    assert_string_equal(got.list[0].code, "unknown_field");
    row("%s: %s", unknown_cases[i].name, got.list[0].message);
    assert_non_null(strstr(got.list[0].message, unknown_cases[i].part));
    expect_one_line(got.list[0].message);
    clo_violations_free(&got);
    free(name);
  }
}

/* Who gave a name that is near to none is told of all. */
static void names_every_filter(void **state) {
  struct clo_violations got;
  char word[32];
  int i;
  clo_violations_init(&got);
  clo_filter_unknown("colour", 6, &got);
  for (i = 0; i < CLO_FILTERS; i++) {
    if (clo_filter_meant((enum clo_filter)i) <= CLO_FILTER_FIELDS) continue;
    snprintf(word, sizeof word, "%s", clo_filter_fields[i].name);
    if (i != CLO_FILTER_ID_IN && strstr(word, "__"))
      *strstr(word, "__") = '\0';
    row("%s", word);
    assert_non_null(strstr(got.list[0].message, word));
  }
  clo_violations_free(&got);
}

static void finds_every_filter(void **state) {
  int i;
  for (i = 0; i < CLO_FILTERS; i++) {
    const struct clo_field *field = &clo_filter_fields[i];
    assert_int_equal(field->len, strlen(field->name));
    assert_int_equal(clo_filter_find(field->name, field->len), i);
    assert_int_not_equal(clo_filter_find(field->name, field->len - 1), i);
  }
  assert_int_equal(clo_filter_meant(CLO_FILTER_PLAIN_SKIP), CLO_FILTER_SKIP);
  assert_int_equal(clo_filter_meant(CLO_FILTER_LEAD_ID), CLO_FILTER_LEAD_ID);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_every_filter),
      cmocka_unit_test(finds_every_filter),
      cmocka_unit_test(checks_each_filter),
      cmocka_unit_test(checks_each_item_of_a_list),
      cmocka_unit_test(refuses_an_empty_list),
      cmocka_unit_test(refuses_both_names_of_one),
      cmocka_unit_test(parts_words_at_commas),
      cmocka_unit_test(hints_at_the_right_filter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
