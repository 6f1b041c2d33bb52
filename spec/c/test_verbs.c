/* clo_sms: what each verb takes, and what holds between its fields. The rules
 * of create are test_sms.c's. */
#include "expect.h"
#include "test.h"

static const enum clo_verb verbs[] = {CLO_UPDATE, CLO_SEND, CLO_SEND_DRAFT};
static const char *const verb_names[] = {"create", "update", "send",
                                         "send_draft"};

/* ---- which fields ---- */

/* From the API's pages "Create" and "Update an SMS activity". */
static const struct {
  const char *name;
  struct clo_value good;
  int update;
  int send; /* with a draft or without */
  int nullable;
} fields[CLO_SMS_FIELDS] = {
    {"activity_at", STR("2026-11-23T08:00:00Z"), 1, 1, 1},
    {"attachments", LIST, 1, 1, 1},
    {"contact_id", STR("cont_1"), 1, 1, 1},
    {"created_by_id", STR("user_1"), 0, 1, 1},
    {"date_created", NUM(0), 0, 1, 1},
    {"date_scheduled", STR("2026-11-23T08:00:00Z"), 1, 1, 1},
    {"direction", STR("outbound"), 0, 1, 0},
    {"lead_id", STR("lead_1"), 1, 1, 1},
    {"local_phone", STR("+14154445555"), 1, 1, 1},
    {"organization_id", STR("orga_1"), 0, 1, 1},
    {"remote_phone", STR("+18183334444"), 1, 1, 1},
    {"send_in", NUM(5), 1, 1, 0},
    {"send_to_inbox", BOOL(1), 0, 0, 0},
    {"source", STR("External"), 0, 1, 0},
    {"status", STR("outbox"), 1, 0, 0},
    {"template_id", STR("smstmpl_1"), 1, 1, 1},
    {"text", STR("Hello"), 1, 1, 1},
    {"user_id", STR("user_2"), 1, 1, 1},
};

static int is_taken(enum clo_verb verb, size_t field) {
  return verb == CLO_UPDATE ? fields[field].update : fields[field].send;
}

/* A case with this value of one field, and with what the verb needs for it. */
static struct rule_case case_with(enum clo_verb verb, size_t field,
                                  struct clo_value value, char *name,
                                  size_t size) {
  struct rule_case made;
  size_t n = 0;
  memset(&made, 0, sizeof made);
  snprintf(name, size, "%s: %s", verb_names[verb], fields[field].name);
  made.name = name;
  if (verb == CLO_UPDATE && field == CLO_SMS_DATE_SCHEDULED)
    made.sets[n++] = (struct set)STATUS("scheduled");
  if (verb == CLO_UPDATE && field == CLO_SMS_SEND_IN)
    made.sets[n++] = (struct set)STATUS("outbox");
  if (verb == CLO_SEND && field != CLO_SMS_LOCAL_PHONE)
    made.sets[n++] = (struct set)FROM;
  if (verb == CLO_SEND && field != CLO_SMS_REMOTE_PHONE)
    made.sets[n++] = (struct set)TO;
  if (verb == CLO_SEND && field != CLO_SMS_TEXT &&
      field != CLO_SMS_TEMPLATE_ID)
    made.sets[n++] = (struct set)TEXT;
  made.sets[n].field = (enum clo_sms_field)field;
  made.sets[n].value = value;
  return made;
}

static void takes_the_fields_of_the_api(void **state) {
  size_t v, i;
  for (i = 0; i < CLO_SMS_FIELDS; i++) {
    assert_string_equal(clo_sms_fields[i].name, fields[i].name);
    assert_int_equal(clo_sms_fields[i].update, fields[i].update);
    assert_int_equal(clo_sms_fields[i].nullable, fields[i].nullable);
    assert_true(clo_sms_takes(CLO_CREATE, (enum clo_sms_field)i));
    for (v = 0; v < COUNT(verbs); v++)
      assert_int_equal(clo_sms_takes(verbs[v], (enum clo_sms_field)i),
                       is_taken(verbs[v], i));
  }
}

static void accepts_each_field_it_takes(void **state) {
  char name[64];
  struct rule_case made;
  size_t v, i;
  for (v = 0; v < COUNT(verbs); v++)
    for (i = 0; i < CLO_SMS_FIELDS; i++) {
      if (!is_taken(verbs[v], i)) continue;
      made = case_with(verbs[v], i, fields[i].good, name, sizeof name);
      expect_case_of(verbs[v], &made);
    }
}

