/* The inside of an engine, for clo_engine.c (its life and its verbs) and
 * clo_attempts.c (a call's way through the lists). Nobody else includes it.
 * Each transfer is on exactly one list. */
#ifndef CLO_ENGINE_STATE_H
#define CLO_ENGINE_STATE_H

#include <sys/types.h>

#include "clo_engine.h"
#include "clo_sockets.h"

struct clo_list {
  struct clo_transfer *first, *last;
  size_t count;
};

struct clo_engine {
  CURLM *multi;
  struct curl_slist *headers;
  struct clo_config config; /* its strings are owned */
  struct clo_sockets sockets;
  struct clo_list queued, running, pausing, done, spare;
  struct clo_event *events, **events_end;
  double timer;   /* when libcurl wants to be called, or -1 */
  double due;     /* no deadline or pause ends before it; -1: there is none */
  size_t next_up; /* where in the interest set the next step goes on */
  int polled;     /* the interest set's revents are fresh */
  int full;       /* libcurl may have something more: step again at once */
  unsigned long last_id;
  unsigned long long random;
  pid_t pid;
};

/* Seconds on a clock that nobody sets. */
double clo_engine_now(void);

/* Appends to a list; takes off one, and returns it. */
void clo_list_put(struct clo_list *list, struct clo_transfer *transfer);
struct clo_transfer *clo_list_take(struct clo_list *list,
                                   struct clo_transfer *transfer);

/* Notes that something on queued or pausing is due at a moment. */
void clo_attempts_note_due(struct clo_engine *engine, double at);

/* Starts what is due and has a place; ends what waited past its deadline. */
void clo_attempts_start(struct clo_engine *engine);

/* Takes in what libcurl has ended. */
void clo_attempts_collect(struct clo_engine *engine);

/* Puts a transfer, which is on no list, among those that are done. */
void clo_attempts_finish(struct clo_engine *engine,
                         struct clo_transfer *transfer);

#endif
