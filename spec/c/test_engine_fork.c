/* An engine after a fork: the child can use it, and the parent's connections
 * are not affected. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clo_engine_state.h"
#include "drive.h"

#define BODY "{\"text\": \"parent\"}"
#define CHILD "{\"text\": \"child\"}"

static const struct reaction answers[] = {{.reply = OK_REPLY}};
static const struct reaction late[] = {{.reply = OK_REPLY, .delay = 0.3}};

#define VISIBLE __attribute__((visibility("default")))

/* How many of libcurl's handles were cleaned up: over TLS that would end the
 * parent's connections. */
static int cleaned;

VISIBLE void curl_easy_cleanup(CURL *easy) {
  void (*real)(CURL *);
  *(void **)&real = dlsym(RTLD_NEXT, "curl_easy_cleanup");
  if (easy) cleaned++;
  real(easy);
}

VISIBLE CURLMcode curl_multi_cleanup(CURLM *multi) {
  CURLMcode (*real)(CURLM *);
  *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_cleanup");
  if (multi) cleaned++;
  return real(multi);
}

VISIBLE CURLSHcode curl_share_cleanup(CURLSH *share) {
  CURLSHcode (*real)(CURLSH *);
  *(void **)&real = dlsym(RTLD_NEXT, "curl_share_cleanup");
  if (share) cleaned++;
  return real(share);
}

/* What children do; each returns 0, or the line of what went wrong. They must
 * not fail by cmocka, whose jump belongs to the parent. */
#define CHECK(true_thing) \
  do { \
    if (!(true_thing)) return __LINE__ % 250 + 1; \
  } while (0)

static int has_no_mark; /* the kernel cannot wipe a page in a child */

static void open_scene(const struct reaction *script, size_t count) {
  scene_open(script, count);
  if (has_no_mark) clo_process_free(&engine->process);
}

/* Runs a child and fails where it does not exit with 0 within 10 s. */
static void in_a_child(int (*work)(void)) {
  pid_t child = fork();
  int status = 0, turns = 0;
  assert_true(child >= 0);
  if (child == 0) {
    alarm(10);
    _exit(work());
  }
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (++turns == 12000) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      fail_msg("the child hangs");
    }
    nap(0.001);
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    fail_msg("the child: status %#x", (unsigned)status);
}

static int descriptors(void) {
  int fd, count = 0;
  for (fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) != -1;
  return count;
}

/* The parent's next call goes over the connection that it had. */
static void assert_parent_s_connection_is_kept(void) {
  size_t next = server_counts(server).taken;
  int connection = server_taken(server, 0)->connection;
  assert_int_equal(server_counts(server).left, 0);
  assert_works("POST", BODY);
  assert_int_equal(server_taken(server, next)->connection, connection);
}

/* ---- free ---- */

static int frees(void) {
  int before = descriptors();
  cleaned = 0;
  clo_engine_free(engine);
  CHECK(cleaned == 0);
  CHECK(descriptors() < before); /* its copies of the sockets are closed */
  return 0;
}

static void a_child_frees_an_idle_engine(void **state) {
  open_scene(answers, 1);
  assert_works("POST", BODY);
  in_a_child(frees);
  assert_parent_s_connection_is_kept();
  assert_int_equal(server_counts(server).connections, 1);
}

static void a_child_frees_an_engine_at_work(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  open_scene(late, 1);
  assert_works("POST", BODY);
  request = request_of("POST", BODY);
  submit(&request);
  step_until_taken(2);
  in_a_child(frees);
  t = until_done();
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  release(t);
  assert_int_equal(server_counts(server).left, 0);
  assert_int_equal(server_counts(server).connections, 1);
}

static void a_child_frees_what_is_done(void **state) {
  struct clo_transfer *t;
  open_scene(answers, 1);
  t = call_of("POST", BODY);
  in_a_child(frees);
  release(t);
  assert_parent_s_connection_is_kept();
}

/* ---- use ---- */

/* A call in the child, without cmocka's assertions. */
static int calls(void) {
  struct clo_request request = request_of("POST", CHILD);
  struct clo_transfer *t;
  double until = clock_now() + 5;
  CHECK(clo_engine_submit(engine, &request) > 0);
  while (!(t = clo_engine_done(engine)) && clock_now() < until) {
    clo_engine_wait(engine, 1);
    clo_engine_step(engine, 0.01);
  }
  CHECK(t && t->end.status == 200 && !t->from_parent);
  release(t);
  return 0;
}