/* Whatever its value is: that is not looked at, nor in a rule. */
static void refuses_each_field_it_does_not_take(void **state) {
  char name[64];
  struct rule_case made;
  size_t v, i, at;
  for (v = 0; v < COUNT(verbs); v++)
    for (i = 0; i < CLO_SMS_FIELDS; i++) {
      if (is_taken(verbs[v], i)) continue;
      made = case_with(verbs[v], i, fields[i].good, name, sizeof name);
      made.expected[0].field = fields[i].name;
      made.expected[0].code = "unknown_field";
      made.expected[0].part = verbs[v] == CLO_UPDATE
                                  ? "cannot be changed once the SMS exists"
                              : i == CLO_SMS_STATUS ? "send sets it"
                                                    : "goes only with status";
      expect_case_of(verbs[v], &made);
      for (at = 0; made.sets[at + 1].value.type != CLO_ABSENT; at++) continue;
      made.sets[at].value = (struct clo_value)OBJ("a function");
      expect_case_of(verbs[v], &made);
      made.sets[at].value = (struct clo_value)NIL;
      expect_case_of(verbs[v], &made);
    }
}

static void takes_null_where_the_schema_does(void **state) {
  char name[64];
  struct rule_case made;
  size_t v, i;
  for (v = 0; v < COUNT(verbs); v++)
    for (i = 0; i < CLO_SMS_FIELDS; i++) {
      if (!is_taken(verbs[v], i)) continue;
      /* What a sending needs is another test's. */
      if (verbs[v] != CLO_UPDATE && i == CLO_SMS_LOCAL_PHONE) continue;
      if (verbs[v] == CLO_SEND &&
          (i == CLO_SMS_TEXT || i == CLO_SMS_TEMPLATE_ID ||
           i == CLO_SMS_REMOTE_PHONE))
        continue;
      made = case_with(verbs[v], i, (struct clo_value)NIL, name, sizeof name);
      if (i == CLO_SMS_DATE_SCHEDULED && verbs[v] == CLO_UPDATE)
        made.sets[0] = (struct set)STATUS("draft");
      if (!fields[i].nullable) {
        made.expected[0].field = fields[i].name;
        made.expected[0].code = "type";
        made.expected[0].part = "got null";
      }
      expect_case_of(verbs[v], &made);
    }
}

static void checks_each_field_by_itself(void **state) {
  char name[64];
  struct rule_case made;
  size_t v, i;
  for (v = 0; v < COUNT(verbs); v++)
    for (i = 0; i < CLO_SMS_FIELDS; i++) {
      if (!is_taken(verbs[v], i)) continue;
      made = case_with(verbs[v], i, (struct clo_value)OBJ("a coroutine"), name,
                       sizeof name);
      made.expected[0].field = fields[i].name;
      made.expected[0].code = "type";
      made.expected[0].part = "got a coroutine";
      expect_case_of(verbs[v], &made);
    }
}

/* ---- rules ---- */

#define DATE_NIL {CLO_SMS_DATE_SCHEDULED, NIL}
#define SOON {CLO_SMS_SEND_IN, NUM(5)}
#define FROM_NIL {CLO_SMS_LOCAL_PHONE, NIL}
#define TEMPLATE {CLO_SMS_TEMPLATE_ID, STR("smstmpl_1")}

