/* What an attempt's end means, and what to do next: pure functions, the clock
 * is a parameter. The rules in words: docs/reliability.md, "Outcomes". */
#ifndef CLO_POLICY_H
#define CLO_POLICY_H

#include <stddef.h>

/* What ended an attempt. */
enum clo_cause {
  CLO_CAUSE_ANSWER,     /* a whole answer, whatever its status */
  CLO_CAUSE_CONNECTION, /* DNS, connect, reset, closed early */
  CLO_CAUSE_TLS,
  CLO_CAUSE_TIMEOUT,
  CLO_CAUSE_PROTOCOL, /* bytes that are no answer, or too many of them */
  CLO_CAUSE_CANCELLED,
  CLO_CAUSE_HELD,       /* the rate limit's reset is past the call's deadline */
  CLO_CAUSE_PROXY,      /* a proxy refuses to connect: a retry does not help */
  CLO_CAUSE_PROXY_AUTH, /* it wants other credentials: a retry may lock them */
  CLO_CAUSE_MEMORY      /* an allocation failed, libcurl's or ours */
};

/* Whether Close has the message. */
enum clo_outcome {
  CLO_OUTCOME_ANSWERED, /* a 2xx: the answer says */
  CLO_OUTCOME_NOT_SENT, /* Close never had a whole request */
  CLO_OUTCOME_REJECTED, /* Close refused it: nothing was created */
  CLO_OUTCOME_UNKNOWN   /* sent, and no answer that can be trusted */
};

/* An attempt's end, as far as the rules need it. */
struct clo_attempt {
  enum clo_cause cause;
  int status;       /* the HTTP status that was read whole, or 0 */
  size_t body_len;  /* bytes in the request's body */
  size_t body_left; /* of them, those that may have left */
  int request_left; /* a request without a body: may it have left? */
  int repeatable;   /* GET, PUT, DELETE: a repeat does no harm */
};

enum clo_outcome clo_policy_outcome(const struct clo_attempt *attempt);

/* "not_sent", "rejected", "unknown"; NULL for CLO_OUTCOME_ANSWERED. */
const char *clo_outcome_name(enum clo_outcome outcome);

/* The error's kind: "connection", "rate_limited", ...; NULL for a 2xx. */
const char *clo_policy_kind(enum clo_cause cause, int status);

/* The header "RateLimit: limit=100, remaining=50, reset=5". */
struct clo_rate_limit {
  double limit;
  double remaining;
  double reset; /* seconds from the answer on */
};

/* Reads a RateLimit header's value; returns 0 (rate untouched) where it is
 * malformed, which means: ignore it. */
int clo_policy_rate_limit(const char *value, size_t len,
                          struct clo_rate_limit *rate);

/* Reads a Retry-After header's value in its form of seconds (RFC 9110, 10.2.3).
 * Returns them, or -1 where it is something else, such as a date. */
double clo_policy_retry_after(const char *value, size_t len);

/* The longest pause that an answer can ask for, in seconds: a mistake, such as
 * the time of day for a duration, must not block an endpoint forever. */
#define CLO_SERVER_DELAY_MAX 60.0

/* Seconds that an answer asks us to wait, at most CLO_SERVER_DELAY_MAX; -1
 * where it does not ask. rate is its RateLimit header or NULL, retry_after what
 * its Retry-After header says or -1. */
double clo_policy_server_delay(int status, const struct clo_rate_limit *rate,
                               double retry_after);

/* Seconds to wait after so many attempts: the backoff, which grows, or what
 * the answer asks for (or -1), whichever is longer. RFC 9110, 10.2.3: a server
 * says how long to wait at least. random in [0, 1). */
double clo_policy_wait(int attempts, double server_delay, double random);

/* What a call has spent and may still spend. */
struct clo_budget {
  int attempts; /* made so far, the ended one included */
  int max_retries;
  double remaining;    /* seconds to the call's deadline */
  double server_delay; /* seconds the answer asks us to wait, or -1 */
  double random;       /* in [0, 1) */
};

/* Seconds to wait before the next attempt of what may be tried again, or -1:
 * there are no retries left, or no time. A wait that cannot end before the
 * deadline is not begun. */
double clo_policy_pause(const struct clo_budget *budget);

/* The same after an attempt; -1, too, where it may not be repeated. A POST is
 * tried again only if no byte of its body had been read, or if Close said 429.
 */
double clo_policy_retry(const struct clo_attempt *attempt,
                        const struct clo_budget *budget);

#endif
