/* clo_pace against a server that lives in a simulated second hand: fixed
 * windows, a RateLimit header on each answer. */
#include "clo_pace.h"
#include "test.h"

static void is_at_once_while_nothing_is_known(void **state) {
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_begun(&pace, 5);
  assert_true(clo_pace_start(&pace, 0, 5) <= 5);
}

static void waits_for_the_reset_once_nothing_remains(void **state) {
  struct clo_rate_limit rate = {10, 0, 0.8};
  struct clo_pace pace;
  double start;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &rate, 0, 100);
  start = clo_pace_start(&pace, 0, 100);
  assert_true(start > 100.8 && start < 100.85); /* not in the same moment */
  assert_true(clo_pace_start(&pace, 0, start) <= start);
}

static void late_news_does_not_open_a_used_up_window(void **state) {
  struct clo_rate_limit none = {10, 0, 0.8}, some = {10, 4, 0.8};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &none, 0, 100);
  clo_pace_seen(&pace, &some, 0, 100.1);
  assert_true(clo_pace_start(&pace, 0, 100.1) >= 100.8);
}

static void what_is_under_way_is_counted(void **state) {
  struct clo_rate_limit rate = {10, 3, 1};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &rate, 2, 100);
  assert_true(clo_pace_start(&pace, 2, 100) <= 100);
  clo_pace_begun(&pace, 100);
  assert_true(clo_pace_start(&pace, 3, 100) >= 101);
  clo_pace_seen(&pace, &rate, 1, 100.2); /* an answer says there is room */
  assert_true(clo_pace_start(&pace, 1, 100.2) <= 100.2);
}

static void what_close_never_had_leaves_its_place(void **state) {
  struct clo_rate_limit rate = {10, 2, 1};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &rate, 0, 100);
  clo_pace_begun(&pace, 100);
  clo_pace_begun(&pace, 100);
  assert_true(clo_pace_start(&pace, 2, 100) >= 101);
  clo_pace_unsent(&pace);
  assert_true(clo_pace_start(&pace, 1, 100) <= 100);
  clo_pace_begun(&pace, 100);
  assert_true(clo_pace_start(&pace, 2, 100) >= 101);
}

static void our_own_count_holds_only_while_calls_are_under_way(void **state) {
  struct clo_rate_limit rate = {10, 1, 1};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &rate, 0, 100);
  clo_pace_begun(&pace, 100);
  assert_true(clo_pace_start(&pace, 1, 100) >= 101);
  assert_true(clo_pace_start(&pace, 0, 100) <= 100);
}

static void a_429_alone_holds_too(void **state) {
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_refused(&pace, 3, 100);
  assert_true(clo_pace_start(&pace, 0, 100) > 103);
}

/* A hold is not made shorter by another that ends before it, nor by late news
 * after that end. */
static void the_longest_hold_counts(void **state) {
  struct clo_rate_limit rate = {10, 0, 1}, some = {10, 4, 1};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_refused(&pace, 5, 100);
  clo_pace_refused(&pace, 1, 100);
  clo_pace_seen(&pace, &rate, 0, 100);
  assert_true(clo_pace_start(&pace, 0, 100) >= 105);
  clo_pace_seen(&pace, &some, 0, 102);
  assert_true(clo_pace_start(&pace, 0, 102) >= 105);
}

/* Nor by a call that still runs, or by the probe of an earlier one. */
static void a_hold_holds_while_calls_run(void **state) {
  struct clo_rate_limit last = {10, 1, 1};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_begun(&pace, 99);
  clo_pace_refused(&pace, 5, 100);
  assert_true(clo_pace_start(&pace, 1, 100) >= 105);
  clo_pace_init(&pace); /* a reset that comes before its end does not end it */
  clo_pace_seen(&pace, &last, 0, 100);
  clo_pace_begun(&pace, 100);
  clo_pace_refused(&pace, 5, 100);
  assert_true(clo_pace_start(&pace, 1, 100) >= 105);
}

