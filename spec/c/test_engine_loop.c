/* What a loop asks an engine, and how it waits for it: deadline,
 * descriptor and wait keep their promises. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <unistd.h>

#include "drive.h"

#define BODY "{\"text\": \"tick\"}"

static const struct reaction answers[] = {{.reply = OK_REPLY}};
static const struct reaction late[] = {{.reply = OK_REPLY, .delay = 0.1}};
static const struct reaction silence[] = {{.then = THEN_SILENCE}};

/* ---- deadline ---- */

static void an_idle_engine_has_no_deadline(void **state) {
  scene_open(answers, 1);
  assert_true(clo_engine_deadline(engine) == -1);
  assert_int_equal(clo_engine_step(engine, 0.01), 0);
  assert_true(clo_engine_deadline(engine) == -1);
  assert_works("POST", BODY);
  clo_engine_step(engine, 0.01);
  assert_true(clo_engine_deadline(engine) == -1);
  assert_int_equal(watched_count(), 0); /* a kept connection is not watched */
}

static void a_call_that_may_start_is_due_now(void **state) {
  int i;
  scene_open(silence, 1);
  submit_posts(1);
  assert_true(clo_engine_deadline(engine) == 0);
  step_until_taken(1);
  for (i = 0; i < 100 && clo_engine_deadline(engine) == 0; i++)
    clo_engine_step(engine, 0.01); /* a timer of libcurl's was due */
  assert_true(clo_engine_deadline(engine) > 0);
  submit_posts(1);
  assert_true(clo_engine_deadline(engine) == 0);
}

static void a_call_that_may_not_start_is_due_at_its_timeout(void **state) {
  struct clo_request request;
  double deadline;
  scene_open(silence, 1);
  submit_posts(8);
  step_until_taken(8);
  nap(0.25); /* past the timers that libcurl has while it connects */
  clo_engine_step(engine, 0.01);
  request = request_of("POST", BODY);
  request.timeout = 1;
  submit(&request);
  deadline = clo_engine_deadline(engine);
  if (deadline <= 0.5 || deadline > 1) fail_msg("due in %g s", deadline);
}

static void a_pause_is_a_deadline(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("429 Too Many", "Retry-After: 2\r\n", "0\r\n\r\n")}};
  struct clo_request request;
  double deadline;
  int i;
  scene_open(script, 1);
  request = request_of("POST", BODY);
  request.max_retries = 1;
  submit(&request);
  step_until_taken(1);
  server_await_sent(server, strlen(script[0].reply));
  for (i = 0; i < 50; i++) {
    clo_engine_step(engine, 0.01);
    nap(0.001);
  }
  assert_int_equal(watched_count(), 0);
  deadline = clo_engine_deadline(engine);
  assert_true(deadline > 1 && deadline <= 2);
}

/* What is late is due now: less than 0 would say that nothing is due. */
static void a_pause_that_is_over_is_due_now(void **state) {
  struct clo_request request;
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  request.delay = 0.02;
  submit(&request);
  nap(0.05);
  assert_true(clo_engine_deadline(engine) == 0);
}

/* A loop does not turn in circles until the next one. */
static void a_pause_that_is_over_is_no_deadline(void **state) {
  struct clo_request request;
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  request.delay = 4;
  submit(&request);
  request.delay = 0.02;
  submit(&request);
  release(until_done());
  clo_engine_step(engine, 0.01);
  assert_true(clo_engine_deadline(engine) > 1);
}

/* ---- the descriptor ---- */

/* A loop of one's own: the descriptor, the deadline, and no wait. */
static void a_foreign_loop_gets_along(void **state) {
  size_t ends = 0, turns = 0;
  scene_open(late, 1);
  submit_posts(20);
  while (ends < 20) {
    struct pollfd fd = {clo_engine_descriptor(engine), POLLIN, 0};
    double deadline = clo_engine_deadline(engine);
    assert_true(fd.fd >= 0 && fcntl(fd.fd, F_GETFD) & FD_CLOEXEC);
    assert_true(watched_count() > 0 || deadline >= 0); /* never deaf */
    poll(&fd, 1, deadline < 0 ? 1000 : (int)(deadline * 1000 + 1));
    clo_engine_step(engine, 0.005);
    ends += release_done();
    assert_true(++turns < 1000); /* and never turning in circles */
  }
}

/* The end of an idle connection does not keep the descriptor ready. */
static void an_idle_end_is_handled_once(void **state) {
  struct pollfd fd = {-1, POLLIN, 0};
  scene_open(answers, 1);
  fd.fd = clo_engine_descriptor(engine);
  assert_works("POST", BODY);
  assert_int_equal(poll(&fd, 1, 0), 0);
  server_hang_up(server, 0);
  assert_int_equal(poll(&fd, 1, 5000), 1);
  clo_engine_step(engine, 0.01);
  assert_int_equal(poll(&fd, 1, 0), 0);
  assert_works("POST", BODY);
  assert_int_equal(server_counts(server).connections, 2);
}

/* ---- expected ---- */

