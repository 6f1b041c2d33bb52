/* clo_field: one value by itself. Each case names the code, the field and a
 * part of the sentence that it must be refused with. */
#include "expect.h"
#include "test.h"

static const struct rule_case field_cases[] = {
    /* required */
    {"nothing at all", {{0}}, {{"status", "required", "\"outbox\" sends"}}},
    {"only text", {TEXT}, {{"status", "required", "is required"}}},

    /* enum */
    {"a status there is not",
     {STATUS("foo")},
     {{"status", "enum",
       "must be one of \"inbox\", \"draft\", \"scheduled\", \"outbox\", "
       "\"sent\", \"error\", got \"foo\""}}},
    {"a status in capitals",
     {STATUS("Outbox")},
     {{"status", "enum", "got \"Outbox\"; did you mean \"outbox\"?"}}},
    {"a status misspelt",
     {STATUS("shceduled")},
     {{"status", "enum", "did you mean \"scheduled\"?"}}},
    {"status send, which is not sent",
     {STATUS("send")},
     {{"status", "enum", "did you mean \"outbox\"?"}}},
    {"a status with a byte too many",
     {STATUS("sent ")},
     {{"status", "enum", "did you mean \"sent\"?"}}},
    {"a status with a NUL", {STATUS("sent\0")}, {{"status", "enum", "\\x00"}}},
    {"a status cut short", {STATUS("draf")}, {{"status", "enum", "\"draft\""}}},
    {"an empty status", {STATUS("")}, {{"status", "enum", "got \"\""}}},
    {"direction outgoing",
     {STATUS("draft"), {CLO_SMS_DIRECTION, STR("outgoing")}},
     {{"direction", "enum",
       "must be one of \"inbound\", \"outbound\", got \"outgoing\"; did you "
       "mean \"outbound\"?"}}},
    {"direction incoming",
     {STATUS("draft"), {CLO_SMS_DIRECTION, STR("Incoming")}},
     {{"direction", "enum", "did you mean \"inbound\"?"}}},
    {"direction OUTBOUND",
     {STATUS("draft"), {CLO_SMS_DIRECTION, STR("OUTBOUND")}},
     {{"direction", "enum", "did you mean \"outbound\"?"}}},
    {"source close.io",
     {STATUS("draft"), {CLO_SMS_SOURCE, STR("close.io")}},
     {{"source", "enum", "did you mean \"Close.io\"?"}}},
    {"source of another kind",
     {STATUS("draft"), {CLO_SMS_SOURCE, STR("a very long word")}},
     {{"source", "enum",
       "must be one of \"Close.io\", \"External\", got \"a very long word\""}}},

    /* null */
    {"status null",
     {STATUS("draft"), {CLO_SMS_STATUS, NIL}},
     {{"status", "type", "must be a string, got null"}}},
    {"direction null",
     {STATUS("draft"), {CLO_SMS_DIRECTION, NIL}},
     {{"direction", "type", "must be a string, got null"}}},
    {"source null",
     {STATUS("draft"), {CLO_SMS_SOURCE, NIL}},
     {{"source", "type", "must be a string, got null"}}},
    {"send_in null",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_SEND_IN, NIL}},
     {{"send_in", "type", "must be a number, got null"}}},
    {"send_to_inbox null",
     {STATUS("inbox"), {CLO_SMS_SEND_TO_INBOX, NIL}},
     {{"send_to_inbox", "type", "must be a boolean, got null"}}},

    /* type: one violation, and nothing that only follows from it */
    {"text a number",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_TEXT, NUM(5)}},
     {{"text", "type", "text must be a string, got a number"}}},
    {"text a function",
     {STATUS("draft"), {CLO_SMS_TEXT, OBJ("a function")}},
     {{"text", "type", "must be a string, got a function"}}},
    {"text an object without a name",
     {STATUS("draft"), {CLO_SMS_TEXT, {CLO_OBJECT, 0, 0, NULL, 0}}},
     {{"text", "type", "got an object"}}},
    {"text an object with an empty name",
     {STATUS("draft"), {CLO_SMS_TEXT, OBJ("")}},
     {{"text", "type", "got an object"}}},
    {"an object that is called like a status",
     {{CLO_SMS_STATUS, OBJ("sent")}, WHEN},
     {{"status", "type", "got sent"}}},
    {"a phone as a number",
     {STATUS("outbox"), TO, TEXT, {CLO_SMS_LOCAL_PHONE, NUM(14154445555.0)}},
     {{"local_phone", "type", "such as \"+14154445555\", got a number"}}},
    {"status false",
     {{CLO_SMS_STATUS, BOOL(0)}, WHEN},
     {{"status", "type", "got a boolean"}}},
    {"date_scheduled true",
     {STATUS("scheduled"), TO, TEXT, FROM, {CLO_SMS_DATE_SCHEDULED, BOOL(1)}},
     {{"date_scheduled", "type", "an RFC 3339 string or a number"}}},
    {"date_scheduled true, with outbox",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_DATE_SCHEDULED, BOOL(1)}},
     {{"date_scheduled", "type", "got a boolean"}}},
    {"send_in a string, with draft",
     {STATUS("draft"), {CLO_SMS_SEND_IN, STR("5")}},
     {{"send_in", "type", "must be a number, got a string"}}},
    {"send_to_inbox a string, with draft",
     {STATUS("draft"), {CLO_SMS_SEND_TO_INBOX, STR("true")}},
     {{"send_to_inbox", "type", "must be a boolean, got a string"}}},
    {"attachments a map",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_ATTACHMENTS, OBJ("a map")}},
     {{"attachments", "type", "a list of attachments, even if it is of one, "
                              "got a map"}}},
    {"template_id a number",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_TEMPLATE_ID, NUM(1)}},
     {{"template_id", "type", "got a number"}}},
    {"template_id a number beside text",
     {STATUS("draft"), TEXT, {CLO_SMS_TEMPLATE_ID, NUM(1)}},
     {{"template_id", "type", "got a number"}}},

    /* format: phones */
    {"a phone with spaces",
     {STATUS("draft"), {CLO_SMS_REMOTE_PHONE, STR("+1 (415) 444-5555")}},
     {{"remote_phone", "format", "did you mean +14154445555?"}}},
    {"a phone with a carriage return",
     {STATUS("draft"), {CLO_SMS_REMOTE_PHONE, STR("+14154445555\r")}},
     {{"remote_phone", "format",
       "remote_phone is not in E.164 form, \"+\" and digits only; it has "
       "U+000D at byte 13; did you mean +14154445555?"}}},
    {"a phone between marks of direction",
     {STATUS("draft"),
      {CLO_SMS_LOCAL_PHONE, STR("\xE2\x80\xAA+14154445555\xE2\x80\xAC")}},
     {{"local_phone", "format",
       "it has U+202A at byte 1; did you mean +14154445555?"}}},
    {"a phone with an Arabic digit",
     {STATUS("draft"), {CLO_SMS_LOCAL_PHONE, STR("+1415\xD9\xA3")}},
     {{"local_phone", "format", "as +14154445555; it has U+0663 at byte 6"}}},
    {"a date with a carriage return",
     {STATUS("draft"), {CLO_SMS_ACTIVITY_AT, STR("2026-11-23T08:00:00Z\r")}},
     {{"activity_at", "format",
       "something follows its Z; got \"2026-11-23T08:00:00Z\\x0D\"; it has "
       "U+000D at byte 21"}}},
    {"a date with a minus that is not ASCII's",
     {STATUS("draft"),
      {CLO_SMS_ACTIVITY_AT, STR("2026-11-23T08:00:00\xE2\x88\x92" "05:00")}},
     {{"activity_at", "format", "it has U+2212 at byte 20"}}},
    {"a status with a blank",
     {STATUS("outbox ")},
     {{"status", "enum",
       "got \"outbox \"; it has U+0020 at byte 7; did you mean \"outbox\"?"}}},
    {"a status with what nobody sees",
     {STATUS("\xE2\x80\x8Bsent")},
     {{"status", "enum",
       "got \"\\xE2\\x80\\x8Bsent\"; it has U+200B at byte 1; did you mean "
       "\"sent\"?"}}},
    {"a phone without +",
     {STATUS("draft"), {CLO_SMS_REMOTE_PHONE, STR("4154445555")}},
     {{"remote_phone", "format", "then 2 to 15 digits"}}},
    {"an empty phone",
     {STATUS("outbox"), TO, TEXT, {CLO_SMS_LOCAL_PHONE, STR("")}},
     {{"local_phone", "format", "is not in E.164 form"}}},
    {"the id of a phone number",
     {STATUS("outbox"), TO, TEXT, {CLO_SMS_LOCAL_PHONE, STR("phon_1aB")}},
     {{"local_phone", "format",
       "is the id of a phone number; give the number itself in E.164 form"}}},
    {"the id of a remote phone",
     {STATUS("draft"), {CLO_SMS_REMOTE_PHONE, STR("phon_")}},
     {{"remote_phone", "format", "is the id of a phone number"}}},

    /* format and range: dates */
    {"a date in words",
     {STATUS("draft"), {CLO_SMS_ACTIVITY_AT, STR("now")}},
     {{"activity_at", "format", "is not written like"}}},
    {"a date without an offset",
     {STATUS("draft"), {CLO_SMS_DATE_CREATED, STR("2026-11-23T08:00:00")}},
     {{"date_created", "format",
       "it has no offset: end it with Z or one like +01:00; got "
       "\"2026-11-23T08:00:00\""}}},
    {"an empty date",
     {STATUS("scheduled"), TO, TEXT, FROM, {CLO_SMS_DATE_SCHEDULED, STR("")}},
     {{"date_scheduled", "format", "it is empty"}}},
    {"a date in milliseconds",
     {STATUS("draft"), {CLO_SMS_ACTIVITY_AT, NUM(1795420800000.0)}},
     {{"activity_at", "range", "seconds (not milliseconds)"}}},
    {"a date before all years",
     {STATUS("draft"), {CLO_SMS_ACTIVITY_AT, NUM(-62167219201.0)}},
     {{"activity_at", "range", "0000 to 9999"}}},
    {"a bad date with a status it does not go with",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_DATE_SCHEDULED, STR("now")}},
     {{"date_scheduled", "format", "is not written like"},
      {"date_scheduled", "conflict", "sent at once"}}},

    /* range: send_in */
    {"send_in 60",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_SEND_IN, NUM(60)}},
     {{"send_in", "range", "at least 0 and less than 60"}}},
    {"send_in below 0",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_SEND_IN, NUM(-0.001)}},
     {{"send_in", "range", "at least 0"}}},
    {"send_in 60 with draft",
     {STATUS("draft"), {CLO_SMS_SEND_IN, NUM(60)}},
     {{"send_in", "range", "less than 60"}, {"send_in", "conflict", "outbox"}}},
    {"send_in 60 without a status",
     {{CLO_SMS_SEND_IN, NUM(60)}},
     {{"send_in", "range", "60"}, {"status", "required", "is required"}}},
};

