/* A call's way through the engine's lists: queued, running, pausing, done. For
 * clo_engine.c alone. */
#ifndef CLO_ATTEMPTS_H
#define CLO_ATTEMPTS_H

#include "clo_engine_state.h"

/* The group of a name, made where there is none; NULL if out of memory. */
struct clo_group *clo_attempts_group(struct clo_engine *engine,
                                     const char *name);

/* Gives a transfer a handle where it has none; 0 on failure. */
int clo_attempts_setup(struct clo_engine *engine,
                       struct clo_transfer *transfer, char *why);

/* Lets go of a handle that was given up while its host was looked up; waits for
 * the look-up where it is not over. */
void clo_attempts_unpark(struct clo_engine *engine,
                         struct clo_transfer *parked);

/* Puts a transfer into its group's queue. */
void clo_attempts_queue(struct clo_engine *engine,
                        struct clo_transfer *transfer);

/* Puts a transfer, which is on no list, among those that wait for start_at. */
void clo_attempts_pause(struct clo_engine *engine,
                        struct clo_transfer *transfer);

/* Takes a transfer off the list it is on, whichever that is; one that runs is
 * removed from the multi handle. */
void clo_attempts_leave(struct clo_engine *engine, struct clo_list *list,
                        struct clo_transfer *transfer);

/* Ends what waited past its deadline, and queues again what has paused; drops
 * stale connections. */
void clo_attempts_prepare(struct clo_engine *engine);

/* Starts one that is due, if there is room; 0 if none was started. */
int clo_attempts_start(struct clo_engine *engine);

/* Notes the attempts that libcurl has ended, and keeps their connections:
 * before a call may begin on one of those. */
void clo_attempts_note_ended(struct clo_engine *engine);

/* Handles all of these attempts. */
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
