/* What clo_engine makes of an answer's head: a status counts once its headers
 * are whole, and only a final one does. */
#include <stdio.h>

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
  (void)state;
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
  (void)state;
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
    assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
    if (!kind || strcmp(kind, "protocol") != 0)
      fail_msg("%s of %s: %s", kind, replies[i], t->message);
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
  (void)state;
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
  (void)state;
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
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
