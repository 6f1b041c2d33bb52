/* An engine's life, and the functions by which a loop drives it. clo_attempts.c
 * handles the attempts. */
#include "clo_engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clo_attempts.h"
#include "clo_clock.h"
#include "clo_libcurl.h"
#include "clo_result.h"

#define SPARE_MAX 16 /* transfers kept for the calls to come */

/* ---- making and ending ---- */

static int on_timer(CURLM *multi, long ms, void *engine) {
  struct clo_engine *e = engine;
  (void)multi;
  e->timer = ms < 0 ? -1 : clo_clock_now() + (double)ms / 1000;
  return 0;
}

/* Closing a client must not wait for the threads that look hosts up. A libcurl
 * that does not know the option does not wait, so its refusal is no failure. */
static void set_quick_exit(CURLM *multi) {
  (void)curl_multi_setopt(multi, CLO_LIBCURL_MULTI_QUICK_EXIT, 1L);
}

static int make_multi(struct clo_engine *e) {
  long kept = e->config.max_in_flight;
  e->timer = -1;
  e->polled = 0;
  e->next_up = 0;
  clo_process_note(&e->process);
  if (!e->sessions) e->sessions = clo_curl_sessions();
  e->multi = curl_multi_init();
  if (e->multi) set_quick_exit(e->multi);
  return e->multi &&
         !curl_multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION,
                            clo_sockets_on_interest) &&
         !curl_multi_setopt(e->multi, CURLMOPT_SOCKETDATA, &e->sockets) &&
         !curl_multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, on_timer) &&
         !curl_multi_setopt(e->multi, CURLMOPT_TIMERDATA, e) &&
         !curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, kept);
}

static int copy_string(const char **string) {
  char *copy;
  if (!*string) return 1;
  if ((copy = malloc(strlen(*string) + 1))) strcpy(copy, *string);
  *string = copy;
  return copy != NULL;
}

static int copy_config(struct clo_config *to, const struct clo_config *from) {
  int ok;
  *to = *from;
  ok = copy_string(&to->user_agent);
  ok = copy_string(&to->ca_file) && ok;
  return copy_string(&to->proxy) && ok;
}

/* A transfer that has all options which do not change from call to call. */
static struct clo_transfer *blank(struct clo_engine *e, char *why) {
  struct clo_transfer *t =
      e->spare.last ? clo_list_take(&e->spare, e->spare.last)
                    : clo_transfer_new(e->config.max_response_bytes);
  if (!t) return NULL;
  /* A spare one of before a fork has lost its handle. */
  if (clo_attempts_setup(e, t, why)) return t;
  clo_transfer_free(t);
  return NULL;
}

/* Prepares requests, so that an option which this libcurl refuses is found
 * before there is a call. */
static int check_options(struct clo_engine *e, char *why) {
  static const struct clo_request requests[] = {
      {.method = "POST", .url = "https://localhost/", .body = "{}",
       .body_len = 2, .auth = CLO_AUTH_BEARER, .secret = "none"},
      {.method = "GET", .url = "https://localhost/", .auth = CLO_AUTH_BASIC,
       .secret = "none"}};
  struct clo_transfer *t = blank(e, why);
  int ok = t != NULL;
  size_t i;
  for (i = 0; ok && i < sizeof requests / sizeof *requests; i++)
    ok = clo_transfer_load(t, &requests[i]) && !clo_curl_prepare(t, 1, why);
  if (t) clo_engine_release(e, t);
  return ok;
}

struct clo_engine *clo_engine_new(const struct clo_config *config, char *why) {
  struct clo_engine *e;
  if (!clo_curl_start(why)) return NULL;
  snprintf(why, CLO_WHY_MAX, "not enough memory");
  if (!(e = calloc(1, sizeof *e))) return NULL;
  clo_sockets_init(&e->sockets);
  e->events_end = &e->events;
  e->ended_end = &e->ended;
  e->due = e->release = e->overdue = e->usual = -1;
  e->random = (unsigned long long)(clo_clock_now() * 1e9) | 1;
  e->trust = clo_curl_trust(config);
  if (copy_config(&e->config, config) &&
      (e->headers = clo_curl_headers(&e->config)) && make_multi(e) &&
      check_options(e, why))
    return e;
  clo_engine_free(e);
  return NULL;
}

