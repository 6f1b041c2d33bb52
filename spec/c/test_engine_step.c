/* clo_engine_step makes progress with any budget, and starves no call. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clo_engine_state.h"
#include "drive.h"

static const struct reaction late[] = {{.reply = OK_REPLY, .delay = 0.1}};
static const struct reaction silence[] = {{.then = THEN_SILENCE}};

static void a_step_with_no_budget_goes_on(void **state) {
  size_t ends = 0, steps = 0;
  scene_open(late, 1);
  submit_posts(24);
  while (ends < 24) {
    clo_engine_wait(engine, 1);
    clo_engine_step(engine, 0);
    ends += release_done();
    assert_true(++steps < 2000);
  }
}

/* Eight calls whose answers are there, and unread. They come long after all
 * calls were taken, also on a busy machine; and after libcurl's timers of the
 * connects, which would have it read all of them at once. */
static void submit_eight_and_await_answers(void) {
  static const struct reaction later[] = {{.reply = OK_REPLY, .delay = 0.6}};
  scene_open(later, 1);
  submit_posts(8);
  step_until_taken(8);
  nap(0.25);
  clo_engine_step(engine, 0);
  server_await_sent(server, 8 * strlen(OK_REPLY));
}

static void no_call_starves_without_budget(void **state) {
  size_t steps, i;
  submit_eight_and_await_answers();
  release_done();
  steps = pending_count();
  assert_true(steps > 0);
  for (i = 0; i < 2 * steps; i++) clo_engine_step(engine, 0);
  assert_int_equal(pending_count(), 0);
}

/* So many sockets have something to read, the first ones of the set. */
static void await_readable(size_t count) {
  double until = clock_now() + 5;
  struct pollfd fds[16];
  assert_true(watched_count() >= count);
  memcpy(fds, engine->sockets.interest, count * sizeof *fds);
  while (poll(fds, count, 0) < (int)count) {
    if (clock_now() > until) fail_msg("the answers do not come");
    nap(0.001);
  }
}

/* The first socket of the set always has something to read. The answers on the
 * others come as late as above. */
static void no_call_starves_beside_a_flood(void **state) {
  static const struct reaction script[] = {
      {.reply = "HTTP/1.1 200 OK\r\n\r\n",
       .repeat = "0123456789012345678901234567890123456789012345678901234567",
       .times = ENDLESS},
      {.reply = OK_REPLY, .delay = 0.6}};
  struct clo_config config = scene_config();
  unsigned long flood;
  struct clo_request request;
  size_t i;
  config.max_response_bytes = 1024 * 1024 * 1024;
  scene_open_with(&config, script, COUNT(script));
  request = request_of("GET", NULL);
  flood = submit(&request);
  step_until_taken(1);
  submit_posts(5);
  step_until_taken(6);
  nap(0.25);
  clo_engine_step(engine, 0);
  await_readable(6);
  for (i = 0; i < 2 * 6; i++) {
    await_readable(1);
    clo_engine_step(engine, 0);
  }
  assert_int_equal(pending_count(), 1);
  assert_int_equal(clo_engine_cancel(engine, flood), 1);
}

static void a_short_step_says_that_there_is_more(void **state) {
  submit_eight_and_await_answers();
  assert_int_equal(clo_engine_step(engine, 0), 7);
  assert_true(clo_engine_deadline(engine) == 0);
  submit_posts(1); /* there is room for it, and no time */
  clo_engine_step(engine, 0);
  assert_int_equal(queued_count(), 1);
}

static void a_short_step_begins_one_call(void **state) {
  scene_open(late, 1);
  submit_posts(8);
  clo_engine_step(engine, 0);
  assert_int_equal(queued_count(), 7);
  assert_true(clo_engine_deadline(engine) == 0);
}

static void steps_alone_are_enough(void **state) {
  double until = clock_now() + 10;
  size_t ends = 0;
  scene_open(late, 1);
  submit_posts(20);
  while (ends < 20) {
    clo_engine_step(engine, 0.001);
    ends += release_done();
    nap(0.001);
    assert_true(clock_now() < until);
  }
}

static void a_step_returns_what_is_pending(void **state) {
  struct clo_request request;
  scene_open(silence, 1);
  assert_int_equal(clo_engine_step(engine, 0.01), 0);
  submit_posts(10);
  assert_int_equal(clo_engine_step(engine, 0.01), 10);
  assert_int_equal(pending_count(), 10);
  request = request_of("POST", "{}");
  request.delay = 3;
  submit(&request);
  assert_int_equal(clo_engine_step(engine, 0.01), 11);
}

/* Who does not take the calls that are done is busy: five more do not begin at
 * once, so there is more to do. */
static void untaken_calls_come_before_new_ones(void **state) {
  scene_open(late, 1);
  submit_posts(1);
  while (!clo_engine_done(engine)) {
    clo_engine_wait(engine, 1);
    clo_engine_step(engine, 1);
  }
  submit_posts(5);
  clo_engine_step(engine, 1);
  assert_true(clo_engine_deadline(engine) == 0);
  release_done();
  step_until_taken(6);
}

