/* clo_policy: each cell of what ended an attempt x how much of the body was
 * read x whether a repeat does harm. */
#include "clo_policy.h"
#include "test.h"

enum { BODY = 100 };

static struct clo_attempt post(enum clo_cause cause, int status,
                               size_t body_left) {
  struct clo_attempt a;
  memset(&a, 0, sizeof a);
  a.cause = cause;
  a.status = status;
  a.body_len = BODY;
  a.body_left = body_left;
  a.request_left = 1;
  return a;
}

struct cell {
  enum clo_cause cause;
  int status;
  enum clo_outcome none, half, whole; /* by how much was read */
};

#define N CLO_OUTCOME_NOT_SENT
#define R CLO_OUTCOME_REJECTED
#define U CLO_OUTCOME_UNKNOWN
#define A CLO_OUTCOME_ANSWERED

static const struct cell cells[] = {
    {CLO_CAUSE_ANSWER, 200, A, A, A},     {CLO_CAUSE_ANSWER, 201, A, A, A},
    {CLO_CAUSE_ANSWER, 204, A, A, A},     {CLO_CAUSE_ANSWER, 299, A, A, A},
    {CLO_CAUSE_ANSWER, 302, N, N, U},     {CLO_CAUSE_ANSWER, 307, N, N, U},
    {CLO_CAUSE_ANSWER, 400, R, R, R},     {CLO_CAUSE_ANSWER, 401, R, R, R},
    {CLO_CAUSE_ANSWER, 413, R, R, R},     {CLO_CAUSE_ANSWER, 429, R, R, R},
    {CLO_CAUSE_ANSWER, 499, R, R, R},     {CLO_CAUSE_ANSWER, 500, N, N, U},
    {CLO_CAUSE_ANSWER, 504, N, N, U},     {CLO_CAUSE_CONNECTION, 0, N, N, U},
    {CLO_CAUSE_CONNECTION, 200, U, U, U}, {CLO_CAUSE_CONNECTION, 400, R, R, R},
    {CLO_CAUSE_TLS, 0, N, N, U},          {CLO_CAUSE_TIMEOUT, 0, N, N, U},
    {CLO_CAUSE_TIMEOUT, 200, U, U, U},    {CLO_CAUSE_PROTOCOL, 0, N, N, U},
    {CLO_CAUSE_PROTOCOL, 204, U, U, U},   {CLO_CAUSE_PROTOCOL, 404, R, R, R},
    {CLO_CAUSE_CANCELLED, 0, N, N, U},    {CLO_CAUSE_HELD, 0, N, N, U},
    {CLO_CAUSE_HELD, 429, R, R, R},       {CLO_CAUSE_CANCELLED, 200, U, U, U},
    {CLO_CAUSE_CONNECTION, 503, N, N, U}, {CLO_CAUSE_CONNECTION, 302, N, N, U},
    {CLO_CAUSE_PROXY, 0, N, N, U},        {CLO_CAUSE_PROXY_AUTH, 0, N, N, U},
    {CLO_CAUSE_MEMORY, 0, N, N, U},       {CLO_CAUSE_MEMORY, 200, U, U, U},
    {CLO_CAUSE_MEMORY, 404, R, R, R},
};

static void outcome_follows_the_table(void **state) {
  size_t i;
  for (i = 0; i < sizeof cells / sizeof *cells; i++) {
    const struct cell *c = &cells[i];
    struct clo_attempt a = post(c->cause, c->status, 0);
    row("cause %d, status %d", c->cause, c->status);
    assert_int_equal(clo_policy_outcome(&a), c->none);
    a = post(c->cause, c->status, BODY - 1);
    assert_int_equal(clo_policy_outcome(&a), c->half);
    a = post(c->cause, c->status, BODY);
    assert_int_equal(clo_policy_outcome(&a), c->whole);
  }
}

static void a_request_without_body_is_sent_once_it_left(void **state) {
  struct clo_attempt a = post(CLO_CAUSE_CONNECTION, 0, 0);
  a.body_len = 0;
  assert_int_equal(clo_policy_outcome(&a), U);
  a.request_left = 0;
  assert_int_equal(clo_policy_outcome(&a), N);
}

static void outcome_has_the_contract_s_names(void **state) {
  assert_string_equal(clo_outcome_name(N), "not_sent");
  assert_string_equal(clo_outcome_name(R), "rejected");
  assert_string_equal(clo_outcome_name(U), "unknown");
  assert_null(clo_outcome_name(A));
}

