/* clo_engine_cancel: in any state a call ends at once and exactly once, and its
 * outcome says what may have left. */
#include "drive.h"

#define BODY "{\"text\": \"never mind\"}"

static const struct reaction silence[] = {{.then = THEN_SILENCE},
                                          {.reply = OK_REPLY}};

static void assert_cancelled_once(unsigned long id) {
  size_t pending = pending_count();
  struct clo_transfer *t;
  assert_int_equal(clo_engine_cancel(engine, id), 1);
  assert_int_equal(pending_count(), pending - 1);
  assert_int_equal(clo_engine_cancel(engine, id), 0);
  t = clo_engine_done(engine); /* without a step */
  assert_non_null(t);
  assert_int_equal(t->id, id);
  assert_int_equal(t->end.cause, CLO_CAUSE_CANCELLED);
  assert_true(strlen(t->message) > 0);
  assert_null(t->next);
}

/* Nothing of it comes up again. */
static void assert_gone(unsigned long id) {
  int i;
  release(clo_engine_done(engine));
  for (i = 0; i < 20; i++) {
    clo_engine_step(engine, 0.01);
    assert_null(clo_engine_done(engine));
    nap(0.001);
  }
  assert_int_equal(clo_engine_cancel(engine, id), 0);
}

static void a_queued_call(void **state) {
  struct clo_request request;
  unsigned long id;
  scene_open(silence, COUNT(silence));
  request = request_of("POST", BODY);
  id = submit(&request);
  assert_cancelled_once(id);
  assert_end(clo_engine_done(engine), CLO_OUTCOME_NOT_SENT, 0, 0);
  assert_gone(id);
  assert_int_equal(server_counts(server).connections, 0);
}

/* A transfer is used for many calls, and has nothing of the one before. */
static void a_queued_call_after_a_refused_one(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("429 Too Many", "Retry-After: 30\r\n", "2\r\n\r\n{}")}};
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(script, 1);
  t = call_of("DELETE", NULL);
  assert_end(t, CLO_OUTCOME_REJECTED, 429, 1);
  release(t);
  request = request_of("DELETE", NULL);
  assert_cancelled_once(submit(&request));
  t = clo_engine_done(engine);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
  assert_true(t->server_delay == -1);
  assert_int_equal(t->answer.len + t->headers.len, 0);
}

static unsigned long a_call_that_was_read(const char *method) {
  struct clo_request request =
      request_of(method, method[0] == 'P' ? BODY : NULL);
  unsigned long id = submit(&request);
  step_until_taken(1);
  return id;
}

/* Only an attempt that was under way has an event, and counts as one that Close
 * may have acted on. */
static void its_attempt_is_told_of(void **state) {
  struct clo_config config = scene_config();
  struct clo_request request;
  config.events = 1;
  scene_open_with(&config, silence, COUNT(silence));
  assert_cancelled_once(a_call_that_was_read("POST"));
  assert_int_equal(clo_engine_done(engine)->unknown, 1);
  release(clo_engine_done(engine));
  assert_non_null(clo_engine_event(engine));
  assert_int_equal(clo_engine_event(engine)->attempt, 1);
  assert_true(clo_engine_event(engine)->retry_in == -1);
  clo_engine_drop_event(engine);
  request = request_of("POST", BODY);
  assert_cancelled_once(submit(&request));
  assert_int_equal(clo_engine_done(engine)->unknown, 0);
  assert_null(clo_engine_event(engine));
}

static void a_running_post(void **state) {
  unsigned long id;
  scene_open(silence, COUNT(silence));
  id = a_call_that_was_read("POST");
  assert_cancelled_once(id);
  assert_end(clo_engine_done(engine), CLO_OUTCOME_UNKNOWN, 0, 1);
  server_await_left(server, 1); /* and the server knows that we are gone */
  assert_gone(id);
  assert_works("POST", BODY);
}

/* A request without a body may have left as well. */
static void a_running_delete(void **state) {
  unsigned long id;
  scene_open(silence, COUNT(silence));
  id = a_call_that_was_read("DELETE");
  assert_cancelled_once(id);
  assert_end(clo_engine_done(engine), CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_gone(id);
}

/* The connection is begun and no request written on it yet: the server does not
 * answer the first words of TLS. */
static void a_call_that_connects(void **state) {
  struct clo_request request;
  unsigned long id;
  char url[128];
  scene_open(silence, COUNT(silence));
  request = request_of("DELETE", NULL);
  snprintf(url, sizeof url, "https%s", strstr(request.url, "://"));
  request.url = url;
  id = submit(&request);
  clo_engine_step(engine, 1);
  assert_cancelled_once(id);
  assert_end(clo_engine_done(engine), CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_gone(id);
  assert_int_equal(server_counts(server).taken, 0);
}

static void a_refused_call_whose_answer_is_not_whole(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("400 Bad", "", "9\r\n\r\n{"), .then = THEN_SILENCE}};
  struct clo_request request;
  unsigned long id;
  int i;
  scene_open(script, 1);
  request = request_of("POST", BODY);
  id = submit(&request);
  step_until_taken(1);
  server_await_sent(server, strlen(script[0].reply));
  for (i = 0; i < 50; i++) {
    clo_engine_step(engine, 0.01);
    nap(0.001);
  }
  assert_cancelled_once(id);
  assert_end(clo_engine_done(engine), CLO_OUTCOME_REJECTED, 400, 1);
}

