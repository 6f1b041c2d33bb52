/* What an old libcurl lacks, shown with any: it says that it is 7.74, and is
 * not told to give look-ups up without waiting for them. Its look-ups hang
 * until the test lets them go; and whenever it connects, there is a SIGPIPE, as
 * OpenSSL raises it. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clo_engine_state.h"
#include "drive.h"

#define VISIBLE __attribute__((visibility("default")))

/* ---- what takes the place of libcurl's and the system's ---- */

VISIBLE curl_version_info_data *curl_version_info(CURLversion age) {
  static curl_version_info_data data;
  curl_version_info_data *(*real)(CURLversion);
  *(void **)&real = dlsym(RTLD_NEXT, "curl_version_info");
  data = *real(age);
  data.version_num = 0x074a00;
  return &data;
}

enum { HANGS_AT_MOST = 5 }; /* seconds */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int hangs, begun, over; /* look-ups: whether they do, and how many */

static int count(int *counter, int more) {
  int n;
  pthread_mutex_lock(&lock);
  n = *counter += more;
  pthread_mutex_unlock(&lock);
  return n;
}

/* Every host is this one, but for one that is not known. New ones look for IPv6
 * in a thread of its own, of which there is none. */
VISIBLE int getaddrinfo(const char *node, const char *service,
                        const struct addrinfo *hints,
                        struct addrinfo **result) {
  double until = clock_now() + HANGS_AT_MOST;
  int (*real)(const char *, const char *, const struct addrinfo *,
              struct addrinfo **);
  int code;
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (node && strcmp(node, "none.example") == 0) return EAI_NONAME;
  if (!node || strcmp(node, "slow.example") != 0)
    return real(node, service, hints, result);
  if (hints && hints->ai_family == AF_INET6) return EAI_NONAME;
  count(&begun, 1);
  while (count(&hangs, 0) && clock_now() < until) nap(0.01);
  code = real("127.0.0.1", service, hints, result);
  count(&over, 1);
  return code;
}

static int cleaned; /* handles that are no more: some wait for a look-up */

VISIBLE void curl_easy_cleanup(CURL *easy) {
  void (*real)(CURL *);
  *(void **)&real = dlsym(RTLD_NEXT, "curl_easy_cleanup");
  if (easy) cleaned++;
  real(easy);
}

static int raises, raised; /* SIGPIPE, in this thread */

/* What libcurl asks a socket that has connected. */
VISIBLE int getsockopt(int fd, int level, int name, void *value,
                       socklen_t *len) {
  int (*real)(int, int, int, void *, socklen_t *);
  *(void **)&real = dlsym(RTLD_NEXT, "getsockopt");
  if (raises) {
    pthread_kill(pthread_self(), SIGPIPE);
    raised++;
  }
  return real(fd, level, name, value, len);
}

/* ---- look-ups ---- */

static const char *slow_url(void) {
  static char url[128];
  snprintf(url, sizeof url, "http://slow.example%s",
           strrchr(scene_url("/"), ':'));
  return url;
}

static void open_slow(double connect_timeout) {
  static const struct reaction answers[] = {{.reply = OK_REPLY},
                                            {.reply = OK_REPLY}};
  struct clo_config config = scene_config();
  config.connect_timeout = connect_timeout;
  hangs = 1;
  begun = over = 0;
  scene_open_with(&config, answers, COUNT(answers));
}

static struct clo_request slow_request(double timeout, int retries) {
  struct clo_request request = request_of("POST", "{\"text\": \"x\"}");
  request.url = slow_url();
  request.timeout = timeout;
  request.max_retries = retries;
  return request;
}

static struct clo_transfer *slow_call(double timeout, int retries) {
  struct clo_request request = slow_request(timeout, retries);
  return call(&request);
}

/* Lets the look-ups go, and waits until they are over and the engine has seen
 * it: without a connection, of which the server counts what the test made. */
static void let_go(size_t connections) {
  double until = clock_now() + HANGS_AT_MOST;
  count(&hangs, -1);
  while (engine && watched_count() > 0 && clock_now() < until) {
    clo_engine_step(engine, 0.01);
    nap(0.01);
  }
  while (count(&over, 0) < count(&begun, 0) && clock_now() < until)
    nap(0.01);
  assert_int_equal(over, begun);
  if (engine) assert_int_equal(watched_count(), 0);
  assert_int_equal(server_counts(server).connections, connections);
}

static void a_look_up_that_hangs_ends_in_time(void **state) {
  struct clo_transfer *t;
  open_slow(10);
  t = slow_call(0.2, 0);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_TIMEOUT);
  assert_true(seconds_taken(t) < HANGS_AT_MOST / 2.0);
  release(t);
  let_go(0);
}

