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

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_place_that_was_not_used_is_given_back),
      TEST(an_answer_that_says_nothing_holds_nobody),
      TEST(who_waits_for_the_last_place_is_told_of_the_reset),
      TEST(a_turn_past_the_deadline_ends_the_call_at_once),
      TEST(a_retry_that_is_late_says_what_failed),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
