/* What a new libcurl has to be told, shown with any: it says that it is 8.22,
 * which looks at most once a second whether a kept connection has ended. Before
 * a call begins it is told to keep none, where one has. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drive.h"

#undef curl_multi_setopt

#define VISIBLE __attribute__((visibility("default")))

/* ---- what takes the place of libcurl's ---- */

static unsigned version; /* which it says it is */
static int asked;        /* how often it was */

VISIBLE curl_version_info_data *curl_version_info(CURLversion age) {
  static curl_version_info_data data;
  curl_version_info_data *(*real)(CURLversion);
  *(void **)&real = dlsym(RTLD_NEXT, "curl_version_info");
  data = *real(age);
  data.version_num = version;
  asked++;
  return &data;
}

enum { NETWORK_CHANGED = 17, CLEAR_CONNS = 2 }; /* CURLMOPT_, CURLMNWC_ */

static int told;          /* how often it was */
static int told_at_begin; /* when the last call began */

/* What an option takes is a pointer or as large as one, here. One without the
 * option refuses it. */
VISIBLE CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...) {
  CURLMcode (*real)(CURLM *, CURLMoption, ...);
  void *value;
  va_list list;
  va_start(list, option);
  value = va_arg(list, void *);
  va_end(list);
  if ((int)option == NETWORK_CHANGED && (uintptr_t)value == CLEAR_CONNS) told++;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_setopt");
  return real(multi, option, value);
}

VISIBLE CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy) {
  CURLMcode (*real)(CURLM *, CURL *);
  told_at_begin = told;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_add_handle");
  return real(multi, easy);
}

/* ---- the calls ---- */

#define BODY "{\"text\": \"only once\"}"
#define OTHER "{\"text\": \"another\"}"

enum { ROWS = 6 };

/* An engine with a kept connection: without the descriptor for all sockets, and
 * with it from before the connection or after it. */
static void open_kept(int i) {
  static const struct reaction script[] = {{.reply = OK_REPLY}};
  row("reset %d, descriptor %d", i % 2, i / 2);
  scene_open(script, COUNT(script));
  told = told_at_begin = 0;
  if (i / 2 == 1) clo_engine_descriptor(engine);
  assert_works("POST", OTHER);
  if (i / 2 == 2) clo_engine_descriptor(engine);
}

/* After the connection has ended; want: how often libcurl is told of it. */
static void assert_answered(int i, int want) {
  server_hang_up(server, i % 2);
  assert_int_equal(told, 0);
  assert_works("POST", BODY);
  assert_int_equal(told_at_begin, want);
  assert_works("POST", OTHER);
  assert_int_equal(told, want);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 1);
  assert_int_equal(server_counts(server).connections, 2);
}

static void it_is_told_once_before_the_next_call(void **state) {
  int i;
  for (i = 0; i < ROWS; i++) {
    open_kept(i);
    assert_answered(i, 1);
    scene_close(state);
  }
}

static void it_is_not_told_of_a_connection_that_lives(void **state) {
  int i;
  for (i = 0; i < ROWS; i += 2) {
    open_kept(i);
    assert_works("POST", BODY);
    assert_works("GET", NULL);
    assert_int_equal(told, 0);
    assert_int_equal(server_counts(server).connections, 1);
    scene_close(state);
  }
}

/* A real one that is new needs to be told: whether the call is answered is not
 * for this test. */
static void an_older_one_is_not_told(void **state) {
  int i;
  for (i = 0; i < ROWS; i++) {
    open_kept(i);
    server_hang_up(server, i % 2);
    release(call_of("POST", BODY));
    assert_int_equal(told, 0);
    scene_close(state);
  }
}

/* What it returns is one for all threads, and it writes to it each time. */
static void it_is_asked_for_its_version_once(void **state) {
  open_kept(0);
  assert_answered(0, 1);
  assert_int_equal(asked, 1);
}

/* A process asks for the version once: each has its own. */
static int runs_with_older(void) {
  const struct CMUnitTest tests[] = {TEST(an_older_one_is_not_told)};
  pid_t child = fork();
  int status = -1;
  if (child == 0) {
    version = 0x081500;
    exit(scene_end(cmocka_run_group_tests(tests, scene_begin, NULL)));
  }
  waitpid(child, &status, 0);
  return status == 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(it_is_told_once_before_the_next_call),
      TEST(it_is_not_told_of_a_connection_that_lives),
      TEST(it_is_asked_for_its_version_once),
  };
  int failed = !runs_with_older();
  version = 0x081600;
  failed += cmocka_run_group_tests(tests, scene_begin, NULL);
  return scene_end(failed);
}
