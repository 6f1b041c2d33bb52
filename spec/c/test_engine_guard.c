/* The guard over a POST: however a connection ends, the server never receives a
 * body twice, and the outcome is right. */
#include "clo_libcurl.h"
#include "drive.h"

#define BODY "{\"text\": \"only once\"}"
#define OTHER "{\"text\": \"the one before\"}"

enum { LARGE = 16 * 1024 * 1024 }; /* more than the kernel's buffers hold */

static const char *large_body(void) {
  static char body[LARGE + 1];
  memset(body, 'x', LARGE);
  return body;
}

/* ---- the fault itself, so that these tests are known to see it ---- */

static size_t ignore(char *bytes, size_t size, size_t n, void *unused) {
  (void)bytes;
  (void)unused;
  return size * n;
}

static void plain_post(CURL *easy, const char *body) {
  curl_easy_setopt(easy, CURLOPT_URL, scene_url("/"));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 5000L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_perform(easy);
}

/* The first connection's second request is read, and never answered. */
static const struct reaction reads_and_closes[] = {
    {.reply = OK_REPLY}, {.then = THEN_CLOSE}, {.reply = OK_REPLY}};
static const struct reaction reads_and_resets[] = {
    {.reply = OK_REPLY}, {.then = THEN_RESET}, {.reply = OK_REPLY}};

static void libcurl_alone_sends_twice(void **state) {
  CURL *easy;
  scene_open(reads_and_closes, COUNT(reads_and_closes));
  easy = curl_easy_init();
  assert_non_null(easy);
  plain_post(easy, OTHER);
  plain_post(easy, BODY);
  curl_easy_cleanup(easy);
  assert_int_equal(server_copies(server, OTHER, strlen(OTHER)), 1);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 2);
}

/* ---- the same, and worse, done to the engine ---- */

/* A first call is answered; the second one meets what the script says. */
static struct clo_transfer *second_call(const struct reaction *script,
                                        size_t count, const char *method,
                                        const char *body, int retries) {
  struct clo_request request;
  scene_open(script, count);
  assert_works("POST", OTHER);
  request = request_of(method, body);
  request.max_retries = retries;
  return call(&request);
}

static void assert_unknown_with_one_copy(const struct clo_transfer *t) {
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_CONNECTION);
  assert_int_equal(t->end.body_left, t->body.len);
  assert_true(strlen(t->message) > 0 && !strstr(t->message, "seek"));
  assert_null(strstr(t->message, "callback"));
  assert_int_equal(server_copies(server, t->body.data, t->body.len), 1);
}

static void assert_nothing_after(size_t requests) {
  nap(0.05);
  assert_int_equal(server_counts(server).begun, requests);
}

static void read_and_closed(void **state) {
  assert_unknown_with_one_copy(second_call(
      reads_and_closes, COUNT(reads_and_closes), "POST", BODY, 3));
  assert_nothing_after(2);
}

static void read_and_reset(void **state) {
  assert_unknown_with_one_copy(second_call(
      reads_and_resets, COUNT(reads_and_resets), "POST", BODY, 3));
  assert_nothing_after(2);
}

/* libcurl would repeat the request, but cannot connect any more. It has
 * forgotten by then how much it had sent. */
static void read_and_closed_by_a_server_that_is_gone(void **state) {
  struct clo_request request;
  scene_open(reads_and_closes, COUNT(reads_and_closes));
  assert_works("POST", OTHER);
  server_refuse(server);
  request = request_of("POST", BODY);
  request.max_retries = 3;
  assert_unknown_with_one_copy(call(&request));
}

static void large_read_and_closed(void **state) {
  const char *body = large_body();
  assert_unknown_with_one_copy(second_call(
      reads_and_closes, COUNT(reads_and_closes), "POST", body, 3));
}

/* On a new connection there is nothing for libcurl to repair. */
static void read_and_closed_at_the_first_call(void **state) {
  struct clo_request request;
  scene_open(reads_and_closes + 1, COUNT(reads_and_closes) - 1);
  request = request_of("POST", BODY);
  request.max_retries = 3;
  assert_unknown_with_one_copy(call(&request));
}

/* There is no body to refuse to rewind: such a POST needs a guard too. */
static void without_body_read_and_closed(void **state) {
  struct clo_transfer *t = second_call(
      reads_and_closes, COUNT(reads_and_closes), "POST", NULL, 3);
  assert_int_equal(server_copies(server, "", 0), 1);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
}

