/* A scene: a scripted server and an engine that calls it; and the way to drive
 * a call to its end. No wait here is without a bound. */
#ifndef CLO_SPEC_DRIVE_H
#define CLO_SPEC_DRIVE_H

#include "clo_engine.h"
#include "server.h"
#include "test.h"

/* Those of the scene that is open, for the test to use. */
extern struct server *server;
extern struct clo_engine *engine;
extern char why[CLO_WHY_MAX]; /* the engine could not be made */

/* For a whole program: the setup of its group of tests, which ends a program
 * that hangs; and the last thing that main does. */
int scene_begin(void **state);
int scene_end(int failed);

/* What scenes use unless told otherwise; a copy, to be changed and opened. */
struct clo_config scene_config(void);

void scene_open(const struct reaction *script, size_t count);
void scene_open_with(const struct clo_config *config,
                     const struct reaction *script, size_t count);
/* Each test's teardown. */
int scene_close(void **state);
#define TEST(name) cmocka_unit_test_teardown(name, scene_close)

/* The address the server has, with a path. Good until the next call of it. */
const char *scene_url(const char *path);

/* A call to the server, to be changed and submitted: no retries, 5 s. Body may
 * be NULL. */
struct clo_request request_of(const char *method, const char *body);

unsigned long submit(const struct clo_request *request);

/* So many POSTs. */
void submit_posts(size_t count);

/* Waits and steps until a call is done, the oldest one that is. */
struct clo_transfer *until_done(void);

/* Submits and drives one call to its end; the caller releases it. */
struct clo_transfer *call(const struct clo_request *request);
struct clo_transfer *call_of(const char *method, const char *body);

void release(struct clo_transfer *transfer);

/* Releases what is done, all of it with a 200; returns how many that was. */
size_t release_done(void);

/* One call, submitted, driven, seen answered with 200, and released. */
void assert_works(const char *method, const char *body);

/* Steps without waiting until so many requests have reached the server. */
void step_until_taken(size_t count);
void step_until_begun(size_t count);

/* How a call ended. */
void assert_end(const struct clo_transfer *transfer, enum clo_outcome outcome,
                int status, int attempts);

/* The rule that holds whatever happened: what the outcome says of a call is
 * what the ledger has of its body, and that is never two copies. */
void assert_honest(const struct clo_transfer *transfer);

/* Calls that are not done, those of them that wait for their turn, sockets that
 * the engine waits for, endpoint groups that it knows, and transfers that it
 * keeps for the calls to come. */
size_t pending_count(void);
size_t queued_count(void);
size_t watched_count(void);
size_t group_count(void);
size_t spare_count(void);

/* Seconds from a call's submission to its end. */
double seconds_taken(const struct clo_transfer *transfer);

#endif