static void so_it_does_with_each_attempt(void **state) {
  struct clo_transfer *t;
  open_slow(0.1);
  t = slow_call(4, 1);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 2);
  assert_true(seconds_taken(t) < HANGS_AT_MOST / 2.0);
  assert_int_equal(begun, 2);
  release(t);
  let_go(0);
}

/* libcurl has its form for as long as the look-up takes. What would be sent
 * again is no form. */
static void a_form_is_given_up_with_its_look_up(void **state) {
  struct clo_form form = {NULL, 0, "a.gif", "image/gif"};
  struct clo_request request;
  struct clo_transfer *t;
  open_slow(0.1);
  request = slow_request(4, 1);
  request.form = &form;
  t = call(&request);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  release(t);
  let_go(0);
}

/* One that is over leaves nothing to wait for. */
static void a_look_up_may_fail(void **state) {
  static const struct reaction answers[] = {{.reply = OK_REPLY}};
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(answers, COUNT(answers));
  request = request_of("POST", "{\"text\": \"x\"}");
  request.url = "http://none.example/";
  t = call(&request);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_int_equal(t->code, CURLE_COULDNT_RESOLVE_HOST);
  assert_non_null(t->easy); /* it is still the call's */
  release(t);
  assert_works("POST", "{\"text\": \"y\"}");
}

static void step_until_looked_up(void) {
  double until = clock_now() + HANGS_AT_MOST;
  while (count(&begun, 0) == 0 && clock_now() < until)
    clo_engine_step(engine, 0.01);
  assert_int_equal(begun, 1);
}

/* Though libcurl could have ended the call, too, since the last step. */
static void a_late_step_does_not_wait(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  open_slow(10);
  request = slow_request(0.2, 0);
  submit(&request);
  step_until_looked_up();
  nap(1.4);
  t = until_done();
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_true(seconds_taken(t) < HANGS_AT_MOST - 1.0);
  release(t);
  let_go(0);
}

static void a_cancelled_call_does_not_wait(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  unsigned long id;
  open_slow(10);
  request = slow_request(10, 0);
  id = submit(&request);
  step_until_looked_up();
  assert_true(clo_engine_cancel(engine, id));
  t = until_done();
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_CANCELLED);
  assert_true(seconds_taken(t) < HANGS_AT_MOST / 2.0);
  release(t);
  assert_works("POST", "{\"text\": \"y\"}"); /* that of another host */
  let_go(1);
}

/* Once its host is looked up, it may be sent: nothing of it goes on. */
static void one_that_was_looked_up_is_ended(void **state) {
  static const struct reaction never[] = {{.then = THEN_SILENCE}};
  struct clo_request request;
  unsigned long id;
  scene_open(never, COUNT(never));
  request = slow_request(10, 0);
  hangs = 0;
  id = submit(&request);
  step_until_taken(1);
  assert_true(clo_engine_cancel(engine, id));
  assert_end(clo_engine_done(engine), CLO_OUTCOME_UNKNOWN, 0, 1);
  server_await_left(server, 1);
}

/* The engine's rest is freed when its look-ups are over, which the leak checker
 * sees. */
static void the_end_of_an_engine_does_not_wait(void **state) {
  struct clo_request request;
  double at;
  open_slow(10);
  request = slow_request(10, 0);
  submit(&request);
  step_until_looked_up();
  at = clock_now();
  clo_engine_free(engine);
  engine = NULL;
  assert_true(clock_now() - at < HANGS_AT_MOST / 2.0);
  let_go(0);
  nap(0.1);
}

static void a_forks_child_ends_at_once(void **state) {
  struct clo_transfer *t;
  pid_t child;
  int uses, status = -1;
  open_slow(10);
  t = slow_call(0.1, 0);
  release(t);
  for (uses = 0; uses < 2; uses++) {
    if ((child = fork()) == 0) {
      alarm(HANGS_AT_MOST);
      cleaned = 0;
      if (uses) clo_engine_step(engine, 0.01);
      if (uses && engine->parked.first) _exit(1);
      clo_engine_free(engine);
      _exit(cleaned);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
  }
  let_go(0);
}

/* What is left of it is lost, and so is its memory; the engine goes on. */
static void a_failure_of_libcurls_does_not_wait(void **state) {
  static CURLM *lost;
  double at;
  open_slow(10);
  release(slow_call(0.1, 0));
  assert_int_equal(engine->parked.count, 1);
  lost = engine->multi;
  engine->is_broken = 1;
  assert_true(clo_engine_deadline(engine) == 0);
  cleaned = 0;
  at = clock_now();
  clo_engine_step(engine, 0.01);
  assert_true(clock_now() - at < HANGS_AT_MOST / 2.0);
  assert_true(engine->multi && engine->multi != lost);
  assert_int_equal(engine->parked.count + watched_count(), 0);
  assert_int_equal(cleaned, 0);
  assert_works("POST", "{}");
  let_go(1);
}

/* ---- limits that are the engine's ---- */

static void a_connection_in_time_has_all_of_the_attempts_time(void **state) {
  static const struct reaction slow[] = {{.delay = 0.4, .reply = OK_REPLY}};
  struct clo_config config = scene_config();
  config.connect_timeout = 0.2;
  scene_open_with(&config, slow, 1);
  assert_works("POST", "{\"text\": \"x\"}");
}

static void an_attempt_has_its_time_and_no_more(void **state) {
  static const struct reaction never[] = {{.then = THEN_SILENCE}};
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(never, 1);
  request = request_of("POST", "{\"text\": \"x\"}");
  request.timeout = 0.3;
  t = call(&request);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_TIMEOUT);
  assert_honest(t);
  release(t);
}