static void refuses_a_bad_field(void **state) {
  size_t i;
  for (i = 0; i < COUNT(field_cases); i++) expect_case(&field_cases[i]);
}

/* Each field in the order of the table, and the types that it takes: s string,
 * n number, b boolean, l list, 0 null. */
static const char *const types[CLO_SMS_FIELDS] = {
    "sn0", "l0", "s0", "s0", "sn0", "sn0", "s", "s0", "s0",
    "s0", "s0", "n", "b", "s", "s", "s0", "s0", "s0"};

/* Each field, given a value of each type beside a status it goes with. */
static void takes_the_types_of_the_schema(void **state) {
  static const struct {
    char letter;
    struct clo_value value;
  } values[] = {{'0', NIL},          {'b', BOOL(1)}, {'n', NUM(1)},
                {'s', STR("+12")},   {'l', LIST},    {'o', OBJ("a map")}};
  struct clo_violations got;
  struct clo_sms sms;
  size_t f, v;
  for (f = 0; f < CLO_SMS_FIELDS; f++)
    for (v = 0; v < COUNT(values); v++) {
      memset(&sms, 0, sizeof sms);
      sms.field[CLO_SMS_STATUS] = (struct clo_value)STR("draft");
      sms.field[f] = values[v].value;
      clo_violations_init(&got);
      clo_sms_check(&sms, &got);
      if (strchr(types[f], values[v].letter) != NULL) {
        if (got.count > 0 && strcmp(got.list[0].code, "type") == 0)
          fail_msg("%s", got.list[0].message);
      } else if (got.count != 1 || strcmp(got.list[0].code, "type") != 0 ||
                 strcmp(got.list[0].field, clo_sms_fields[f].name) != 0) {
        fail_msg("%s, %c", clo_sms_fields[f].name, values[v].letter);
      }
      clo_violations_free(&got);
    }
}

