/* Each attempt ends in settle(), which asks the policy what is next. */
#include "clo_attempts.h"

#include <stdlib.h>
#include <string.h>

#include "clo_clock.h"
#include "clo_libcurl.h"
#include "clo_result.h"

/* Seconds that libcurl may be late with a timeout. It never is while it works;
 * if out of memory, it may have lost a timer. */
#define GRACE 0.05

/* xorshift64*: jitter needs to be spread, not secret. */
static double next_random(struct clo_engine *e) {
  e->random ^= e->random >> 12;
  e->random ^= e->random << 25;
  e->random ^= e->random >> 27;
  return (double)((e->random * 2685821657736338717ULL) >> 11) * 0x1p-53;
}

static void note_due(struct clo_engine *e, double at) {
  if (e->due < 0 || at < e->due) e->due = at;
}

/* Paths with ids make a group each, so only so many are kept. */
#define GROUPS_MAX 256

/* Frees the group that was used least recently, of those without a call; 0 if
 * there is none. Its rate limit is forgotten: at worst a call meets a 429. */
static int drop_group(struct clo_engine *e) {
  struct clo_group **link, **found = NULL, *group;
  for (link = &e->groups; (group = *link); link = &group->next)
    if (!group->queued.first && !group->running && !group->pausing)
      found = link;
  if (!found) return 0;
  group = *found;
  *found = group->next;
  free(group->name);
  free(group);
  e->group_count--;
  return 1;
}

struct clo_group *clo_attempts_group(struct clo_engine *e, const char *name) {
  struct clo_group **link = &e->groups, *group;
  while (*link && strcmp((*link)->name, name) != 0) link = &(*link)->next;
  if ((group = *link)) {
    *link = group->next;
    group->next = e->groups;
    return e->groups = group;
  }
  while (e->group_count >= GROUPS_MAX && drop_group(e)) continue;
  if (!(group = calloc(1, sizeof *group))) return NULL;
  if (!(group->name = malloc(strlen(name) + 1))) {
    free(group);
    return NULL;
  }
  strcpy(group->name, name);
  clo_pace_init(&group->pace);
  group->next = e->groups;
  e->group_count++;
  return e->groups = group;
}

/* Whether a is to start before b. Requests of work that has begun come first,
 * then in the order of submission. So such work is finished in time, and a
 * request that is retried keeps its place. */
static int goes_before(const struct clo_transfer *a,
                       const struct clo_transfer *b) {
  if (!a->ticket != !b->ticket) return a->ticket != 0;
  if (a->ticket != b->ticket) return a->ticket < b->ticket;
  return a->id < b->id;
}

static void put_in_order(struct clo_list *list, struct clo_transfer *t) {
  struct clo_transfer *after = list->last;
  while (after && goes_before(t, after)) after = after->prev;
  clo_list_put_after(list, after, t);
}

void clo_attempts_queue(struct clo_engine *e, struct clo_transfer *t) {
  put_in_order(&t->group->queued, t);
  t->group->checked = 0;
  e->release = -1; /* it may start at once */
  e->queued++;
  note_due(e, t->deadline);
}

void clo_attempts_pause(struct clo_engine *e, struct clo_transfer *t) {
  note_due(e, t->start_at);
  note_due(e, t->deadline);
  t->group->pausing++;
  clo_list_put(&e->pausing, t);
}

int clo_attempts_setup(struct clo_engine *e, struct clo_transfer *t,
                       char *why) {
  return t->easy ||
         clo_curl_setup(t, &e->config, e->headers, e->sessions, &e->sockets,
                        why);
}

/* An old libcurl waits for the look-up of a handle that the multi handle lets
 * go of. So that one stays until its look-up is over: nobody's, and without a
 * way to connect. A form is bound to its handle, so it cannot be sent again. */
