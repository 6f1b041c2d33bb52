/* clo_sms: the tables, and the rules between fields. Each rule has cases that
 * it must refuse, with code and field, and cases that it must let through. */
#include "expect.h"
#include "test.h"

static const struct rule_case between_cases[] = {
    /* date_scheduled */
    {"scheduled without a date",
     {STATUS("scheduled"), TO, TEXT, FROM},
     {{"date_scheduled", "required", "status \"scheduled\": say when"}}},
    {"scheduled with date null",
     {STATUS("scheduled"), TO, TEXT, FROM, {CLO_SMS_DATE_SCHEDULED, NIL}},
     {{"date_scheduled", "required", "status \"scheduled\""}}},
    {"a date with outbox",
     {STATUS("outbox"), TO, TEXT, FROM, WHEN},
     {{"date_scheduled", "conflict",
       "goes only with status \"draft\", \"scheduled\", not with \"outbox\"; "
       "with \"outbox\" the SMS would be sent at once"}}},
    {"a date with sent",
     {STATUS("sent"), TEXT, WHEN},
     {{"date_scheduled", "conflict", "not with \"sent\""}}},
    {"a date with inbox",
     {STATUS("inbox"), TEXT, WHEN},
     {{"date_scheduled", "conflict", "not with \"inbox\""}}},
    {"a date with error",
     {STATUS("error"), TEXT, WHEN},
     {{"date_scheduled", "conflict", "not with \"error\""}}},
    {"a date as a number with outbox",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_DATE_SCHEDULED, NUM(0)}},
     {{"date_scheduled", "conflict", "not with \"outbox\""}}},

    /* send_in */
    {"send_in with draft",
     {STATUS("draft"), {CLO_SMS_SEND_IN, NUM(5)}},
     {{"send_in", "conflict", "status \"outbox\", not with \"draft\""}}},
    {"send_in with scheduled",
     {STATUS("scheduled"), TO, TEXT, FROM, WHEN, {CLO_SMS_SEND_IN, NUM(5)}},
     {{"send_in", "conflict", "not with \"scheduled\""}}},
    {"send_in 0 with sent",
     {STATUS("sent"), {CLO_SMS_SEND_IN, NUM(0)}},
     {{"send_in", "conflict", "not with \"sent\""}}},
    {"send_in with inbox",
     {STATUS("inbox"), {CLO_SMS_SEND_IN, NUM(5)}},
     {{"send_in", "conflict", "not with \"inbox\""}}},

    /* send_to_inbox */
    {"send_to_inbox with outbox",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_SEND_TO_INBOX, BOOL(1)}},
     {{"send_to_inbox", "conflict", "status \"inbox\", not with \"outbox\""}}},
    {"send_to_inbox false with draft",
     {STATUS("draft"), {CLO_SMS_SEND_TO_INBOX, BOOL(0)}},
     {{"send_to_inbox", "conflict", "not with \"draft\""}}},
    {"send_to_inbox with sent",
     {STATUS("sent"), {CLO_SMS_SEND_TO_INBOX, BOOL(1)}},
     {{"send_to_inbox", "conflict", "not with \"sent\""}}},

    /* local_phone */
    {"outbox without local_phone",
     {STATUS("outbox"), TO, TEXT},
     {{"local_phone", "required", "status \"outbox\": give your number"}}},
    {"outbox with local_phone null",
     {STATUS("outbox"), TO, TEXT, {CLO_SMS_LOCAL_PHONE, NIL}},
     {{"local_phone", "required", "status \"outbox\""}}},
    {"scheduled without local_phone",
     {STATUS("scheduled"), TO, TEXT, WHEN},
     {{"local_phone", "required", "status \"scheduled\""}}},

    /* somebody to send to */
    {"outbox to nobody",
     {STATUS("outbox"), FROM, TEXT},
     {{"remote_phone", "required",
       "remote_phone is required with status \"outbox\": give the number to "
       "send to, or contact_id or lead_id"}}},
    {"scheduled to nobody",
     {STATUS("scheduled"), FROM, TEXT, WHEN},
     {{"remote_phone", "required", "with status \"scheduled\""}}},
    {"outbox with a template to nobody",
     {STATUS("outbox"), FROM, {CLO_SMS_TEMPLATE_ID, STR("smstmpl_1")}},
     {{"remote_phone", "required", ""}}},
    {"outbox to nulls",
     {STATUS("outbox"), FROM, TEXT, {CLO_SMS_REMOTE_PHONE, NIL},
      {CLO_SMS_CONTACT_ID, NIL}, {CLO_SMS_LEAD_ID, NIL}},
     {{"remote_phone", "required", ""}}},
    {"outbox to what is no number",
     {STATUS("outbox"), FROM, TEXT, {CLO_SMS_REMOTE_PHONE, STR("x")}},
     {{"remote_phone", "format", ""}}},

    /* something to send */
    {"outbox without content",
     {STATUS("outbox"), TO, FROM},
     {{"text", "required",
       "text is required with status \"outbox\": give text, template_id or an "
       "attachment"}}},
    {"outbox with an empty text",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_TEXT, STR("")}},
     {{"text", "required", "status \"outbox\""}}},
    {"scheduled without content",
     {STATUS("scheduled"), TO, FROM, WHEN},
     {{"text", "required", "status \"scheduled\""}}},
    {"outbox with all content null",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_TEXT, NIL},
      {CLO_SMS_TEMPLATE_ID, NIL}, {CLO_SMS_ATTACHMENTS, NIL}},
     {{"text", "required", "status \"outbox\""}}},
    {"outbox with an empty list",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_ATTACHMENTS, LIST}},
     {{"text", "required", "status \"outbox\""}}},
    {"text and template_id",
     {STATUS("draft"), TEXT, {CLO_SMS_TEMPLATE_ID, STR("smstmpl_1")}},
     {{"template_id", "conflict",
       "template_id cannot go with text, which the template would write; leave "
       "one of them out"}}},
    {"text and template_id without a status",
     {TEXT, {CLO_SMS_TEMPLATE_ID, STR("smstmpl_1")}},
     {{"status", "required", "is required"},
      {"template_id", "conflict", "cannot go with text"}}},

    /* all at once, in the order of the table */
    {"nothing but outbox",
     {STATUS("outbox")},
     {{"local_phone", "required", ""},
      {"remote_phone", "required", ""},
      {"text", "required", ""}}},
    {"nothing but scheduled",
     {STATUS("scheduled")},
     {{"date_scheduled", "required", ""},
      {"local_phone", "required", ""},
      {"remote_phone", "required", ""},
      {"text", "required", ""}}},
    {"four slips",
     {STATUS("draft"), {CLO_SMS_ACTIVITY_AT, STR("now")},
      {CLO_SMS_LEAD_ID, NUM(1)}, {CLO_SMS_REMOTE_PHONE, STR("1")},
      {CLO_SMS_SEND_IN, NUM(1)}},
     {{"activity_at", "format", ""},
      {"lead_id", "type", ""},
      {"remote_phone", "format", ""},
      {"send_in", "conflict", ""}}},
};