static void wants_utf8_of_each_string(void **state) {
  struct rule_case made = {
      NULL, {STATUS("draft"), {0, STR("+123\xFF")}},
      {{NULL, "format", "byte 5 is 0xFF"}}};
  size_t f;
  for (f = 0; f < CLO_SMS_FIELDS; f++) {
    if (strchr(types[f], 's') == NULL) continue;
    made.name = clo_sms_fields[f].name;
    made.sets[1].field = (enum clo_sms_field)f;
    made.expected[0].field = made.name;
    expect_case(&made);
  }
}

static void refuses_numbers_that_are_not_finite(void **state) {
  static const enum clo_sms_field fields[] = {
      CLO_SMS_SEND_IN, CLO_SMS_ACTIVITY_AT, CLO_SMS_DATE_CREATED};
  struct rule_case made = {
      NULL, {STATUS("outbox"), TEXT, FROM, TO, {0, NUM(0)}},
      {{NULL, "range", ""}}};
  double infinity = 1e300 * 1e300;
  size_t i;
  for (i = 0; i < 3 * COUNT(fields); i++) {
    made.sets[4].field = fields[i / 3];
    made.sets[4].value.number =
        i % 3 == 0 ? infinity : i % 3 == 1 ? -infinity : infinity - infinity;
    made.name = made.expected[0].field = clo_sms_fields[fields[i / 3]].name;
    expect_case(&made);
  }
}