static int park(struct clo_engine *e, struct clo_transfer *t) {
  struct clo_transfer *parked;
  curl_off_t looked_up = 0;
  if (!t->is_looked_up || e->is_broken) return 0;
  curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up);
  if (looked_up > 0 || !(parked = clo_transfer_new(0))) return 0;
  if (t->form) t->max_retries = 0;
  clo_curl_park(t, parked);
  clo_list_put(&e->parked, parked);
  return 1;
}

void clo_attempts_unpark(struct clo_engine *e, struct clo_transfer *parked) {
  curl_multi_remove_handle(e->multi, parked->easy);
  clo_transfer_free(clo_list_take(&e->parked, parked));
}

void clo_attempts_leave(struct clo_engine *e, struct clo_list *list,
                        struct clo_transfer *t) {
  if (t == e->unsent) e->unsent = t->next;
  clo_list_take(list, t);
  if (list == &e->pausing) t->group->pausing--;
  if (list == &t->group->queued) e->queued--;
  if (list == &e->running) {
    t->group->running--;
    if (!t->has_rate && clo_policy_outcome(&t->end) == CLO_OUTCOME_NOT_SENT)
      clo_pace_unsent(&t->group->pace);
    e->release = -1; /* to be computed again */
    /* Its easy handle may still be in the other, which goes first. */
    if (!park(e, t) && curl_multi_remove_handle(e->multi, t->easy) != CURLM_OK)
      e->is_broken = 1;
  }
}

void clo_attempts_record(struct clo_engine *e, const struct clo_transfer *t,
                         double retry_in) {
  struct clo_event *event;
  if (!e->config.events || !(event = calloc(1, sizeof *event))) return;
  event->id = t->id;
  event->end = t->end;
  event->code = t->code;
  event->attempt = t->attempts;
  event->seconds = clo_clock_now() - t->started_at;
  event->retry_in = retry_in;
  memcpy(event->method, t->method, sizeof event->method);
  *e->events_end = event;
  e->events_end = &event->next;
}

void clo_attempts_finish(struct clo_engine *e, struct clo_transfer *t) {
  t->ended_at = clo_clock_now();
  clo_list_put(&e->done, t);
}

/* An attempt is over and the transfer on no list: pause it or finish it. */
static void settle(struct clo_engine *e, struct clo_transfer *t) {
  struct clo_budget budget;
  double at = clo_clock_now(), wait;
  budget.attempts = t->attempts;
  budget.max_retries = t->max_retries;
  budget.remaining = t->deadline - at;
  budget.server_delay = t->server_delay;
  budget.random = next_random(e);
  if (clo_policy_outcome(&t->end) == CLO_OUTCOME_UNKNOWN) t->unknown++;
  wait = clo_policy_retry(&t->end, &budget);
  clo_attempts_record(e, t, wait);
  if (wait < 0) {
    clo_attempts_finish(e, t);
    return;
  }
  t->start_at = at + wait;
  clo_attempts_pause(e, t);
}

static void note_overdue(struct clo_engine *e, const struct clo_transfer *t) {
  if (e->overdue < 0 || t->overdue_at < e->overdue) e->overdue = t->overdue_at;
}

/* An old libcurl's timeouts would wait for a look-up: the engine's come first,
 * and are exact. */
static void set_own_limits(struct clo_engine *e, struct clo_transfer *t,
                           double at, double timeout) {
  t->overdue_at = t->limit_at = at + timeout;
  if (e->config.connect_timeout < timeout)
    t->overdue_at = at + e->config.connect_timeout;
}