static const struct rule_case update_cases[] = {
    /* What the SMS has already need not be given. */
    {"nothing", {{0, NONE}}, {{0}}},
    {"draft", {STATUS("draft")}, {{0}}},
    {"outbox", {STATUS("outbox")}, {{0}}},
    {"scheduled", {STATUS("scheduled")}, {{0}}},
    {"scheduled with a date", {STATUS("scheduled"), WHEN}, {{0}}},
    {"a draft with a date", {STATUS("draft"), WHEN}, {{0}}},
    {"outbox with send_in", {STATUS("outbox"), SOON}, {{0}}},
    {"outbox without text", {STATUS("outbox"), {CLO_SMS_TEXT, NIL}}, {{0}}},
    {"outbox with an empty text",
     {STATUS("outbox"), {CLO_SMS_TEXT, STR("")}}, {{0}}},
    {"outbox with date null", {STATUS("outbox"), DATE_NIL}, {{0}}},
    {"date null", {DATE_NIL}, {{0}}},
    {"local_phone null", {FROM_NIL}, {{0}}},
    {"a draft without local_phone", {STATUS("draft"), FROM_NIL}, {{0}}},
    {"text with template null", {TEXT, {CLO_SMS_TEMPLATE_ID, NIL}}, {{0}}},

    /* But what is taken from it is missed. */
    {"scheduled with date null",
     {STATUS("scheduled"), DATE_NIL},
     {{"date_scheduled", "required", "with status \"scheduled\": say when"}}},
    {"outbox with local_phone null",
     {STATUS("outbox"), FROM_NIL},
     {{"local_phone", "required", "with status \"outbox\": give your"}}},
    {"outbox with remote_phone null",
     {STATUS("outbox"), {CLO_SMS_REMOTE_PHONE, NIL}}, {{0}}},
    {"outbox to nobody any more",
     {STATUS("outbox"), {CLO_SMS_REMOTE_PHONE, NIL}, {CLO_SMS_CONTACT_ID, NIL},
      {CLO_SMS_LEAD_ID, NIL}},
     {{"remote_phone", "required", "with status \"outbox\""}}},
    {"scheduled with local_phone null",
     {STATUS("scheduled"), FROM_NIL},
     {{"local_phone", "required", "with status \"scheduled\""}}},

    /* The status. */
    {"inbox",
     {STATUS("inbox")},
     {{"status", "enum",
       "can only be changed to \"draft\", \"scheduled\", \"outbox\", got "
       "\"inbox\"; use create for another"}}},
    {"sent", {STATUS("sent")}, {{"status", "enum", "got \"sent\""}}},
    {"error", {STATUS("error")}, {{"status", "enum", "got \"error\""}}},
    {"none there is",
     {STATUS("send")}, {{"status", "enum", "did you mean \"outbox\""}}},
    {"status null",
     {{CLO_SMS_STATUS, NIL}}, {{"status", "type", "got null"}}},

    /* Only with a status. */
    {"a date with outbox",
     {STATUS("outbox"), WHEN},
     {{"date_scheduled", "conflict",
       "goes only with status \"draft\", \"scheduled\", not with \"outbox\""}}},
    {"a date without a status",
     {WHEN}, {{"date_scheduled", "conflict", "which is not given; "}}},
    {"send_in without a status",
     {SOON},
     {{"send_in", "conflict",
       "goes only with status \"outbox\", which is not given; leave it out"}}},
    {"send_in with draft",
     {STATUS("draft"), SOON},
     {{"send_in", "conflict", "not with \"draft\""}}},
    {"send_in with scheduled",
     {STATUS("scheduled"), SOON},
     {{"send_in", "conflict", "not with \"scheduled\""}}},
    {"a date with inbox",
     {STATUS("inbox"), WHEN},
     {{"status", "enum", ""},
      {"date_scheduled", "conflict", "not with \"inbox\""}}},
    {"a date with a status that there is not",
     {STATUS("soon"), WHEN}, {{"status", "enum", ""}}},

    {"text and template_id",
     {TEXT, TEMPLATE}, {{"template_id", "conflict", "cannot go with text"}}},
    {"all at once",
     {STATUS("outbox"), WHEN, FROM_NIL, {CLO_SMS_SOURCE, STR("External")}},
     {{"source", "unknown_field", "leave it out"},
      {"date_scheduled", "conflict", ""},
      {"local_phone", "required", ""}}},
};

static const struct rule_case send_cases[] = {
    {"a message", {TEXT, FROM, TO}, {{0}}},
    {"a scheduled one", {TEXT, FROM, TO, WHEN}, {{0}}},
    {"one in a while", {TEXT, FROM, TO, SOON}, {{0}}},
    {"date null", {TEXT, FROM, TO, DATE_NIL}, {{0}}},
    {"date null, and in a while", {TEXT, FROM, TO, DATE_NIL, SOON}, {{0}}},
    {"a template", {FROM, TO, TEMPLATE}, {{0}}},
    {"a template, text null", {FROM, TO, TEMPLATE, {CLO_SMS_TEXT, NIL}}, {{0}}},

    {"nothing",
     {{0, NONE}},
     {{"local_phone", "required", "is required to send an SMS: give your"},
      {"remote_phone", "required", "is required to send an SMS: give the"},
      {"text", "required", "text is required to send an SMS: give text"}}},
    {"nothing but a date",
     {WHEN},
     {{"local_phone", "required", "to send"},
      {"remote_phone", "required", "to send"},
      {"text", "required", "to send"}}},
    {"nothing but nulls",
     {FROM_NIL, {CLO_SMS_TEXT, NIL}, {CLO_SMS_TEMPLATE_ID, NIL}},
     {{"local_phone", "required", ""},
      {"remote_phone", "required", ""},
      {"text", "required", ""}}},
    {"an empty text",
     {FROM, TO, {CLO_SMS_TEXT, STR("")}}, {{"text", "required", ""}}},
    {"a list of no attachments",
     {FROM, TO, {CLO_SMS_ATTACHMENTS, LIST}}, {{"text", "required", ""}}},
    {"scheduled in a while",
     {TEXT, FROM, TO, WHEN, SOON},
     {{"send_in", "conflict",
       "send_in cannot go with date_scheduled; leave one of them out"}}},
    {"text and template_id",
     {TEXT, FROM, TO, TEMPLATE}, {{"template_id", "conflict", ""}}},
    {"a wrong date, which counts as one",
     {TEXT, FROM, TO, {CLO_SMS_DATE_SCHEDULED, STR("soon")}, SOON},
     {{"date_scheduled", "format", ""},
      {"send_in", "conflict", "cannot go with date_scheduled"}}},
};

