/* Pacing: a little arithmetic on the last RateLimit header. */
#include "clo_pace.h"

#include <string.h>

#define MARGIN 0.01 /* seconds after a reset, for a clock that rounds */
#define HASTE 0.9   /* of the even distance between two calls */

void clo_pace_init(struct clo_pace *pace) {
  memset(pace, 0, sizeof *pace);
}

static void hold(struct clo_pace *pace, double until) {
  if (until > pace->held_to) pace->held_to = until;
  if (pace->held_to > pace->next_at) pace->next_at = pace->held_to;
  pace->spread = 1;
}

void clo_pace_seen(struct clo_pace *pace, const struct clo_rate_limit *rate,
                   size_t running, double now) {
  double reset_at = now + rate->reset + MARGIN;
  if (rate->limit != pace->limit) pace->window = 0;
  if (rate->reset > pace->window) pace->window = rate->reset;
  pace->limit = rate->limit;
  if (rate->remaining < 1) hold(pace, reset_at);
  /* Late news of a window that is used up does not open it again. */
  if (now < pace->held_to) return;
  pace->left = rate->remaining - (double)running;
  pace->reset_at = reset_at;
}

void clo_pace_refused(struct clo_pace *pace, double seconds, double now) {
  hold(pace, now + seconds + MARGIN);
}

double clo_pace_start(const struct clo_pace *pace, size_t running,
                      double now) {
  double start = pace->held_to;
  if (pace->spread && pace->next_at > start) start = pace->next_at;
  /* More under way than remain: an answer, or the reset, says how to go on.
   * Where none is under way, the next one's answer does. */
  if (running > 0 && pace->left < 1 && now < pace->reset_at &&
      pace->reset_at > start)
    start = pace->reset_at;
  return start;
}

void clo_pace_begun(struct clo_pace *pace, double now) {
  double distance;
  if (now < pace->reset_at) pace->left--;
  if (now > pace->held_to + 2 * pace->window) pace->spread = 0;
  if (!pace->spread || pace->limit < 1) return;
  distance = HASTE * pace->window / pace->limit;
  /* Who woke up late may catch up by one call, not by a burst. */
  if (pace->next_at < now - distance) pace->next_at = now - distance;
  pace->next_at += distance;
}

void clo_pace_unsent(struct clo_pace *pace) {
  pace->left++;
}
