/* An engine that lacks memory at any moment: nothing breaks, nothing leaks,
 * nothing is sent twice, and once there is memory it works. The failures are
 * those of our own allocations; libcurl's are its own. */
#include "alloc.h"
#include "clo_engine_state.h"
#include "drive.h"

#define BODY "{\"text\": \"scarce\"}"

/* 2400 bytes, so that the answer's buffer grows. */
static const struct reaction answers[] = {
    {.reply = REPLY("200 OK", "X-A: 1\r\n", "2400\r\n\r\n"),
     .repeat = "012345678901234567890123456789012345678901234567",
     .times = 50}};

static struct clo_config config;

/* Without cmocka's assertions while memory is short: those allocate. Returns
 * whether the calls came to an end. */
static int ends(struct clo_transfer **last) {
  double until = clock_now() + 3; /* less than any timeout of theirs */
  while (pending_count() > 0) {
    if (clock_now() > until) return 0;
    clo_engine_wait(engine, 1);
    clo_engine_step(engine, 0.01);
  }
  *last = clo_engine_done(engine);
  return 1;
}

/* Whatever happened, it is told as it was. Returns how many calls failed. */
static size_t assert_told_honestly(void) {
  struct clo_transfer *t;
  size_t failed = 0;
  while ((t = clo_engine_done(engine))) {
    assert_honest(t);
    if (clo_policy_outcome(&t->end) == CLO_OUTCOME_ANSWERED) {
      assert_int_equal(t->answer.len, 2400);
    } else {
      if (t->end.cause != CLO_CAUSE_MEMORY) fail_msg("%s", t->message);
      assert_true(strlen(t->message) > 0 && ++failed);
    }
    release(t);
  }
  return failed;
}

static void assert_it_works_again(void) {
  alloc_fail(0);
  while (clo_engine_event(engine)) clo_engine_drop_event(engine);
  assert_works("POST", "{\"text\": \"enough again\"}");
}

/* A whole life: new, submit, drive; then again with memory. Returns whether
 * the failure was never reached. */
static int lives_through(size_t nth, void (*starve)(size_t)) {
  struct clo_request request;
  struct clo_transfer *last = NULL;
  size_t count;
  int ended = 1;
  server = server_start(answers, 1);
  request = request_of("POST", BODY);
  request.auth = CLO_AUTH_BASIC;
  request.secret = "api_1";
  request.max_retries = 1;
  starve(nth);
  engine = clo_engine_new(&config, why);
  if (engine && clo_engine_submit(engine, &request) > 0) ended = ends(&last);
  count = alloc_count();
  alloc_fail(0);
  if (!ended) fail_msg("allocation %zu fails and the call does not end", nth);
  if (engine) {
    assert_true(server_copies(server, BODY, strlen(BODY)) <= 1);
    assert_told_honestly();
    assert_it_works_again();
  }
  return count < nth;
}

static void lives(void **state, void (*starve)(size_t)) {
  size_t nth;
  int done = 0;
  config = scene_config();
  config.events = 1;
  config.ca_file = "/nowhere/ca.pem";
  for (nth = 1; !done; nth++) {
    done = lives_through(nth, starve);
    scene_close(state);
    assert_true(nth < 200);
  }
  assert_true(nth > 10); /* it was about something */
}

static void any_allocation_may_fail(void **state) { lives(state, alloc_fail); }

static void all_allocations_may_fail_from_any_on(void **state) {
  lives(state, alloc_fail_from);
}

/* ---- many calls at once: the arrays of sockets grow ---- */

enum { CALLS = 20 };

static int many_live_through(size_t nth, void (*starve)(size_t)) {
  char bodies[CALLS][40];
  struct clo_transfer *last = NULL;
  size_t count, failed, i;
  int ended;
  scene_open_with(&config, answers, 1);
  starve(nth);
  for (i = 0; i < CALLS; i++) {
    struct clo_request request;
    request = request_of("POST", bodies[i]);
    strcpy(bodies[i], "{\"text\": \"scarce a\"}");
    bodies[i][17] = (char)('a' + i);
    request.body_len = strlen(bodies[i]);
    clo_engine_submit(engine, &request);
  }
  ended = ends(&last);
  count = alloc_count();
  alloc_fail(0);
  if (!ended) fail_msg("allocation %zu fails and a call does not end", nth);
  failed = assert_told_honestly();
  assert_true(starve != alloc_fail || failed <= 1); /* not its neighbours */
  assert_it_works_again();
  return count < nth;
}