/* The probe of an earlier hold is none of this one. */
static void a_probe_comes_at_the_hold_s_end(void **state) {
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_begun(&pace, 100);
  clo_pace_refused(&pace, 0.25, 100);
  assert_true(clo_pace_start(&pace, 1, 100.3) <= 100.3);
}

/* One call goes; the others once it is answered, or one more each second. */
static void one_call_probes_after_a_429(void **state) {
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_refused(&pace, 3, 100);
  clo_pace_answered(&pace, 101); /* late news of a call from before */
  assert_true(clo_pace_start(&pace, 0, 103.1) <= 103.1);
  clo_pace_begun(&pace, 103.1);
  assert_true(clo_pace_start(&pace, 1, 103.1) >= 104);
  assert_true(clo_pace_start(&pace, 0, 103.2) <= 103.2); /* it was lost */
  assert_true(clo_pace_start(&pace, 1, 104.2) <= 104.2);
  clo_pace_begun(&pace, 104.2);
  assert_true(clo_pace_start(&pace, 2, 104.2) >= 105);
  clo_pace_answered(&pace, 104.3);
  assert_true(clo_pace_start(&pace, 1, 104.3) <= 104.3);
}

static void an_absurd_reset_holds_for_a_minute(void **state) {
  static const double absurd[] = {61, 3600, 1764086400, 1e15};
  static const double limits[] = {0, 1, 100, 1e15};
  size_t i;
  for (i = 0; i < 16; i++) {
    struct clo_rate_limit rate = {0, 0, 0}, fine = {100, 99, 5};
    struct clo_pace pace;
    double start;
    rate.limit = limits[i % 4];
    rate.reset = absurd[i / 4];
    clo_pace_init(&pace);
    clo_pace_seen(&pace, &rate, 0, 100);
    clo_pace_answered(&pace, 100);
    start = clo_pace_start(&pace, 0, 100);
    assert_true(start >= 160 && start <= 161);
    clo_pace_begun(&pace, start); /* the probe, */
    assert_true(clo_pace_start(&pace, 1, start) >= start + 0.5);
    clo_pace_seen(&pace, &fine, 0, start + 0.1); /* and its answer */
    clo_pace_answered(&pace, start + 0.1);
    assert_true(clo_pace_start(&pace, 0, start + 0.1) <= start + 0.15);
  }
}

static void an_absurd_reset_alone_holds_nobody(void **state) {
  struct clo_rate_limit rate = {10, 1, 1e12}, many = {0, 1e15, 5};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &rate, 5, 100);
  assert_true(clo_pace_start(&pace, 5, 100) <= 100);
  clo_pace_seen(&pace, &many, 5, 100);
  clo_pace_begun(&pace, 100);
  assert_true(clo_pace_start(&pace, 6, 100) <= 100);
}

/* A limit that was wrong does not slow down what comes after it. */
static void what_was_learnt_is_forgotten(void **state) {
  struct clo_rate_limit slow = {1, 0, 60}, fine = {100, 99, 5},
                        long_one = {100, 0, 60}, used_up = {100, 0, 1};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &slow, 0, 100);
  clo_pace_begun(&pace, 160.1);
  assert_true(clo_pace_start(&pace, 1, 160.1) > 200);
  clo_pace_seen(&pace, &fine, 0, 160.2);
  assert_true(clo_pace_start(&pace, 0, 160.2) < 160.4);
  clo_pace_init(&pace); /* the same limit with a window that was wrong */
  clo_pace_seen(&pace, &long_one, 0, 100);
  clo_pace_begun(&pace, 300);
  clo_pace_seen(&pace, &used_up, 0, 300);
  assert_true(pace.window == 1);
}