static void free_list(struct clo_engine *e, struct clo_list *list) {
  struct clo_transfer *t;
  while ((t = list->first)) {
    if (list == &e->spare || list == &e->done) /* its group may be gone */
      clo_list_take(list, t);
    else
      clo_attempts_leave(e, list, t);
    clo_transfer_free(t);
  }
}

/* Ends all on a list as calls of the parent, which continues them: their end is
 * not known here. */
static void disown(struct clo_engine *e, struct clo_list *list) {
  struct clo_transfer *t;
  while ((t = list->first)) {
    clo_result_set(t, CLO_CAUSE_CANCELLED,
                   "the process forked: this call is the parent's");
    t->end.status = 0;
    t->end.body_left = t->end.body_len;
    t->end.request_left = 1;
    t->from_parent = 1;
    t->easy = NULL;
    clo_list_put(&e->done, clo_list_take(list, t));
  }
}

/* Leaves the handles that were given up as they are. */
static void lose_parked(struct clo_engine *e) {
  struct clo_transfer *t;
  while ((t = e->parked.first)) {
    t->easy = NULL;
    clo_transfer_free(clo_list_take(&e->parked, t));
  }
}

/* In a child process: libcurl's handles hold connections that are the
 * parent's. Cleaning them up would end those (TLS close_notify), so they
 * are left as they are, which costs their memory once per fork. */
static void abandon(struct clo_engine *e) {
  struct clo_transfer *t;
  struct clo_group *group;
  clo_sockets_abandon(&e->sockets);
  lose_parked(e);
  disown(e, &e->running);
  disown(e, &e->pausing);
  for (group = e->groups; group; group = group->next) {
    disown(e, &group->queued);
    group->running = group->pausing = 0;
  }
  e->queued = 0;
  e->unsent = NULL;
  e->is_broken = 0;
  for (t = e->done.first; t; t = t->next) t->easy = NULL;
  for (t = e->spare.first; t; t = t->next) t->easy = NULL;
  e->multi = NULL;
  e->sessions = NULL;
}

/* libcurl has failed, and may have lost any transfer or socket. The running
 * ones end with what is known of them; the others need a new handle. If the old
 * one might wait for a look-up, it is not freed. */
static void give_up_multi(struct clo_engine *e) {
  struct clo_sigpipe held;
  clo_libcurl_hold_sigpipe(&held);
  clo_attempts_end_broken(e);
  if (!e->parked.first) curl_multi_cleanup(e->multi);
  clo_libcurl_release_sigpipe(&held);
  lose_parked(e);
  clo_sockets_drop_all(&e->sockets);
  e->multi = NULL;
  e->is_broken = 0;
}

/* Makes the engine this process's own, and gives it a multi handle that works;
 * 0 if out of memory. */
static int adopt(struct clo_engine *e) {
  if (e->multi && clo_process_is_other(&e->process))
    abandon(e);
  else if (e->multi && e->is_broken)
    give_up_multi(e);
  if (e->multi || make_multi(e)) return 1;
  curl_multi_cleanup(e->multi);
  e->multi = NULL;
  return 0;
}

static void free_groups(struct clo_engine *e) {
  struct clo_group *group;
  while ((group = e->groups)) {
    free_list(e, &group->queued);
    e->groups = group->next;
    free(group->name);
    free(group);
  }
}

/* What is left of an engine, which is nobody's any more. */
static void *free_rest(void *engine) {
  struct clo_engine *e = engine;
  while (e->parked.first) clo_attempts_unpark(e, e->parked.first);
  curl_multi_cleanup(e->multi);
  curl_share_cleanup(e->sessions);
  curl_slist_free_all(e->headers);
  clo_sockets_free(&e->sockets);
  clo_process_free(&e->process);
  free((char *)e->config.user_agent);
  free((char *)e->config.ca_file);
  free((char *)e->config.proxy);
  free(e);
  return NULL;
}

void clo_engine_free(struct clo_engine *e) {
  struct clo_sigpipe held;
  if (!e) return;
  if (e->multi && clo_process_is_other(&e->process)) abandon(e);
  clo_libcurl_hold_sigpipe(&held);
  free_list(e, &e->running);
  free_list(e, &e->pausing);
  free_list(e, &e->done);
  free_list(e, &e->spare);
  free_groups(e);
  while (e->events) clo_engine_drop_event(e);
  /* Its look-ups are waited for in a thread. */
  if (!e->parked.first || !clo_libcurl_run_aside(free_rest, e)) free_rest(e);
  clo_libcurl_release_sigpipe(&held);
}

