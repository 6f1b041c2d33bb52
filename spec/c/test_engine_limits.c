/* clo_engine's limits: time, calls in flight, the size of an answer. */
#include "drive.h"

#define BODY "{\"text\": \"in time\"}"

static const struct reaction silence[] = {{.then = THEN_SILENCE}};
static const struct reaction answers[] = {{.reply = OK_REPLY}};

static struct clo_transfer *call_within(const char *method, double timeout,
                                        int retries) {
  struct clo_request request =
      request_of(method, method[0] == 'P' ? BODY : NULL);
  request.timeout = timeout;
  request.max_retries = retries;
  return call(&request);
}

static void assert_took(const struct clo_transfer *t, double from, double to) {
  double elapsed = seconds_taken(t);
  if (elapsed < from || elapsed > to) fail_msg("it took %g s", elapsed);
}

/* ---- time ---- */

static void an_attempt_has_its_timeout(void **state) {
  struct clo_config config = scene_config();
  struct clo_transfer *t;
  config.attempt_timeout = 0.15;
  scene_open_with(&config, silence, 1);
  t = call_within("POST", 5, 3);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_TIMEOUT);
  assert_int_equal(t->code, CURLE_OPERATION_TIMEDOUT);
  assert_took(t, 0.14, 2);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 1);
}

static void an_attempt_that_timed_out_may_be_repeated(void **state) {
  static const struct reaction script[] = {{.then = THEN_SILENCE},
                                           {.reply = OK_REPLY}};
  struct clo_config config = scene_config();
  config.attempt_timeout = 0.3;
  scene_open_with(&config, script, COUNT(script));
  assert_end(call_within("PUT", 5, 3), CLO_OUTCOME_ANSWERED, 200, 2);
}

static void a_call_has_its_timeout(void **state) {
  struct clo_transfer *t;
  scene_open(silence, 1);
  t = call_within("GET", 0.15, 3);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_TIMEOUT);
  assert_took(t, 0.14, 2);
}

static void the_timeout_holds_over_all_attempts(void **state) {
  struct clo_config config = scene_config();
  config.attempt_timeout = 0.1;
  scene_open_with(&config, silence, 1);
  assert_took(call_within("GET", 0.7, 100), 0.3, 2);
}

static void a_body_that_drips_is_cut_off(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("200 OK", "", "100\r\n\r\n{"), .then = THEN_SILENCE}};
  struct clo_transfer *t;
  scene_open(script, 1);
  t = call_within("POST", 0.4, 3);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 200, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_TIMEOUT);
}

static void a_queued_call_that_is_late_is_not_sent(void **state) {
  struct clo_config config = scene_config();
  struct clo_request request;
  struct clo_transfer *t;
  unsigned long id;
  config.max_in_flight = 1;
  scene_open_with(&config, silence, 1);
  request = request_of("POST", "{\"text\": \"first\"}");
  submit(&request);
  request = request_of("POST", BODY);
  request.timeout = 0.15;
  request.max_retries = 3;
  id = submit(&request);
  t = until_done();
  assert_int_equal(t->id, id);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
  assert_int_equal(t->end.cause, CLO_CAUSE_TIMEOUT);
  assert_took(t, 0.15, 2);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 0);
}

static void each_queued_call_ends_at_its_own_timeout(void **state) {
  struct clo_config config = scene_config();
  struct clo_request request;
  int i;
  config.max_in_flight = 1;
  scene_open_with(&config, silence, 1);
  request = request_of("POST", BODY);
  request.timeout = 60;
  submit(&request);
  for (i = 1; i <= 3; i++) {
    request.timeout = 0.15 * i;
    submit(&request);
  }
  for (i = 1; i <= 3; i++) {
    struct clo_transfer *t = until_done();
    assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
    assert_took(t, 0.15 * i, 2);
    release(t);
  }
}

/* ---- calls in flight ---- */

static void assert_all_end_once(size_t calls) {
  unsigned char ends[64] = {0};
  size_t i;
  for (i = 0; i < calls; i++) {
    struct clo_transfer *t = until_done();
    assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
    assert_true(t->id >= 1 && t->id <= calls);
    assert_int_equal(ends[t->id]++, 0);
    release(t);
  }
  assert_null(clo_engine_done(engine));
  assert_int_equal(pending_count(), 0);
}

