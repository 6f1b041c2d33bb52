/* clo_violations: what is copied, how many are listed, and memory that runs
 * out. */
#include "alloc.h"
#include "clo_unknown.h"
#include "expect.h"
#include "test.h"

static const struct clo_attachment good = {
    CLO_OBJECT, "a map", {STR("image/png"), STR("a.png"), STR("https://x/")}};

static void allocates_nothing_where_nothing_is_wrong(void **state) {
  struct clo_attachment items[2];
  struct clo_violations got;
  struct clo_sms sms;
  items[0] = items[1] = good;
  memset(&sms, 0, sizeof sms);
  sms.field[CLO_SMS_STATUS] = (struct clo_value)STR("scheduled");
  sms.field[CLO_SMS_TEXT] = (struct clo_value)STR("Gr\xC3\xBC\xC3\x9F Gott");
  sms.field[CLO_SMS_LOCAL_PHONE] = (struct clo_value)STR("+14154445555");
  sms.field[CLO_SMS_REMOTE_PHONE] = (struct clo_value)STR("+18183334444");
  sms.field[CLO_SMS_DATE_SCHEDULED] = (struct clo_value)NUM(1795420800);
  sms.field[CLO_SMS_ATTACHMENTS] = (struct clo_value)LIST;
  sms.attachments = items;
  sms.attachment_count = 2;
  alloc_fail(0);
  clo_violations_init(&got);
  clo_sms_check(&sms, &got);
  assert_int_equal(got.count, 0);
  clo_violations_free(&got);
  assert_int_equal(alloc_count(), 0);
}

static void lists_so_many_and_counts_the_rest(void **state) {
  const size_t count = 100000;
  struct clo_attachment *items = calloc(count, sizeof *items);
  struct clo_violations got;
  struct clo_sms sms;
  size_t i;
  assert_non_null(items);
  for (i = 0; i < count; i++) {
    items[i].type = CLO_OBJECT;
    items[i].field[0] = (struct clo_value)STR("image/heic");
  }
  memset(&sms, 0, sizeof sms);
  sms.field[CLO_SMS_ATTACHMENTS] = (struct clo_value)LIST;
  sms.attachments = items;
  sms.attachment_count = count;
  clo_violations_init(&got);
  clo_sms_check(&sms, &got);
  clo_sms_unknown(CLO_CREATE, "to", 2, 0, &got);
  assert_int_equal(got.count, CLO_VIOLATIONS_MAX);
  assert_int_equal(got.unlisted, 3 * count + 2 - CLO_VIOLATIONS_MAX);
  assert_string_equal(got.list[999].field, "attachments[334].content_type");
  assert_false(got.out_of_memory);
  clo_violations_free(&got);
  assert_int_equal(got.unlisted, 0);
  free(items);
}

/* Twelve violations, so that the list has to grow too. */
static void report_many(struct clo_violations *violations) {
  struct clo_attachment items[3];
  struct clo_sms sms;
  memset(items, 0, sizeof items);
  memset(&sms, 0, sizeof sms);
  items[0].type = items[1].type = CLO_OBJECT;
  sms.field[CLO_SMS_ATTACHMENTS] = (struct clo_value)LIST;
  sms.field[CLO_SMS_TEXT] = (struct clo_value)NUM(1);
  sms.field[CLO_SMS_SOURCE] = (struct clo_value)STR("else");
  sms.field[CLO_SMS_LOCAL_PHONE] = (struct clo_value)STR("+1 415");
  sms.attachments = items;
  sms.attachment_count = 3;
  clo_sms_check(&sms, violations);
  clo_sms_unknown(CLO_CREATE, "to", 2, 0, violations);
}

static void says_that_memory_ran_out(void **state) {
  struct clo_violations got;
  size_t nth, i, calls;
  clo_violations_init(&got);
  alloc_fail(0);
  report_many(&got);
  calls = alloc_count();
  assert_int_equal(got.count, 12);
  clo_violations_free(&got);
  assert_int_equal(calls, 2 * 12 + 2);
  for (nth = 1; nth <= calls; nth++) {
    clo_violations_init(&got);
    alloc_fail(nth);
    report_many(&got);
    alloc_fail(0);
    assert_true(got.out_of_memory);
    assert_int_equal(got.count, 11);
    for (i = 0; i < got.count; i++) expect_one_line(got.list[i].message);
    clo_violations_free(&got);
    assert_false(got.out_of_memory);
  }
  for (nth = 1; nth <= calls; nth++) {
    clo_violations_init(&got);
    alloc_fail_from(nth);
    report_many(&got);
    alloc_fail(0);
    assert_true(got.out_of_memory);
    assert_true(got.count < 12);
    clo_violations_free(&got);
  }
}

static void copies_what_it_is_given(void **state) {
  char field[] = "field", message[] = "message";
  struct clo_violations got;
  clo_violations_init(&got);
  clo_violations_add(&got, field, "type", "%s %d", message, 7);
  memset(field, 'x', 5);
  memset(message, 'x', 7);
  assert_string_equal(got.list[0].field, "field");
  assert_string_equal(got.list[0].message, "message 7");
  clo_violations_free(&got);
  clo_violations_free(&got);
  assert_int_equal(got.count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(allocates_nothing_where_nothing_is_wrong),
      cmocka_unit_test(lists_so_many_and_counts_the_rest),
      cmocka_unit_test(says_that_memory_ran_out),
      cmocka_unit_test(copies_what_it_is_given),
  };
  return cmocka_run_group_tests_name("clo_violations", tests, NULL, NULL);
}
