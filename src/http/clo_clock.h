/* The clock that all of the engine's times are read from. */
#ifndef CLO_CLOCK_H
#define CLO_CLOCK_H

/* Seconds on the monotonic clock. */
double clo_clock_now(void);

#endif