static void no_more_are_in_flight_than_allowed(void **state) {
  enum { CALLS = 50 };
  static const struct reaction slow = {.reply = OK_REPLY, .delay = 0.3};
  struct reaction script[9] = {{.reply = NULL}};
  struct server_counts counts;
  struct clo_request request;
  size_t i;
  for (i = 0; i < 8; i++) script[i] = slow; /* until all eight are there */
  script[8].reply = OK_REPLY;
  scene_open(script, COUNT(script));
  for (i = 0; i < CALLS; i++) {
    request = request_of(i % 2 ? "POST" : "GET", i % 2 ? BODY : NULL);
    submit(&request);
  }
  assert_int_equal(pending_count(), CALLS);
  assert_all_end_once(CALLS);
  counts = server_counts(server);
  assert_int_equal(counts.taken, CALLS);
  assert_int_equal(counts.most_busy, 8);
  assert_int_equal(counts.connections, 8);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), CALLS / 2);
}

static void calls_begin_in_the_order_of_submission(void **state) {
  struct clo_config config = scene_config();
  unsigned long first, i;
  struct clo_request request;
  config.max_in_flight = 1;
  scene_open_with(&config, answers, 1);
  request = request_of("POST", BODY);
  first = submit(&request);
  for (i = 1; i < 5; i++) assert_int_equal(submit(&request), first + i);
  for (i = 0; i < 5; i++) {
    struct clo_transfer *t = until_done();
    assert_int_equal(t->id, first + i);
    release(t);
  }
}

/* More calls than transfers are kept for; and again with those. */
static void submit_as(const char *group, unsigned long id,
                      unsigned long ticket) {
  struct clo_request request = request_of("POST", BODY);
  request.group = group;
  request.id = id;
  request.ticket = ticket;
  assert_int_equal(submit(&request), id);
}

static void what_has_begun_goes_before_what_has_not(void **state) {
  static const unsigned long order[] = {15, 14, 10, 11, 12, 13, 16};
  struct clo_config config = scene_config();
  size_t i;
  config.max_in_flight = 1;
  scene_open_with(&config, answers, 1);
  submit_as("a", 10, 0);
  submit_as("a", 11, 0);
  submit_as("b", 12, 0);
  submit_as("a", 13, 0);
  submit_as("a", 14, 9);
  submit_as("b", 15, 8);
  for (i = 0; i < COUNT(order); i++) {
    struct clo_transfer *t = until_done();
    assert_int_equal(t->id, order[i]);
    if (i == 0) {
      struct clo_request request = request_of("POST", BODY);
      assert_int_equal(submit(&request), 16); /* the engine's own number */
    }
    release(t);
  }
}

static void the_engine_s_own_ids_are_new_ones(void **state) {
  struct clo_request request;
  scene_open(silence, 1);
  request = request_of("POST", BODY);
  request.id = 100;
  assert_int_equal(submit(&request), 100);
  request.id = 5;
  assert_int_equal(submit(&request), 5);
  request.id = 0;
  assert_int_equal(submit(&request), 101);
}

static void a_wait_for_nothing_takes_its_time(void **state) {
  double start;
  scene_open(answers, 1);
  start = clock_now();
  clo_engine_wait(engine, -1);
  assert_true(clock_now() - start < 1);
  clo_engine_wait(engine, 0.1);
  assert_true(clock_now() - start > 0.09);
}

/* But not all are kept that were needed at one time. */
static void transfers_are_used_again(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  int round, i;
  scene_open(answers, 1);
  for (round = 0; round < 2; round++) {
    request = request_of("POST", BODY);
    for (i = 0; i < 25; i++) submit(&request);
    while (pending_count() > 0 || clo_engine_done(engine))
      release(until_done());
    assert_int_equal(spare_count(), 16);
  }
  assert_int_equal(server_counts(server).taken, 50);
  t = call(&request);
  assert_int_equal(spare_count(), 15);
  release(t);
}

/* A caller that cannot read one yet finds it first the next time. */
static void one_that_is_put_back_is_the_oldest(void **state) {
  struct clo_transfer *t;
  scene_open(answers, 1);
  submit_posts(2);
  while (pending_count() > 0) {
    clo_engine_wait(engine, 1);
    clo_engine_step(engine, 1);
  }
  t = clo_engine_done(engine);
  clo_engine_take(engine, t);
  assert_ptr_not_equal(clo_engine_done(engine), t);
  clo_engine_put_back(engine, t);
  assert_ptr_equal(clo_engine_done(engine), t);
}

/* ---- size ---- */