static void kind_follows_status_then_cause(void **state) {
  static const struct {
    enum clo_cause cause;
    int status;
    const char *kind;
  } kinds[] = {
      {CLO_CAUSE_ANSWER, 400, "api"},
      {CLO_CAUSE_ANSWER, 401, "authentication"},
      {CLO_CAUSE_ANSWER, 402, "api"},
      {CLO_CAUSE_ANSWER, 403, "api"},
      {CLO_CAUSE_ANSWER, 404, "not_found"},
      {CLO_CAUSE_ANSWER, 415, "api"},
      {CLO_CAUSE_ANSWER, 429, "rate_limited"},
      {CLO_CAUSE_ANSWER, 500, "server"},
      {CLO_CAUSE_ANSWER, 599, "server"},
      {CLO_CAUSE_ANSWER, 302, "protocol"},
      {CLO_CAUSE_CONNECTION, 0, "connection"},
      {CLO_CAUSE_CONNECTION, 200, "connection"},
      {CLO_CAUSE_CONNECTION, 502, "server"},
      {CLO_CAUSE_TLS, 0, "tls"},
      {CLO_CAUSE_TIMEOUT, 0, "timeout"},
      {CLO_CAUSE_PROTOCOL, 200, "protocol"},
      {CLO_CAUSE_CANCELLED, 0, "cancelled"},
      {CLO_CAUSE_CANCELLED, 429, "cancelled"},
      {CLO_CAUSE_HELD, 0, "rate_limited"},
      {CLO_CAUSE_PROXY, 0, "connection"},
      {CLO_CAUSE_MEMORY, 0, "memory"},
      {CLO_CAUSE_MEMORY, 200, "memory"},
      {CLO_CAUSE_MEMORY, 502, "server"},
      {CLO_CAUSE_PROXY_AUTH, 0, "authentication"},
      {CLO_CAUSE_ANSWER, 407, "authentication"},
  };
  size_t i;
  for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    row("cause %d, status %d", kinds[i].cause, kinds[i].status);
    assert_string_equal(clo_policy_kind(kinds[i].cause, kinds[i].status),
                        kinds[i].kind);
  }
  assert_null(clo_policy_kind(CLO_CAUSE_ANSWER, 200));
}

static int reads(const char *value, double limit, double remaining,
                 double reset) {
  struct clo_rate_limit rate = {-1, -1, -1};
  if (!clo_policy_rate_limit(value, strlen(value), &rate)) return 0;
  return rate.limit == limit && rate.remaining == remaining &&
         rate.reset == reset;
}

static void rate_limit_is_read(void **state) {
  assert_true(reads("limit=100, remaining=50, reset=5", 100, 50, 5));
  assert_true(reads("limit=100, remaining=0, reset=0.8", 100, 0, 0.8));
  assert_true(reads("  reset=5,limit=1 ,remaining=2", 1, 2, 5));
  assert_true(reads("\tlimit=1\t,\tremaining=2,reset=5", 1, 2, 5));
  assert_true(reads("limit=1, remaining=2, reset=3, burst=4", 1, 2, 3));
}

static void overlong_numbers_are_read_as_large_ones(void **state) {
  char value[1000] = "limit=0, remaining=0, reset=";
  struct clo_rate_limit rate = {7, 8, 9};
  size_t len = strlen(value);
  memset(value + len, '9', 500);
  assert_true(clo_policy_rate_limit(value, len + 500, &rate));
  assert_true(rate.limit == 0 && rate.remaining == 0 && rate.reset == 1e15);
  value[len + 1] = '.';
  assert_true(clo_policy_rate_limit(value, len + 500, &rate));
  assert_true(rate.reset > 9 && rate.reset < 10.001);
}