/* ---- calls ---- */

unsigned long clo_engine_submit(struct clo_engine *e,
                                const struct clo_request *request) {
  struct clo_transfer *t;
  char why[CLO_WHY_MAX]; /* out of memory: all else was tried before */
  if (!adopt(e) || !(t = blank(e, why))) return 0;
  if (!(t->group = clo_attempts_group(e, request->group)) ||
      !clo_transfer_load(t, request) ||
      (request->form && !clo_curl_form(t, request->form))) {
    clo_transfer_free(t);
    return 0;
  }
  clo_transfer_rewind(t);
  t->id = request->id ? request->id : e->last_id + 1;
  if (t->id > e->last_id) e->last_id = t->id;
  t->ticket = request->ticket;
  t->submitted = clo_clock_now();
  t->start_at = t->submitted + request->delay;
  t->deadline = t->submitted + request->timeout;
  if (request->delay > 0)
    clo_attempts_pause(e, t);
  else
    clo_attempts_queue(e, t);
  return t->id;
}

/* ---- functions for a loop ---- */

static void act(struct clo_engine *e, curl_socket_t fd, int bits) {
  int running;
  if (curl_multi_socket_action(e->multi, fd, bits, &running) != CURLM_OK)
    e->is_broken = 1;
}

/* Handles the ready sockets, going round from where the last step stopped, so
 * that none is starved when the budget is short. */
