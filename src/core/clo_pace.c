/* Pacing, computed from the last RateLimit header. */
#include "clo_pace.h"

#include <string.h>

#define MARGIN 0.01 /* seconds after a reset, for clocks that round */
#define HASTE 0.9   /* of the even distance between two calls */
#define PROBE 1.0   /* seconds to the next probe, if one gets no answer */

void clo_pace_init(struct clo_pace *pace) {
  memset(pace, 0, sizeof *pace);
}

static void hold(struct clo_pace *pace, double until) {
  if (until > pace->held_to) pace->held_to = until;
  if (pace->held_to > pace->next_at) pace->next_at = pace->held_to;
  pace->spread = 1;
}

/* The same if it is not known what comes after. */
static void hold_and_probe(struct clo_pace *pace, double until) {
  hold(pace, until);
  pace->probing = 1;
  pace->probe_at = 0;
}

/* Seconds between two calls that are spread. */
static double distance(const struct clo_pace *pace) {
  return pace->limit < 1 ? 0 : HASTE * pace->window / pace->limit;
}

void clo_pace_seen(struct clo_pace *pace, const struct clo_rate_limit *rate,
                   size_t running, double now) {
  double reset_at = now + rate->reset + MARGIN;
  if (rate->reset > CLO_SERVER_DELAY_MAX) { /* not a window */
    if (rate->remaining < 1) hold_and_probe(pace, now + CLO_SERVER_DELAY_MAX);
    return;
  }
  if (rate->limit != pace->limit) pace->window = 0;
  if (rate->reset > pace->window) pace->window = rate->reset;
  pace->limit = rate->limit;
  if (rate->remaining < 1) hold(pace, reset_at);
  /* A late answer from a window that is used up does not open it again. */
  if (now < pace->held_to) return;
  pace->left = rate->remaining - (double)running;
  pace->reset_at = reset_at;
  /* The limit that was assumed before may have been wrong. */
  if (pace->next_at > now + distance(pace))
    pace->next_at = now + distance(pace);
}

void clo_pace_refused(struct clo_pace *pace, double seconds, double now) {
  hold_and_probe(pace, now + seconds + MARGIN);
}

void clo_pace_answered(struct clo_pace *pace, double now) {
  if (now >= pace->held_to) pace->probing = 0;
}

double clo_pace_start(const struct clo_pace *pace, size_t running,
                      double now) {
  double start = pace->held_to;
  if (pace->spread && pace->next_at > start) start = pace->next_at;
  if (pace->probing && running > 0 && pace->probe_at > start)
    start = pace->probe_at;
  /* More calls are running than remain: an answer or the reset decides. If none
   * is running, the next one's answer does. */
  if (running > 0 && pace->left < 1 && now < pace->reset_at &&
      pace->reset_at > start)
    start = pace->reset_at;
  return start;
}

void clo_pace_begun(struct clo_pace *pace, double now) {
  double step = distance(pace);
  if (now < pace->reset_at) pace->left--;
  pace->probe_at = now + PROBE;
  if (pace->spread && now > pace->held_to + 2 * pace->window) {
    pace->spread = 0;
    pace->window = 0; /* to be learnt again */
  }
  if (!pace->spread || pace->limit < 1) return;
  /* After a late wake-up one call may follow at once, not a burst. */
  if (pace->next_at < now - step) pace->next_at = now - step;
  pace->next_at += step;
}

void clo_pace_unsent(struct clo_pace *pace) {
  pace->left++;
  if (pace->spread) pace->next_at -= distance(pace);
}
