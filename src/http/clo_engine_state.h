/* The inside of an engine, for clo_engine.c (its life and its verbs) and
 * clo_attempts.c (a call's way through the lists). Nobody else includes it.
 * Each transfer is on exactly one list. */
#ifndef CLO_ENGINE_STATE_H
#define CLO_ENGINE_STATE_H

#include <sys/types.h>

#include "clo_engine.h"
#include "clo_pace.h"
#include "clo_sockets.h"

struct clo_list {
  struct clo_transfer *first, *last;
  size_t count;
};

/* The calls to one endpoint group, which share a rate limit. */
struct clo_group {
  char *name; /* owned */
  struct clo_pace pace;
  struct clo_list queued; /* those that go first come first */
  size_t running;
  double checked; /* the hold that all of queued were held against */
  struct clo_group *next;
};

struct clo_engine {
  CURLM *multi;
  struct curl_slist *headers;
  struct clo_config config; /* its strings are owned */
  struct clo_sockets sockets;
  struct clo_group *groups;
  struct clo_list running, pausing, done, spare;
  size_t queued; /* in all groups */
  struct clo_event *events, **events_end;
  enum clo_trust trust; /* the authorities that vouched last */
  double timer;   /* when libcurl wants to be called, or -1 */
  double due;     /* no deadline or pause ends before it; -1: there is none */
  double release; /* when a rate limit lets the next one go, or -1 */
  double overdue; /* no running attempt is before it; -1: there is none */
  size_t next_up; /* where in the interest set the next step goes on */
  int polled;     /* the interest set's revents are fresh */
  int full;       /* libcurl may have something more: step again at once */
  int is_broken;  /* libcurl failed: the multi handle is to be replaced */
  unsigned long last_id;
  unsigned long long random;
  pid_t pid;
};

/* Appends to a list; takes off one, and returns it. */
void clo_list_put(struct clo_list *list, struct clo_transfer *transfer);
struct clo_transfer *clo_list_take(struct clo_list *list,
                                   struct clo_transfer *transfer);

/* The group of a name, made where there is none; NULL if out of memory. */
struct clo_group *clo_attempts_group(struct clo_engine *engine,
                                     const char *name);

/* Puts a transfer into its group's queue. */
void clo_attempts_queue(struct clo_engine *engine,
                        struct clo_transfer *transfer);

/* Puts a transfer, which is on no list, among those that wait for start_at. */
void clo_attempts_pause(struct clo_engine *engine,
                        struct clo_transfer *transfer);

/* Takes a transfer off the list it is on, whichever that is; the multi handle
 * lets go of one that runs. */
void clo_attempts_leave(struct clo_engine *engine, struct clo_list *list,
                        struct clo_transfer *transfer);

/* Ends what waited past its deadline, and queues again what has paused; looks
 * the kept connections over. */
void clo_attempts_prepare(struct clo_engine *engine);

/* Starts one that is due and has a place; 0 where there is none. */
int clo_attempts_start(struct clo_engine *engine);

/* Takes in what libcurl has ended. */
void clo_attempts_collect(struct clo_engine *engine);

/* Ends the running attempts that libcurl should have ended some time ago. */
void clo_attempts_end_overdue(struct clo_engine *engine);

/* Ends all running attempts: libcurl has failed. */
void clo_attempts_end_broken(struct clo_engine *engine);

/* Keeps an event for the attempt that has just ended; retry_in as there. */
void clo_attempts_record(struct clo_engine *engine,
                         const struct clo_transfer *transfer, double retry_in);

/* Puts a transfer, which is on no list, among those that are done. */
void clo_attempts_finish(struct clo_engine *engine,
                         struct clo_transfer *transfer);

#endif