/* Nothing else is refused. */
static const struct rule_case good_cases[] = {
    {"a bare draft", {STATUS("draft")}, {{0}}},
    {"a bare inbox", {STATUS("inbox")}, {{0}}},
    {"a bare sent", {STATUS("sent")}, {{0}}},
    {"a bare error", {STATUS("error")}, {{0}}},
    {"a text of one byte",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_TEXT, STR("a")}}, {{0}}},
    {"outbox to a contact",
     {STATUS("outbox"), TEXT, FROM, {CLO_SMS_CONTACT_ID, STR("cont_1")}},
     {{0}}},
    {"scheduled to a lead",
     {STATUS("scheduled"), TEXT, FROM, WHEN,
      {CLO_SMS_LEAD_ID, STR("lead_1")}}, {{0}}},
    {"outbox to a number, lead null",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_LEAD_ID, NIL}}, {{0}}},
    {"scheduled", {STATUS("scheduled"), TO, TEXT, FROM, WHEN}, {{0}}},
    {"a draft with a date", {STATUS("draft"), WHEN}, {{0}}},
    {"scheduled at a number",
     {STATUS("scheduled"), TO, TEXT, FROM,
      {CLO_SMS_DATE_SCHEDULED, NUM(1795420800.25)}}, {{0}}},
    {"outbox with date null",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_DATE_SCHEDULED, NIL}}, {{0}}},
    {"a date in the past",
     {STATUS("scheduled"), TO, TEXT, FROM, {CLO_SMS_DATE_SCHEDULED, NUM(0)}},
     {{0}}},
    {"send_in 0",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_SEND_IN, NUM(0)}}, {{0}}},
    {"send_in 59.999",
     {STATUS("outbox"), TO, TEXT, FROM, {CLO_SMS_SEND_IN, NUM(59.999)}}, {{0}}},
    {"send_to_inbox",
     {STATUS("inbox"), {CLO_SMS_SEND_TO_INBOX, BOOL(1)}}, {{0}}},
    {"send_to_inbox false",
     {STATUS("inbox"), {CLO_SMS_SEND_TO_INBOX, BOOL(0)}}, {{0}}},
    {"a template",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_TEMPLATE_ID, STR("smstmpl_1")}},
     {{0}}},
    {"a template with text null",
     {STATUS("outbox"), TO, FROM, {CLO_SMS_TEMPLATE_ID, STR("smstmpl_1")},
      {CLO_SMS_TEXT, NIL}}, {{0}}},
    {"text with template_id null",
     {STATUS("outbox"), TO, FROM, TEXT, {CLO_SMS_TEMPLATE_ID, NIL}}, {{0}}},
    {"an empty text in a draft",
     {STATUS("draft"), {CLO_SMS_TEXT, STR("")}}, {{0}}},
    {"an empty id", {STATUS("draft"), {CLO_SMS_LEAD_ID, STR("")}}, {{0}}},
    {"text with a NUL",
     {STATUS("draft"), {CLO_SMS_TEXT, STR("a\0b")}}, {{0}}},
    {"text with emoji",
     {STATUS("draft"), {CLO_SMS_TEXT, STR("\xF0\x9F\x98\x80")}}, {{0}}},
    {"an empty list in a draft",
     {STATUS("draft"), {CLO_SMS_ATTACHMENTS, LIST}}, {{0}}},
    {"a direction at odds with the status",
     {STATUS("inbox"), {CLO_SMS_DIRECTION, STR("outbound")}}, {{0}}},
    {"each source",
     {STATUS("draft"), {CLO_SMS_SOURCE, STR("Close.io")}}, {{0}}},
    {"the other source",
     {STATUS("draft"), {CLO_SMS_SOURCE, STR("External")}}, {{0}}},
};

