/* libcurl lacks memory at any moment of a call: the call ends in its time, with
 * an outcome that is true, and the engine works again. libcurl gets its memory
 * from our wrapped functions, so that what fails is its allocations and ours.
 * */
#include "alloc.h"
#include "drive.h"

#define BODY "{\"text\": \"scarce\"}"

static const struct reaction answers[] = {{.reply = OK_REPLY}};

static struct clo_config config;

/* Without cmocka's assertions while memory is short: those allocate. */
static int ends(void) {
  double until = clock_now() + 3; /* less than any timeout of theirs */
  while (pending_count() > 0) {
    if (clock_now() > until) return 0;
    clo_engine_wait(engine, 1);
    clo_engine_step(engine, 0.01);
  }
  return 1;
}

/* libcurl also says that it could not connect or look a host up; and before 8.6
 * that a header may have been too long. */
static int is_of_memory(const struct clo_transfer *t) {
  return t->end.cause == CLO_CAUSE_MEMORY ||
         t->end.cause == CLO_CAUSE_CONNECTION ||
         strstr(t->message, "or there was no memory for it") != NULL;
}

/* What was taken whole says whether each outcome is true; a call that may be
 * repeated may be taken twice. */
static void assert_told_honestly(size_t taken) {
  struct clo_transfer *t;
  while ((t = clo_engine_done(engine))) {
    enum clo_outcome is = clo_policy_outcome(&t->end);
    int is_post = strcmp(t->method, "POST") == 0;
    if ((is_post && taken > 1) || (is == CLO_OUTCOME_ANSWERED && !taken) ||
        (is == CLO_OUTCOME_NOT_SENT && is_post && taken))
      fail_msg("outcome %d, and the server has taken %zu", is, taken);
    assert_true(is == CLO_OUTCOME_ANSWERED || strlen(t->message) > 0);
    assert_true(is == CLO_OUTCOME_ANSWERED || is_of_memory(t));
    release(t);
  }
}

/* ---- what is asked of the engine ---- */

static void submit_one(void) {
  struct clo_request request = request_of("POST", BODY);
  request.auth = CLO_AUTH_BASIC;
  request.secret = "api_1";
  clo_engine_submit(engine, &request);
}

static void submit_form(void) {
  static const struct clo_form_field field = {"key", "value", 5};
  struct clo_form form = {&field, 1, "a.png", "image/png"};
  struct clo_request request = request_of("POST", "bytes of a file");
  request.form = &form;
  clo_engine_submit(engine, &request);
}

static void submit_three(void) {
  struct clo_request request = request_of("GET", NULL);
  size_t i;
  for (i = 0; i < 3; i++) clo_engine_submit(engine, &request);
}

static void submit_put_again(void) {
  struct clo_request request = request_of("PUT", BODY);
  request.max_retries = 1;
  clo_engine_submit(engine, &request);
}

/* ---- any allocation fails ---- */

/* Returns whether the failure was reached. warm: in an engine that has made a
 * call before. */
static int lives_through(size_t nth, void (*ask)(void), int warm,
                         void (*starve)(size_t)) {
  size_t count;
  int ended = 1;
  server = server_start(answers, 1);
  if (warm) {
    engine = clo_engine_new(&config, why);
    assert_works("POST", "{\"text\": \"first\"}");
  }
  starve(nth);
  if (!warm) engine = clo_engine_new(&config, why);
  if (engine) {
    ask();
    ended = ends();
  }
  count = alloc_count();
  alloc_fail(0);
  if (!ended) fail_msg("allocation %zu fails and a call does not end", nth);
  if (engine) {
    assert_told_honestly(server_counts(server).taken - (size_t)warm);
    assert_works("POST", "{\"text\": \"enough again\"}");
  }
  return count >= nth;
}

/* Fails every stride-th one; all of them where the environment asks for it. */
static void live(void **state, void (*ask)(void), int warm,
                 void (*starve)(size_t), size_t stride) {
  size_t nth = 1;
  int reached = 1;
  if (getenv("CLO_SPEC_TORTURE")) stride = 1;
  config = scene_config();
  for (; reached; nth += stride) {
    reached = lives_through(nth, ask, warm, starve);
    scene_close(state);
    assert_true(nth < 5000);
  }
  if (getenv("CLO_SPEC_TORTURE"))
    print_message("%zu allocations failed\n", (nth - 1) / stride);
  assert_true(nth > 10); /* it was about something */
}

static void in_a_first_call(void **state) {
  live(state, submit_one, 0, alloc_fail, 1);
}

static void in_a_kept_connection(void **state) {
  live(state, submit_one, 1, alloc_fail, 1);
}

static void in_a_form(void **state) {
  live(state, submit_form, 1, alloc_fail, 2);
}

static void in_many_calls(void **state) {
  live(state, submit_three, 0, alloc_fail, 7);
}

static void in_a_call_that_may_be_repeated(void **state) {
  live(state, submit_put_again, 1, alloc_fail, 1);
}

static void from_any_moment_on(void **state) {
  live(state, submit_one, 0, alloc_fail_from, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(in_a_first_call),
      TEST(in_a_kept_connection),
      TEST(in_a_form),
      TEST(in_many_calls),
      TEST(in_a_call_that_may_be_repeated),
      TEST(from_any_moment_on),
  };
  alloc_give_to_curl();
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
