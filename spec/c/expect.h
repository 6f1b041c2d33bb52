/* What the tests of the SMS share: values as a caller gives them, cases of
 * fields with the violations that are expected, and the comparison. */
#ifndef CLO_SPEC_EXPECT_H
#define CLO_SPEC_EXPECT_H

#include "clo_sms.h"
#include "test.h"

/* Values, as a caller's language would give them. */
#define NONE {CLO_ABSENT, 0, 0, NULL, 0}
#define NIL {CLO_NULL, 0, 0, NULL, 0}
#define BOOL(b) {CLO_BOOLEAN, b, 0, NULL, 0}
#define NUM(n) {CLO_NUMBER, 0, n, NULL, 0}
#define STR(s) {CLO_STRING, 0, 0, s, sizeof s - 1}
#define LIST {CLO_LIST, 0, 0, NULL, 0}
#define OBJ(s) {CLO_OBJECT, 0, 0, s, sizeof s - 1}

struct expected {
  const char *field; /* NULL: no more */
  const char *code;
  const char *part; /* of the sentence */
};

struct set {
  enum clo_sms_field field;
  struct clo_value value;
};

struct rule_case {
  const char *name;
  struct set sets[6]; /* an absent value ends them */
  struct expected expected[4];
};

#define STATUS(s) {CLO_SMS_STATUS, STR(s)}
#define TEXT {CLO_SMS_TEXT, STR("Hello")}
#define FROM {CLO_SMS_LOCAL_PHONE, STR("+14154445555")}
#define TO {CLO_SMS_REMOTE_PHONE, STR("+18183334444")}
#define WHEN {CLO_SMS_DATE_SCHEDULED, STR("2026-11-23T08:00:00Z")}

/* Fails unless there are just the violations of want, in its order, each with
 * a sentence that is fit for a log. */
void expect_violations(const char *name, const struct clo_violations *got,
                       const struct expected *want, size_t max);

/* The same of an SMS that is checked first. */
void expect_sms(const char *name, const struct clo_sms *sms,
                const struct expected *want, size_t max);

/* Checks the SMS of a case, its strings in blocks with no byte to spare. */
void expect_case(const struct rule_case *rule_case);

/* The same for a verb other than create. */
void expect_case_of(enum clo_verb verb, const struct rule_case *rule_case);

/* One line of UTF-8 that is not too long. */
void expect_one_line(const char *message);

#endif
