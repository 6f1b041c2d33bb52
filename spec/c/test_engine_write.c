/* A write that fails has taken nothing: what was not sent is not called
 * unknown, as the engine would not send it again. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "clo_libcurl.h"
#include "drive.h"

#define VISIBLE __attribute__((visibility("default")))
#define BODY "{\"text\": \"not written\"}"

static int fails; /* how many writes of a request are still to fail */

/* Takes the place of the system's. The server's are not requests. */
VISIBLE ssize_t send(int fd, const void *bytes, size_t n, int flags) {
  ssize_t (*real)(int, const void *, size_t, int);
  if (fails > 0 && n > 4 && memcmp(bytes, "POST", 4) == 0) {
    fails--;
    errno = ECONNRESET;
    return -1;
  }
  *(void **)&real = dlsym(RTLD_NEXT, "send");
  return real(fd, bytes, n, flags);
}

static struct clo_transfer *call_whose_write_fails(int max_retries) {
  static const struct reaction answer[] = {{.reply = OK_REPLY}};
  struct clo_request request;
  if (!clo_libcurl_counts_all()) skip(); /* it may have read the body before */
  scene_open(answer, 1);
  request = request_of("POST", BODY);
  request.max_retries = max_retries;
  fails = 1;
  return call(&request);
}

static void it_is_not_sent(void **state) {
  struct clo_transfer *t = call_whose_write_fails(0);
  assert_int_equal(fails, 0);
  assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 0);
}

static void it_is_sent_by_the_next_attempt(void **state) {
  struct clo_transfer *t = call_whose_write_fails(1);
  assert_end(t, CLO_OUTCOME_ANSWERED, 200, 2);
  assert_int_equal(t->unknown, 0);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(it_is_not_sent),
      TEST(it_is_sent_by_the_next_attempt),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