static const struct rule_case draft_cases[] = {
    {"nothing", {{0, NONE}}, {{0}}},
    {"a date", {WHEN}, {{0}}},
    {"in a while", {SOON}, {{0}}},
    {"date null", {DATE_NIL}, {{0}}},
    {"text null", {{CLO_SMS_TEXT, NIL}}, {{0}}},
    {"an empty text", {{CLO_SMS_TEXT, STR("")}}, {{0}}},

    {"local_phone null",
     {FROM_NIL},
     {{"local_phone", "required", "to send an SMS"}}},
    {"local_phone null, scheduled",
     {FROM_NIL, WHEN},
     {{"local_phone", "required", "to send an SMS"}}},
    {"scheduled in a while",
     {WHEN, SOON}, {{"send_in", "conflict",
       "send_in cannot go with date_scheduled; leave one of them out"}}},
    {"text and template_id",
     {TEXT, TEMPLATE}, {{"template_id", "conflict", ""}}},
    {"remote_phone null", {{CLO_SMS_REMOTE_PHONE, NIL}}, {{0}}},
    {"to nobody any more",
     {{CLO_SMS_REMOTE_PHONE, NIL}, {CLO_SMS_CONTACT_ID, NIL},
      {CLO_SMS_LEAD_ID, NIL}},
     {{"remote_phone", "required", "to send an SMS"}}},
    {"a status",
     {STATUS("outbox")},
     {{"status", "unknown_field",
       "cannot be given here: send sets it, to \"scheduled\" if there "
       "is a date_scheduled, otherwise to \"outbox\"; use create for "
       "another"}}},
};

static void has_the_rules_of_update(void **state) {
  size_t i;
  for (i = 0; i < COUNT(update_cases); i++)
    expect_case_of(CLO_UPDATE, &update_cases[i]);
}

static void has_the_rules_of_send(void **state) {
  size_t i;
  for (i = 0; i < COUNT(send_cases); i++)
    expect_case_of(CLO_SEND, &send_cases[i]);
}

static void has_the_rules_of_a_draft_to_send(void **state) {
  size_t i;
  for (i = 0; i < COUNT(draft_cases); i++)
    expect_case_of(CLO_SEND_DRAFT, &draft_cases[i]);
}

static void checks_attachments_of_each_verb(void **state) {
  static const struct expected want[] = {
      {"attachments[1].url", "type", "got null"}};
  struct clo_attachment item = {
      CLO_OBJECT, "a map", {STR("image/png"), STR("a.png"), NIL}};
  struct clo_sms sms;
  size_t v;
  for (v = 0; v < COUNT(verbs); v++) {
    memset(&sms, 0, sizeof sms);
    sms.verb = verbs[v];
    sms.field[CLO_SMS_ATTACHMENTS] = (struct clo_value)LIST;
    sms.field[CLO_SMS_LOCAL_PHONE] = (struct clo_value)STR("+14154445555");
    sms.field[CLO_SMS_REMOTE_PHONE] = (struct clo_value)STR("+18183334444");
    sms.attachments = &item;
    sms.attachment_count = 1;
    expect_sms(verb_names[verbs[v]], &sms, want, COUNT(want));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_the_fields_of_the_api),
      cmocka_unit_test(accepts_each_field_it_takes),
      cmocka_unit_test(refuses_each_field_it_does_not_take),
      cmocka_unit_test(takes_null_where_the_schema_does),
      cmocka_unit_test(checks_each_field_by_itself),
      cmocka_unit_test(has_the_rules_of_update),
      cmocka_unit_test(has_the_rules_of_send),
      cmocka_unit_test(has_the_rules_of_a_draft_to_send),
      cmocka_unit_test(checks_attachments_of_each_verb),
  };
  return cmocka_run_group_tests_name("clo_sms: verbs", tests, NULL, NULL);
}
