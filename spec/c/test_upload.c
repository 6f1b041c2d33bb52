/* clo_upload: the fields of a file to upload, by the table of an attachment. */
#include "clo_unknown.h"
#include "clo_upload.h"
#include "expect.h"
#include "test.h"

#define TYPE STR("image/png")
#define NAME STR("a.png")

static char long_name[CLO_FILENAME_MAX + 1];

static const struct {
  const char *name;
  struct clo_upload upload;
  struct expected expected[3];
} cases[] = {
    {"a picture", {TYPE, NAME}, {{0}}},
    {"a name with quotes and blanks", {TYPE, STR("my \"menu\".png")}, {{0}}},
    {"nothing",
     {NONE, NONE},
     {{"content_type", "required", "filename has no known ending"},
      {"filename", "required", "if there is no path"}}},
    {"nulls",
     {NIL, NIL},
     {{"content_type", "type", "must be a string, got null"},
      {"filename", "type", "must be a string, got null"}}},
    {"other types",
     {NUM(1), OBJ("a table")},
     {{"content_type", "type", "got a number"},
      {"filename", "type", "got a table"}}},
    {"a type that there is not",
     {STR("image/pn"), NAME},
     {{"content_type", "enum",
       "content_type must be one of the 40 types listed at https://developer."
       "close.com/api/resources/activities/sms/create, got \"image/pn\"; did "
       "you mean \"image/png\"?"}}},
    {"a type with two letters swapped",
     {STR("image/pgn"), NAME},
     {{"content_type", "enum", "did you mean \"image/png\"?"}}},
    {"a type with a byte more",
     {STR("image/png\0"), NAME},
     {{"content_type", "enum", "\\x00"}}},
    {"an empty name", {TYPE, STR("")}, {{"filename", "range", "empty"}}},
    {"a name with a NUL",
     {TYPE, STR("a\0.png")},
     {{"filename", "format", "byte 0"}}},
    {"a name that is not UTF-8",
     {TYPE, STR("\xff.png")},
     {{"filename", "format", "is not valid UTF-8"}}},
    {"the longest name",
     {TYPE, {CLO_STRING, 0, 0, long_name, CLO_FILENAME_MAX}},
     {{0}}},
    {"a longer name",
     {TYPE, {CLO_STRING, 0, 0, long_name, CLO_FILENAME_MAX + 1}},
     {{"filename", "range", "at most 1024 bytes"}}},
};

static void each_case_has_its_violations(void **state) {
  size_t i;
  memset(long_name, 'a', sizeof long_name);
  for (i = 0; i < COUNT(cases); i++) {
    struct clo_violations violations;
    clo_violations_init(&violations);
    clo_upload_check(&cases[i].upload, &violations);
    expect_violations(cases[i].name, &violations, cases[i].expected,
                      COUNT(cases[i].expected));
    clo_violations_free(&violations);
  }
}

static void an_unknown_name_has_a_hint(void **state) {
  static const struct expected names[] = {
      {"file_name", "unknown_field", "did you mean \"filename\"?"},
      {"contentType", "unknown_field", "did you mean \"content_type\"?"},
      {"url", "unknown_field", "leave it out"},
      {"link", "unknown_field", "leave it out"},
      {"data", "unknown_field", "it has content_type and filename"},
      {"", "unknown_field", "\"\" is not a field of an upload"},
  };
  size_t i;
  for (i = 0; i < COUNT(names); i++) {
    struct clo_violations violations;
    clo_violations_init(&violations);
    clo_upload_unknown(names[i].field, strlen(names[i].field), &violations);
    expect_violations(names[i].field, &violations, &names[i], 1);
    clo_violations_free(&violations);
  }
}

static void an_ugly_name_is_quoted(void **state) {
  static const struct expected shown = {"a\\x0Ab", "unknown_field", "\\x0A"};
  struct clo_violations violations;
  clo_violations_init(&violations);
  clo_upload_unknown("a\nb", 3, &violations);
  expect_violations("a line feed", &violations, &shown, 1);
  clo_violations_free(&violations);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_case_has_its_violations),
      cmocka_unit_test(an_unknown_name_has_a_hint),
      cmocka_unit_test(an_ugly_name_is_quoted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