static void many(void **state, void (*starve)(size_t), size_t stride) {
  size_t nth;
  int done = 0;
  config = scene_config();
  config.max_in_flight = CALLS;
  for (nth = 1; !done; nth += stride) {
    done = many_live_through(nth, starve);
    scene_close(state);
    assert_true(nth < 2000);
  }
}

static void any_may_fail_with_many_calls(void **state) {
  many(state, alloc_fail, 1);
}

static void all_may_fail_with_many_calls(void **state) {
  many(state, alloc_fail_from, 7);
}

/* Whether libcurl, before it opens a socket, asks for an interest that is its
 * own: all else then goes on without it. */
static int watches_its_own(void) {
  return curl_version_info(CURLVERSION_NOW)->version_num >= 0x081500;
}

/* A call that lacks the nth allocation of its first step, and ends with it.
 * Over TLS, which the server does not speak, as libcurl may send all of a
 * request as soon as it is connected. */
static void assert_ends_at_once(size_t nth, void (*starve)(size_t)) {
  struct clo_request request;
  struct clo_transfer *t;
  size_t count;
  char url[128];
  row("allocation %zu%s", nth, starve == alloc_fail ? "" : " and all after it");
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  snprintf(url, sizeof url, "https%s", strstr(request.url, "://"));
  request.url = url;
  submit(&request);
  starve(nth);
  clo_engine_step(engine, 0.01);
  count = alloc_count();
  alloc_fail(0);
  if (watches_its_own())
    assert_true(count >= nth);
  else
    assert_int_equal(count, nth);
  t = clo_engine_done(engine);
  assert_non_null(t);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  release(t);
  assert_it_works_again();
}

/* A step opens a socket, notes its place, notes the interest in it. A call
 * whose socket nobody watches ends with that step, not with its timeout. */
static void a_call_that_nobody_watches_ends(void **state) {
  size_t nth;
  for (nth = 1; nth <= 3; nth++) {
    assert_ends_at_once(nth, alloc_fail_from);
    scene_close(state);
    assert_ends_at_once(nth, alloc_fail);
    scene_close(state);
  }
}

/* What libcurl watches for itself, such as the end of look-ups, is needed by
 * all of them. */
static void calls_end_where_nobody_watches_for_libcurl(void **state) {
  static const struct reaction silent[] = {{.then = THEN_SILENCE},
                                           {.reply = OK_REPLY}};
  struct clo_transfer *t;
  scene_open(silent, COUNT(silent));
  submit_posts(1);
  step_until_taken(1);
  alloc_fail_from(1);
  clo_sockets_on_interest(NULL, 900, CURL_POLL_IN, &engine->sockets, NULL);
  alloc_fail(0);
  clo_engine_step(engine, 0.01);
  t = clo_engine_done(engine);
  assert_non_null(t);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_MEMORY);
  release(t);
  assert_works("POST", BODY);
}

/* A call begins on the connection of another one, in the step that collects the
 * other one's answer. If that cannot be noted, the connection goes on. */
static void a_call_on_the_connection_of_another_goes_on(void **state) {
  size_t nth;
  for (nth = 1; nth <= 4; nth++) {
    struct clo_transfer *last = NULL;
    struct clo_request request;
    int ended;
    scene_open(answers, 1);
    submit_posts(1);
    step_until_taken(1);
    server_await_sent(server, 2400);
    request = request_of("POST", BODY);
    submit(&request);
    alloc_fail(nth);
    ended = ends(&last);
    alloc_fail(0);
    assert_true(ended);
    assert_true(assert_told_honestly() <= 1);
    scene_close(state);
  }
}

/* ---- what is used again is not broken by a failure in between ---- */

static void a_kept_engine_survives(void **state) {
  struct clo_request request;
  struct clo_transfer *last = NULL;
  size_t nth, count = 1;
  config = scene_config();
  config.events = 1;
  scene_open_with(&config, answers, 1);
  for (nth = 1; nth <= count; nth++) {
    int ended = 1;
    request = request_of("PUT", BODY);
    request.max_retries = 1;
    alloc_fail(nth);
    if (clo_engine_submit(engine, &request) > 0) ended = ends(&last);
    count = alloc_count();
    alloc_fail(0);
    assert_true(ended);
    if (last) release(last);
    last = NULL;
    assert_it_works_again();
  }
  assert_true(nth > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(any_allocation_may_fail),
      TEST(all_allocations_may_fail_from_any_on),
      TEST(any_may_fail_with_many_calls),
      TEST(all_may_fail_with_many_calls),
      TEST(a_call_that_nobody_watches_ends),
      TEST(calls_end_where_nobody_watches_for_libcurl),
      TEST(a_call_on_the_connection_of_another_goes_on),
      TEST(a_kept_engine_survives),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