static void begin(struct clo_engine *e, struct clo_transfer *t, double at) {
  double timeout = t->deadline - at;
  CURLcode code;
  if (timeout > e->config.attempt_timeout) timeout = e->config.attempt_timeout;
  clo_transfer_rewind(t);
  t->attempts++;
  t->started_at = at;
  t->overdue_at = t->limit_at = at + timeout + GRACE;
  if (clo_libcurl_is_old()) set_own_limits(e, t, at, timeout);
  code = clo_attempts_setup(e, t, t->message)
             ? clo_curl_prepare(t, timeout, t->message)
             : CURLE_OUT_OF_MEMORY;
  if (!code && curl_multi_add_handle(e->multi, t->easy) == CURLM_OK) {
    clo_pace_begun(&t->group->pace, at);
    t->group->running++;
    clo_list_put(&e->running, t);
    if (!e->unsent) e->unsent = t;
    note_overdue(e, t);
    return;
  }
  clo_result_read(t, code ? code : CURLE_OUT_OF_MEMORY);
  settle(e, t);
}

/* Ends one that can begin no attempt before its deadline. Keeps the error of
 * the last attempt, if there was one. */
static void end_late(struct clo_engine *e, struct clo_transfer *t, double at) {
  const struct clo_group *group = t->group;
  double start = clo_pace_start(&group->pace, group->running, at);
  int held = start > at;
  if (t->attempts == 0)
    clo_result_set(t, held ? CLO_CAUSE_HELD : CLO_CAUSE_TIMEOUT,
                   held ? "the rate limit is used up, and its reset is past "
                          "the call's timeout"
                        : "the call's timeout passed before it could start");
  t->server_delay = !held                               ? -1
                    : start - at < CLO_SERVER_DELAY_MAX ? start - at
                                                        : CLO_SERVER_DELAY_MAX;
  clo_attempts_finish(e, t);
}

/* Ends what waits past its deadline on a list, and notes when to look again. */
static void expire(struct clo_engine *e, struct clo_list *list, double at) {
  struct clo_transfer *t, *next;
  for (t = list->first; t; t = next) {
    next = t->next;
    if (t->deadline > at) {
      note_due(e, t->deadline);
      continue;
    }
    clo_attempts_leave(e, list, t);
    end_late(e, t, at);
  }
}

/* Queues those whose pause is over. */
static void resume(struct clo_engine *e, double at) {
  struct clo_transfer *t, *next;
  for (t = e->pausing.first; t; t = next) {
    next = t->next;
    if (t->start_at > at) {
      note_due(e, t->start_at);
      continue;
    }
    clo_attempts_leave(e, &e->pausing, t);
    clo_attempts_queue(e, t);
  }
}

/* Ends those of a held group that cannot start before their deadline. A hold
 * that comes from our count of running ones may end with any of them. */
static void give_up(struct clo_engine *e, struct clo_group *group, double at) {
  double start = clo_pace_start(&group->pace, 0, at);
  struct clo_transfer *t, *next;
  if (start <= at || group->checked >= start) return;
  group->checked = start;
  for (t = group->queued.first; t; t = next) {
    next = t->next;
    if (t->deadline > start) continue;
    clo_attempts_leave(e, &group->queued, t);
    end_late(e, t, at);
  }
}

/* Whether two requests go to the same server. */
static int go_together(const struct clo_transfer *a,
                       const struct clo_transfer *b) {
  const char *url = a->url.data, *host = strstr(url, "://");
  size_t len = host ? (size_t)(host - url) + 3 : 0;
  len += strcspn(url + len, "/?");
  return strncmp(url, b->url.data, len + 1) == 0;
}

#define FIRST_ALONE 1.0 /* seconds */

/* The first call, while the others to its server wait for its connection to say
 * whether it is HTTP/2; or NULL. libcurl would let them wait, too, and then
 * send them all in one go, which holds the host: 64 of them take 6 ms. One that
 * uses no connection that is there does not say that there is none for the
 * others. */
