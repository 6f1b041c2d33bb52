/* clo_engine_step makes progress with any budget, and starves no call. */
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

/* Eight calls whose answers are there, and unread. */
static void submit_eight_and_await_answers(void) {
  scene_open(late, 1);
  submit_posts(8);
  step_until_taken(8);
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

/* The first socket of the set always has something to read. */
static void no_call_starves_beside_a_flood(void **state) {
  static const struct reaction script[] = {
      {.reply = "HTTP/1.1 200 OK\r\n\r\n",
       .repeat = "0123456789012345678901234567890123456789012345678901234567",
       .times = ENDLESS},
      {.reply = OK_REPLY}};
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
  for (i = 0; i < 5000 && pending_count() > 1; i++) {
    nap(0.001);
    clo_engine_step(engine, 0);
  }
  assert_int_equal(pending_count(), 1);
  assert_int_equal(clo_engine_cancel(engine, flood), 1);
}

static void a_short_step_says_that_there_is_more(void **state) {
  submit_eight_and_await_answers();
  assert_int_equal(clo_engine_step(engine, 0), 7);
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
  scene_open(silence, 1);
  assert_int_equal(clo_engine_step(engine, 0.01), 0);
  submit_posts(10);
  assert_int_equal(clo_engine_step(engine, 0.01), 10);
  assert_int_equal(pending_count(), 10);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_step_with_no_budget_goes_on),
      TEST(no_call_starves_without_budget),
      TEST(no_call_starves_beside_a_flood),
      TEST(a_short_step_says_that_there_is_more),
      TEST(steps_alone_are_enough),
      TEST(a_step_returns_what_is_pending),
      TEST(untaken_calls_come_before_new_ones),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