static void goes_out_spread_after_the_reset(void **state) {
  struct clo_rate_limit rate = {10, 0, 1};
  struct clo_pace pace;
  double start;
  int i;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &rate, 0, 100);
  /* Whoever comes late may catch up by one call, not by more. */
  for (i = 0; i < 2; i++) {
    assert_true(clo_pace_start(&pace, 0, 101.5) <= 101.5);
    clo_pace_begun(&pace, 101.5);
  }
  for (i = 1; i < 5; i++) {
    start = clo_pace_start(&pace, 0, 101.5);
    assert_true(start > 101.5 + 0.08 * i && start < 101.5 + 0.1 * i);
    clo_pace_begun(&pace, start);
  }
}

static void what_close_never_had_delays_nothing(void **state) {
  struct clo_rate_limit rate = {10, 0, 1};
  struct clo_pace pace;
  double start;
  int i;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &rate, 0, 100);
  clo_pace_begun(&pace, 101.5);
  clo_pace_begun(&pace, 101.5);
  start = clo_pace_start(&pace, 0, 101.5);
  for (i = 0; i < 5; i++) {
    clo_pace_begun(&pace, start);
    assert_true(clo_pace_start(&pace, 1, start) > start + 0.08);
    clo_pace_unsent(&pace);
    assert_true(clo_pace_start(&pace, 0, start) <= start + 1e-6);
  }
}

/* The window is the longest reset that was seen, not the last one. */
static void the_distance_is_that_of_the_whole_window(void **state) {
  struct clo_rate_limit early = {10, 5, 1}, late = {10, 0, 0.1};
  struct clo_pace pace;
  double start;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &early, 0, 100);
  clo_pace_seen(&pace, &late, 0, 100.9);
  start = clo_pace_start(&pace, 0, 101.1);
  assert_true(start <= 101.1);
  clo_pace_begun(&pace, 101.1);
  clo_pace_begun(&pace, 101.1); /* the one that may catch up */
  assert_true(clo_pace_start(&pace, 0, 101.1) > 101.1 + 0.07);
}

/* What is spread further than to a new hold's end stays so. */
static void a_hold_does_not_bring_calls_nearer(void **state) {
  struct clo_rate_limit full = {2, 0, 10};
  struct clo_pace pace;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &full, 0, 100);
  clo_pace_begun(&pace, 110.1);
  assert_true(clo_pace_start(&pace, 0, 110.1) > 113);
  clo_pace_refused(&pace, 1, 110.2);
  assert_true(clo_pace_start(&pace, 0, 110.2) > 113);
}

static void spreading_ends_with_a_window_without_waiting(void **state) {
  struct clo_rate_limit none = {10, 0, 1}, all = {10, 9, 1};
  struct clo_pace pace;
  int i;
  clo_pace_init(&pace);
  clo_pace_seen(&pace, &none, 0, 100);
  for (i = 0; i < 2; i++) clo_pace_begun(&pace, 102.9); /* not yet */
  assert_true(clo_pace_start(&pace, 0, 102.9) > 102.9);
  clo_pace_begun(&pace, 104);
  clo_pace_seen(&pace, &all, 0, 104);
  assert_true(clo_pace_start(&pace, 0, 104) <= 104);
  for (i = 0; i < 5; i++) clo_pace_begun(&pace, 104);
  assert_true(clo_pace_start(&pace, 5, 104) <= 104);
}

/* ---- a server with fixed windows ---- */

struct run {
  double limit, window, latency, digits; /* digits: what reset is rounded to */
  size_t in_flight;
};

enum { CALLS = 600, IN_FLIGHT_MAX = 64 };

struct result {
  double seconds;
  int refused;
};

struct world {
  const struct run *run;
  struct clo_pace pace;
  double now, window_start, used;
  double answer_at[IN_FLIGHT_MAX];
  struct clo_rate_limit answer[IN_FLIGHT_MAX];
  size_t running;
  int sent, refused;
};

static double rounded(double value, double digits) {
  return digits > 0 ? (double)(long)(value / digits + 0.999) * digits : value;
}