static void refuses_fields_at_odds(void **state) {
  size_t i;
  for (i = 0; i < COUNT(between_cases); i++) expect_case(&between_cases[i]);
}

static void refuses_nothing_else(void **state) {
  size_t i;
  for (i = 0; i < COUNT(good_cases); i++) expect_case(&good_cases[i]);
}

/* ---- the table ---- */

/* The request schema of the API's page, and the two fields of its prose. */
static const struct {
  const char *name;
  const char *types; /* s string, n number, b boolean, l list, 0 null */
  int required;
  int query;
} schema[] = {
    {"activity_at", "sn0", 0, 0},     {"attachments", "l0", 0, 0},
    {"contact_id", "s0", 0, 0},       {"created_by_id", "s0", 0, 0},
    {"date_created", "sn0", 0, 0},    {"date_scheduled", "sn0", 0, 0},
    {"direction", "s", 0, 0},         {"lead_id", "s0", 0, 0},
    {"local_phone", "s0", 0, 0},      {"organization_id", "s0", 0, 0},
    {"remote_phone", "s0", 0, 0},     {"send_in", "n", 0, 0},
    {"send_to_inbox", "b", 0, 1},     {"source", "s", 0, 0},
    {"status", "s", 1, 0},            {"template_id", "s0", 0, 0},
    {"text", "s0", 0, 0},             {"user_id", "s0", 0, 0},
};

static void has_the_fields_of_the_schema(void **state) {
  const struct clo_field *field;
  size_t i;
  assert_int_equal(COUNT(schema), CLO_SMS_FIELDS);
  for (i = 0; i < CLO_SMS_FIELDS; i++) {
    field = &clo_sms_fields[i];
    assert_string_equal(field->name, schema[i].name);
    assert_int_equal(field->len, strlen(field->name));
    assert_int_equal(field->required, schema[i].required);
    assert_int_equal(field->query, schema[i].query);
    assert_int_equal(field->nullable, strchr(schema[i].types, '0') != NULL);
    assert_int_equal(clo_sms_find(field->name, field->len), i);
    assert_int_equal(clo_sms_find(field->name, field->len - 1), -1);
    assert_int_equal(clo_attachment_find(field->name, field->len), -1);
  }
  assert_int_equal(clo_sms_find("text\0", 5), -1);
  assert_int_equal(clo_sms_find("Text", 4), -1);
  assert_int_equal(clo_sms_find("", 0), -1);
}

