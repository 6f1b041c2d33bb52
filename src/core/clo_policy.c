/* What an attempt's end means. No clock, no socket: the caller says what was
 * on the wire and what time is left. */
#include "clo_policy.h"

#include <string.h>

#define BACKOFF_FIRST 0.25 /* seconds; doubled for each further attempt */
#define BACKOFF_MOST 10.0

/* RFC 9110, 15: the first digit is the class. */
static int is_class(int status, int digit) {
  return status / 100 == digit;
}

enum clo_outcome clo_policy_outcome(const struct clo_attempt *attempt) {
  int left = attempt->body_len > 0 ? attempt->body_left >= attempt->body_len
                                   : attempt->request_left;
  /* A 2xx means that Close acted, even if it came before the whole request had
   * left, or if its own body was lost. */
  if (is_class(attempt->status, 2))
    return attempt->cause == CLO_CAUSE_ANSWER ? CLO_OUTCOME_ANSWERED
                                              : CLO_OUTCOME_UNKNOWN;
  /* A 4xx is a refusal even if the rest of the answer was lost. */
  if (is_class(attempt->status, 4)) return CLO_OUTCOME_REJECTED;
  return left ? CLO_OUTCOME_UNKNOWN : CLO_OUTCOME_NOT_SENT;
}

const char *clo_outcome_name(enum clo_outcome outcome) {
  switch (outcome) {
    case CLO_OUTCOME_NOT_SENT: return "not_sent";
    case CLO_OUTCOME_REJECTED: return "rejected";
    case CLO_OUTCOME_UNKNOWN: return "unknown";
    case CLO_OUTCOME_ANSWERED: break;
  }
  return NULL;
}

const char *clo_policy_kind(enum clo_cause cause, int status) {
  if (cause == CLO_CAUSE_CANCELLED) return "cancelled";
  if (status == 401 || status == 407) return "authentication";
  if (status == 404) return "not_found";
  if (status == 429) return "rate_limited";
  if (is_class(status, 4)) return "api";
  if (is_class(status, 5)) return "server";
  switch (cause) {
    case CLO_CAUSE_ANSWER: return is_class(status, 2) ? NULL : "protocol";
    case CLO_CAUSE_CONNECTION: return "connection";
    case CLO_CAUSE_TLS: return "tls";
    case CLO_CAUSE_TIMEOUT: return "timeout";
    case CLO_CAUSE_PROTOCOL: return "protocol";
    case CLO_CAUSE_HELD: return "rate_limited";
    case CLO_CAUSE_PROXY: return "connection";
    case CLO_CAUSE_PROXY_AUTH: return "authentication";
    case CLO_CAUSE_MEMORY: return "memory";
    case CLO_CAUSE_CANCELLED: break;
  }
  return "protocol";
}

/* Reads digits with at most one point between them; strtod would follow the
 * locale. Moves *at past the number; returns -1 where there is none. */
static double decimal(const char **at, const char *end) {
  const char *s = *at;
  double value = 0, scale = 1;
  if (s == end || *s < '0' || *s > '9') return -1;
  for (; s < end && *s >= '0' && *s <= '9'; s++)
    value = value * 10 + (*s - '0');
  if (s < end && *s == '.')
    for (s++; s < end && *s >= '0' && *s <= '9'; s++)
      value += (*s - '0') * (scale /= 10);
  *at = s;
  return value > 1e15 ? 1e15 : value;
}

static void skip_blanks(const char **at, const char *end) {
  while (*at < end && (**at == ' ' || **at == '\t')) ++*at;
}

/* Reads "name=number" into the slot of that name. 0 where it is malformed or
 * there twice. A member of another name is read and dropped. */
static int rate_member(const char **at, const char *end, double slots[3]) {
  static const char *const names[3] = {"limit", "remaining", "reset"};
  const char *name = *at;
  size_t len;
  double value;
  int i;
  while (*at < end && **at != '=' && **at != ',') ++*at;
  len = (size_t)(*at - name);
  if (len == 0 || *at == end || **at != '=') return 0;
  ++*at;
  if ((value = decimal(at, end)) < 0) return 0;
  for (i = 0; i < 3; i++)
    if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
      if (slots[i] >= 0) return 0;
      slots[i] = value;
    }
  return 1;
}

int clo_policy_rate_limit(const char *value, size_t len,
                          struct clo_rate_limit *rate) {
  const char *at = value, *end = value + len;
  double slots[3] = {-1, -1, -1};
  for (;;) {
    skip_blanks(&at, end);
    if (!rate_member(&at, end, slots)) return 0;
    skip_blanks(&at, end);
    if (at == end) break;
    if (*at++ != ',') return 0;
  }
  if (slots[0] < 0 || slots[1] < 0 || slots[2] < 0) return 0;
  rate->limit = slots[0];
  rate->remaining = slots[1];
  rate->reset = slots[2];
  return 1;
}

double clo_policy_retry_after(const char *value, size_t len) {
  const char *at = value, *end = value + len;
  double seconds;
  skip_blanks(&at, end);
  seconds = decimal(&at, end);
  skip_blanks(&at, end);
  return at == end ? seconds : -1;
}

/* Exponential, and anywhere in its upper half, so that callers that failed
 * together do not come back together. */
static double backoff(int attempts, double random) {
  double seconds = BACKOFF_FIRST;
  while (--attempts > 0 && seconds < BACKOFF_MOST) seconds *= 2;
  if (seconds > BACKOFF_MOST) seconds = BACKOFF_MOST;
  return seconds * (0.5 + 0.5 * random);
}

double clo_policy_server_delay(int status, const struct clo_rate_limit *rate,
                               double retry_after) {
  double server_delay = retry_after;
  if (status < 400) return -1;
  /* Close's Retry-After is the reset, rounded up to whole seconds. Where it is
   * more than that, it is about another limit. */
  if (status == 429 && rate && retry_after <= rate->reset + 1)
    server_delay = rate->reset;
  return server_delay < CLO_SERVER_DELAY_MAX ? server_delay
                                             : CLO_SERVER_DELAY_MAX;
}

double clo_policy_wait(int attempts, double server_delay, double random) {
  double seconds = backoff(attempts, random);
  return server_delay > seconds ? server_delay : seconds;
}

double clo_policy_pause(const struct clo_budget *budget) {
  double wait;
  if (budget->attempts > budget->max_retries) return -1;
  wait = clo_policy_wait(budget->attempts, budget->server_delay,
                         budget->random);
  return wait < budget->remaining ? wait : -1;
}

static int is_final(enum clo_cause cause) {
  return cause == CLO_CAUSE_CANCELLED || cause == CLO_CAUSE_PROXY ||
         cause == CLO_CAUSE_PROXY_AUTH;
}

double clo_policy_retry(const struct clo_attempt *attempt,
                        const struct clo_budget *budget) {
  enum clo_outcome outcome = clo_policy_outcome(attempt);
  int again = attempt->status == 429 ||
              (outcome == CLO_OUTCOME_NOT_SENT && attempt->body_left == 0) ||
              (attempt->repeatable && (outcome == CLO_OUTCOME_UNKNOWN ||
                                       outcome == CLO_OUTCOME_NOT_SENT));
  if (!again || is_final(attempt->cause)) return -1;
  return clo_policy_pause(budget);
}
