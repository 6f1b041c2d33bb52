/* How an attempt ended: its cause and status, a message, and what the answer
 * says of its rate limit. */
#ifndef CLO_RESULT_H
#define CLO_RESULT_H

#include "clo_transfer.h"

/* After an attempt: reads what happened from the easy handle. */
void clo_result_read(struct clo_transfer *transfer, CURLcode code);

/* After an end that did not come from libcurl: a deadline in the queue, a
 * cancelled call. */
void clo_result_set(struct clo_transfer *transfer, enum clo_cause cause,
                    const char *message);

#endif