static const struct clo_transfer *alone(const struct clo_engine *e, double at) {
  const struct clo_transfer *first = e->running.first;
  curl_off_t connected = 0;
  if (!first || !e->config.http2 || e->config.plain ||
      clo_curl_connects_anew(first) ||
      first->started_at + FIRST_ALONE <= at)
    return NULL;
  curl_easy_getinfo(first->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
  return connected > 0 ? NULL : first;
}

/* The queued transfer that is to start now, or NULL; sets e->release where
 * something holds some back. */
static struct clo_transfer *next_up(struct clo_engine *e, double at) {
  const struct clo_transfer *ahead = alone(e, at);
  struct clo_transfer *first = NULL;
  struct clo_group *group;
  e->release = -1;
  for (group = e->groups; group; group = group->next) {
    double start = clo_pace_start(&group->pace, group->running, at);
    give_up(e, group, at);
    if (!group->queued.first) continue;
    if (ahead && start <= at && go_together(ahead, group->queued.first))
      start = ahead->started_at + FIRST_ALONE;
    if (start > at) {
      if (e->release < 0 || start < e->release) e->release = start;
    } else if (!first || goes_before(group->queued.first, first)) {
      first = group->queued.first;
    }
  }
  return first;
}

void clo_attempts_prepare(struct clo_engine *e) {
  struct clo_group *group;
  double at;
  int asked;
  if (!e->queued && !e->pausing.first) return;
  at = clo_clock_now();
  if (e->due >= 0 && e->due <= at) {
    e->due = -1;
    for (group = e->groups; group; group = group->next)
      expire(e, &group->queued, at);
    expire(e, &e->pausing, at);
    resume(e, at);
  }
  if (e->queued && (asked = clo_sockets_drop_stale(&e->sockets)))
    e->polled = asked;
}

int clo_attempts_start(struct clo_engine *e) {
  struct clo_transfer *t;
  double at;
  if (!e->queued || e->running.count >= (size_t)e->config.max_in_flight)
    return 0;
  at = clo_clock_now();
  if (!(t = next_up(e, at))) return 0;
  clo_attempts_leave(e, &t->group->queued, t);
  t->trust = e->trust;
  t->tried_other = t->refusals = 0;
  begin(e, t, at);
  return 1;
}

/* Notes the rate limit in an answer. A 429 holds the whole group, for at least
 * a first backoff. */
static void note_rate(struct clo_engine *e, const struct clo_transfer *t) {
  struct clo_group *group = t->group;
  double at = clo_clock_now();
  if (t->has_rate)
    clo_pace_seen(&group->pace, &t->rate, group->running, at);
  if (t->end.status == 429)
    clo_pace_refused(&group->pace,
                     clo_policy_wait(1, t->server_delay, next_random(e)), at);
  else if (t->end.status != 0)
    clo_pace_answered(&group->pace, at);
}

/* A connection that has just answered over HTTP/1 waits for the next request.
 * libcurl manages HTTP/2 connections itself. */
static void keep(struct clo_engine *e, const struct clo_transfer *t) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  long version = 0;
  curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
  if (version >= CURL_HTTP_VERSION_2_0) return;
  curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd);
  if (fd != CURL_SOCKET_BAD) clo_sockets_keep(&e->sockets, fd);
}

/* If a certificate is not trusted by the authorities that were used, begins the
 * attempt again with the others; nothing of its request has left. Returns
 * whether it does. */
static int try_other_trust(struct clo_engine *e, struct clo_transfer *t) {
  enum clo_trust other = clo_curl_other_trust(t->trust);
  double at = clo_clock_now();
  if (t->code != CURLE_PEER_FAILED_VERIFICATION || t->tried_other ||
      other == t->trust || t->deadline <= at)
    return 0;
  t->trust = other;
  t->tried_other = 1;
  t->attempts--;
  begin(e, t, at);
  return 1;
}

/* If the connection was refused before the request began, begins the attempt
 * again: on another, or, if that is refused, too, on a new one. Returns whether
 * it does. */
static int try_other_connection(struct clo_engine *e, struct clo_transfer *t) {
  double at = clo_clock_now();
  if (!t->is_refused || t->deadline <= at) return 0;
  t->attempts--;
  begin(e, t, at);
  return 1;
}

