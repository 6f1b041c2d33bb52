/* clo_hint: unknown names, with the right one where there is one, and shown so
 * that they do no harm in a log. */
#include "clo_unknown.h"
#include "expect.h"

static const struct {
  const char *name;
  size_t item;
  const char *field;
  const char *part;
} unknown_cases[] = {
    {"to", 0, "to",
     "\"to\" is not a field of an SMS; did you mean \"remote_phone\"?"},
    {"To", 0, "To", "\"To\" is not a field of an SMS; did you mean \"remote_p"},
    {"phone", 0, "phone", "did you mean \"remote_phone\"?"},
    {"from", 0, "from", "did you mean \"local_phone\"?"},
    {"body", 0, "body", "did you mean \"text\"?"},
    {"message", 0, "message", "did you mean \"text\"?"},
    {"txt", 0, "txt", "did you mean \"text\"?"},
    {"localPhone", 0, "localPhone", "did you mean \"local_phone\"?"},
    {"tetx", 0, "tetx", "did you mean \"text\"?"},
    {"ettx", 0, "ettx", "did you mean \"text\"?"},
    {"urel_id", 0, "urel_id", "did you mean \"user_id\"?"},
    {"remote_fone", 0, "remote_fone", "did you mean \"remote_phone\"?"},
    {"created_by", 0, "created_by", "did you mean \"created_by_id\"?"},
    {"organization", 0, "organization", "did you mean \"organization_id\"?"},
    {"attachement", 0, "attachement", "did you mean \"attachments\"?"},
    {"MESSAGE", 0, "MESSAGE", "did you mean \"text\"?"},
    {"ORGANIZATTON", 0, "ORGANIZATTON", "did you mean \"organization_id\"?"},
    /* too far from any */
    {"xo", 0, "xo", "leave it out"},
    {"tx", 0, "tx", "leave it out"},
    {"texting", 0, "texting", "leave it out"},
    {"timeout", 0, "timeout",
     "\"timeout\" is not a field of an SMS, but an option: give it in a table "
     "of its own, as the last argument"},
    {"max_retries", 0, "max_retries", "of an SMS, but an option: give it in"},
    {"on_draft", 0, "on_draft", "of an SMS, but an option: give it in a"},
    {"timeout", 1, "attachments[1].timeout", "of an attachment: it has"},
    {"colour", 0, "colour",
     "\"colour\" is not a field of an SMS; leave it out, or put it in `extra` "
     "if it is newer than this library"},
    {"", 0, "", "\"\" is not a field of an SMS; leave it out"},
    {"x", 0, "x", "\"x\" is not a field of an SMS; leave it out"},
    {"id", 0, "id", "\"id\" is not a field of an SMS; leave it out"},
    {"file_name", 2, "attachments[2].file_name",
     "\"file_name\" is not a field of an attachment; did you mean "
     "\"filename\"?"},
    {"size", 1, "attachments[1].size",
     "\"size\" is not a field of an attachment: it has content_type"},
    {"contentType", 1, "attachments[1].contentType", "mean \"content_type\"?"},
    {"uri", 1, "attachments[1].uri", "did you mean \"url\"?"},
    {"thumbnail", 100000, "attachments[100000].thumbnail",
     "\"thumbnail\" is not a field of an attachment: it has content_type, "
     "filename and url; leave it out"},
    /* names that would do harm in a log */
    {"gr\xC3\xB6\xC3\x9F" "e", 0, "gr\xC3\xB6\xC3\x9F" "e", "\"gr\xC3\xB6"},
    {"caf\xC3\xA9", 0, "caf\xC3\xA9", "\"caf\xC3\xA9\" is not"},
    {"\xE0\xA4\x95", 0, "\xE0\xA4\x95", "\"\xE0\xA4\x95\" is not"},
    {"\nab", 0, "\\x0Aab", "\"\\x0Aab\" is not"},
    {"a\"b", 0, "a\"b", "\"a\\x22b\" is not"},
    {"a\\b", 0, "a\\b", "\"a\\x5Cb\" is not"},
    {"a\nb", 0, "a\\x0Ab", "\"a\\x0Ab\" is not"},
    {"a\x7F" "b", 0, "a\\x7Fb", "\"a\\x7Fb\" is not"},
    {"a\xC2\x85" "b", 0, "a\\xC2\\x85b", "\"a\\xC2\\x85b\" is not"},
    {"a\xC2\xA0" "b", 0, "a\\xC2\\xA0b", "\"a\\xC2\\xA0b\" is not"},
    {"a\xE2\x80\xAE", 0, "a\\xE2\\x80\\xAE", "\"a\\xE2\\x80\\xAE\" is not"},
    {"text\xE2\x80\x8B", 0, "text\\xE2\\x80\\x8B", "did you mean \"text\"?"},
    {"\xFF\xFEname", 3, "attachments[3].\\xFF\\xFEname", "\"\\xFF\\xFEname\""},
};