static int calls_twice_and_frees(void) {
  int fault = calls();
  if (!fault) fault = calls();
  clo_engine_free(engine);
  return fault;
}

static void a_child_has_a_connection_of_its_own(void **state) {
  open_scene(answers, 1);
  assert_works("POST", BODY);
  in_a_child(calls_twice_and_frees);
  server_await_left(server, 1); /* the child's, and no other */
  assert_int_equal(server_counts(server).connections, 2);
  assert_int_equal(server_taken(server, 1)->connection, 1);
  assert_int_equal(server_taken(server, 2)->connection, 1);
  assert_int_equal(server_counts(server).left, 1);
  assert_works("POST", BODY);
  assert_int_equal(server_taken(server, 3)->connection, 0);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 2);
}

/* A call that the parent has running or queued is not the child's: it neither
 * sends it nor knows how it ends. */
static int finds_the_parent_s_calls_ended(void) {
  struct clo_transfer *t;
  size_t ended = 0;
  CHECK(clo_engine_step(engine, 0.01) == 0);
  while ((t = clo_engine_done(engine))) {
    CHECK(t->end.cause == CLO_CAUSE_CANCELLED);
    CHECK(t->from_parent);
    CHECK(clo_policy_outcome(&t->end) == CLO_OUTCOME_UNKNOWN);
    CHECK(clo_policy_kind(t->end.cause, t->end.status) != NULL);
    release(t);
    ended++;
  }
  CHECK(ended == 10);
  return calls_twice_and_frees();
}

static void a_child_does_not_send_the_parent_s_calls(void **state) {
  static const char *const methods[] = {"POST", "DELETE"};
  size_t i;
  open_scene(late, 1);
  for (i = 0; i < 10; i++) {
    struct clo_request request =
        request_of(methods[i % 2], i % 2 ? NULL : BODY);
    submit(&request);
  }
  step_until_taken(8); /* eight run, two are queued */
  in_a_child(finds_the_parent_s_calls_ended);
  for (i = 0; i < 10; i++) {
    struct clo_transfer *t = until_done();
    assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
    release(t);
  }
  assert_int_equal(server_counts(server).taken, 12);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 5);
  assert_int_equal(server_copies(server, CHILD, strlen(CHILD)), 2);
}

/* 429, then a pause: the parent will send it again, so it is not refused. */
static int finds_a_pausing_call_unknown(void) {
  struct clo_transfer *t;
  CHECK(clo_engine_cancel(engine, 1) == 0);
  t = clo_engine_done(engine);
  CHECK(t && clo_policy_outcome(&t->end) == CLO_OUTCOME_UNKNOWN);
  clo_engine_free(engine);
  return 0;
}

static void a_pausing_call_is_the_parent_s(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("429 Too Many", "Retry-After: 1\r\n", "0\r\n\r\n")},
      {.reply = OK_REPLY}};
  struct clo_request request;
  int i;
  open_scene(script, COUNT(script));
  request = request_of("POST", BODY);
  request.max_retries = 1;
  assert_int_equal(submit(&request), 1);
  step_until_taken(1);
  server_await_sent(server, strlen(script[0].reply));
  for (i = 0; i < 50; i++) {
    clo_engine_step(engine, 0.01);
    nap(0.001);
  }
  in_a_child(finds_a_pausing_call_unknown);
  assert_end(until_done(), CLO_OUTCOME_ANSWERED, 200, 2);
  assert_int_equal(server_counts(server).connections, 1);
}

/* Every verb may be the first one that a child calls. */
static int asks_first(void) {
  CHECK(clo_engine_deadline(engine) >= -1);
  clo_engine_wait(engine, 0.01);
  CHECK(watched_count() == 0);
  CHECK(pending_count() == 0 && clo_engine_done(engine));
  release(clo_engine_done(engine));
  return calls_twice_and_frees();
}

static void any_verb_may_come_first(void **state) {
  struct clo_request request;
  open_scene(late, 1);
  request = request_of("POST", BODY);
  submit(&request);
  step_until_taken(1);
  in_a_child(asks_first);
  assert_end(until_done(), CLO_OUTCOME_ANSWERED, 200, 1);
}

static int asks_for_the_descriptor(void) {
  clo_engine_descriptor(engine);
  CHECK(watched_count() == 0 && clo_engine_done(engine));
  release(clo_engine_done(engine));
  return calls_twice_and_frees();
}