static void an_answer_is_expected_when_others_came(void **state) {
  static const struct reaction script[] = {
      {.reply = OK_REPLY, .delay = 0.1}, {.reply = OK_REPLY, .delay = 0.1},
      {.then = THEN_SILENCE}, {.reply = OK_REPLY}};
  struct clo_request get;
  unsigned long id;
  double expected;
  scene_open(script, COUNT(script));
  assert_true(clo_engine_expected(engine, &expected));
  assert_true(expected == HUGE_VAL); /* nothing runs */
  submit_posts(1);
  step_until_taken(1);
  assert_false(clo_engine_expected(engine, &expected)); /* none came before */
  release(until_done());
  submit_posts(1);
  step_until_taken(2);
  assert_true(clo_engine_expected(engine, &expected));
  assert_true(expected < 1); /* less than 0 where this took long */
  get = request_of("GET", NULL);
  id = submit(&get);
  clo_engine_step(engine, 1);
  assert_false(clo_engine_expected(engine, &expected)); /* is it sent? */
  release(until_done());
  step_until_taken(3);
  assert_false(clo_engine_expected(engine, &expected)); /* nobody knows, */
  submit_posts(1);
  release(until_done());
  assert_false(clo_engine_expected(engine, &expected)); /* others or not */
  assert_int_equal(clo_engine_cancel(engine, id), 1);
  assert_true(clo_engine_expected(engine, &expected));
  assert_true(expected == HUGE_VAL);
}

/* Seconds until the answer to a call that has just been sent. */
static double expected_of_another(void) {
  size_t taken = server_counts(server).taken;
  double expected = HUGE_VAL;
  submit_posts(1);
  step_until_taken(taken + 1);
  assert_true(clo_engine_expected(engine, &expected));
  return expected;
}

/* So who looks then looks rather early than late, and not later and later. */
static void it_is_expected_as_early_as_the_fastest(void **state) {
  static const struct reaction script[] = {
      {.reply = OK_REPLY, .delay = 1.5}, {.reply = OK_REPLY, .delay = 1.5},
      {.reply = OK_REPLY}, {.reply = OK_REPLY, .delay = 1.5},
      {.then = THEN_SILENCE}};
  double start, took;
  scene_open(script, COUNT(script));
  start = clock_now();
  submit_posts(1);
  release(until_done());
  took = clock_now() - start;
  assert_true(expected_of_another() < took);
  release(until_done());
  submit_posts(1);
  release(until_done());
  assert_true(expected_of_another() < 1);
  release(until_done());
  assert_true(expected_of_another() < 1); /* after a slow one, too */
}

/* Which of them was sent last does not matter. */
static void it_is_expected_after_several_at_once(void **state) {
  scene_open(late, 1);
  submit_posts(2);
  while (pending_count() > 0 || clo_engine_done(engine)) release(until_done());
  assert_true(expected_of_another() < 1);
}

/* ---- wait ---- */

static void a_wait_ends_when_a_socket_is_ready(void **state) {
  double start, took;
  scene_open(late, 1);
  submit_posts(1);
  step_until_taken(1);
  start = clock_now();
  while (!clo_engine_done(engine)) {
    clo_engine_wait(engine, 3);
    clo_engine_step(engine, 0.01);
  }
  took = clock_now() - start;
  assert_true(took < 2);
}

static void a_wait_ends_at_its_limit(void **state) {
  double start, took;
  scene_open(silence, 1);
  submit_posts(1);
  step_until_taken(1);
  while (clo_engine_deadline(engine) < 0.2) clo_engine_step(engine, 0.01);
  start = clock_now();
  clo_engine_wait(engine, 0.1);
  took = clock_now() - start;
  assert_true(took > 0.08 && took < 1.5);
  start = clock_now();
  clo_engine_wait(engine, 0);
  assert_true(clock_now() - start < 1);
}

static void a_wait_ends_at_the_deadline(void **state) {
  struct clo_request request;
  double start;
  scene_open(silence, 1);
  submit_posts(8);
  step_until_taken(8);
  request = request_of("POST", BODY);
  request.timeout = 0.15;
  submit(&request);
  start = clock_now();
  while (!clo_engine_done(engine)) {
    clo_engine_wait(engine, -1);
    clo_engine_step(engine, 0.01);
  }
  assert_true(clock_now() - start < 2);
}

/* After a wait, what it found ready may be gone: cancelled, or replaced. */
static void a_cancel_after_a_wait_is_no_trouble(void **state) {
  struct clo_request request;
  unsigned long id;
  scene_open(late, 1);
  request = request_of("POST", BODY);
  id = submit(&request);
  submit_posts(3);
  step_until_taken(4);
  server_await_sent(server, 4 * strlen(OK_REPLY));
  clo_engine_wait(engine, 1);
  assert_int_equal(clo_engine_cancel(engine, id), 1);
  release(clo_engine_done(engine));
  submit_posts(1);
  while (pending_count() > 0 || clo_engine_done(engine))
    release(until_done());
  assert_int_equal(server_counts(server).taken, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_idle_engine_has_no_deadline),
      TEST(a_call_that_may_start_is_due_now),
      TEST(a_call_that_may_not_start_is_due_at_its_timeout),
      TEST(a_pause_is_a_deadline),
      TEST(a_pause_that_is_over_is_due_now),
      TEST(a_pause_that_is_over_is_no_deadline),
      TEST(a_foreign_loop_gets_along),
      TEST(an_idle_end_is_handled_once),
      TEST(an_answer_is_expected_when_others_came),
      TEST(it_is_expected_as_early_as_the_fastest),
      TEST(it_is_expected_after_several_at_once),
      TEST(a_wait_ends_when_a_socket_is_ready),
      TEST(a_wait_ends_at_its_limit),
      TEST(a_wait_ends_at_the_deadline),
      TEST(a_cancel_after_a_wait_is_no_trouble),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
