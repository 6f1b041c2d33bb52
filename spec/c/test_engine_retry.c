/* clo_engine tries again what may be tried again, as often and as soon as the
 * call and the answer allow. */
#include "clo_libcurl.h"
#include "drive.h"

#define BODY "{\"text\": \"again\"}"
#define LIMITED(headers) \
  { .reply = REPLY("429 Too Many Requests", headers, "2\r\n\r\n{}") }
#define FAILED(headers) \
  { .reply = REPLY("503 Unavailable", headers, "0\r\n\r\n") }

/* One call, in a scene of its own, with three retries. */
static struct clo_transfer *tried(const struct reaction *script, size_t count,
                                  const char *method) {
  struct clo_config config = scene_config();
  struct clo_request request;
  config.events = 1;
  scene_open_with(&config, script, count);
  request = request_of(method, method[0] == 'P' ? BODY : NULL);
  request.max_retries = 3;
  return call(&request);
}

/* Of a call that goes against its method. */
static struct clo_transfer *told(const struct reaction *script, size_t count,
                                 const char *method, int repeatable,
                                 int max_retries) {
  struct clo_request request;
  scene_open(script, count);
  request = request_of(method, BODY);
  request.max_retries = max_retries;
  request.repeatable = repeatable;
  return call(&request);
}

/* ---- what was not sent ---- */

static void address_without_a_server(struct clo_request *request) {
  static char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%d/", server_refusing_port());
  request->url = url;
}

static const struct reaction answers[] = {{.reply = OK_REPLY}};

static void a_refused_connection_is_tried_again(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  address_without_a_server(&request);
  request.max_retries = 2;
  t = call(&request);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 3);
  assert_int_equal(t->end.cause, CLO_CAUSE_CONNECTION);
  assert_int_equal(t->code, CURLE_COULDNT_CONNECT);
  assert_true(strlen(t->message) > 0);
}

static void no_retry_without_leave(void **state) {
  struct clo_request request;
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  address_without_a_server(&request);
  assert_end(call(&request), CLO_OUTCOME_NOT_SENT, 0, 1);
}

/* Such a call has no body of which some bytes could have left. */
static void a_delete_that_was_not_connected_is_not_sent(void **state) {
  struct clo_request request;
  scene_open(answers, 1);
  request = request_of("DELETE", NULL);
  address_without_a_server(&request);
  assert_end(call(&request), CLO_OUTCOME_NOT_SENT, 0, 1);
}

static void retries_stop_at_the_deadline(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  address_without_a_server(&request);
  request.max_retries = 1000;
  request.timeout = 0.6;
  t = call(&request);
  assert_int_equal(clo_policy_outcome(&t->end), CLO_OUTCOME_NOT_SENT);
  assert_true(t->attempts >= 2);
  assert_true(seconds_taken(t) < 2);
}

static void a_connection_reset_before_the_request(void **state) {
  static const struct reaction script[] = {
      {.when = AT_ACCEPT, .then = THEN_RESET}, {.reply = OK_REPLY}};
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(script, COUNT(script));
  request = request_of("POST", BODY);
  request.max_retries = 3;
  submit(&request);
  clo_engine_step(engine, 1); /* connects; */
  server_await_begun(server, 1);
  nap(0.01); /* by now it is reset, before libcurl knows */
  t = until_done();
  /* An old one may have sent all of it in that step, which nobody can tell. */
  if (clo_libcurl_is_old() && t->attempts == 1) {
    assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
    return;
  }
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 2);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 1);
}

/* ---- proxies ---- */

/* One call through the scene's server as a proxy, of the scheme. */
static struct clo_transfer *through(const char *scheme,
                                    const struct reaction *script,
                                    size_t count) {
  static char proxy[64];
  struct clo_config config = scene_config();
  struct clo_request request;
  server = server_start(script, count);
  snprintf(proxy, sizeof proxy, "%s://me:wrong@127.0.0.1:%d", scheme,
           server_port(server));
  config.proxy = proxy;
  engine = clo_engine_new(&config, why);
  assert_non_null(engine);
  request = request_of("POST", BODY);
  request.url = "https://127.0.0.1:9/api/v1/activity/sms/";
  request.max_retries = 1;
  return call(&request);
}

