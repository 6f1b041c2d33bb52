/* Many transfers on one multi handle. A loop drives an engine with submit,
 * step, wait and cancel, and reads its deadline, descriptor and finished calls.
 * Only clo_engine_wait() blocks, and nothing calls back into the caller.
 *
 * A transfer is queued, running, pausing before another attempt, or done. */
#ifndef CLO_ENGINE_H
#define CLO_ENGINE_H

#include "clo_curl.h"
#include "clo_transfer.h"

struct clo_engine;

/* Copies the config. NULL if out of memory, if libcurl cannot start or is not
 * one that can be used; why (CLO_WHY_MAX bytes) says which. */
struct clo_engine *clo_engine_new(const struct clo_config *config, char *why);

/* Ends all transfers and connections. After a fork, in the child, it only
 * closes the child's copies of the sockets. NULL is fine. */
void clo_engine_free(struct clo_engine *engine);

/* Takes a call in; nothing is sent before the next step. Returns its id, from
 * 1 on, or 0 if out of memory. The engine's own ids are larger than all that
 * it has seen. */
unsigned long clo_engine_submit(struct clo_engine *engine,
                                const struct clo_request *request);

/* Does what can be done now; starts nothing new after budget seconds.
 * Returns how many transfers are not done yet. */
size_t clo_engine_step(struct clo_engine *engine, double budget);

/* Waits until there is something to step for, at most seconds (less than 0:
 * no limit of its own). A signal ends the wait early. */
void clo_engine_wait(struct clo_engine *engine, double seconds);

/* Ends a call; it is done at once, with the cause CLO_CAUSE_CANCELLED and what
 * is true then of its body. Returns 0 where it was done already. */
int clo_engine_cancel(struct clo_engine *engine, unsigned long id);

/* Seconds to the next moment at which a step has something to do even if no
 * socket is ready, or -1 where there is none. */
double clo_engine_deadline(struct clo_engine *engine);

/* Whether it is known when an answer can be expected, by how long answers took
 * lately; not while a request is still being sent. Then seconds is the time
 * until that, less than 0 if it has passed, HUGE_VAL if no attempt runs. For a
 * loop that cannot watch the sockets. */
int clo_engine_expected(struct clo_engine *engine, double *seconds);

/* One descriptor for all sockets, for a loop that watches by itself: readable
 * while one of them is ready. -1 where the system has no such thing (it is
 * epoll's). The engine's; after a fork the child has to ask again. */
int clo_engine_descriptor(struct clo_engine *engine);

/* The oldest call that is done, or NULL. */
struct clo_transfer *clo_engine_done(const struct clo_engine *engine);

/* Makes a call that is done the caller's, who releases it once it is read, puts
 * it back, or frees it after the engine's end. */
void clo_engine_take(struct clo_engine *engine, struct clo_transfer *transfer);
void clo_engine_put_back(struct clo_engine *engine,
                         struct clo_transfer *transfer);
void clo_engine_release(struct clo_engine *engine,
                        struct clo_transfer *transfer);
void clo_engine_free_taken(struct clo_transfer *transfer);

/* The oldest event, or NULL; it stays until it is dropped. */
const struct clo_event *clo_engine_event(const struct clo_engine *engine);
void clo_engine_drop_event(struct clo_engine *engine);

#endif