/* A PUT may be repeated, but by the engine, which counts. */
static void a_put_is_repeated_by_the_engine(void **state) {
  struct clo_transfer *t = second_call(
      reads_and_closes, COUNT(reads_and_closes), "PUT", BODY, 3);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 2);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 2);
}

/* A second one may be answered 404, by the work of the first. */
static void a_delete_is_repeated_by_the_engine(void **state) {
  struct clo_transfer *t = second_call(
      reads_and_closes, COUNT(reads_and_closes), "DELETE", NULL, 3);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 2);
  assert_int_equal(t->unknown, 1);
}

/* Its handle had another URL before, and libcurl needs this one twice. */
static void a_get_is_repeated_by_libcurl_at_its_own_url(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  size_t i;
  scene_open(reads_and_closes, COUNT(reads_and_closes));
  assert_works("POST", OTHER);
  request = request_of("GET", NULL);
  request.url = scene_url("/other?a=b");
  t = call(&request);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  for (i = 1; i < 3; i++)
    assert_non_null(strstr(server_taken(server, i)->head, "GET /other?a=b "));
}

/* Unless the caller says that a repeat does harm. */
static void a_get_that_may_do_harm_is_not_repeated(void **state) {
  struct clo_request request;
  scene_open(reads_and_closes, COUNT(reads_and_closes));
  assert_works("POST", OTHER);
  request = request_of("GET", NULL);
  request.repeatable = 0;
  request.max_retries = 3;
  assert_end(call(&request), CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_nothing_after(2);
}

/* Over HTTP/2 libcurl may send more of a body that it has than it counts. If it
 * reads it, it is known how much it has read. */
static void where_there_may_be_http2_the_body_is_read(void **state) {
  static const struct reaction answer[] = {{.reply = OK_REPLY}};
  struct clo_config config = scene_config();
  struct clo_transfer *t;
  config.http2 = 1;
  scene_open_with(&config, answer, 1);
  t = call_of("POST", BODY);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_false(t->is_given);
  assert_int_equal(t->body_read, strlen(BODY));
}

/* A larger body than one record of TLS may leave in parts. */
static void a_large_body_is_read(void **state) {
  static const struct reaction answer[] = {{.reply = OK_REPLY}};
  static char body[16384 + 2];
  struct clo_transfer *t;
  memset(body, 'x', sizeof body - 1);
  scene_open(answer, 1);
  t = call_of("POST", body);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_false(t->is_given);
  release(t);
  body[16384] = '\0';
  t = call_of("POST", body);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(t->is_given, clo_libcurl_counts_all());
}

static void ended_after_the_headers(void **state) {
  static const enum server_then ends[] = {THEN_CLOSE, THEN_RESET};
  size_t i;
  for (i = 0; i < COUNT(ends); i++) {
    struct reaction script[] = {{.reply = OK_REPLY},
                                {.when = AT_HEADERS, .then = ends[i]},
                                {.reply = OK_REPLY}};
    row(i ? "reset" : "closed");
    assert_honest(second_call(script, COUNT(script), "POST", BODY, 0));
    scene_close(state);
  }
}

static void assert_not_sent_partly(const struct clo_transfer *t) {
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_true(t->end.body_left > 0 && t->end.body_left < t->end.body_len);
  assert_int_equal(server_copies(server, t->body.data, t->body.len), 0);
  assert_int_equal(server_counts(server).begun, 2);
}

/* The headers leave before the body, so at their end libcurl may still begin
 * again. */
static void a_large_body_ended_on_its_way(void **state) {
  static const enum server_then ends[] = {THEN_CLOSE, THEN_RESET};
  static const enum server_when whens[] = {AT_HEADERS, AT_HALF};
  const char *body = large_body();
  struct clo_transfer *t;
  size_t i;
  for (i = 0; i < 4; i++) {
    struct reaction script[] = {{.reply = OK_REPLY},
                                {.when = whens[i / 2], .then = ends[i % 2]},
                                {.reply = OK_REPLY}};
    row("%s, %s", i / 2 ? "at half" : "at the headers",
        i % 2 ? "reset" : "closed");
    t = second_call(script, COUNT(script), "POST", body, 3);
    if (i / 2 == 0 && t->end.status == 200)
      assert_honest(t);
    else
      assert_not_sent_partly(t);
    scene_close(state);
  }
}

/* Refused before it was read whole: Close created nothing. */
static void an_early_refusal_is_a_refusal(void **state) {
  static const struct reaction script[] = {
      {.reply = OK_REPLY},
      {.when = AT_HALF,
       .reply = REPLY("413 Too Large", "Connection: close\r\n", "0\r\n\r\n"),
       .then = THEN_SILENCE}};
  const char *body = large_body();
  struct clo_transfer *t =
      second_call(script, COUNT(script), "POST", body, 3);
  assert_end(t, CLO_OUTCOME_REJECTED, 413, 1);
  assert_int_equal(server_copies(server, body, LARGE), 0);
}

/* ---- a kept connection that ends while nobody uses it ---- */

/* Without the descriptor for all sockets, and with it from before the
 * connection or after it. */
static void closed_while_idle(void **state) {
  static const struct reaction script[] = {{.reply = OK_REPLY}};
  int i;
  for (i = 0; i < 6; i++) {
    row("reset %d, descriptor %d", i % 2, i / 2);
    scene_open(script, COUNT(script));
    if (i / 2 == 1) clo_engine_descriptor(engine);
    assert_works("POST", OTHER);
    if (i / 2 == 2) clo_engine_descriptor(engine);
    server_hang_up(server, i % 2);
    assert_works("POST", BODY);
    assert_int_equal(server_copies(server, BODY, strlen(BODY)), 1);
    assert_int_equal(server_counts(server).connections, 2);
    scene_close(state);
  }
}

/* A server sends a second answer right behind the first. libcurl's buffer ends
 * between them; and a call waits, which could have that connection at once. */
static void what_follows_an_answer_is_nobody_s(void **state) {
  enum { BUFFER = 16384 };
  static const char stray[] = REPLY("201 Created", "", "2\r\n\r\n[]");
  static char reply[BUFFER + sizeof stray];
  static const struct reaction script[] = {{.reply = reply, .delay = 0.3},
                                           {.reply = OK_REPLY}};
  struct clo_transfer *t;
  int head = sprintf(reply, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                     BUFFER - 42);
  assert_int_equal(head, 42);
  memset(reply + head, ' ', BUFFER - 42);
  strcpy(reply + BUFFER, stray);
  scene_open(script, COUNT(script));
  submit_posts(1);
  step_until_taken(1);
  server_await_sent(server, strlen(reply));
  submit_posts(1);
  clo_engine_step(engine, 1);
  t = until_done();
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(t->answer.len, BUFFER - 42);
  release(t);
  t = until_done();
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(t->answer.len, 2);
  assert_int_equal(server_counts(server).taken, 2);
}

/* The close and the request cross on their way, at many moments. */
static void closed_at_about_the_same_time(void **state) {
  int i;
  for (i = 0; i < 60; i++) {
    struct reaction script[] = {
        {.reply = OK_REPLY, .then = i % 2 ? THEN_CLOSE : THEN_RESET},
        {.reply = OK_REPLY}};
    row("%s after %d us", i % 2 ? "closed" : "reset", i * 10);
    script[0].linger = (unsigned)i * 10;
    assert_honest(second_call(script, COUNT(script), "POST", BODY, i % 3));
    scene_close(state);
  }
}

/* Many kept connections end at once, with a call on each. */
static void many_read_and_closed(void **state) {
  enum { CALLS = 6 };
  struct reaction script[2 * CALLS + 1] = {{.reply = NULL}};
  char bodies[CALLS][32];
  size_t i, round;
  for (i = 0; i < COUNT(script); i++) {
    script[i].reply = i < CALLS || i == 2 * CALLS ? OK_REPLY : NULL;
    script[i].then = i < CALLS || i == 2 * CALLS ? THEN_KEEP : THEN_CLOSE;
    script[i].delay = 0.02; /* so that each call has its own connection */
  }
  scene_open(script, COUNT(script));
  for (round = 0; round < 2; round++) {
    for (i = 0; i < CALLS; i++) {
      struct clo_request request = request_of("POST", bodies[i]);
      strcpy(bodies[i], "{\"call\": 0, \"round\": 0}");
      bodies[i][9] = (char)('0' + i);
      bodies[i][21] = (char)('0' + round);
      request.body_len = strlen(bodies[i]);
      request.max_retries = 3;
      submit(&request);
    }
    for (i = 0; i < CALLS; i++) {
      struct clo_transfer *t = until_done();
      if (round == 1)
        assert_unknown_with_one_copy(t);
      else
        assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
      release(t);
    }
  }
  assert_int_equal(server_counts(server).begun, 2 * CALLS);
}

/* ---- answers that come before the body has left ---- */

static struct clo_transfer *answered_early(const char *reply,
                                           enum server_then then) {
  struct reaction script[] = {{.when = AT_HEADERS, .linger = 50000}};
  struct clo_request request;
  script[0].reply = reply;
  script[0].then = then;
  scene_open(script, 1);
  request = request_of("POST", large_body());
  request.timeout = 0.5;
  return call(&request);
}

/* A 2xx is a success where all of it came, and never "not sent". */
static void an_early_answer_is_what_it_says(void **state) {
  static const struct {
    const char *reply;
    int status;
    enum clo_outcome outcome;
  } cases[] = {
      {OK_REPLY, 200, CLO_OUTCOME_ANSWERED},
      {REPLY("200 OK", "", "9\r\n\r\n{}"), 200, CLO_OUTCOME_UNKNOWN},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 200,
       CLO_OUTCOME_UNKNOWN},
      {REPLY("413 Large", "", "2\r\n\r\n{}"), 413, CLO_OUTCOME_REJECTED},
      {REPLY("503 Oops", "", "2\r\n\r\n{}"), 503, CLO_OUTCOME_NOT_SENT},
      {REPLY("307 There", "", "2\r\n\r\n{}"), 307, CLO_OUTCOME_NOT_SENT},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", 0, CLO_OUTCOME_NOT_SENT},
  };
  static const enum server_then ends[] = {THEN_CLOSE, THEN_RESET, THEN_SILENCE};
  size_t i;
  for (i = 0; i < COUNT(cases) * COUNT(ends); i++) {
    struct clo_transfer *t;
    if (i > 2 && ends[i % 3] == THEN_SILENCE) continue; /* takes its time */
    row("%s, end %zu", cases[i / 3].reply, i % 3);
    t = answered_early(cases[i / 3].reply, ends[i % 3]);
    /* A reset may overtake what was sent before it; to close a socket with
     * unread bytes makes one, too. */
    if (ends[i % 3] == THEN_SILENCE || t->end.status != 0)
      assert_end(t, cases[i / 3].outcome, cases[i / 3].status, 1);
    if (clo_policy_outcome(&t->end) == CLO_OUTCOME_ANSWERED) {
      assert_memory_equal(t->answer.data, "{}", t->answer.len);
      assert_int_equal(t->code, CURLE_OK);
    }
    scene_close(state);
  }
}