#define REFUSED(status) {.reply = REPLY(status, "", "0\r\n\r\n")}

static void a_proxy_that_refuses_is_asked_once(void **state) {
  static const struct {
    struct reaction reaction;
    const char *scheme;
    enum clo_cause cause;
    int attempts;
  } cases[] = {
      {REFUSED("407 Who"), "http", CLO_CAUSE_PROXY_AUTH, 1},
      {REFUSED("403 No"), "http", CLO_CAUSE_PROXY, 1},
      {REFUSED("408 Late"), "http", CLO_CAUSE_CONNECTION, 2},
      {REFUSED("429 Slow"), "http", CLO_CAUSE_CONNECTION, 2},
      {REFUSED("502 Gone"), "http", CLO_CAUSE_CONNECTION, 2},
      {{.reply = "\5\377", .when = AT_ACCEPT}, "socks5",
       CLO_CAUSE_PROXY_AUTH, 1},
      {{.reply = "\5\2\1\1", .when = AT_ACCEPT}, "socks5",
       CLO_CAUSE_PROXY_AUTH, 1},
      {{.reply = "\5\2\1", .when = AT_ACCEPT, .then = THEN_CLOSE}, "socks5",
       CLO_CAUSE_CONNECTION, 2},
  };
  size_t i;
  for (i = 0; i < COUNT(cases); i++) {
    struct clo_transfer *t = through(cases[i].scheme, &cases[i].reaction, 1);
    row("case %zu, %s: %d, %s", i, cases[i].scheme, t->code, t->message);
    assert_int_equal(t->end.cause, cases[i].cause);
    assert_end(t, CLO_OUTCOME_NOT_SENT, 0, cases[i].attempts);
    assert_int_equal(server_counts(server).connections, cases[i].attempts);
    assert_non_null(strstr(t->message, cases[i].attempts == 1 ? "prox" : ""));
    assert_null(strstr(t->message, "wrong"));
    scene_close(state);
  }
}

/* What a proxy said to one call is not taken for the next one's. */
static void a_proxy_s_answer_is_forgotten(void **state) {
  static const struct reaction script[] = {REFUSED("407 Who"),
                                           {.then = THEN_RESET},
                                           {.then = THEN_CLOSE}};
  struct clo_transfer *t = through("http", script, COUNT(script));
  struct clo_request request = request_of("POST", BODY);
  assert_int_equal(t->end.cause, CLO_CAUSE_PROXY_AUTH);
  release(t);
  request.url = "https://127.0.0.1:9/";
  request.max_retries = 1;
  t = call(&request);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 2);
  assert_int_equal(t->end.cause, CLO_CAUSE_CONNECTION);
}

/* ---- 429 ---- */

static void assert_answered_at_the_second(const struct reaction *script,
                                          double from, double to) {
  struct clo_transfer *t = tried(script, 2, "POST");
  double wait = clo_engine_event(engine)->retry_in;
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 2);
  assert_int_equal(server_counts(server).taken, 2);
  if (wait < from - 1e-9 || wait > to + 1e-9) fail_msg("it waits %g s", wait);
  assert_true(seconds_taken(t) >= wait);
}

