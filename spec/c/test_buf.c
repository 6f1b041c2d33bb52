/* clo_buf: growth, the maximum, and memory that runs out. */
#include "alloc.h"
#include "clo_buf.h"
#include "test.h"

static void starts_empty_without_allocating(void **state) {
  struct clo_buf buf;
  alloc_fail(0);
  clo_buf_init(&buf, 10);
  assert_null(buf.data);
  assert_int_equal(buf.len, 0);
  assert_int_equal(buf.max, 10);
  clo_buf_free(&buf);
  assert_int_equal(alloc_count(), 0);
}

static void keeps_the_bytes_in_order(void **state) {
  struct clo_buf buf;
  char byte;
  int i;
  clo_buf_init(&buf, 5000);
  for (i = 0; i < 5000; i++) {
    byte = (char)(i % 251);
    assert_int_equal(clo_buf_append(&buf, &byte, 1), CLO_BUF_OK);
  }
  assert_int_equal(buf.len, 5000);
  for (i = 0; i < 5000; i++)
    assert_int_equal(buf.data[i], (char)(i % 251));
  clo_buf_free(&buf);
}

static void doubles_so_that_appends_stay_cheap(void **state) {
  struct clo_buf buf;
  int i;
  alloc_fail(0);
  clo_buf_init(&buf, 1000000);
  for (i = 0; i < 1000000; i++)
    assert_int_equal(clo_buf_append(&buf, "x", 1), CLO_BUF_OK);
  assert_true(alloc_count() < 20);
  clo_buf_free(&buf);
}

static void fills_up_to_the_maximum_and_no_further(void **state) {
  static const size_t maxima[] = {1, 2, 255, 256, 257, 511, 1000, 4097};
  struct clo_buf buf;
  size_t i, n;
  for (i = 0; i < sizeof maxima / sizeof *maxima; i++) {
    row("a maximum of %zu", maxima[i]);
    clo_buf_init(&buf, maxima[i]);
    for (n = 0; n < maxima[i]; n++)
      assert_int_equal(clo_buf_append(&buf, "x", 1), CLO_BUF_OK);
    assert_int_equal(clo_buf_append(&buf, "y", 1), CLO_BUF_TOO_LARGE);
    assert_int_equal(buf.len, maxima[i]);
    assert_true(buf.cap <= maxima[i]);
    clo_buf_free(&buf);
  }
}

static void takes_the_whole_maximum_at_once(void **state) {
  static char bytes[10000];
  struct clo_buf buf;
  clo_buf_init(&buf, sizeof bytes);
  assert_int_equal(clo_buf_append(&buf, bytes, sizeof bytes), CLO_BUF_OK);
  assert_int_equal(buf.cap, sizeof bytes);
  clo_buf_free(&buf);
}

static void refuses_what_would_overflow(void **state) {
  struct clo_buf buf;
  clo_buf_init(&buf, 16);
  assert_int_equal(clo_buf_append(&buf, "abc", 3), CLO_BUF_OK);
  assert_int_equal(clo_buf_append(&buf, "x", SIZE_MAX), CLO_BUF_TOO_LARGE);
  assert_int_equal(clo_buf_append(&buf, "x", SIZE_MAX - 2), CLO_BUF_TOO_LARGE);
  assert_int_equal(buf.len, 3);
  assert_memory_equal(buf.data, "abc", 3);
  clo_buf_free(&buf);
}

static void survives_an_unlimited_maximum(void **state) {
  struct clo_buf buf;
  clo_buf_init(&buf, SIZE_MAX);
  assert_int_equal(clo_buf_append(&buf, "abc", 3), CLO_BUF_OK);
  /* Doubling stops at the maximum instead of wrapping round to 0. */
  alloc_fail_from(1);
  assert_int_equal(clo_buf_append(&buf, "x", SIZE_MAX - 3), CLO_BUF_NO_MEMORY);
  alloc_fail(0);
  assert_int_equal(buf.len, 3);
  clo_buf_free(&buf);
}

static void takes_nothing_from_nowhere(void **state) {
  struct clo_buf buf;
  clo_buf_init(&buf, 0);
  assert_int_equal(clo_buf_append(&buf, NULL, 0), CLO_BUF_OK);
  assert_int_equal(clo_buf_append(&buf, "x", 1), CLO_BUF_TOO_LARGE);
  clo_buf_free(&buf);
}

static void keeps_its_memory_over_a_reset(void **state) {
  struct clo_buf buf;
  char *data;
  clo_buf_init(&buf, 100);
  assert_int_equal(clo_buf_append(&buf, "first", 5), CLO_BUF_OK);
  data = buf.data;
  clo_buf_reset(&buf);
  assert_int_equal(buf.len, 0);
  assert_int_equal(clo_buf_append(&buf, "again", 5), CLO_BUF_OK);
  assert_ptr_equal(buf.data, data);
  assert_memory_equal(buf.data, "again", 5);
  clo_buf_free(&buf);
}

static void can_be_freed_twice_and_used_again(void **state) {
  struct clo_buf buf;
  clo_buf_init(&buf, 100);
  assert_int_equal(clo_buf_append(&buf, "first", 5), CLO_BUF_OK);
  clo_buf_free(&buf);
  clo_buf_free(&buf);
  assert_null(buf.data);
  assert_int_equal(buf.max, 100);
  assert_int_equal(clo_buf_append(&buf, "again", 5), CLO_BUF_OK);
  assert_memory_equal(buf.data, "again", 5);
  clo_buf_free(&buf);
}

/* Fails each of the allocations of a growing buffer in turn. */
static void stays_as_it_was_without_memory(void **state) {
  struct clo_buf buf;
  size_t nth, len, failures;
  for (nth = 1;; nth++) {
    clo_buf_init(&buf, 5000);
    alloc_fail(nth);
    failures = 0;
    for (len = 0; len < 5000; len++) {
      if (clo_buf_append(&buf, "x", 1) == CLO_BUF_OK) continue;
      failures++;
      assert_int_equal(buf.len, len);
      assert_int_equal(clo_buf_append(&buf, "x", 1), CLO_BUF_OK);
    }
    assert_int_equal(buf.len, 5000);
    alloc_fail(0);
    clo_buf_free(&buf);
    if (failures == 0) break;
    assert_int_equal(failures, 1);
  }
  assert_true(nth > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(starts_empty_without_allocating),
      cmocka_unit_test(keeps_the_bytes_in_order),
      cmocka_unit_test(doubles_so_that_appends_stay_cheap),
      cmocka_unit_test(fills_up_to_the_maximum_and_no_further),
      cmocka_unit_test(takes_the_whole_maximum_at_once),
      cmocka_unit_test(refuses_what_would_overflow),
      cmocka_unit_test(survives_an_unlimited_maximum),
      cmocka_unit_test(takes_nothing_from_nowhere),
      cmocka_unit_test(keeps_its_memory_over_a_reset),
      cmocka_unit_test(can_be_freed_twice_and_used_again),
      cmocka_unit_test(stays_as_it_was_without_memory),
  };
  return cmocka_run_group_tests_name("clo_buf", tests, NULL, NULL);
}
