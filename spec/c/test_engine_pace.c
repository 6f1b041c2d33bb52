/* clo_engine and rate limits: which calls wait, for how long, and the result if
 * the deadline comes first. */
#include "drive.h"

#define BODY "{\"text\": \"in turn\"}"
#define SAYS(remaining, reset) \
  { .reply = REPLY("200 OK", "RateLimit: limit=1, remaining=" remaining \
                   ", reset=" reset "\r\n", "2\r\n\r\n{}") }

static unsigned long submit_within(const char *method, double timeout) {
  struct clo_request request = request_of(method, BODY);
  request.timeout = timeout;
  request.max_retries = 3;
  return submit(&request);
}

static void assert_held(const struct clo_transfer *t, double from, double to) {
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
  assert_string_equal(clo_policy_kind(t->end.cause, 0), "rate_limited");
  if (t->server_delay < from || t->server_delay > to)
    fail_msg("after %g s", t->server_delay);
}

static void a_place_that_was_not_used_is_given_back(void **state) {
  static const struct reaction script[] = {
      SAYS("2", "60"),
      {.when = AT_HEADERS, .then = THEN_SILENCE},
      {.reply = OK_REPLY, .then = THEN_SILENCE, .delay = 3},
      {.reply = OK_REPLY}};
  static char large[8 << 20];
  struct clo_request request;
  struct clo_transfer *t;
  unsigned long id;
  scene_open(script, COUNT(script));
  assert_works("POST", BODY);
  memset(large, 'x', sizeof large - 1);
  request = request_of("POST", large);
  request.timeout = 0.2;
  assert_end(t = call(&request), CLO_OUTCOME_NOT_SENT, 0, 1);
  release(t);
  submit_within("POST", 5);
  id = submit_within("POST", 5);
  assert_int_equal(until_done()->id, id); /* it did not wait for the other */
}

static void an_answer_that_says_nothing_holds_nobody(void **state) {
  static const struct reaction script[] = {SAYS("1", "60"),
                                           {.reply = OK_REPLY}};
  int i;
  scene_open(script, COUNT(script));
  for (i = 0; i < 4; i++) assert_works("POST", BODY);
}

static void who_waits_for_the_last_place_is_told_of_the_reset(void **state) {
  static const struct reaction script[] = {SAYS("1", "60"),
                                           {.then = THEN_SILENCE}};
  struct clo_transfer *t;
  unsigned long id;
  scene_open(script, COUNT(script));
  assert_works("POST", BODY);
  submit_within("POST", 5);
  id = submit_within("POST", 0.2);
  t = until_done();
  assert_int_equal(t->id, id);
  assert_held(t, 50, 60.1);
}

static void a_turn_past_the_deadline_ends_the_call_at_once(void **state) {
  static const struct reaction script[] = {SAYS("0", "0.5"),
                                           {.then = THEN_SILENCE}};
  struct clo_transfer *t;
  unsigned long id;
  scene_open(script, COUNT(script));
  assert_works("POST", BODY);
  submit_within("POST", 5);
  id = submit_within("POST", 0.8); /* its turn is at 0.96 */
  t = until_done();
  assert_int_equal(t->id, id);
  assert_held(t, 0.05, 0.46);
  assert_true(seconds_taken(t) < 0.75);
}

/* Also if others were found to be in time before. */
static void so_does_one_that_comes_later(void **state) {
  static const struct reaction script[] = {SAYS("0", "59"),
                                           {.then = THEN_SILENCE}};
  struct clo_transfer *t;
  unsigned long id;
  scene_open(script, COUNT(script));
  assert_works("POST", BODY);
  submit_within("POST", 70);
  clo_engine_step(engine, 1);
  id = submit_within("POST", 5);
  t = until_done();
  assert_int_equal(t->id, id);
  assert_held(t, 50, 59.1);
  assert_true(seconds_taken(t) < 2.5);
}

static void a_retry_that_is_late_says_what_failed(void **state) {
  static const struct reaction script[] = {{.then = THEN_RESET},
                                           {.then = THEN_SILENCE}};
  struct clo_config config = scene_config();
  struct clo_transfer *t;
  unsigned long id;
  config.max_in_flight = 1;
  scene_open_with(&config, script, COUNT(script));
  id = submit_within("PUT", 0.6);
  submit_within("POST", 5);
  t = until_done();
  assert_int_equal(t->id, id);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_CONNECTION);
  assert_null(strstr(t->message, "timeout"));
  assert_true(strlen(t->message) > 0);
}

/* It does not wait for the reset, though that was said before, nor is it given
 * up because that is past its timeout. */
static void who_waits_for_the_last_place_goes_after_its_answer(void **state) {
  static const struct reaction script[] = {SAYS("1", "60"),
                                           {.reply = OK_REPLY, .delay = 0.1},
                                           {.reply = OK_REPLY}};
  scene_open(script, COUNT(script));
  assert_works("POST", BODY);
  submit_within("POST", 70);
  submit_within("POST", 5);
  step_until_taken(2);
  assert_int_equal(queued_count(), 1);
  release(until_done());
  assert_int_equal(queued_count(), 1);
  assert_true(clo_engine_deadline(engine) == 0);
  release(until_done());
}

/* A place is used up by an answer that does not count the places itself. */
static void an_answer_without_a_limit_gives_no_place_back(void **state) {
  static const struct reaction script[] = {
      SAYS("2", "60"), {.reply = OK_REPLY}, {.then = THEN_SILENCE}};
  scene_open(script, COUNT(script));
  assert_works("POST", BODY);
  assert_works("POST", BODY);
  submit_within("POST", 70);
  submit_within("POST", 70);
  clo_engine_step(engine, 1);
  assert_int_equal(queued_count(), 1);
}

/* ---- after a 429 ---- */

static void be_refused(void) {
  struct clo_transfer *t = call_of("POST", BODY);
  assert_end(t, CLO_OUTCOME_REJECTED, 429, 1);
  release(t);
}

#define REFUSED {.reply = REPLY("429 Slow", "Retry-After: 0\r\n", "0\r\n\r\n")}

static void one_answer_lets_all_go(void **state) {
  static const struct reaction script[] = {
      REFUSED, {.reply = OK_REPLY}, {.then = THEN_SILENCE}};
  scene_open(script, COUNT(script));
  be_refused();
  assert_works("POST", BODY);
  submit_posts(3);
  clo_engine_step(engine, 1);
  assert_int_equal(queued_count(), 0);
}

static void a_probe_without_an_answer_lets_one_more_go(void **state) {
  static const struct reaction script[] = {
      REFUSED, {.then = THEN_RESET}, {.then = THEN_SILENCE}};
  struct clo_transfer *t;
  scene_open(script, COUNT(script));
  be_refused();
  t = call_of("POST", BODY);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  release(t);
  submit_posts(3);
  clo_engine_step(engine, 1);
  assert_int_equal(queued_count(), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_place_that_was_not_used_is_given_back),
      TEST(an_answer_that_says_nothing_holds_nobody),
      TEST(who_waits_for_the_last_place_is_told_of_the_reset),
      TEST(a_turn_past_the_deadline_ends_the_call_at_once),
      TEST(so_does_one_that_comes_later),
      TEST(a_retry_that_is_late_says_what_failed),
      TEST(who_waits_for_the_last_place_goes_after_its_answer),
      TEST(an_answer_without_a_limit_gives_no_place_back),
      TEST(one_answer_lets_all_go),
      TEST(a_probe_without_an_answer_lets_one_more_go),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
