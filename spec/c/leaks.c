/* Whether the sanitizer looks for leaks at the end of a test program. A failed
 * assertion leaves its test by longjmp, and what the test held is never freed:
 * pages about that would hide the assertion. Where all tests have passed, a
 * leak fails the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int failed;

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
  int bad = __real__cmocka_run_group_tests(name, tests, count, setup, teardown);
  if (bad) failed = 1;
  return bad;
}

/* Called by the sanitizer. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void) {
  if (failed) print_error("A test has failed, so leaks were not looked for.\n");
  return failed;
}