/* A loop is told of the first one's: libcurl would end it a second later. */
static void its_end_is_a_deadline(void **state) {
  static const struct reaction never[] = {{.then = THEN_SILENCE}};
  struct clo_config config = scene_config();
  struct clo_request request;
  double deadline;
  config.connect_timeout = 10;
  scene_open_with(&config, never, 1);
  submit_posts(1);
  request = request_of("POST", "{\"text\": \"x\"}");
  request.timeout = 0.6;
  submit(&request);
  submit_posts(1);
  step_until_taken(3);
  nap(0.25); /* past the timers that libcurl has while it connects */
  clo_engine_step(engine, 0.01);
  deadline = clo_engine_deadline(engine);
  if (deadline < 0 || deadline > 0.35) fail_msg("due in %g s", deadline);
  release(until_done());
  clo_engine_step(engine, 0.01);
  deadline = clo_engine_deadline(engine); /* the others' */
  if (deadline < 0 || deadline > 3.8) fail_msg("due in %g s", deadline);
}

/* ---- SIGPIPE ---- */

static volatile sig_atomic_t caught;

static void catch(int signal) {
  (void)signal;
  caught++;
}

static int is_blocked(void) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  return sigismember(&mask, SIGPIPE);
}

static void call_that_raises(void) {
  static const struct reaction answers[] = {{.reply = OK_REPLY}};
  if (!engine) scene_open(answers, 1);
  raises = 1;
  raised = 0;
  assert_works("DELETE", NULL); /* on a new connection */
  raises = 0;
  assert_true(raised > 0);
}

static void sigpipe_does_not_reach_the_host(void **state) {
  struct sigaction handler, before;
  memset(&handler, 0, sizeof handler);
  handler.sa_handler = catch;
  caught = 0;
  sigaction(SIGPIPE, &handler, &before);
  call_that_raises();
  assert_int_equal(caught, 0);
  assert_false(is_blocked());
  raise(SIGPIPE); /* the host's own */
  assert_int_equal(caught, 1);
  sigaction(SIGPIPE, &before, NULL);
}

static void the_hosts_own_block_stays(void **state) {
  struct timespec at_once = {0, 0};
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  raise(SIGPIPE);
  call_that_raises();
  assert_true(is_blocked());
  assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGPIPE);
  call_that_raises();
  assert_int_equal(sigtimedwait(&set, NULL, &at_once), -1);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* It takes that as numbers. */
static void http_is_refused_where_it_is_not_allowed(void **state) {
  static const struct reaction answer[] = {{.reply = OK_REPLY}};
  struct clo_config config = scene_config();
  config.plain = 0;
  scene_open_with(&config, answer, 1);
  assert_end(call_of("POST", "{}"), CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_int_equal(server_counts(server).connections, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_look_up_that_hangs_ends_in_time),
      TEST(so_it_does_with_each_attempt),
      TEST(a_form_is_given_up_with_its_look_up),
      TEST(a_look_up_may_fail),
      TEST(a_late_step_does_not_wait),
      TEST(a_cancelled_call_does_not_wait),
      TEST(one_that_was_looked_up_is_ended),
      TEST(the_end_of_an_engine_does_not_wait),
      TEST(a_forks_child_ends_at_once),
      TEST(a_failure_of_libcurls_does_not_wait),
      TEST(a_connection_in_time_has_all_of_the_attempts_time),
      TEST(an_attempt_has_its_time_and_no_more),
      TEST(its_end_is_a_deadline),
      TEST(http_is_refused_where_it_is_not_allowed),
      TEST(sigpipe_does_not_reach_the_host),
      TEST(the_hosts_own_block_stays),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
