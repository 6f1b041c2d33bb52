/* A call's way through the engine's lists: queued, running, pausing, done. Each
 * attempt's end passes through settle(), which asks the policy what is next. */
#include <stdlib.h>
#include <string.h>

#include "clo_engine_state.h"

/* xorshift64*: jitter needs to be spread, not secret. */
static double next_random(struct clo_engine *e) {
  e->random ^= e->random >> 12;
  e->random ^= e->random << 25;
  e->random ^= e->random >> 27;
  return (double)((e->random * 2685821657736338717ULL) >> 11) * 0x1p-53;
}

void clo_attempts_note_due(struct clo_engine *e, double at) {
  if (e->due < 0 || at < e->due) e->due = at;
}

static void record(struct clo_engine *e, const struct clo_transfer *t,
                   double seconds, double retry_in) {
  struct clo_event *event;
  if (!e->config.events || !(event = calloc(1, sizeof *event))) return;
  event->id = t->id;
  event->end = t->end;
  event->code = t->code;
  event->attempt = t->attempts;
  event->seconds = seconds;
  event->retry_in = retry_in;
  memcpy(event->method, t->method, sizeof event->method);
  *e->events_end = event;
  e->events_end = &event->next;
}

void clo_attempts_finish(struct clo_engine *e, struct clo_transfer *t) {
  t->ended_at = clo_engine_now();
  clo_list_put(&e->done, t);
}

/* An attempt is over and the transfer on no list: pause it or finish it. */
static void settle(struct clo_engine *e, struct clo_transfer *t) {
  struct clo_budget budget;
  double at = clo_engine_now(), wait;
  budget.attempts = t->attempts;
  budget.max_retries = t->max_retries;
  budget.remaining = t->deadline - at;
  budget.asked = t->asked;
  budget.random = next_random(e);
  wait = clo_policy_outcome(&t->end) == CLO_OUTCOME_ANSWERED
             ? -1
             : clo_policy_retry(&t->end, &budget);
  record(e, t, at - t->started_at, wait);
  if (wait < 0) {
    clo_attempts_finish(e, t);
    return;
  }
  t->start_at = at + wait;
  clo_attempts_note_due(e, t->start_at);
  clo_list_put(&e->pausing, t);
}

static void begin(struct clo_engine *e, struct clo_transfer *t, double at) {
  double timeout = t->deadline - at;
  CURLcode code;
  if (timeout > e->config.attempt_timeout) timeout = e->config.attempt_timeout;
  clo_transfer_rewind(t);
  t->attempts++;
  t->started_at = at;
  code = clo_curl_aim(t, timeout);
  if (!code && curl_multi_add_handle(e->multi, t->easy) == CURLM_OK) {
    clo_list_put(&e->running, t);
    return;
  }
  clo_transfer_end(t, code ? code : CURLE_OUT_OF_MEMORY);
  settle(e, t);
}

/* Of the transfers on a list: ends those past their deadline, queues those
 * whose pause is over, and notes in e->due when to look again. */
static void review(struct clo_engine *e, struct clo_list *list, double at) {
  struct clo_transfer *t, *next;
  for (t = list->first; t; t = next) {
    next = t->next;
    if (t->deadline <= at) {
      clo_transfer_stop(t, CLO_CAUSE_TIMEOUT,
                        "the call's timeout passed before it could start");
      clo_attempts_finish(e, clo_list_take(list, t));
    } else if (list == &e->pausing && t->start_at <= at) {
      clo_attempts_note_due(e, t->deadline);
      clo_list_put(&e->queued, clo_list_take(list, t));
    } else {
      clo_attempts_note_due(e, list == &e->pausing ? t->start_at : t->deadline);
    }
  }
}

void clo_attempts_start(struct clo_engine *e) {
  double at;
  if (!e->queued.first && !e->pausing.first) return;
  at = clo_engine_now();
  if (e->due >= 0 && e->due <= at) {
    e->due = -1;
    review(e, &e->queued, at);
    review(e, &e->pausing, at);
  }
  while (e->queued.first &&
         e->running.count < (size_t)e->config.max_in_flight)
    begin(e, clo_list_take(&e->queued, e->queued.first), at);
}

/* A connection that has just answered over HTTP/1 waits for the next request
 * with a cork in. HTTP/2 shares a connection and has no use for one. */
static void cork(struct clo_engine *e, const struct clo_transfer *t) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  long version = 0;
  curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
  if (version != CURL_HTTP_VERSION_1_1) return;
  curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd);
  if (fd != CURL_SOCKET_BAD) clo_sockets_cork(&e->sockets, fd);
}

/* Ends the attempts that have a socket which nobody watches. */
static void drop_unwatched(struct clo_engine *e) {
  struct clo_transfer *t, *next;
  if (!e->sockets.unwatched) return;
  e->sockets.unwatched = 0;
  for (t = e->running.first; t; t = next) {
    next = t->next;
    if (!t->unwatched) continue;
    clo_transfer_end(t, CURLE_OUT_OF_MEMORY);
    curl_multi_remove_handle(e->multi, t->easy);
    settle(e, clo_list_take(&e->running, t));
  }
}

void clo_attempts_collect(struct clo_engine *e) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(e->multi, &left))) {
    struct clo_transfer *t = NULL;
    CURLcode code = message->data.result;
    if (message->msg != CURLMSG_DONE) continue;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    clo_transfer_end(t, code);
    if (code == CURLE_OK) cork(e, t);
    curl_multi_remove_handle(e->multi, t->easy);
    settle(e, clo_list_take(&e->running, t));
  }
  drop_unwatched(e);
}