static void hints_at_the_right_name(void **state) {
  struct clo_violations got;
  struct expected want[2];
  char *name;
  size_t i, len;
  for (i = 0; i < COUNT(unknown_cases); i++) {
    len = strlen(unknown_cases[i].name);
    name = exact(unknown_cases[i].name, len);
    want[0].field = unknown_cases[i].field;
    want[0].code = "unknown_field";
    want[0].part = unknown_cases[i].part;
    want[1].field = NULL;
    clo_violations_init(&got);
    clo_sms_unknown(CLO_CREATE, name, len, unknown_cases[i].item, &got);
    expect_violations(unknown_cases[i].name, &got, want, 2);
    clo_violations_free(&got);
    free(name);
  }
}

static void shows_a_nul_in_a_name(void **state) {
  const struct expected want[] = {
      {"text\\x00", "unknown_field", "\"text\\x00\" is not"}, {0}};
  struct clo_violations got;
  clo_violations_init(&got);
  clo_sms_unknown(CLO_CREATE, "text\0", 5, 0, &got);
  expect_violations("NUL", &got, want, 2);
  clo_violations_free(&got);
}

static void cuts_a_long_name(void **state) {
  char name[1000], want[200];
  struct clo_violations got;
  memset(name, 'x', sizeof name);
  clo_violations_init(&got);
  clo_sms_unknown(CLO_CREATE, name, 99, 0, &got);
  clo_sms_unknown(CLO_CREATE, name, 100, 0, &got);
  clo_sms_unknown(CLO_CREATE, name, sizeof name, 7, &got);
  assert_int_equal(strlen(got.list[0].field), 99);
  snprintf(want, sizeof want, "%.40s...", name);
  assert_string_equal(got.list[1].field, want);
  snprintf(want, sizeof want, "attachments[7].%.40s...", name);
  assert_string_equal(got.list[2].field, want);
  assert_true(strlen(got.list[0].message) < 200);
  clo_violations_free(&got);
}

/* The most that a field's name can take: all escaped, in the last place. */
static void has_room_for_the_longest_name(void **state) {
  char name[41];
  struct clo_violations got;
  const char *field;
  memset(name, '\xFF', sizeof name);
  clo_violations_init(&got);
  clo_sms_unknown(CLO_CREATE, name, sizeof name, SIZE_MAX, &got);
  field = got.list[0].field;
  assert_int_equal(strlen(strchr(field, '.') + 1), 4 * 40 + 3);
  assert_string_equal(field + strlen(field) - 7, "\\xFF...");
  clo_violations_free(&got);
}

/* A cut must not fall into the middle of a character. */
static void cuts_between_characters(void **state) {
  char name[200];
  struct clo_violations got;
  size_t shift, i;
  for (shift = 0; shift < 4; shift++) {
    memset(name, 'x', shift);
    for (i = shift; i + 4 <= sizeof name; i += 4)
      memcpy(name + i, "\xF0\x9F\x98\x80", 4);
    clo_violations_init(&got);
    clo_sms_unknown(CLO_CREATE, name, i, 0, &got);
    expect_one_line(got.list[0].message);
    assert_null(strstr(got.list[0].field, "\\x"));
    clo_violations_free(&got);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hints_at_the_right_name),
      cmocka_unit_test(shows_a_nul_in_a_name),
      cmocka_unit_test(cuts_a_long_name),
      cmocka_unit_test(has_room_for_the_longest_name),
      cmocka_unit_test(cuts_between_characters),
  };
  return cmocka_run_group_tests_name("clo_hint", tests, NULL, NULL);
}