static void has_the_fields_of_an_attachment(void **state) {
  static const char *const names[] = {"content_type", "filename", "url"};
  const struct clo_field *field;
  int i;
  for (i = 0; i < CLO_ATTACHMENT_FIELDS; i++) {
    field = &clo_attachment_fields[i];
    assert_string_equal(field->name, names[i]);
    assert_int_equal(field->len, strlen(field->name));
    assert_true(field->required && !field->nullable && !field->query);
    assert_int_equal(clo_attachment_find(field->name, field->len), i);
    assert_int_equal(clo_sms_find(field->name, field->len), -1);
  }
  assert_int_equal(clo_attachment_find("ur", 2), -1);
}

/* ---- attachments ---- */

#define URL STR("https://example.com/a.png")
#define MAP CLO_OBJECT, "a map"

static const struct {
  const char *name;
  struct clo_attachment item; /* the second of the list */
  struct expected expected[4];
} attachment_cases[] = {
    {"whole", {MAP, {STR("image/png"), STR("a.png"), URL}}, {{0}}},
    {"empty strings", {MAP, {STR("text/csv"), STR(""), STR("")}}, {{0}}},
    {"empty",
     {MAP, {NONE, NONE, NONE}},
     {{"attachments[2].content_type", "required", "is required: an attachment"},
      {"attachments[2].filename", "required", "is required"},
      {"attachments[2].url", "required", "is required"}}},
    {"without url",
     {MAP, {STR("image/png"), STR("a.png"), NONE}},
     {{"attachments[2].url", "required",
       "attachments[2].url is required: an attachment has content_type, "
       "filename and url"}}},
    {"nulls",
     {MAP, {NIL, NIL, NIL}},
     {{"attachments[2].content_type", "type", "must be a string, got null"},
      {"attachments[2].filename", "type", "must be a string, got null"},
      {"attachments[2].url", "type", "must be a string, got null"}}},
    {"numbers",
     {MAP, {NUM(1), NUM(2), NUM(3)}},
     {{"attachments[2].content_type", "type", "got a number"},
      {"attachments[2].filename", "type", "got a number"},
      {"attachments[2].url", "type", "got a number"}}},
    {"a content type there is not",
     {MAP, {STR("application/zip"), STR("a"), URL}},
     {{"attachments[2].content_type", "enum",
       "must be one of the 40 types listed at https://developer.close.com/api/"
       "resources/activities/sms/create, got \"application/zip\""}}},
    {"a content type in capitals",
     {MAP, {STR("IMAGE/PNG"), STR("a"), URL}},
     {{"attachments[2].content_type", "enum",
       "got \"IMAGE/PNG\"; did you mean \"image/png\"?"}}},
    {"a content type in the wrong case",
     {MAP, {STR("video/h264"), STR("a"), URL}},
     {{"attachments[2].content_type", "enum",
       "did you mean \"video/H264\"?"}}},
    {"a content type with a parameter",
     {MAP, {STR("text/csv;v=1"), STR("a"), URL}},
     {{"attachments[2].content_type", "enum", "did you mean \"text/csv\"?"}}},
    {"not UTF-8",
     {MAP, {STR("\xC3("), STR("a\x80"), STR("https://\xED\xA0\x80")}},
     {{"attachments[2].content_type", "format", "byte 1 is 0xC3"},
      {"attachments[2].filename", "format", "byte 2 is 0x80"},
      {"attachments[2].url", "format", "byte 9 is 0xED"}}},
    {"a string",
     {CLO_STRING, NULL, {NONE, NONE, NONE}},
     {{"attachments[2]", "type",
       "attachments[2] must be a map with content_type, filename and url, got "
       "a string"}}},
    {"a function",
     {CLO_ABSENT, "a function", {NONE, NONE, NONE}},
     {{"attachments[2]", "type", "got a function"}}},
    {"null",
     {CLO_NULL, NULL, {NONE, NONE, NONE}},
     {{"attachments[2]", "type", "got null"}}},
    {"a list",
     {CLO_LIST, NULL, {NONE, NONE, NONE}},
     {{"attachments[2]", "type", "got a list"}}},
};

static const struct clo_attachment good_attachment = {
    MAP, {STR("image/png"), STR("a.png"), URL}};