static void malformed_rate_limit_is_ignored(void **state) {
  static const char *const bad[] = {
      "", ",", "limit", "limit=", "limit=100", "limit=100, remaining=50",
      "limit=1, reset=1", "remaining=1, reset=1",
      "limit=x, remaining=1, reset=1", "limit=-1, remaining=1, reset=1",
      "limit=1; remaining=1; reset=1", "limit=1, remaining=1, reset=1,",
      "limit=1, limit=1, remaining=1, reset=1", "limit=1, remaining=1 reset=1",
      "limit=1, remaining=1, reset=1e3", "limit=1, remaining=1, reset=.5",
      "limit=1, remaining=0, reset=-5", "limit=1, remaining=-1, reset=5",
      "limit=1, remaining=0, reset=0x9", "limit=1, remaining=0, reset=inf",
      "limit=1, remaining=0, reset=1.5s", "=1, limit=1, remaining=0, reset=1",
      "burst, w=1, limit=1, remaining=0, reset=1",
  };
  struct clo_rate_limit rate = {7, 8, 9};
  size_t i;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) {
    row("%s", bad[i]);
    assert_false(clo_policy_rate_limit(bad[i], strlen(bad[i]), &rate));
  }
  assert_true(rate.limit == 7 && rate.remaining == 8 && rate.reset == 9);
}

static double after(const char *value) {
  return clo_policy_retry_after(value, strlen(value));
}

static void retry_after_is_seconds_or_nothing(void **state) {
  assert_true(after("0") == 0);
  assert_true(after("120") == 120);
  assert_true(after(" 3 ") == 3);
  assert_true(after("") == -1);
  assert_true(after("-1") == -1);
  assert_true(after("3 s") == -1);
  assert_true(after("Sun, 06 Nov 1994 08:49:37 GMT") == -1);
}

static struct clo_budget budget(void) {
  struct clo_budget b = {1, 3, 60, -1, 0.5};
  return b;
}

static double retry(struct clo_attempt a) {
  struct clo_budget b = budget();
  return clo_policy_retry(&a, &b);
}

static void a_post_is_repeated_only_while_untouched(void **state) {
  assert_true(retry(post(CLO_CAUSE_CONNECTION, 0, 0)) > 0);
  assert_true(retry(post(CLO_CAUSE_TLS, 0, 0)) > 0);
  assert_true(retry(post(CLO_CAUSE_TIMEOUT, 0, 0)) > 0);
  assert_true(retry(post(CLO_CAUSE_CONNECTION, 0, 1)) == -1);
  assert_true(retry(post(CLO_CAUSE_CONNECTION, 0, BODY)) == -1);
  assert_true(retry(post(CLO_CAUSE_TIMEOUT, 0, BODY)) == -1);
  assert_true(retry(post(CLO_CAUSE_PROTOCOL, 200, BODY)) == -1);
  assert_true(retry(post(CLO_CAUSE_ANSWER, 500, BODY)) == -1);
  assert_true(retry(post(CLO_CAUSE_ANSWER, 400, BODY)) == -1);
  assert_true(retry(post(CLO_CAUSE_CANCELLED, 0, 0)) == -1);
  assert_true(retry(post(CLO_CAUSE_CONNECTION, 200, 0)) == -1);
  assert_true(retry(post(CLO_CAUSE_PROXY, 0, 0)) == -1);
  assert_true(retry(post(CLO_CAUSE_PROXY_AUTH, 0, 0)) == -1);
}

static void a_429_is_repeated_as_asked(void **state) {
  struct clo_attempt a = post(CLO_CAUSE_ANSWER, 429, BODY);
  struct clo_budget b = budget();
  assert_true(clo_policy_retry(&a, &b) > 0);
  b.server_delay = 2.5;
  assert_true(clo_policy_retry(&a, &b) == 2.5);
  b.remaining = 2.5; /* it would begin as the call's time ends */
  assert_true(clo_policy_retry(&a, &b) == -1);
}

static double asked(int status, double reset, double retry_after) {
  struct clo_rate_limit rate = {9, 0, 0};
  rate.reset = reset;
  return clo_policy_server_delay(status, reset < 0 ? NULL : &rate, retry_after);
}

static void an_answer_asks_by_its_reset_or_retry_after(void **state) {
  assert_true(asked(429, 0.25, -1) == 0.25);
  assert_true(asked(429, 0.25, 1) == 0.25); /* the same, rounded up */
  assert_true(asked(429, 0.05, 30) == 30); /* of another limit */
  assert_true(asked(429, 0, 0) == 0);
  assert_true(asked(429, -1, 7) == 7);
  assert_true(asked(429, -1, -1) == -1);
  assert_true(asked(503, 0.25, 2) == 2);
  assert_true(asked(503, 0.25, -1) == -1);
  assert_true(asked(200, 0.25, 2) == -1);
  assert_true(asked(302, -1, 2) == -1);
}

