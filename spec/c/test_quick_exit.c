/* Every engine asks libcurl not to wait for look-ups at its end, and works
 * whether libcurl knows that option or not. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>

#include "drive.h"

#define QUICK_EXIT 21 /* libcurl's number for it */

static CURLMcode reply; /* libcurl's, to that option */
static int times;
static long value;

/* Takes the place of libcurl's. Below 10000 options are numbers; others, as far
 * as the engine uses them, pointers. */
CURLMcode(curl_multi_setopt)(CURLM *multi, CURLMoption option, ...) {
  CURLMcode (*real)(CURLM *, CURLMoption, ...);
  CURLMcode code;
  va_list args;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_setopt");
  va_start(args, option);
  if ((int)option == QUICK_EXIT) {
    times++;
    value = va_arg(args, long);
    code = reply;
  } else if ((int)option < CURLOPTTYPE_OBJECTPOINT) {
    code = real(multi, option, va_arg(args, long));
  } else {
    code = real(multi, option, va_arg(args, void *));
  }
  va_end(args);
  return code;
}

static void assert_asks_and_works(CURLMcode libcurls) {
  static const struct reaction answers[] = {{.reply = OK_REPLY}};
  reply = libcurls;
  times = 0;
  value = 0;
  scene_open(answers, 1);
  assert_int_equal(times, 1);
  assert_int_equal(value, 1);
  assert_works("POST", "{\"status\": \"draft\"}");
}

static void an_engine_asks_for_it(void **state) {
  assert_asks_and_works(CURLM_OK);
}

static void a_refusal_does_no_harm(void **state) {
  assert_asks_and_works(CURLM_UNKNOWN_OPTION);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_engine_asks_for_it),
      TEST(a_refusal_does_no_harm),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
