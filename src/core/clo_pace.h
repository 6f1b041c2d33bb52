/* When the next call of an endpoint group may start, from what the RateLimit
 * headers said. Pure: the clock is a parameter, in seconds of any origin.
 *
 * Calls go out at once until an answer says that nothing remains (or is a 429);
 * then all wait for the reset, and go out spread after it, a little faster than
 * the limit, so that the whole of it is used. A window without waiting ends the
 * spreading.
 *
 * Nothing holds for longer than CLO_SERVER_DELAY_MAX. After that, and after a
 * 429, one call is sent to see; the others follow once it is answered. */
#ifndef CLO_PACE_H
#define CLO_PACE_H

#include <stddef.h>

#include "clo_policy.h"

struct clo_pace {
  double limit;    /* calls per window, 0 where not known */
  double window;   /* seconds: the longest reset that was seen */
  double left;     /* calls that may still begin before reset_at */
  double reset_at; /* until then left holds */
  double held_to;  /* nothing begins before */
  double next_at;  /* where spread: the next one does not begin before */
  int spread;
  int probing;     /* not known yet: is the hold's end the limit's, too? */
  double probe_at; /* then the next one begins not before, while one runs */
};

/* Nothing is known: all zero. */
void clo_pace_init(struct clo_pace *pace);

/* An answer of this group had a RateLimit header; running is how many others
 * are under way, which the header may not have counted. */
void clo_pace_seen(struct clo_pace *pace, const struct clo_rate_limit *rate,
                   size_t running, double now);

/* A 429: nothing begins for so many seconds. */
void clo_pace_refused(struct clo_pace *pace, double seconds, double now);

/* Any other answer: calls that wait for the end of a probe may start. */
void clo_pace_answered(struct clo_pace *pace, double now);

/* The moment at which the next call may begin; now or earlier: at once. What
 * Close has not said itself, but our count of those under way, holds only while
 * there are any: running is how many. */
double clo_pace_start(const struct clo_pace *pace, size_t running, double now);

/* One begins. */
void clo_pace_begun(struct clo_pace *pace, double now);

/* One that had begun ended before Close had it. */
void clo_pace_unsent(struct clo_pace *pace);

#endif