static void act_on_ready(struct clo_engine *e, double until) {
  struct clo_sockets *s = &e->sockets;
  size_t seen, n = s->count;
  for (seen = 0; seen < n && s->count > 0 && !e->is_broken; seen++) {
    struct pollfd *p = &s->interest[e->next_up % s->count];
    int bits = (p->revents & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
               (p->revents & POLLOUT ? CURL_CSELECT_OUT : 0) |
               (p->revents & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0);
    e->next_up = (e->next_up + 1) % s->count;
    if (!bits) continue;
    p->revents = 0;
    act(e, p->fd, bits);
    if (clo_clock_now() >= until) {
      e->full = 1;
      return;
    }
  }
}

static void act_on_timer(struct clo_engine *e) {
  if (e->timer < 0 || e->timer > clo_clock_now()) return;
  e->timer = -1;
  act(e, CURL_SOCKET_TIMEOUT, 0);
}

/* A server may have sent more than the answer that has just ended a call: the
 * next one must not begin on that connection. */
static void keep_ended(struct clo_engine *e) {
  clo_attempts_note_ended(e);
  if (e->ended) clo_sockets_drop_stale(&e->sockets);
}

static size_t step(struct clo_engine *e, double until) {
  adopt(e); /* if it fails, what is started fails */
  e->full = 0;
  if (clo_libcurl_is_old()) clo_attempts_end_overdue(e); /* before it does */
  clo_attempts_prepare(e);
  act_on_timer(e);
  if (e->polled == 0 && clo_sockets_poll(&e->sockets)) e->polled = 1;
  if (e->polled > 0) act_on_ready(e, until);
  e->polled = 0;
  if (e->queued) keep_ended(e);
  /* New ones come last, and only as fast as the sockets are handled. libcurl
   * begins to connect or send when its timer says so, which is at once. While
   * the last step's calls are not all taken there is only one: they need the
   * loop's time, too. And none follows one that is not watched, which ends
   * first. */
  while (!e->full && !e->is_broken && clo_attempts_start(e)) {
    act_on_timer(e);
    if (e->done.first || e->sockets.unwatched) break;
    if (clo_clock_now() >= until) break;
  }
  clo_attempts_collect(e);
  clo_attempts_end_overdue(e);
  if (e->is_broken) adopt(e);
  return e->queued + e->running.count + e->pausing.count;
}

size_t clo_engine_step(struct clo_engine *e, double budget) {
  double until = clo_clock_now() + budget;
  struct clo_sigpipe held;
  size_t pending;
  clo_libcurl_hold_sigpipe(&held);
  pending = step(e, until);
  clo_libcurl_release_sigpipe(&held);
  return pending;
}

/* The earlier of two moments, of which -1 is none. */
static double sooner(double a, double b) {
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

double clo_engine_deadline(struct clo_engine *e) {
  double first = e->timer, left;
  int room = e->running.count < (size_t)e->config.max_in_flight;
  if (e->full || e->is_broken || (e->queued && room && e->release < 0))
    return 0;
  if (e->queued && room) first = sooner(first, e->release);
  if (e->queued || e->pausing.first) first = sooner(first, e->due);
  if (e->running.first) first = sooner(first, e->overdue);
  if (first < 0) return -1;
  left = first - clo_clock_now();
  return left > 0 ? left : 0;
}

/* Whether a request is still being sent. Of one without a body that is not
 * known. */
static int is_sending(struct clo_engine *e) {
  const struct clo_transfer *t;
  size_t i;
  while ((t = e->unsent) && t->body.len > 0 &&
         clo_transfer_left(t) == t->body.len)
    e->unsent = t->next;
  for (i = 0; i < e->sockets.count; i++)
    if (e->sockets.interest[i].events & POLLOUT) return 1;
  return e->unsent != NULL;
}

/* How long an answer took is known when a step finds it, so who looked too late
 * would look later and later. */
#define EARLY 0.98

int clo_engine_expected(struct clo_engine *e, double *seconds) {
  const struct clo_transfer *oldest = e->running.first;
  *seconds = HUGE_VAL;
  if (!oldest) return 1;
  if (e->usual < 0 || is_sending(e)) return 0;
  *seconds = oldest->started_at + EARLY * e->usual - clo_clock_now();
  return 1;
}

void clo_engine_wait(struct clo_engine *e, double seconds) {
  double first;
  int ms;
  if (!adopt(e)) return;
  first = clo_engine_deadline(e);
  if (first < 0 && seconds < 0 && e->sockets.count == 0) return; /* forever */
  if (first >= 0 && (seconds < 0 || first < seconds)) seconds = first;
  /* Rounded up: waking too early would only cause another wait. */
  ms = seconds < 0 ? -1 : seconds > 3600 ? 3600000 : (int)(seconds * 1000 + 1);
  if (seconds == 0) ms = 0;
  e->polled = poll(e->sockets.interest, e->sockets.count, ms) > 0;
}

static struct clo_transfer *find(struct clo_list *list, unsigned long id) {
  struct clo_transfer *t = list->first;
  while (t && t->id != id) t = t->next;
  return t;
}

int clo_engine_cancel(struct clo_engine *e, unsigned long id) {
  struct clo_list *list = &e->running;
  struct clo_transfer *t;
  struct clo_group *group;
  struct clo_sigpipe held;
  adopt(e);
  if (!(t = find(list, id))) t = find(list = &e->pausing, id);
  for (group = e->groups; group && !t; group = group->next)
    t = find(list = &group->queued, id);
  if (!t) return 0;
  /* What has left, and come, until now. */
  if (list == &e->running) clo_result_read(t, CURLE_OK);
  clo_libcurl_hold_sigpipe(&held);
  clo_attempts_leave(e, list, t);
  clo_libcurl_release_sigpipe(&held);
  clo_result_set(t, CLO_CAUSE_CANCELLED, "the call was cancelled");
  if (list == &e->running) {
    if (clo_policy_outcome(&t->end) == CLO_OUTCOME_UNKNOWN) t->unknown++;
    clo_attempts_record(e, t, -1);
  }
  clo_attempts_finish(e, t);
  return 1;
}

int clo_engine_descriptor(struct clo_engine *e) {
  return adopt(e) ? clo_sockets_descriptor(&e->sockets) : -1;
}

struct clo_transfer *clo_engine_done(const struct clo_engine *e) {
  return e->done.first;
}

void clo_engine_take(struct clo_engine *e, struct clo_transfer *t) {
  clo_list_take(&e->done, t);
}

void clo_engine_put_back(struct clo_engine *e, struct clo_transfer *t) {
  clo_list_put_after(&e->done, NULL, t);
}

void clo_engine_release(struct clo_engine *e, struct clo_transfer *t) {
  if (e->spare.count >= SPARE_MAX) {
    clo_transfer_free(t);
    return;
  }
  clo_transfer_clear(t);
  clo_list_put(&e->spare, t);
}

/* The engine could not free its sessions while this one used them. */
void clo_engine_free_taken(struct clo_transfer *t) {
  CURLSH *sessions = t->sessions;
  clo_transfer_free(t);
  curl_share_cleanup(sessions);
}

const struct clo_event *clo_engine_event(const struct clo_engine *e) {
  return e->events;
}

void clo_engine_drop_event(struct clo_engine *e) {
  struct clo_event *event = e->events;
  if (!event) return;
  e->events = event->next;
  if (!e->events) e->events_end = &e->events;
  free(event);
}