/* Ends a running attempt that libcurl has not ended. */
static void break_off(struct clo_engine *e, struct clo_transfer *t,
                      CURLcode code) {
  clo_result_read(t, code);
  clo_attempts_leave(e, &e->running, t);
  settle(e, t);
}

/* Ends the attempts that have a socket which is not watched. If libcurl's own
 * is not, all end: it asks for that again when the next one begins. */
static void drop_unwatched(struct clo_engine *e) {
  struct clo_transfer *t, *next;
  int all = e->sockets.unheard;
  if (!e->sockets.unwatched) return;
  e->sockets.unwatched = e->sockets.unheard = 0;
  for (t = e->running.first; t; t = next) {
    next = t->next;
    if (all || t->unwatched) break_off(e, t, CURLE_OUT_OF_MEMORY);
  }
}

/* When an attempt should be over: a connection that was made in time has all of
 * the attempt's time. */
static double overdue_at(const struct clo_transfer *t) {
  curl_off_t connected = 0;
  if (t->overdue_at < t->limit_at)
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
  return connected > 0 ? t->limit_at : t->overdue_at;
}

void clo_attempts_end_overdue(struct clo_engine *e) {
  struct clo_transfer *t, *next;
  double at;
  if (e->overdue < 0) return;
  at = clo_clock_now();
  if (e->overdue > at) return;
  e->overdue = -1;
  for (t = e->running.first; t; t = next) {
    next = t->next;
    t->overdue_at = overdue_at(t);
    if (t->overdue_at <= at)
      break_off(e, t, CURLE_OPERATION_TIMEDOUT);
    else
      note_overdue(e, t);
  }
}

void clo_attempts_end_broken(struct clo_engine *e) {
  while (e->running.first)
    break_off(e, e->running.first, CURLE_OUT_OF_MEMORY);
}

/* Follows faster answers at once, and slower ones slowly. */
static void note_time(struct clo_engine *e, const struct clo_transfer *t) {
  double took = clo_clock_now() - t->started_at;
  if (e->usual < 0 || took < e->usual)
    e->usual = took;
  else
    e->usual += (took - e->usual) / 16;
}

/* Whether nghttp2 has failed, for example for lack of memory. Its session must
 * not be used any more. But libcurl 7.88 keeps the connection, and each call
 * that uses it fails, or crashes in nghttp2. */
static int is_end_of_session(const struct clo_transfer *t, CURLcode code) {
  return code == CURLE_HTTP2 ||
         (code != CURLE_OK && strstr(t->message, "nghttp2") != NULL);
}

void clo_attempts_note_ended(struct clo_engine *e) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(e->multi, &left))) {
    struct clo_transfer *t = NULL;
    if (message->msg != CURLMSG_DONE) continue;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    if (!t) continue;
    if (t->is_parked) {
      clo_attempts_unpark(e, t);
      continue;
    }
    t->is_looked_up = 0;
    t->code = message->data.result;
    if (t->code == CURLE_OK) keep(e, t);
    t->next_ended = NULL;
    *e->ended_end = t;
    e->ended_end = &t->next_ended;
  }
}

void clo_attempts_collect(struct clo_engine *e) {
  struct clo_transfer *t;
  clo_attempts_note_ended(e);
  while ((t = e->ended)) {
    CURLcode code = t->code;
    if (!(e->ended = t->next_ended)) e->ended_end = &e->ended;
    clo_result_read(t, code);
    if (is_end_of_session(t, code)) e->is_broken = 1;
    if (code == CURLE_OK) {
      note_time(e, t);
      e->trust = t->trust;
    }
    clo_attempts_leave(e, &e->running, t);
    if (try_other_trust(e, t) || try_other_connection(e, t)) continue;
    note_rate(e, t);
    settle(e, t);
  }
  drop_unwatched(e);
}
