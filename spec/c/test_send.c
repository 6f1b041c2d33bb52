/* What is known of a body where the system does not take it, as when the
 * connection was reset a moment ago. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "clo_libcurl.h"
#include "drive.h"

#define BODY "{\"text\": \"only once\"}"

/* ---- what takes the place of the system's ---- */

static pthread_t engines; /* the server's thread sends as ever */
static int fails;         /* how many times the engine's do not */
static size_t all_but;    /* bytes of the one before */

__attribute__((visibility("default"))) ssize_t send(int fd, const void *bytes,
                                                    size_t n, int flags) {
  ssize_t (*real)(int, const void *, size_t, int);
  *(void **)&real = dlsym(RTLD_NEXT, "send");
  if (pthread_equal(pthread_self(), engines) && fails > 0) {
    if (all_but > 0 && n > all_but) {
      n -= all_but;
      all_but = 0;
      return real(fd, bytes, n, flags);
    }
    fails--;
    errno = ECONNRESET;
    return -1;
  }
  return real(fd, bytes, n, flags);
}

/* ---- the calls ---- */

static const struct reaction answers[] = {{.reply = OK_REPLY}};

/* Other libcurls do not count what they send; the guard counts what they read,
 * which is all of a small body. */
static void open_scene(void) {
  if (!clo_libcurl_counts_all()) skip();
  engines = pthread_self();
  scene_open(answers, COUNT(answers));
}

static void nothing_has_left_on_a_new_connection(void **state) {
  struct clo_transfer *t;
  open_scene();
  fails = 1;
  t = call_of("POST", BODY);
  assert_int_equal(fails, 0);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_CONNECTION);
  assert_honest(t);
  release(t);
  assert_works("POST", BODY);
}

static void so_it_is_sent_again(void **state) {
  struct clo_request request;
  open_scene();
  fails = 1;
  request = request_of("POST", BODY);
  request.max_retries = 1;
  assert_end(call(&request), CLO_OUTCOME_ANSWERED, 200, 2);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 1);
}

static void a_part_is_not_the_whole(void **state) {
  int is_kept;
  for (is_kept = 0; is_kept < 2; is_kept++) {
    struct clo_transfer *t;
    row("on a %s connection", is_kept ? "kept" : "new");
    open_scene();
    if (is_kept) assert_works("POST", "{}");
    fails = 1;
    all_but = 5;
    t = call_of("POST", BODY);
    assert_int_equal(fails, 0);
    assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
    assert_int_equal(t->end.body_left, strlen(BODY) - 5);
    assert_honest(t);
    release(t);
    scene_close(state);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nothing_has_left_on_a_new_connection),
      TEST(so_it_is_sent_again),
      TEST(a_part_is_not_the_whole),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
