/* What clo_engine makes of an answer's head: a status counts once its headers
 * are whole, and only a final one does. */
#include <time.h>

#include "drive.h"

#define BODY "{\"text\": \"head\"}"

static struct clo_transfer *answered(const char *reply, enum server_then then) {
  struct reaction script[] = {{.reply = NULL}};
  script[0].reply = reply;
  script[0].then = then;
  scene_open(script, 1);
  return call_of("POST", BODY);
}

static void interim_answers_do_not_count(void **state) {
  struct clo_transfer *t = answered(
      "HTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\nRateLimit: limit=1, "
      "remaining=0, reset=9\r\n\r\n"
      "HTTP/1.1 200 OK\r\nX-Late: 2\r\nContent-Length: 2\r\n\r\n{}",
      THEN_KEEP);
  size_t len;
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(t->answer.len, 2);
  assert_null(clo_transfer_header(t, "x-early", &len));
  assert_null(clo_transfer_header(t, "ratelimit", &len));
  assert_non_null(clo_transfer_header(t, "x-late", &len));
  release(t);
  assert_works("POST", BODY);
  assert_int_equal(server_counts(server).connections, 1);
}

static void an_answer_cut_short_is_unknown(void **state) {
  static const struct {
    const char *reply;
    int status;
  } cases[] = {
      {"H", 0},
      {"HTTP/1.1 400", 0},
      {"HTTP/1.1 400 Bad", 0},
      {"HTTP/1.1 400 Bad\r\n", 0},
      {"HTTP/1.1 400 Bad\r\nContent-Length: 2", 0},
      {"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n", 0},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", 0},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 200},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", 200},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", 200},
      {"HTTP/1.1 100 Continue\r\n\r\n", 0},
      {"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n", 0},
      {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 400 Bad\r\nA: b\r\n", 0},
  };
  static const enum server_then ends[] = {THEN_CLOSE, THEN_RESET};
  size_t i;
  for (i = 0; i < COUNT(cases) * 2; i++) {
    struct clo_transfer *t = answered(cases[i / 2].reply, ends[i % 2]);
    row("%s, %s", cases[i / 2].reply, i % 2 ? "reset" : "closed");
    /* A reset may overtake what was sent before it. */
    if (i % 2 == 0) assert_int_equal(t->end.status, cases[i / 2].status);
    assert_end(t, CLO_OUTCOME_UNKNOWN, t->end.status, 1);
    assert_int_equal(t->end.cause, CLO_CAUSE_CONNECTION);
    assert_true(strlen(t->message) > 0);
    assert_honest(t);
    scene_close(state);
  }
}

/* Its body is cut off, but not what matters. */
static void a_refusal_cut_short_is_one_all_the_same(void **state) {
  assert_end(answered("HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\n{\"e",
                      THEN_CLOSE),
             CLO_OUTCOME_REJECTED, 400, 1);
}

static void what_is_no_answer_is_a_protocol_error(void **state) {
  static const char *const replies[] = {
      "SSH-2.0-OpenSSH_9.2p1\r\n",
      "<html>nothing here</html>\r\n\r\n",
      "HTTP/9.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
  };
  size_t i;
  for (i = 0; i < COUNT(replies); i++) {
    struct clo_transfer *t = answered(replies[i], THEN_CLOSE);
    const char *kind = clo_policy_kind(t->end.cause, t->end.status);
    row("%s: %s", replies[i], t->message);
    assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
    assert_string_equal(kind, "protocol");
    assert_true(strlen(t->message) > 0);
    scene_close(state);
  }
}

static void every_2xx_is_an_answer(void **state) {
  static const char *const replies[] = {
      "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
  };
  size_t i;
  for (i = 0; i < COUNT(replies); i++) {
    struct clo_transfer *t = answered(replies[i], THEN_KEEP);
    row("%s", replies[i]);
    assert_int_equal(clo_policy_outcome(&t->end), CLO_OUTCOME_ANSWERED);
    assert_int_equal(t->answer.len, 0);
    scene_close(state);
  }
}

static void an_answer_may_end_with_its_connection(void **state) {
  struct clo_transfer *t =
      answered("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", THEN_CLOSE);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(t->answer.len, 2);
}

static void an_answer_may_come_in_chunks(void **state) {
  struct clo_transfer *t = answered(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1\r\n{\r\n1;a=b\r\n}\r\n0\r\nX-Last: 1\r\n\r\n",
      THEN_KEEP);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(t->answer.len, 2);
  assert_memory_equal(t->answer.data, "{}", 2);
  release(t);
  assert_works("GET", NULL);
}