static void what_an_answer_asks_for_is_bounded(void **state) {
  static const double absurd[] = {60.1, 3600, 1764086400, 1764086400000, 1e15};
  size_t i;
  for (i = 0; i < sizeof absurd / sizeof *absurd; i++) {
    row("%g s", absurd[i]);
    assert_true(asked(429, absurd[i], -1) == CLO_SERVER_DELAY_MAX);
    assert_true(asked(429, -1, absurd[i]) == CLO_SERVER_DELAY_MAX);
    assert_true(asked(503, -1, absurd[i]) == CLO_SERVER_DELAY_MAX);
  }
  assert_true(asked(429, -1, 60) == 60);
}

static void what_is_asked_never_shortens_the_backoff(void **state) {
  static const double asks[] = {-1, 0, 0.01};
  size_t i;
  int attempts;
  for (i = 0; i < sizeof asks / sizeof *asks; i++) {
    double before = 0;
    for (attempts = 1; attempts <= 4; attempts++) {
      struct clo_budget b = budget();
      double wait = clo_policy_wait(attempts, asks[i], 0);
      row("attempt %d, %g s asked", attempts, asks[i]);
      assert_true(wait >= 0.1 && wait >= 2 * before);
      b.attempts = attempts;
      b.max_retries = 100;
      b.server_delay = asks[i];
      b.random = 0;
      assert_true(clo_policy_pause(&b) == wait);
      before = wait;
    }
  }
  assert_true(clo_policy_wait(1, 5, 0.999) == 5);
  assert_true(clo_policy_wait(100, 0, 0.999) <= 10);
}

static void what_may_be_repeated_is_after_unknown_too(void **state) {
  struct clo_attempt a = post(CLO_CAUSE_ANSWER, 500, BODY);
  a.repeatable = 1;
  assert_true(retry(a) > 0);
  a.cause = CLO_CAUSE_CONNECTION;
  a.status = 0;
  assert_true(retry(a) > 0);
  a.body_left = BODY / 2;
  assert_true(retry(a) > 0);
  a.cause = CLO_CAUSE_ANSWER;
  a.status = 404;
  assert_true(retry(a) == -1);
}

static void retries_end_at_their_maximum(void **state) {
  struct clo_attempt a = post(CLO_CAUSE_CONNECTION, 0, 0);
  struct clo_budget b = budget();
  b.attempts = 3;
  assert_true(clo_policy_retry(&a, &b) > 0);
  b.attempts = 4;
  assert_true(clo_policy_retry(&a, &b) == -1);
  b.attempts = 1;
  b.max_retries = 0;
  assert_true(clo_policy_retry(&a, &b) == -1);
}

static void the_backoff_doubles_with_jitter_up_to_a_limit(void **state) {
  struct clo_attempt a = post(CLO_CAUSE_CONNECTION, 0, 0);
  struct clo_budget b = budget();
  double low, high;
  b.max_retries = 100;
  b.random = 0;
  low = clo_policy_retry(&a, &b);
  b.random = 0.999;
  high = clo_policy_retry(&a, &b);
  assert_true(low > 0 && high > 1.9 * low && high <= 2 * low);
  b.random = 0;
  b.attempts = 2;
  assert_true(clo_policy_retry(&a, &b) == 2 * low);
  b.attempts = 100;
  assert_true(clo_policy_retry(&a, &b) <= 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(outcome_follows_the_table),
      cmocka_unit_test(a_request_without_body_is_sent_once_it_left),
      cmocka_unit_test(outcome_has_the_contract_s_names),
      cmocka_unit_test(kind_follows_status_then_cause),
      cmocka_unit_test(rate_limit_is_read),
      cmocka_unit_test(overlong_numbers_are_read_as_large_ones),
      cmocka_unit_test(malformed_rate_limit_is_ignored),
      cmocka_unit_test(retry_after_is_seconds_or_nothing),
      cmocka_unit_test(a_post_is_repeated_only_while_untouched),
      cmocka_unit_test(a_429_is_repeated_as_asked),
      cmocka_unit_test(an_answer_asks_by_its_reset_or_retry_after),
      cmocka_unit_test(what_an_answer_asks_for_is_bounded),
      cmocka_unit_test(what_is_asked_never_shortens_the_backoff),
      cmocka_unit_test(what_may_be_repeated_is_after_unknown_too),
      cmocka_unit_test(retries_end_at_their_maximum),
      cmocka_unit_test(the_backoff_doubles_with_jitter_up_to_a_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