/* ---- what a message may say ---- */

static void keeps_secrets_out_of_messages(void **state) {
  struct clo_violations got;
  struct clo_sms sms;
  size_t i;
  memset(&sms, 0, sizeof sms);
  sms.field[CLO_SMS_STATUS] = (struct clo_value)STR("outbox");
  sms.field[CLO_SMS_TEXT] = (struct clo_value)STR("secret\xFF");
  sms.field[CLO_SMS_LOCAL_PHONE] = (struct clo_value)STR("secret 123");
  sms.field[CLO_SMS_REMOTE_PHONE] = (struct clo_value)STR("phon_secret");
  sms.field[CLO_SMS_LEAD_ID] = (struct clo_value)STR("secret\x80");
  clo_violations_init(&got);
  clo_sms_check(&sms, &got);
  assert_int_equal(got.count, 4);
  for (i = 0; i < got.count; i++)
    assert_null(strstr(got.list[i].message, "secret"));
  clo_violations_free(&got);
}

static void cuts_and_escapes_a_quoted_value(void **state) {
  static const char start[] = "got \"\\x22\\x0A\\x00\\x5Caaaaaaaaaaaaaaaaaaaa";
  char value[5000];
  struct clo_violations got;
  struct clo_sms sms;
  memset(value, 'a', sizeof value);
  memcpy(value, "\"\n\0\\", 4);
  memset(&sms, 0, sizeof sms);
  sms.field[CLO_SMS_STATUS].type = CLO_STRING;
  sms.field[CLO_SMS_STATUS].data = value;
  sms.field[CLO_SMS_STATUS].len = sizeof value;
  sms.field[CLO_SMS_ACTIVITY_AT] = sms.field[CLO_SMS_STATUS];
  clo_violations_init(&got);
  clo_sms_check(&sms, &got);
  assert_int_equal(got.count, 2);
  assert_non_null(strstr(got.list[0].message, start));
  assert_non_null(strstr(got.list[1].message, start));
  assert_non_null(strstr(got.list[1].message, "aaa...\""));
  expect_one_line(got.list[0].message);
  expect_one_line(got.list[1].message);
  clo_violations_free(&got);
}

static void cuts_the_long_name_of_a_type(void **state) {
  static const char start[] = "text must be a string, got ";
  char name[200];
  struct clo_violations got;
  struct clo_sms sms;
  memset(name, 'x', sizeof name);
  memset(&sms, 0, sizeof sms);
  sms.field[CLO_SMS_STATUS] = (struct clo_value)STR("draft");
  sms.field[CLO_SMS_TEXT].type = CLO_OBJECT;
  sms.field[CLO_SMS_TEXT].data = name;
  sms.field[CLO_SMS_TEXT].len = sizeof name;
  clo_violations_init(&got);
  clo_sms_check(&sms, &got);
  assert_int_equal(got.count, 1);
  assert_memory_equal(got.list[0].message, start, sizeof start - 1);
  assert_int_equal(strlen(got.list[0].message), sizeof start - 1 + 80);
  clo_violations_free(&got);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuses_a_bad_field),
      cmocka_unit_test(takes_the_types_of_the_schema),
      cmocka_unit_test(wants_utf8_of_each_string),
      cmocka_unit_test(refuses_numbers_that_are_not_finite),
      cmocka_unit_test(keeps_secrets_out_of_messages),
      cmocka_unit_test(cuts_and_escapes_a_quoted_value),
      cmocka_unit_test(cuts_the_long_name_of_a_type),
  };
  return cmocka_run_group_tests_name("clo_field", tests, NULL, NULL);
}