static void so_may_the_descriptor(void **state) {
  struct clo_request request;
  open_scene(late, 1);
  request = request_of("POST", BODY);
  clo_engine_descriptor(engine);
  submit(&request);
  step_until_taken(1);
  in_a_child(asks_for_the_descriptor);
  assert_end(until_done(), CLO_OUTCOME_ANSWERED, 200, 1);
}

/* The parent's call has the last place of a rate limit, and will end in the
 * parent alone. */
static void a_child_does_not_wait_for_the_parent_s_calls(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("200 OK", "RateLimit: limit=9, remaining=1, reset=60\r\n",
                      "2\r\n\r\n{}")},
      {.reply = OK_REPLY, .delay = 0.3},
      {.reply = OK_REPLY}};
  struct clo_request request;
  open_scene(script, COUNT(script));
  assert_works("POST", BODY);
  request = request_of("POST", BODY);
  submit(&request);
  step_until_taken(2);
  in_a_child(asks_first);
  assert_end(until_done(), CLO_OUTCOME_ANSWERED, 200, 1);
}

/* It is not the child that is still sending what the parent sends. */
static int expects_an_answer(void) {
  struct clo_request request = request_of("POST", CHILD);
  double seconds, until = clock_now() + 5;
  int fault;
  clo_engine_step(engine, 0.01);
  while (clo_engine_done(engine)) release(clo_engine_done(engine));
  fault = calls(); /* so it is known how long an answer takes */
  if (fault) return fault;
  CHECK(clo_engine_submit(engine, &request) > 0);
  do {
    CHECK(clock_now() < until);
    clo_engine_step(engine, 0.01);
    CHECK(pending_count() == 1);
  } while (!clo_engine_expected(engine, &seconds));
  clo_engine_free(engine);
  return 0;
}

static void a_child_knows_when_to_expect_an_answer(void **state) {
  static const struct reaction script[] = {
      {.then = THEN_SILENCE}, {.then = THEN_SILENCE}, {.reply = OK_REPLY},
      {.then = THEN_SILENCE}};
  open_scene(script, COUNT(script));
  submit_posts(2);
  step_until_taken(2);
  in_a_child(expects_an_answer);
}

/* libcurl's form hangs on a handle that the child leaves alone. */
static void a_form_is_the_parent_s_too(void **state) {
  struct clo_form form = {NULL, 0, "a.gif", "image/gif"};
  struct clo_request request;
  open_scene(late, 1);
  request = request_of("POST", BODY);
  request.form = &form;
  submit(&request);
  step_until_taken(1);
  in_a_child(frees);
  in_a_child(asks_first);
  assert_end(until_done(), CLO_OUTCOME_ANSWERED, 200, 1);
}

/* A child forks as well, as daemons do. */
static int forks_again(void) {
  pid_t child;
  int status = 0, fault = calls();
  if (fault) return fault;
  child = fork();
  if (child == 0) _exit(calls_twice_and_frees());
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return calls_twice_and_frees();
}

static void a_grandchild_has_its_own_too(void **state) {
  open_scene(answers, 1);
  assert_works("POST", BODY);
  in_a_child(forks_again);
  server_await_left(server, 2);
  assert_int_equal(server_counts(server).connections, 3);
  assert_works("POST", BODY);
  assert_int_equal(server_counts(server).connections, 3);
  assert_int_equal(server_copies(server, CHILD, strlen(CHILD)), 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_child_frees_an_idle_engine),
      TEST(a_child_frees_an_engine_at_work),
      TEST(a_child_frees_what_is_done),
      TEST(a_child_has_a_connection_of_its_own),
      TEST(a_child_does_not_send_the_parent_s_calls),
      TEST(a_pausing_call_is_the_parent_s),
      TEST(any_verb_may_come_first),
      TEST(so_may_the_descriptor),
      TEST(a_child_does_not_wait_for_the_parent_s_calls),
      TEST(a_child_knows_when_to_expect_an_answer),
      TEST(a_form_is_the_parent_s_too),
      TEST(a_grandchild_has_its_own_too),
  };
  const struct CMUnitTest by_id[] = {
      TEST(a_child_frees_an_engine_at_work),
      TEST(a_child_does_not_send_the_parent_s_calls),
      TEST(any_verb_may_come_first),
      TEST(a_grandchild_has_its_own_too),
  };
  int failed = cmocka_run_group_tests(tests, scene_begin, NULL);
  has_no_mark = 1;
  failed += cmocka_run_group_tests(by_id, scene_begin, NULL);
  return scene_end(failed);
}