static void checks_each_attachment(void **state) {
  struct clo_attachment items[3];
  struct clo_sms sms;
  size_t i;
  memset(&sms, 0, sizeof sms);
  sms.field[CLO_SMS_STATUS] = (struct clo_value)STR("outbox");
  sms.field[CLO_SMS_LOCAL_PHONE] = (struct clo_value)STR("+14154445555");
  sms.field[CLO_SMS_REMOTE_PHONE] = (struct clo_value)STR("+18183334444");
  sms.field[CLO_SMS_ATTACHMENTS] = (struct clo_value)LIST;
  sms.attachments = items;
  sms.attachment_count = 3;
  for (i = 0; i < COUNT(attachment_cases); i++) {
    items[0] = items[2] = good_attachment;
    items[1] = attachment_cases[i].item;
    expect_sms(attachment_cases[i].name, &sms, attachment_cases[i].expected, 4);
  }
}

static void looks_at_attachments_only_in_a_list(void **state) {
  static const struct clo_value values[] = {NONE, NIL};
  static const struct expected nothing = {0};
  struct clo_attachment bad;
  struct clo_sms sms;
  size_t i;
  memset(&bad, 0, sizeof bad);
  memset(&sms, 0, sizeof sms);
  sms.field[CLO_SMS_STATUS] = (struct clo_value)STR("draft");
  sms.attachments = &bad;
  sms.attachment_count = 1;
  for (i = 0; i < COUNT(values); i++) {
    sms.field[CLO_SMS_ATTACHMENTS] = values[i];
    expect_sms(i == 0 ? "absent" : "null", &sms, &nothing, 1);
  }
}

/* Copied from the API's page, in its order. */
static const char *const content_types[] = {
    "application/pdf",        "application/vcard",  "audio/3gpp",
    "audio/3gpp2",            "audio/L24",          "audio/ac3",
    "audio/amr",              "audio/amr-nb",       "audio/basic",
    "audio/mp4",              "audio/mpeg",         "audio/ogg",
    "audio/vnd.rn-realaudio", "audio/vnd.wave",     "audio/webm",
    "image/bmp",              "image/gif",          "image/jpeg",
    "image/jpg",              "image/png",          "image/tiff",
    "text/calendar",          "text/csv",           "text/directory",
    "text/richtext",          "text/rtf",           "text/vcard",
    "text/x-vcard",           "video/3gpp",         "video/3gpp-tt",
    "video/3gpp2",            "video/H261",         "video/H263",
    "video/H263-1998",        "video/H263-2000",    "video/H264",
    "video/mp4",              "video/mpeg",         "video/quicktime",
    "video/webm",
};

static void has_the_content_types_of_the_schema(void **state) {
  const char *const *values =
      clo_attachment_fields[CLO_ATTACHMENT_CONTENT_TYPE].values;
  size_t i;
  assert_int_equal(COUNT(content_types), 40);
  for (i = 0; i < COUNT(content_types); i++)
    assert_string_equal(values[i], content_types[i]);
  assert_null(values[i]);
}

static void takes_each_content_type(void **state) {
  struct clo_attachment item = good_attachment;
  struct clo_violations got;
  struct clo_sms sms;
  size_t i;
  memset(&sms, 0, sizeof sms);
  sms.field[CLO_SMS_STATUS] = (struct clo_value)STR("draft");
  sms.field[CLO_SMS_ATTACHMENTS] = (struct clo_value)LIST;
  sms.attachments = &item;
  sms.attachment_count = 1;
  for (i = 0; i < COUNT(content_types); i++) {
    item.field[0].data = content_types[i];
    item.field[0].len = strlen(content_types[i]);
    row("%s", content_types[i]);
    clo_violations_init(&got);
    clo_sms_check(&sms, &got);
    assert_int_equal(got.count, 0);
    item.field[0].len--;
    if (strcmp(content_types[i], "audio/3gpp2") != 0 &&
        strcmp(content_types[i], "video/3gpp2") != 0) {
      clo_sms_check(&sms, &got);
      assert_int_equal(got.count, 1);
    }
    clo_violations_free(&got);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuses_fields_at_odds),
      cmocka_unit_test(refuses_nothing_else),
      cmocka_unit_test(has_the_fields_of_the_schema),
      cmocka_unit_test(has_the_fields_of_an_attachment),
      cmocka_unit_test(checks_each_attachment),
      cmocka_unit_test(looks_at_attachments_only_in_a_list),
      cmocka_unit_test(has_the_content_types_of_the_schema),
      cmocka_unit_test(takes_each_content_type),
  };
  return cmocka_run_group_tests_name("clo_sms", tests, NULL, NULL);
}
