/* How a group of tests is run: a test that fails names the row of its table,
 * and where all have passed, a leak fails the program. A failed assertion
 * leaves its test by longjmp, and what the test held is never freed: pages
 * about that would hide the assertion. */
#include "test.h"

enum { TESTS_MAX = 64 };

static int failed;
static char row_name[256]; /* empty: the test that ran last has returned */

void row(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(row_name, sizeof row_name, format, arguments);
  va_end(arguments);
}

char *exact(const char *bytes, size_t len) {
  char *copy = malloc(len > 0 ? len : 1);
  assert_non_null(copy);
  if (len > 0) memcpy(copy, bytes, len);
  return copy;
}

/* Each test's state is its own description. */
static void run(void **state) {
  const struct CMUnitTest *test = *state;
  row_name[0] = '\0';
  test->test_func(state);
  row_name[0] = '\0';
}

static int tear_down(void **state) {
  const struct CMUnitTest *test = *state;
  if (row_name[0] != '\0')
    print_error("[  ERROR   ] --- row: %s\n", row_name); /* as cmocka does */
  return test->teardown_func ? test->teardown_func(state) : 0;
}

/* The program is linked with -Wl,--wrap=_cmocka_run_group_tests. */
int __real__cmocka_run_group_tests(const char *name,
                                   const struct CMUnitTest *tests,
                                   size_t count, CMFixtureFunction setup,
                                   CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name,
                                   const struct CMUnitTest *tests,
                                   size_t count, CMFixtureFunction setup,
                                   CMFixtureFunction teardown);

int __wrap__cmocka_run_group_tests(const char *name,
                                   const struct CMUnitTest *tests,
                                   size_t count, CMFixtureFunction setup,
                                   CMFixtureFunction teardown) {
  struct CMUnitTest named[TESTS_MAX];
  size_t i;
  int bad;
  if (count > TESTS_MAX) return -1;
  for (i = 0; i < count; i++) {
    named[i] = tests[i];
    named[i].test_func = run;
    named[i].teardown_func = tear_down;
    named[i].initial_state = (void *)(uintptr_t)&tests[i];
  }
  bad = __real__cmocka_run_group_tests(name, named, count, setup, teardown);
  if (bad) failed = 1;
  return bad;
}

/* Called by the sanitizer. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void) {
  if (failed) print_error("A test has failed, so leaks were not looked for.\n");
  return failed;
}