/* Cancels a call that is not done; returns how many attempts it began. */
static int cancelled_after(unsigned long id) {
  struct clo_transfer *t;
  int attempts;
  assert_int_equal(clo_engine_cancel(engine, id), 1);
  t = clo_engine_done(engine);
  assert_non_null(t);
  assert_int_equal(t->id, id);
  attempts = t->attempts;
  release(t);
  return attempts;
}

/* A scene for TLS, perhaps with HTTP/2, which its server never says that it
 * speaks: the call with which to begin. GnuTLS reads all authorities for each
 * connection, which may take a connection's usual time where the processor is
 * busy. */
static struct clo_request tls_scene(int http2) {
  static char url[80];
  struct clo_config config = scene_config();
  struct clo_request request;
  config.http2 = http2;
  config.plain = 0;
  config.connect_timeout = config.attempt_timeout = 30;
  scene_open_with(&config, silence, 1);
  snprintf(url, sizeof url, "https%s", scene_url("/") + strlen("http"));
  request = request_of("POST", "{}");
  request.url = url;
  request.timeout = 30;
  return request;
}

static void the_first_call_connects_alone_for_a_second(void **state) {
  struct clo_request request = tls_scene(1);
  unsigned long ids[4];
  double begun, deadline;
  size_t i;
  for (i = 0; i < COUNT(ids); i++) ids[i] = submit(&request);
  clo_engine_step(engine, 1);
  begun = clock_now();
  assert_true(clo_engine_deadline(engine) > 0);
  assert_int_equal(cancelled_after(ids[1]), 0);
  nap(0.5);
  clo_engine_step(engine, 1);
  deadline = clo_engine_deadline(engine);
  assert_true(deadline <= 0.5 || clock_now() > begun + 0.6); /* busy */
  while (clock_now() < begun + 1.2) {
    clo_engine_wait(engine, 0.1);
    clo_engine_step(engine, 1);
  }
  for (i = 2; i < COUNT(ids); i++) clo_engine_step(engine, 1);
  for (i = 2; i < COUNT(ids); i++)
    assert_int_equal(cancelled_after(ids[i]), 1);
  assert_int_equal(cancelled_after(ids[0]), 1);
}

/* Over HTTP/1 each has a connection of its own. */
static void without_http2_no_call_waits(void **state) {
  struct clo_request request = tls_scene(0);
  submit(&request);
  submit(&request);
  clo_engine_step(engine, 5);
  assert_int_equal(queued_count(), 0);
}

/* The first one's server may be a storage that is out of order. */
static void calls_to_another_server_do_not_wait(void **state) {
  struct clo_request request = tls_scene(1);
  char url[80];
  submit(&request);
  request.group = "another";
  snprintf(url, sizeof url, "https://127.0.0.1:%d/", server_refusing_port());
  request.url = url;
  submit(&request);
  clo_engine_step(engine, 5);
  if (!clo_engine_done(engine)) clo_engine_cancel(engine, 2);
  assert_int_equal(clo_engine_done(engine)->id, 2);
  assert_int_equal(clo_engine_done(engine)->attempts, 1);
}

/* Nor one whose address only begins as that one's. */
static void nor_do_calls_to_a_longer_address(void **state) {
  struct clo_request request = tls_scene(1);
  char url[80];
  submit(&request);
  request.group = "another";
  snprintf(url, sizeof url, "https://127.0.0.1:%d0/", server_port(server));
  request.url = url; /* no port has so many digits, so it ends at once */
  submit(&request);
  clo_engine_step(engine, 5);
  assert_non_null(clo_engine_done(engine));
  assert_int_equal(clo_engine_done(engine)->id, 2);
  assert_int_equal(clo_engine_done(engine)->attempts, 1);
}

/* There may be a connection for the next ones. */
static void calls_do_not_wait_for_one_that_connects_anew(void **state) {
  struct clo_request request = tls_scene(1), anew = request_of("DELETE", NULL);
  anew.url = request.url;
  submit(&anew);
  submit(&request);
  clo_engine_step(engine, 5);
  assert_int_equal(cancelled_after(2), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_step_with_no_budget_goes_on),
      TEST(no_call_starves_without_budget),
      TEST(no_call_starves_beside_a_flood),
      TEST(a_short_step_says_that_there_is_more),
      TEST(a_short_step_begins_one_call),
      TEST(steps_alone_are_enough),
      TEST(a_step_returns_what_is_pending),
      TEST(untaken_calls_come_before_new_ones),
      TEST(the_first_call_connects_alone_for_a_second),
      TEST(without_http2_no_call_waits),
      TEST(calls_to_another_server_do_not_wait),
      TEST(nor_do_calls_to_a_longer_address),
      TEST(calls_do_not_wait_for_one_that_connects_anew),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
