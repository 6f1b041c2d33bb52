/* Scenes, and calls driven to their ends. */
#include "drive.h"

#include <unistd.h>

#include "clo_engine_state.h"

struct server *server;
struct clo_engine *engine;
char why[CLO_WHY_MAX];

enum { PROGRAM_MAX = 60, CALL_MAX = 15 }; /* seconds */

int scene_begin(void **state) {
  alarm(PROGRAM_MAX);
  return 0;
}

int scene_end(int failed) {
  curl_global_cleanup();
  return failed;
}

struct clo_config scene_config(void) {
  struct clo_config config;
  memset(&config, 0, sizeof config);
  config.user_agent = "close-spec/1";
  config.plain = 1;
  config.connect_timeout = 2;
  config.attempt_timeout = 4;
  config.max_response_bytes = 1024 * 1024;
  config.max_in_flight = 8;
  return config;
}

void scene_open_with(const struct clo_config *config,
                     const struct reaction *script, size_t count) {
  server = server_start(script, count);
  engine = clo_engine_new(config, why);
  if (!engine) fail_msg("%s", why);
}

void scene_open(const struct reaction *script, size_t count) {
  struct clo_config config = scene_config();
  scene_open_with(&config, script, count);
}

int scene_close(void **state) {
  clo_engine_free(engine);
  engine = NULL;
  server_stop(server);
  server = NULL;
  return 0;
}

const char *scene_url(const char *path) {
  static char url[256];
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server_port(server), path);
  return url;
}

struct clo_request request_of(const char *method, const char *body) {
  struct clo_request request;
  memset(&request, 0, sizeof request);
  request.method = method;
  request.group = method;
  request.url = scene_url("/api/v1/activity/sms/");
  request.body = body;
  request.body_len = body ? strlen(body) : 0;
  request.timeout = 5;
  request.repeatable = -1;
  return request;
}

unsigned long submit(const struct clo_request *request) {
  unsigned long id = clo_engine_submit(engine, request);
  assert_true(id > 0);
  return id;
}

void submit_posts(size_t count) {
  struct clo_request request = request_of("POST", "{\"text\": \"a post\"}");
  while (count-- > 0) submit(&request);
}

struct clo_transfer *until_done(void) {
  double until = clock_now() + CALL_MAX;
  while (!clo_engine_done(engine)) {
    if (clock_now() > until) fail_msg("a call does not end");
    clo_engine_wait(engine, 1);
    clo_engine_step(engine, 0.01);
  }
  return clo_engine_done(engine);
}

struct clo_transfer *call(const struct clo_request *request) {
  struct clo_transfer *t;
  unsigned long id = submit(request);
  t = until_done();
  assert_int_equal(t->id, id);
  return t;
}

struct clo_transfer *call_of(const char *method, const char *body) {
  struct clo_request request = request_of(method, body);
  return call(&request);
}

void release(struct clo_transfer *t) {
  clo_engine_take(engine, t);
  clo_engine_release(engine, t);
}

size_t release_done(void) {
  size_t count = 0;
  struct clo_transfer *t;
  while ((t = clo_engine_done(engine))) {
    assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
    release(t);
    count++;
  }
  return count;
}

void assert_works(const char *method, const char *body) {
  struct clo_transfer *t = call_of(method, body);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
  release(t);
}

static void step_until(size_t taken, size_t begun) {
  double until = clock_now() + CALL_MAX;
  for (;;) {
    struct server_counts counts = server_counts(server);
    if (counts.taken >= taken && counts.begun >= begun) return;
    if (clock_now() > until) fail_msg("a request does not arrive");
    clo_engine_step(engine, 0.01);
    nap(0.0005);
  }
}

void step_until_taken(size_t count) { step_until(count, 0); }
void step_until_begun(size_t count) { step_until(0, count); }

static const char *name_of(enum clo_outcome outcome) {
  const char *name = clo_outcome_name(outcome);
  return name ? name : "answered";
}

void assert_end(const struct clo_transfer *t, enum clo_outcome outcome,
                int status, int attempts) {
  enum clo_outcome is = clo_policy_outcome(&t->end);
  if (is != outcome || t->end.status != status || t->attempts != attempts)
    fail_msg("%s, status %d, %d attempts; expected %s, %d, %d (%s)",
             name_of(is), t->end.status, t->attempts, name_of(outcome), status,
             attempts, t->message);
}

void assert_honest(const struct clo_transfer *t) {
  size_t copies = server_copies(server, t->body.data, t->body.len);
  enum clo_outcome is = clo_policy_outcome(&t->end);
  if (copies > 1 || (copies == 0 && is == CLO_OUTCOME_ANSWERED) ||
      (copies == 1 && is == CLO_OUTCOME_NOT_SENT))
    fail_msg("%s, and the server has %zu copies", name_of(is), copies);
}

size_t pending_count(void) {
  return engine->queued + engine->running.count + engine->pausing.count;
}

size_t queued_count(void) { return engine->queued; }

size_t watched_count(void) { return engine->sockets.count; }

size_t group_count(void) { return engine->group_count; }

size_t spare_count(void) { return engine->spare.count; }

double seconds_taken(const struct clo_transfer *transfer) {
  return transfer->ended_at - transfer->submitted;
}
