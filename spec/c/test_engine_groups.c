/* clo_engine's endpoint groups: each has its own rate limit, and those that are
 * not used any more are forgotten. */
#include "drive.h"

#define BODY "{\"text\": \"of a group\"}"
#define FULL(reset) \
  { .reply = REPLY("200 OK", "RateLimit: limit=1, remaining=0, reset=" reset \
                   "\r\n", "2\r\n\r\n{}") }

static struct clo_request request_in(const char *group) {
  struct clo_request request = request_of("POST", BODY);
  request.group = group;
  request.timeout = 200;
  return request;
}

static unsigned long submit_in(const char *group) {
  struct clo_request request = request_in(group);
  return submit(&request);
}

static void answer_in(const char *group) {
  submit_in(group);
  release(until_done());
}

/* ---- rate limits ---- */

static void a_limit_holds_its_own_group(void **state) {
  static const struct reaction script[] = {FULL("60"), {.reply = OK_REPLY}};
  struct clo_transfer *t;
  scene_open(script, COUNT(script));
  assert_works("POST", BODY);
  assert_works("PUT", BODY); /* requests of a method are a group here */
  t = call_of("POST", BODY);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
  assert_int_equal(t->end.cause, CLO_CAUSE_HELD);
}

static void a_call_of_another_group_is_due_at_once(void **state) {
  static const struct reaction script[] = {FULL("60"), {.reply = OK_REPLY}};
  scene_open(script, COUNT(script));
  answer_in("full");
  submit_in("full");
  clo_engine_step(engine, 1);
  assert_true(clo_engine_deadline(engine) > 1);
  submit_in("free");
  assert_true(clo_engine_deadline(engine) == 0);
}

/* Whichever group was used last. */
static void the_first_reset_is_the_deadline(void **state) {
  static const struct reaction script[] = {FULL("20"), FULL("50")};
  static const char *const groups[] = {"until 20", "until 50"};
  int i;
  for (i = 0; i < 2; i++) {
    double deadline;
    row("%s is used last", groups[1 - i]);
    scene_open(script, COUNT(script));
    answer_in(groups[0]);
    answer_in(groups[1]);
    submit_in(groups[i]);
    submit_in(groups[1 - i]);
    clo_engine_step(engine, 1);
    assert_int_equal(queued_count(), 2);
    deadline = clo_engine_deadline(engine);
    assert_true(deadline > 1 && deadline < 21);
    scene_close(state);
  }
}

/* ---- groups that are dropped ---- */

enum { MOST = 256, MORE = MOST + 20 };

static void assert_cancelled(unsigned long id) {
  assert_int_equal(clo_engine_cancel(engine, id), 1);
  release(until_done());
}

static void use_many(const char *kind) {
  char name[32];
  int i;
  for (i = 0; i < MORE; i++) {
    snprintf(name, sizeof name, "/%s/%d/", kind, i);
    answer_in(name);
  }
}

/* Paths with ids make a group each. One that has a call stays, whether that
 * waits for its turn, runs, or pauses; a use of it later would crash. */
static void only_so_many_are_kept(void **state) {
  static const struct reaction script[] = {
      FULL("60"), FULL("60"), {.then = THEN_SILENCE}, {.reply = OK_REPLY}};
  struct clo_request request;
  unsigned long queued, running, pausing;
  scene_open(script, COUNT(script));
  answer_in("queued");
  answer_in("pausing");
  queued = submit_in("queued");
  running = submit_in("running");
  step_until_taken(3);
  request = request_in("pausing");
  request.delay = 100;
  pausing = submit(&request);
  use_many("lead");
  assert_int_equal(group_count(), MOST);
  assert_cancelled(queued);
  assert_cancelled(running);
  assert_cancelled(pausing);
  /* Now they have none, and go as any other: their limits are forgotten. */
  use_many("task");
  assert_int_equal(group_count(), MOST);
  submit_in("queued");
  submit_in("pausing");
  clo_engine_step(engine, 1);
  assert_int_equal(queued_count(), 0);
}

/* A limit is forgotten if its group was not used for long, and not sooner. */
static void one_that_is_used_is_kept(void **state) {
  static const struct reaction script[] = {FULL("60"), {.reply = OK_REPLY}};
  struct clo_request request;
  char name[32];
  int i;
  scene_open(script, COUNT(script));
  answer_in("full");
  request = request_in("full");
  request.timeout = 5;
  for (i = 0; i < MORE; i++) {
    snprintf(name, sizeof name, "/lead/%d/", i);
    answer_in(name);
    if (i % 100 == 0 || i == MORE - 1) {
      struct clo_transfer *t = call(&request);
      assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
      release(t);
    }
  }
}

static void all_are_kept_while_they_have_calls(void **state) {
  static const struct reaction script[] = {{.reply = OK_REPLY}};
  struct clo_request request;
  char name[32];
  int i;
  scene_open(script, COUNT(script));
  for (i = 0; i < MORE; i++) {
    snprintf(name, sizeof name, "/lead/%d/", i);
    request = request_in(name);
    request.delay = 100;
    submit(&request);
  }
  assert_int_equal(group_count(), MORE);
  assert_works("POST", BODY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_limit_holds_its_own_group),
      TEST(a_call_of_another_group_is_due_at_once),
      TEST(the_first_reset_is_the_deadline),
      TEST(only_so_many_are_kept),
      TEST(one_that_is_used_is_kept),
      TEST(all_are_kept_while_they_have_calls),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