static void trailers_are_no_headers(void **state) {
  static const struct reaction script[] = {
      {.reply = "HTTP/1.1 200 OK\r\nX-Long: one\r\n two\r\n"
                "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
                "X-Long: three\r\nRateLimit: limit=1, remaining=0, "
                "reset=9\r\n\r\n"},
      {.reply = OK_REPLY}};
  struct clo_transfer *t;
  size_t len;
  const char *value;
  scene_open(script, COUNT(script));
  t = call_of("POST", BODY);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  assert_int_equal(t->has_rate, 0);
  value = clo_transfer_header(t, "x-long", &len);
  assert_int_equal(len, 7);
  assert_memory_equal(value, "one two", 7);
  release(t);
  assert_works("POST", BODY); /* nothing holds it */
}

/* Many answers may together have more headers than one of them may. */
static void each_answer_has_the_room_for_its_headers(void **state) {
  static char reply[CLO_HEADERS_MAX];
  static struct reaction script[1];
  int i;
  strcpy(reply, "HTTP/1.1 200 OK\r\n");
  while (strlen(reply) < CLO_HEADERS_MAX / 2)
    strcat(reply, "X-Filler: 0123456789012345678901234567890123456789\r\n");
  strcat(reply, "Content-Length: 2\r\n\r\n{}");
  script[0].reply = reply;
  scene_open(script, 1);
  for (i = 0; i < 4; i++) assert_works("POST", BODY);
}

/* ---- how long an answer asks to wait ---- */

static void assert_asks(const char *headers, double from, double to) {
  char reply[2048];
  struct clo_transfer *t;
  snprintf(reply, sizeof reply,
           "HTTP/1.1 429 No\r\n%sContent-Length: 0\r\n\r\n", headers);
  t = answered(reply, THEN_KEEP);
  if (t->server_delay < from - 1e-9 || t->server_delay > to + 1e-9)
    fail_msg("%g s, after %s", t->server_delay, headers);
  scene_close(NULL);
}

#define RATE "RateLimit: limit=9, remaining=0"
#define NOV6 "Sun, 06 Nov 1994 08:49:"

static void a_header_may_come_in_several_lines(void **state) {
  assert_asks(RATE "\r\nRateLimit: reset=0.3\r\n", 0.3, 0.3);
  assert_asks(RATE "\r\nX: 1\r\nratelimit:reset=0.3\r\n", 0.3, 0.3);
  assert_asks(RATE ",\r\n reset=0.3\r\n", 0.3, 0.3);
  /* two whole ones say two things: */
  assert_asks(RATE ", reset=3\r\n" RATE ", reset=4\r\n", -1, -1);
  assert_asks(RATE ", reset=3\r\n" RATE ", reset=4\r\nRetry-After: 5\r\n", 5,
              5);
  assert_asks("Retry-After: 3\r\nRetry-After: 9\r\nRetry-After: 4\r\n", 9, 9);
  assert_asks("Retry-After: soon\r\nRetry-After: 4\r\n", 4, 4);
}

/* Longer than any real one. */
static void what_is_too_long_is_ignored(void **state) {
  char headers[1024] = RATE ", reset=3\r\nRateLimit: x=1";
  while (strlen(headers) < 700) strcat(headers, ", x=1");
  strcat(headers, "\r\n");
  assert_asks(headers, -1, -1);
  strcpy(headers, "Retry-After: Sun,");
  while (strlen(headers) < 100) strcat(headers, " ");
  strcat(headers, "06 Nov 1994 08:49:44 GMT\r\n");
  assert_asks(headers, -1, -1);
}

static void a_date_counts_from_the_answer_s_own(void **state) {
  char line[128];
  time_t soon = time(NULL) + 30;
  assert_asks("Date: " NOV6 "37 GMT\r\nRetry-After: " NOV6 "44 GMT\r\n", 7, 7);
  assert_asks("Date: " NOV6 "37 GMT\r\nRetry-After: " NOV6 "31 GMT\r\n", 0, 0);
  assert_asks("Retry-After: " NOV6 "44 GMT\r\n", 0, 0);
  strftime(line, sizeof line,
           "Date: never\r\nRetry-After: %a, %d %b %Y %H:%M:%S GMT\r\n",
           gmtime(&soon));
  assert_asks(line, 20, 30);
  strftime(line, sizeof line,
           "Date: " NOV6 "37 GMT\r\n"
           "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n",
           gmtime(&soon));
  assert_asks(line, CLO_SERVER_DELAY_MAX, CLO_SERVER_DELAY_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(interim_answers_do_not_count),
      TEST(an_answer_cut_short_is_unknown),
      TEST(a_refusal_cut_short_is_one_all_the_same),
      TEST(what_is_no_answer_is_a_protocol_error),
      TEST(every_2xx_is_an_answer),
      TEST(an_answer_may_end_with_its_connection),
      TEST(an_answer_may_come_in_chunks),
      TEST(trailers_are_no_headers),
      TEST(each_answer_has_the_room_for_its_headers),
      TEST(a_header_may_come_in_several_lines),
      TEST(what_is_too_long_is_ignored),
      TEST(a_date_counts_from_the_answer_s_own),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