static void a_429_is_tried_again_when_it_says(void **state) {
  static const struct {
    struct reaction limited;
    double from, to;
  } cases[] = {
      {LIMITED("RateLimit: limit=1, remaining=0, reset=0.3\r\n"), 0.3, 0.3},
      {LIMITED("Retry-After: 1\r\n"
               "ratelimit: limit=1, remaining=0, reset=0.3\r\n"), 0.3, 0.3},
      /* no less than the backoff, whatever it says */
      {LIMITED(""), 0.125, 0.25},
      {LIMITED("Retry-After: 0\r\n"), 0.125, 0.25},
      {LIMITED("Retry-After: soon\r\n"), 0.125, 0.25},
      {LIMITED("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 0.125, 0.25},
      {LIMITED("RateLimit: limit=1, remaining=0, reset=0\r\n"), 0.125, 0.25},
      {LIMITED("RateLimit: limit=1, reset=\r\nRetry-After: 0\r\n"), 0.125,
       0.25},
  };
  size_t i;
  for (i = 0; i < COUNT(cases); i++) {
    struct reaction script[] = {{.reply = NULL}, {.reply = OK_REPLY}};
    row("%s", cases[i].limited.reply);
    script[0] = cases[i].limited;
    assert_answered_at_the_second(script, cases[i].from, cases[i].to);
    scene_close(state);
  }
}

static void a_429_past_the_deadline_ends_at_once(void **state) {
  static const struct reaction script[] = {LIMITED("Retry-After: 30\r\n"),
                                           {.reply = OK_REPLY}};
  struct clo_transfer *t = tried(script, COUNT(script), "POST");
  assert_end(t, CLO_OUTCOME_REJECTED, 429, 1);
  assert_true(t->server_delay == 30);
  assert_true(seconds_taken(t) < 2);
  assert_int_equal(t->answer.len, 2);
}

/* A duration that cannot be one: the call ends, and the group is not lost. The
 * date is one that a time_t of 32 bits can hold. */
static void a_429_asks_for_a_minute_at_most(void **state) {
  static const struct reaction cases[] = {
      LIMITED("Retry-After: 1764086400\r\n"),
      LIMITED("Retry-After: 1764086400000\r\n"),
      LIMITED("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
              "Retry-After: Thu, 31 Dec 2037 23:59:59 GMT\r\n"),
      LIMITED("RateLimit: limit=1, remaining=0, reset=1764086400\r\n"),
      LIMITED("RateLimit: limit=1, remaining=0, reset=1764086400000\r\n"),
  };
  size_t i;
  for (i = 0; i < COUNT(cases); i++) {
    struct clo_transfer *t = tried(&cases[i], 1, "POST");
    row("%s", cases[i].reply);
    assert_end(t, CLO_OUTCOME_REJECTED, 429, 1);
    assert_true(t->server_delay == CLO_SERVER_DELAY_MAX);
    release(t);
    t = call_of("POST", BODY); /* the next one of the group */
    assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
    assert_true(t->server_delay > 50 &&
                t->server_delay <= CLO_SERVER_DELAY_MAX);
    scene_close(state);
  }
}

/* Many calls that are refused at once: the group waits as one, and asks once
 * before all of it goes on. */
static void many_refused_calls_make_no_storm(void **state) {
  static const struct reaction script[] = {LIMITED("Retry-After: 0\r\n")};
  struct clo_request request;
  double until;
  int i;
  scene_open(script, 1);
  request = request_of("POST", BODY);
  request.max_retries = 1000;
  request.timeout = 30;
  for (i = 0; i < 50; i++) submit(&request);
  until = clock_now() + 0.6;
  while (clock_now() < until ||
         (server_counts(server).taken < 9 && clock_now() < until + 5)) {
    clo_engine_wait(engine, 0.05);
    clo_engine_step(engine, 0.01);
  }
  /* Those that were in flight, and a probe after each pause. */
  assert_true(server_counts(server).taken >= 9);
  assert_true(server_counts(server).taken <= 8 + 5);
}

static void a_429_for_ever_ends_with_the_retries(void **state) {
  static const struct reaction script[] = {LIMITED("Retry-After: 0\r\n")};
  struct clo_transfer *t = told(script, COUNT(script), "POST", -1, 2);
  assert_end(t, CLO_OUTCOME_REJECTED, 429, 3);
  assert_int_equal(server_counts(server).taken, 3);
  assert_true(t->server_delay == 0);
}

/* ---- other answers ---- */

static void a_5xx_repeats_what_may_be_repeated(void **state) {
  static const struct reaction script[] = {
      FAILED("Retry-After: 0\r\n"), {.reply = OK_REPLY}};
  static const char *const once[] = {"POST", "PATCH"};
  static const char *const methods[] = {"PUT", "GET", "DELETE"};
  size_t i;
  for (i = 0; i < COUNT(once); i++) {
    row("%s", once[i]);
    assert_end(tried(script, COUNT(script), once[i]), CLO_OUTCOME_UNKNOWN, 503,
               1);
    assert_int_equal(server_counts(server).taken, 1);
    scene_close(state);
  }
  for (i = 0; i < COUNT(methods); i++) {
    row("%s", methods[i]);
    assert_end(tried(script, COUNT(script), methods[i]), CLO_OUTCOME_ANSWERED,
               200, 2);
    assert_int_equal(server_counts(server).taken, 2);
    scene_close(state);
  }
}

static void a_call_may_say_whether_it_is_repeatable(void **state) {
  static const struct reaction script[] = {FAILED("Retry-After: 0\r\n"),
                                           {.reply = OK_REPLY}};
  assert_end(told(script, COUNT(script), "POST", 1, 3), CLO_OUTCOME_ANSWERED,
             200, 2);
  scene_close(state);
  assert_end(told(script, COUNT(script), "PUT", 0, 3), CLO_OUTCOME_UNKNOWN,
             503, 1);
}

static void attempts_that_may_have_acted_are_counted(void **state) {
  static const struct reaction script[] = {
      FAILED("Retry-After: 0\r\n"), LIMITED("Retry-After: 0\r\n"),
      {.then = THEN_CLOSE}, {.reply = REPLY("400 Bad", "", "0\r\n\r\n")}};
  static const struct reaction fine[] = {{.reply = OK_REPLY}};
  struct clo_transfer *t = told(script, COUNT(script), "PUT", -1, 3);
  assert_end(t, CLO_OUTCOME_REJECTED, 400, 4);
  assert_int_equal(t->unknown, 2);
  release(t);
  t = call_of("PUT", BODY); /* the count is the call's */
  assert_int_equal(t->unknown, 0);
  scene_close(state);
  t = told(fine, 1, "PUT", -1, 3);
  assert_int_equal(t->unknown, 0);
}

static void a_call_may_begin_later(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  request.delay = 0.2;
  submit(&request);
  clo_engine_step(engine, 1);
  assert_int_equal(pending_count(), 1);
  assert_true(clo_engine_deadline(engine) > 0);
  assert_int_equal(server_counts(server).taken, 0);
  t = until_done();
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_true(seconds_taken(t) >= 0.2);
}

/* The end of one pause neither ends another nor makes it be forgotten. */
static void each_pause_has_its_own_end(void **state) {
  struct clo_request request;
  int i;
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  for (i = 3; i >= 1; i--) {
    request.delay = 0.2 * i;
    submit(&request);
  }
  for (i = 1; i <= 3; i++) {
    struct clo_transfer *t = until_done();
    assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
    assert_true(seconds_taken(t) >= 0.2 * i);
    release(t);
  }
}

/* Those that failed together do not come back together. */
static void pauses_have_different_lengths(void **state) {
  struct clo_config config = scene_config();
  struct clo_request request;
  double least = 1, most = 0;
  int i;
  config.events = 1;
  scene_open_with(&config, answers, 1);
  request = request_of("POST", BODY);
  address_without_a_server(&request);
  request.max_retries = 1;
  for (i = 0; i < 8; i++) submit(&request);
  for (i = 0; i < 8; clo_engine_drop_event(engine)) {
    double pause;
    while (!clo_engine_event(engine)) {
      clo_engine_wait(engine, 1);
      clo_engine_step(engine, 0.01);
    }
    pause = clo_engine_event(engine)->retry_in;
    if (pause < 0) continue; /* a last attempt */
    if (pause < least) least = pause;
    if (pause > most) most = pause;
    i++;
  }
  assert_true(least >= 0.125 && least < most && most <= 0.25);
}

static void a_delay_ends_with_the_call(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(answers, 1);
  request = request_of("POST", BODY);
  request.delay = 60;
  request.timeout = 0.1;
  t = call(&request);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
  assert_int_equal(t->end.cause, CLO_CAUSE_TIMEOUT);
  release(t);
  request.timeout = 5;
  assert_true(clo_engine_cancel(engine, submit(&request)));
  t = until_done();
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 0);
}

static void the_last_answer_is_the_one_that_is_told(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("500 Oops", "X-A: 1\r\nRetry-After: 0\r\n",
                      "5\r\n\r\nfirst")},
      {.reply = REPLY("404 Gone", "X-B: 1\r\n", "4\r\n\r\nlast")}};
  struct clo_transfer *t = tried(script, COUNT(script), "GET");
  size_t len;
  assert_end(t, CLO_OUTCOME_REJECTED, 404, 2);
  assert_int_equal(t->answer.len, 4);
  assert_memory_equal(t->answer.data, "last", 4);
  assert_null(clo_transfer_header(t, "x-a", &len));
  assert_non_null(clo_transfer_header(t, "x-b", &len));
}

