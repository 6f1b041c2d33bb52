/* The comparison of violations with what a case expects. */
#include "clo_format.h"
#include "expect.h"
#include "test.h"

static const char *const codes[] = {"required", "type",     "enum",
                                    "format",   "range",    "conflict",
                                    "unknown_field"};

static void assert_known_code(const char *code) {
  size_t i;
  for (i = 0; i < COUNT(codes); i++)
    if (strcmp(code, codes[i]) == 0) return;
  fail_msg("code %s", code);
}

void expect_one_line(const char *message) {
  const char *c;
  assert_true(strlen(message) > 0 && strlen(message) < 600);
  assert_int_equal(clo_utf8_check(message, strlen(message)), strlen(message));
  for (c = message; *c != '\0'; c++)
    assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
}

void expect_violations(const char *name, const struct clo_violations *got,
                       const struct expected *want, size_t max) {
  size_t i;
  row("%s", name);
  for (i = 0; i < max && want[i].field != NULL; i++) {
    if (i >= got->count)
      fail_msg("no violation of %s", want[i].field);
    if (strcmp(got->list[i].field, want[i].field) != 0 ||
        strcmp(got->list[i].code, want[i].code) != 0 ||
        strstr(got->list[i].message, want[i].part) == NULL)
      fail_msg("%s, %s: %s", got->list[i].field, got->list[i].code,
               got->list[i].message);
    assert_known_code(got->list[i].code);
    expect_one_line(got->list[i].message);
  }
  if (got->count > i)
    fail_msg("also %s: %s", got->list[i].code, got->list[i].message);
  assert_int_equal(got->unlisted, 0);
  assert_false(got->out_of_memory);
}

void expect_sms(const char *name, const struct clo_sms *sms,
                const struct expected *want, size_t max) {
  struct clo_violations got;
  clo_violations_init(&got);
  clo_sms_check(sms, &got);
  expect_violations(name, &got, want, max);
  clo_violations_free(&got);
}

void expect_case_of(enum clo_verb verb, const struct rule_case *c) {
  struct clo_sms sms;
  size_t i;
  memset(&sms, 0, sizeof sms);
  sms.verb = verb;
  for (i = 0; i < COUNT(c->sets); i++)
    if (c->sets[i].value.type != CLO_ABSENT)
      sms.field[c->sets[i].field] = c->sets[i].value;
  for (i = 0; i < CLO_SMS_FIELDS; i++)
    if (sms.field[i].data != NULL)
      sms.field[i].data = exact(sms.field[i].data, sms.field[i].len);
  expect_sms(c->name, &sms, c->expected, COUNT(c->expected));
  for (i = 0; i < CLO_SMS_FIELDS; i++)
    free((void *)(uintptr_t)sms.field[i].data);
}

void expect_case(const struct rule_case *c) {
  expect_case_of(CLO_CREATE, c);
}