static void pause_after(const struct reaction *script, size_t count,
                        enum clo_outcome outcome, int status) {
  struct clo_request request;
  unsigned long id;
  int i;
  scene_open(script, count);
  request = request_of("PUT", BODY);
  request.max_retries = 3;
  id = submit(&request);
  step_until_taken(1);
  server_await_sent(server, strlen(script[0].reply));
  for (i = 0; i < 50; i++) { /* until the answer has been read */
    clo_engine_step(engine, 0.01);
    nap(0.001);
  }
  assert_null(clo_engine_done(engine));
  assert_cancelled_once(id);
  assert_end(clo_engine_done(engine), outcome, status, 1);
  assert_gone(id);
  assert_int_equal(server_counts(server).taken, 1);
}

static void a_pausing_call(void **state) {
  static const struct reaction limited[] = {
      {.reply = REPLY("429 Too Many", "Retry-After: 2\r\n", "0\r\n\r\n")}};
  static const struct reaction failed[] = {
      {.reply = REPLY("500 Oops", "Retry-After: 2\r\n", "0\r\n\r\n")}};
  pause_after(limited, 1, CLO_OUTCOME_REJECTED, 429);
  scene_close(state);
  pause_after(failed, 1, CLO_OUTCOME_UNKNOWN, 500);
}

static void a_call_that_is_done(void **state) {
  struct clo_transfer *t;
  scene_open(silence + 1, 1);
  t = call_of("POST", BODY);
  assert_int_equal(clo_engine_cancel(engine, t->id), 0);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(clo_engine_cancel(engine, t->id + 1), 0);
  assert_int_equal(clo_engine_cancel(engine, 0), 0);
}

static void one_of_many(void **state) {
  enum { CALLS = 20 };
  static const struct reaction slow = {.reply = OK_REPLY, .delay = 0.3};
  struct reaction script[9] = {{.reply = NULL}};
  unsigned long ids[CALLS];
  size_t i, cancelled = 0;
  for (i = 0; i < 8; i++) script[i] = slow; /* those that leave at once */
  script[8].reply = OK_REPLY;
  scene_open(script, COUNT(script));
  for (i = 0; i < CALLS; i++) {
    struct clo_request request = request_of("POST", BODY);
    ids[i] = submit(&request);
  }
  step_until_taken(4);
  for (i = 0; i < CALLS; i += 3)
    assert_int_equal(clo_engine_cancel(engine, ids[i]), 1);
  for (i = 0; i < CALLS; i++) {
    struct clo_transfer *t = until_done();
    int is_third = (t->id - ids[0]) % 3 == 0;
    assert_int_equal(t->end.cause == CLO_CAUSE_CANCELLED, is_third);
    cancelled += (size_t)is_third;
    release(t);
  }
  assert_int_equal(cancelled, (CALLS + 2) / 3);
  assert_int_equal(pending_count(), 0);
  assert_null(clo_engine_done(engine));
}

/* An engine may be freed with calls in every state. */
static void by_the_engine_s_end(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("429 Too Many", "Retry-After: 2\r\n", "0\r\n\r\n")},
      {.then = THEN_SILENCE}};
  int i;
  scene_open(script, COUNT(script));
  for (i = 0; i < 12; i++) {
    struct clo_request request = request_of("POST", BODY);
    request.max_retries = 1;
    submit(&request);
  }
  step_until_taken(9);
  assert_int_equal(clo_engine_cancel(engine, 12), 1);
  assert_int_equal(pending_count(), 11);
}

/* The caller may still have calls then, and leaves nothing behind. */
static void by_the_engine_s_end_while_taken(void **state) {
  static const struct reaction answers[] = {{.reply = OK_REPLY}};
  struct clo_transfer *taken[2];
  size_t i;
  scene_open(answers, 1);
  submit_posts(COUNT(taken));
  for (i = 0; i < COUNT(taken); i++) {
    taken[i] = until_done();
    clo_engine_take(engine, taken[i]);
  }
  clo_engine_free(engine);
  engine = NULL;
  for (i = 0; i < COUNT(taken); i++) clo_engine_free_taken(taken[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_queued_call),
      TEST(a_queued_call_after_a_refused_one),
      TEST(a_running_post),
      TEST(its_attempt_is_told_of),
      TEST(a_running_delete),
      TEST(a_call_that_connects),
      TEST(a_refused_call_whose_answer_is_not_whole),
      TEST(a_pausing_call),
      TEST(a_call_that_is_done),
      TEST(one_of_many),
      TEST(by_the_engine_s_end),
      TEST(by_the_engine_s_end_while_taken),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