static void a_refusal_is_final(void **state) {
  static const char *const statuses[] = {"400 Bad", "401 Who", "404 None"};
  static const char *const methods[] = {"POST", "GET", "PUT"};
  size_t i;
  for (i = 0; i < COUNT(statuses) * COUNT(methods); i++) {
    const char *status = statuses[i / COUNT(methods)];
    struct reaction script[] = {{.reply = NULL}, {.reply = OK_REPLY}};
    char reply[64];
    row("%s, %s", methods[i % COUNT(methods)], status);
    snprintf(reply, sizeof reply, REPLY("%s", "", "0\r\n\r\n"), status);
    script[0].reply = reply;
    assert_int_equal(
        tried(script, COUNT(script), methods[i % COUNT(methods)])->attempts,
        1);
    scene_close(state);
  }
}

static void events_count_the_attempts(void **state) {
  static const struct reaction script[] = {LIMITED("Retry-After: 0\r\n"),
                                           {.reply = OK_REPLY}};
  const struct clo_event *event;
  struct clo_transfer *t = tried(script, COUNT(script), "POST");
  event = clo_engine_event(engine);
  assert_int_equal(event->attempt, 1);
  assert_int_equal(event->end.status, 429);
  assert_true(event->retry_in >= 0.125);
  clo_engine_drop_event(engine);
  event = clo_engine_event(engine);
  assert_int_equal(event->attempt, 2);
  assert_int_equal(event->end.status, 200);
  assert_true(event->retry_in == -1);
  /* It took no time before it began. */
  assert_true(event->seconds >= 0);
  assert_true(event->seconds <= seconds_taken(t) - 0.125);
  release(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_refused_connection_is_tried_again),
      TEST(no_retry_without_leave),
      TEST(a_delete_that_was_not_connected_is_not_sent),
      TEST(retries_stop_at_the_deadline),
      TEST(a_connection_reset_before_the_request),
      TEST(a_proxy_that_refuses_is_asked_once),
      TEST(a_proxy_s_answer_is_forgotten),
      TEST(a_429_is_tried_again_when_it_says),
      TEST(a_429_past_the_deadline_ends_at_once),
      TEST(a_429_asks_for_a_minute_at_most),
      TEST(many_refused_calls_make_no_storm),
      TEST(a_429_for_ever_ends_with_the_retries),
      TEST(a_5xx_repeats_what_may_be_repeated),
      TEST(a_call_may_say_whether_it_is_repeatable),
      TEST(attempts_that_may_have_acted_are_counted),
      TEST(a_call_may_begin_later),
      TEST(each_pause_has_its_own_end),
      TEST(pauses_have_different_lengths),
      TEST(a_delay_ends_with_the_call),
      TEST(the_last_answer_is_the_one_that_is_told),
      TEST(a_refusal_is_final),
      TEST(events_count_the_attempts),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