static void assert_too_large(const struct reaction *script, int status,
                             const char *message) {
  struct clo_config config = scene_config();
  struct clo_transfer *t;
  config.max_response_bytes = 100 * 1000;
  scene_open_with(&config, script, 1);
  t = call_within("POST", 4, 3);
  assert_end(t, CLO_OUTCOME_UNKNOWN, status, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_PROTOCOL);
  assert_non_null(strstr(t->message, message));
  assert_true(t->answer.cap <= config.max_response_bytes);
  assert_true(t->headers.cap <= CLO_HEADERS_MAX);
  server_await_left(server, 1);
  /* What the kernel's buffers took is all that can be more. */
  assert_true(server_counts(server).sent < 32 * 1024 * 1024);
}

static const char body_message[] =
    "the answer is larger than the option max_response_bytes";
static const char headers_message[] =
    "the answer's headers are larger than 64 KiB";

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN
static const char line[] =
    "X-A: " SIXTY "\r\nX-B: " SIXTY "\r\nX-C: " SIXTY "\r\n";
static const char plain[] = SIXTY SIXTY SIXTY SIXTY SIXTY;

static void an_answer_too_large_ends_the_call(void **state) {
  static const struct reaction script[] = {
      {.reply = "HTTP/1.1 200 OK\r\n\r\n", .repeat = plain, .times = ENDLESS}};
  assert_too_large(script, 200, body_message);
}

static void an_answer_that_says_it_is_too_large_too(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("200 OK", "", "100001\r\n\r\n"),
       .repeat = plain,
       .times = ENDLESS}};
  assert_too_large(script, 200, body_message);
}

static void an_answer_as_large_as_allowed_is_taken(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("200 OK", "", "3000\r\n\r\n"),
       .repeat = plain,
       .times = 10}};
  struct clo_config config = scene_config();
  struct clo_transfer *t;
  assert_int_equal(sizeof plain - 1, 300);
  config.max_response_bytes = 3000;
  scene_open_with(&config, script, 1);
  t = call_of("POST", BODY);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(t->answer.len, 3000);
}

/* Though the next call has its buffer. */
static void the_next_answer_may_be_small(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("200 OK", "", "3000\r\n\r\n"),
       .repeat = plain,
       .times = 10},
      {.reply = OK_REPLY}};
  struct clo_config config = scene_config();
  struct clo_transfer *t;
  config.max_response_bytes = 2999;
  scene_open_with(&config, script, COUNT(script));
  t = call_of("POST", BODY);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 200, 1);
  release(t);
  assert_works("POST", BODY);
}

static void headers_without_end_end_the_call(void **state) {
  static const struct reaction script[] = {
      {.reply = "HTTP/1.1 200 OK\r\n", .repeat = line, .times = ENDLESS}};
  assert_too_large(script, 0, headers_message);
}

static void a_header_without_end_ends_the_call(void **state) {
  static const struct reaction script[] = {
      {.reply = "HTTP/1.1 200 OK\r\nX-Header: ",
       .repeat = plain,
       .times = ENDLESS}};
  assert_too_large(script, 0, "larger"); /* by libcurl */
}

static void interim_answers_without_end_end_the_call(void **state) {
  static const struct reaction script[] = {
      {.reply = "", .repeat = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
       .times = ENDLESS}};
  struct clo_transfer *t;
  scene_open(script, 1);
  t = call_within("POST", 1.5, 3);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_took(t, 0, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_attempt_has_its_timeout),
      TEST(an_attempt_that_timed_out_may_be_repeated),
      TEST(a_call_has_its_timeout),
      TEST(the_timeout_holds_over_all_attempts),
      TEST(a_body_that_drips_is_cut_off),
      TEST(a_queued_call_that_is_late_is_not_sent),
      TEST(each_queued_call_ends_at_its_own_timeout),
      TEST(no_more_are_in_flight_than_allowed),
      TEST(calls_begin_in_the_order_of_submission),
      TEST(what_has_begun_goes_before_what_has_not),
      TEST(the_engine_s_own_ids_are_new_ones),
      TEST(a_wait_for_nothing_takes_its_time),
      TEST(transfers_are_used_again),
      TEST(one_that_is_put_back_is_the_oldest),
      TEST(an_answer_too_large_ends_the_call),
      TEST(an_answer_that_says_it_is_too_large_too),
      TEST(an_answer_as_large_as_allowed_is_taken),
      TEST(the_next_answer_may_be_small),
      TEST(headers_without_end_end_the_call),
      TEST(a_header_without_end_ends_the_call),
      TEST(interim_answers_without_end_end_the_call),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
