/* What a new libcurl does not look at, shown with any: it says that it is 8.22,
 * which looks at most once a second whether a kept connection has ended, and
 * that the socket which it is about to use again is one of ours. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drive.h"
#include "setopt.h"

#undef curl_easy_getinfo

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

static int used_again = -1; /* the socket that it tells of, once */
static int again_and_again; /* it tells of it each time */
static int asked_before;    /* how often it is asked first */
static double late;         /* seconds that this takes */

VISIBLE CURLcode curl_easy_getinfo(CURL *easy, CURLINFO what, ...) {
  CURLcode (*real)(CURL *, CURLINFO, ...);
  void *into;
  va_list list;
  va_start(list, what);
  into = va_arg(list, void *);
  va_end(list);
  if (what == CURLINFO_ACTIVESOCKET && used_again >= 0 &&
      asked_before-- <= 0) {
    nap(late);
    *(curl_socket_t *)into = used_again;
    if (!again_and_again) used_again = -1;
    return CURLE_OK;
  }
  *(void **)&real = dlsym(RTLD_NEXT, "curl_easy_getinfo");
  return real(easy, what, into);
}

static int forbidden; /* how often a connection was not to be used again */

static void note_option(CURLoption option, const void *value) {
  forbidden += option == CURLOPT_FORBID_REUSE && value != NULL;
}

/* ---- the calls ---- */

#define BODY "{\"text\": \"only once\"}"
#define OTHER "{\"text\": \"another\"}"

enum state { LIVES, HAS_ENDED, WAS_SHUT_DOWN };

static int pair[2];

/* A socket in that state, which is told of. */
static void make_pair(enum state is) {
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  if (is == HAS_ENDED) shutdown(pair[1], SHUT_WR);
  if (is == WAS_SHUT_DOWN) shutdown(pair[0], SHUT_RDWR);
  asked_before = 0;
  used_again = pair[0];
}

/* An engine with a connection that is used next, and is in that state. */
static void open_kept(enum state is) {
  static const struct reaction script[] = {{.reply = OK_REPLY}};
  struct clo_config config = scene_config();
  config.events = 1;
  scene_open_with(&config, script, COUNT(script));
  assert_works("POST", OTHER);
  clo_engine_drop_event(engine);
  make_pair(is);
}

static void close_kept(void **state) {
  used_again = -1;
  close(pair[0]);
  close(pair[1]);
  scene_close(state);
}

/* After a call: in one attempt, with one event, and so many connections. */
static void assert_one_attempt(size_t copies, size_t connections) {
  assert_non_null(clo_engine_event(engine));
  assert_int_equal(clo_engine_event(engine)->attempt, 1);
  clo_engine_drop_event(engine);
  assert_null(clo_engine_event(engine));
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), copies);
  assert_int_equal(server_counts(server).connections, connections);
}

static void a_call_begins_on_a_new_one_where_one_has_ended(void **state) {
  int is;
  for (is = LIVES; is <= WAS_SHUT_DOWN; is++) {
    row("state %d", is);
    open_kept(is);
    assert_works("POST", BODY);
    assert_int_equal(used_again, -1);
    assert_one_attempt(1, is == LIVES ? 1 : 2);
    assert_works("POST", OTHER); /* and goes on with that */
    assert_int_equal(server_counts(server).connections, is == LIVES ? 1 : 2);
    close_kept(state);
  }
}

/* Of several that are there, only two are tried: over HTTP/2 it might be the
 * same one again and again. */
static void a_third_one_is_a_new_one(void **state) {
  static const struct reaction script[] = {{.reply = OK_REPLY, .delay = 0.1}};
  scene_open(script, COUNT(script));
  submit_posts(4); /* on a connection each */
  step_until_taken(4);
  while (pending_count() > 0 || clo_engine_done(engine)) release(until_done());
  assert_int_equal(server_counts(server).connections, 4);
  make_pair(HAS_ENDED);
  again_and_again = 1;
  forbidden = 0;
  assert_works("POST", BODY);
  again_and_again = 0;
  assert_int_equal(forbidden, 2); /* libcurl would keep one of HTTP/2 */
  assert_int_equal(server_counts(server).connections, 5);
  server_await_left(server, 2);
  assert_int_equal(server_counts(server).left, 2);
  assert_works("POST", OTHER); /* which is no reason for another */
  assert_int_equal(server_counts(server).connections, 5);
  close_kept(state);
}

static void it_is_not_sent_where_no_time_is_left_for_that(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  open_kept(HAS_ENDED);
  request = request_of("POST", BODY);
  request.timeout = 0.2;
  request.max_retries = 3;
  late = 0.3;
  t = call(&request);
  late = 0;
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  release(t);
  assert_one_attempt(0, 1);
  close_kept(state);
}

/* The first connection ends once it has read the request. libcurl repeats it on
 * the second, which has ended, too. Only what has not begun may begin again
 * uncounted. */
static void what_has_begun_does_not_begin_again(void **state) {
  static const struct reaction script[] = {
      {.reply = OK_REPLY, .delay = 0.1}, {.reply = OK_REPLY, .delay = 0.1},
      {.then = THEN_CLOSE}, {.reply = OK_REPLY}};
  struct clo_transfer *t;
  scene_open(script, COUNT(script));
  submit_posts(2); /* on a connection each */
  step_until_taken(2);
  while (pending_count() > 0 || clo_engine_done(engine)) release(until_done());
  assert_int_equal(server_counts(server).connections, 2);
  make_pair(HAS_ENDED);
  asked_before = 1;
  t = call_of("GET", NULL);
  assert_int_equal(used_again, -1); /* it was asked */
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(server_counts(server).taken, 3);
  close_kept(state);
}

/* What it returns is one for all threads, and it writes to it each time. */
static void it_is_asked_for_its_version_once(void **state) {
  open_kept(LIVES);
  assert_works("POST", BODY);
  assert_int_equal(asked, 1);
  close_kept(state);
}

/* In the callback it would tell of another socket. */
static void an_older_one_is_not_asked(void **state) {
  open_kept(HAS_ENDED);
  assert_works("POST", BODY);
  assert_one_attempt(1, 1);
  close_kept(state);
}

/* A process asks for the version once: each has its own. */
static int runs_with_older(void) {
  const struct CMUnitTest tests[] = {TEST(an_older_one_is_not_asked)};
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
      TEST(a_call_begins_on_a_new_one_where_one_has_ended),
      TEST(a_third_one_is_a_new_one),
      TEST(it_is_not_sent_where_no_time_is_left_for_that),
      TEST(what_has_begun_does_not_begin_again),
      TEST(it_is_asked_for_its_version_once),
  };
  int failed = !runs_with_older();
  version = 0x081600;
  failed += cmocka_run_group_tests(tests, scene_begin, NULL);
  return scene_end(failed);
}
