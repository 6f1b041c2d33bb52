/* The inside of an engine, for clo_engine.c (its life and its verbs) and
 * clo_attempts.c (a call's way through the lists). No other file includes it.
 * Each transfer is on exactly one list. */
#ifndef CLO_ENGINE_STATE_H
#define CLO_ENGINE_STATE_H

#include "clo_curl.h"
#include "clo_list.h"
#include "clo_pace.h"
#include "clo_process.h"
#include "clo_sockets.h"

/* The calls to one endpoint group, which share a rate limit. */
struct clo_group {
  char *name; /* owned */
  struct clo_pace pace;
  struct clo_list queued; /* those that go first come first */
  size_t running, pausing; /* how many on the engine's lists are its own */
  double checked; /* the hold that all of queued were held against */
  struct clo_group *next;
};

struct clo_engine {
  CURLM *multi;
  struct curl_slist *headers;
  CURLSH *sessions; /* of TLS; may be NULL */
  struct clo_config config; /* its strings are owned */
  struct clo_sockets sockets;
  struct clo_group *groups; /* those used last come first */
  size_t group_count;
  struct clo_list running, pausing, done, spare;
  struct clo_list parked; /* handles that were given up, for an old libcurl */
  struct clo_transfer *ended, **ended_end; /* of running, ended by libcurl */
  struct clo_transfer *unsent; /* in running: all before it are sent; or NULL */
  size_t queued; /* in all groups */
  struct clo_event *events, **events_end;
  enum clo_trust trust; /* the authorities that worked last */
  double timer;   /* when libcurl wants to be called, or -1 */
  double due;     /* no deadline or pause ends before it; -1: there is none */
  double release; /* when what holds back the next one ends, or -1 */
  double overdue; /* no running attempt is before it; -1: there is none */
  double usual;   /* seconds that the fastest answers took lately, or -1 */
  size_t next_up; /* where in the interest set the next step goes on */
  int polled;     /* the sockets were asked: 1, one is ready; -1, none is */
  int full;       /* libcurl may have something more: step again at once */
  int is_broken;  /* libcurl failed: the multi handle is to be replaced */
  unsigned long last_id;
  unsigned long long random;
  struct clo_process process; /* whose it is */
};

#endif