/* The server takes a call and fixes its answer. */
static void arrive(struct world *w) {
  const struct run *run = w->run;
  struct clo_rate_limit *answer = &w->answer[w->running];
  while (w->now >= w->window_start + run->window) {
    w->window_start += run->window;
    w->used = 0;
  }
  if (w->used < run->limit)
    w->used++;
  else
    w->refused++;
  answer->limit = run->limit;
  answer->remaining = run->limit - w->used;
  answer->reset =
      rounded(w->window_start + run->window - w->now, run->digits);
  w->answer_at[w->running++] = w->now + run->latency;
}

/* The oldest answer comes in. */
static void take_answer(struct world *w) {
  size_t i;
  struct clo_rate_limit rate = w->answer[0];
  w->now = w->answer_at[0];
  w->running--;
  for (i = 0; i < w->running; i++) {
    w->answer_at[i] = w->answer_at[i + 1];
    w->answer[i] = w->answer[i + 1];
  }
  clo_pace_seen(&w->pace, &rate, w->running, w->now);
}

static struct result simulate(const struct run *run) {
  struct world w = {0};
  struct result result;
  w.run = run;
  w.now = 1000.3;
  w.window_start = 1000;
  clo_pace_init(&w.pace);
  while (w.sent < CALLS || w.running > 0) {
    double start = clo_pace_start(&w.pace, w.running, w.now);
    if (start < w.now) start = w.now;
    if (w.sent < CALLS && w.running < run->in_flight &&
        (w.running == 0 || start <= w.answer_at[0])) {
      w.now = start;
      clo_pace_begun(&w.pace, w.now);
      arrive(&w);
      w.sent++;
    } else {
      take_answer(&w);
    }
  }
  result.seconds = w.now - 1000.3;
  result.refused = w.refused;
  return result;
}

static void uses_the_whole_limit_and_runs_into_no_429(void **state) {
  static const struct run runs[] = {
      {60, 1, 0.001, 0, 1},   {60, 1, 0.02, 0, 4},   {60, 1, 0.1, 0.001, 8},
      {60, 1, 0.001, 0.1, 1}, {100, 5, 0.05, 0, 16}, {10, 2, 0.1, 0, 8},
  };
  size_t i;
  for (i = 0; i < sizeof runs / sizeof *runs; i++) {
    struct result result = simulate(&runs[i]);
    double allowed = CALLS / runs[i].limit * runs[i].window;
    row("%g in %g s", runs[i].limit, runs[i].window);
    assert_true(result.refused <= 2);
    /* The first window may be a burst, so it may even be done sooner. */
    assert_true(result.seconds <= allowed / 0.95);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_at_once_while_nothing_is_known),
      cmocka_unit_test(waits_for_the_reset_once_nothing_remains),
      cmocka_unit_test(late_news_does_not_open_a_used_up_window),
      cmocka_unit_test(what_is_under_way_is_counted),
      cmocka_unit_test(what_close_never_had_leaves_its_place),
      cmocka_unit_test(our_own_count_holds_only_while_calls_are_under_way),
      cmocka_unit_test(a_429_alone_holds_too),
      cmocka_unit_test(the_longest_hold_counts),
      cmocka_unit_test(a_hold_holds_while_calls_run),
      cmocka_unit_test(a_probe_comes_at_the_hold_s_end),
      cmocka_unit_test(one_call_probes_after_a_429),
      cmocka_unit_test(an_absurd_reset_holds_for_a_minute),
      cmocka_unit_test(an_absurd_reset_alone_holds_nobody),
      cmocka_unit_test(what_was_learnt_is_forgotten),
      cmocka_unit_test(goes_out_spread_after_the_reset),
      cmocka_unit_test(what_close_never_had_delays_nothing),
      cmocka_unit_test(the_distance_is_that_of_the_whole_window),
      cmocka_unit_test(a_hold_does_not_bring_calls_nearer),
      cmocka_unit_test(spreading_ends_with_a_window_without_waiting),
      cmocka_unit_test(uses_the_whole_limit_and_runs_into_no_429),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