static void an_early_answer_that_is_cancelled_is_unknown(void **state) {
  static const struct reaction script[] = {
      {.when = AT_HEADERS, .reply = OK_REPLY, .then = THEN_SILENCE}};
  struct clo_request request;
  unsigned long id;
  scene_open(script, 1);
  request = request_of("POST", large_body());
  id = submit(&request);
  step_until_begun(1);
  server_await_sent(server, strlen(OK_REPLY));
  clo_engine_wait(engine, 0.1);
  clo_engine_step(engine, 0.1);
  clo_engine_cancel(engine, id);
  assert_end(until_done(), CLO_OUTCOME_UNKNOWN, 200, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(libcurl_alone_sends_twice),
      TEST(read_and_closed),
      TEST(read_and_reset),
      TEST(read_and_closed_by_a_server_that_is_gone),
      TEST(large_read_and_closed),
      TEST(read_and_closed_at_the_first_call),
      TEST(without_body_read_and_closed),
      TEST(a_put_is_repeated_by_the_engine),
      TEST(a_delete_is_repeated_by_the_engine),
      TEST(a_get_is_repeated_by_libcurl_at_its_own_url),
      TEST(a_get_that_may_do_harm_is_not_repeated),
      TEST(where_there_may_be_http2_the_body_is_read),
      TEST(a_large_body_is_read),
      TEST(ended_after_the_headers),
      TEST(a_large_body_ended_on_its_way),
      TEST(an_early_answer_is_what_it_says),
      TEST(an_early_answer_that_is_cancelled_is_unknown),
      TEST(an_early_refusal_is_a_refusal),
      TEST(closed_while_idle),
      TEST(what_follows_an_answer_is_nobody_s),
      TEST(closed_at_about_the_same_time),
      TEST(many_read_and_closed),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
