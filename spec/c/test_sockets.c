/* clo_sockets: the interest set holds what libcurl asked for and nothing else,
 * whatever the order; and what was opened is known and can be let go. */

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "clo_sockets.h"
#include "clo_transfer.h"
#include "test.h"

enum { FDS = 100 };

static struct clo_sockets sockets;

static int make(void **state) {
  clo_sockets_init(&sockets);
  return 0;
}

static int drop(void **state) {
  alloc_fail(0);
  clo_sockets_abandon(&sockets);
  clo_sockets_free(&sockets);
  return 0;
}

static void want(int fd, int what) {
  assert_int_equal(clo_sockets_on_interest(NULL, fd, what, &sockets, NULL), 0);
}

/* Compares the set with what each descriptor's events should be. */
static void assert_interest(const short *events) {
  size_t i, watched = 0;
  int fd, found;
  for (fd = 0; fd < FDS; fd++) {
    for (i = 0, found = 0; i < sockets.count; i++)
      if (sockets.interest[i].fd == fd) {
        assert_int_equal(sockets.interest[i].events, events[fd]);
        found++;
      }
    assert_int_equal(found, events[fd] != 0);
    watched += (size_t)found;
  }
  assert_int_equal(sockets.count, watched);
}

static void the_interest_follows_what_is_wanted(void **state) {
  static const int whats[] = {CURL_POLL_REMOVE, CURL_POLL_IN, CURL_POLL_OUT,
                              CURL_POLL_INOUT};
  static const short polls[] = {0, POLLIN, POLLOUT, POLLIN | POLLOUT};
  short events[FDS] = {0};
  unsigned random = 1, turn;
  for (turn = 0; turn < 5000; turn++) {
    int fd, what;
    random = random * 1103515245u + 12345u;
    fd = (int)(random >> 16) % FDS;
    what = (int)(random >> 8) % 4;
    want(fd, whats[what]);
    events[fd] = polls[what];
    if (turn % 50 == 0) assert_interest(events);
  }
  assert_interest(events);
}

static void a_new_place_is_not_ready(void **state) {
  want(3, CURL_POLL_IN);
  sockets.interest[0].revents = POLLIN;
  want(3, CURL_POLL_OUT);
  assert_int_equal(sockets.interest[0].revents, POLLIN);
  want(3, CURL_POLL_REMOVE);
  want(4, CURL_POLL_IN);
  assert_int_equal(sockets.interest[0].revents, 0);
}

static void what_was_never_watched_may_be_removed(void **state) {
  want(7, CURL_POLL_REMOVE);
  want(3, CURL_POLL_IN);
  want(7, CURL_POLL_REMOVE);
  want(3000, CURL_POLL_REMOVE);
  assert_int_equal(sockets.count, 1);
}

/* ---- open and close ---- */

static int open_one(void) {
  struct curl_sockaddr address;
  memset(&address, 0, sizeof address);
  address.family = AF_INET;
  address.socktype = SOCK_STREAM;
  return clo_sockets_on_open(&sockets, CURLSOCKTYPE_IPCXN, &address);
}

static int is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

static void what_is_opened_is_known_until_it_is_closed(void **state) {
  int first = open_one(), second = open_one();
  assert_true(first >= 0 && second >= 0);
  assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
  assert_int_equal(sockets.open_count, 2);
  want(first, CURL_POLL_IN);
  want(second, CURL_POLL_IN);
  clo_sockets_keep(&sockets, first);
  assert_int_equal(clo_sockets_on_close(&sockets, first), 0);
  assert_false(is_open(first));
  assert_true(is_open(second));
  assert_int_equal(sockets.open_count, 1);
  assert_int_equal(sockets.count, 1);
  assert_int_equal(sockets.interest[0].fd, second);
}

static void what_is_abandoned_is_closed(void **state) {
  int fds[40];
  size_t i;
  for (i = 0; i < 40; i++) {
    fds[i] = open_one();
    assert_true(fds[i] >= 0);
    want(fds[i], CURL_POLL_IN);
  }
  clo_sockets_keep(&sockets, fds[0]);
  clo_sockets_abandon(&sockets);
  for (i = 0; i < 40; i++) assert_false(is_open(fds[i]));
  assert_int_equal(sockets.open_count + sockets.count, 0);
  want(fds[3], CURL_POLL_OUT); /* and it may be used again */
  assert_int_equal(sockets.count, 1);
  assert_int_equal(sockets.interest[0].fd, fds[3]);
}

/* ---- memory ---- */

static void opening_may_lack_memory(void **state) {
  alloc_fail(1);
  assert_int_equal(open_one(), CURL_SOCKET_BAD);
  assert_int_equal(sockets.open_count, 0);
  assert_true(open_one() >= 0);
}

/* libcurl must not hear of it: it would give up every transfer. */
static void watching_may_lack_memory(void **state) {
  struct clo_transfer transfer;
  CURL *easy = curl_easy_init();
  int nth;
  memset(&transfer, 0, sizeof transfer);
  assert_non_null(easy);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  for (nth = 2; nth >= 1; nth--) { /* its place, then the interest itself */
    transfer.unwatched = sockets.unwatched = 0;
    alloc_fail((size_t)nth);
    assert_int_equal(
        clo_sockets_on_interest(easy, 5, CURL_POLL_IN, &sockets, NULL), 0);
    alloc_fail(0);
    assert_int_equal(sockets.count, 0);
    assert_int_equal(sockets.unwatched, 1);
    assert_int_equal(transfer.unwatched, 1);
  }
  want(5, CURL_POLL_IN);
  assert_int_equal(sockets.count, 1);
  curl_easy_cleanup(easy);
}

/* What belongs to no transfer is libcurl's own, or is being closed. */
static void so_it_may_for_libcurls_own(void **state) {
  CURL *easy = curl_easy_init();
  int fd = open_one();
  assert_non_null(easy);
  alloc_fail_from(1);
  clo_sockets_on_interest(easy, fd, CURL_POLL_IN, &sockets, NULL);
  assert_int_equal(sockets.unwatched, 1);
  assert_int_equal(sockets.unheard, 0);
  clo_sockets_on_interest(easy, fd + 1, CURL_POLL_IN, &sockets, NULL);
  assert_int_equal(sockets.unheard, 1);
  alloc_fail(0);
  clo_sockets_drop_all(&sockets);
  assert_int_equal(sockets.unheard, 0);
  curl_easy_cleanup(easy);
}

/* A socket that is watched already needs no memory for another event. */
static void a_change_of_events_needs_no_memory(void **state) {
  int fd;
  for (fd = 0; fd < 16; fd++) want(fd, CURL_POLL_IN);
  alloc_fail_from(1);
  for (fd = 0; fd < 16; fd++) want(fd, CURL_POLL_OUT);
  alloc_fail(0);
  assert_int_equal(sockets.unwatched, 0);
  for (fd = 0; fd < 16; fd++)
    assert_int_equal(sockets.interest[fd].events, POLLOUT);
}

#ifdef __linux__
static int is_ready(int fd) {
  struct pollfd one = {0, POLLIN, 0};
  one.fd = fd;
  return poll(&one, 1, 0);
}

static void one_descriptor_is_ready_for_all(void **state) {
  int pipes[2], watched, again;
  assert_int_equal(pipe(pipes), 0);
  want(pipes[0], CURL_POLL_IN);
  watched = clo_sockets_descriptor(&sockets);
  assert_true(watched >= 0);
  assert_int_equal(clo_sockets_descriptor(&sockets), watched);
  assert_int_equal(is_ready(watched), 0);
  assert_int_equal(write(pipes[1], "x", 1), 1);
  assert_int_equal(is_ready(watched), 1);
  want(pipes[0], CURL_POLL_REMOVE);
  assert_int_equal(is_ready(watched), 0);
  want(pipes[1], CURL_POLL_OUT);
  assert_int_equal(is_ready(watched), 1);
  /* Closed, and the number is another file's before we are asked again. */
  want(pipes[1], CURL_POLL_REMOVE);
  again = dup(pipes[0]);
  close(pipes[1]);
  assert_int_equal(dup2(again, pipes[1]), pipes[1]);
  want(pipes[1], CURL_POLL_IN);
  assert_int_equal(is_ready(watched), 1); /* there is the x still */
  clo_sockets_abandon(&sockets);
  assert_int_equal(sockets.epoll, -1);
  close(pipes[0]);
  close(pipes[1]);
  close(again);
}

/* A socket that was opened for libcurl and its other end. */
static void open_pair(int *ends) {
  int own = open_one();
  assert_true(own >= 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  assert_int_equal(dup2(ends[0], own), own);
  close(ends[0]);
  ends[0] = own;
}

enum { PAIRS = 100 }; /* more than are asked for at once */

/* Makes kept ones, of which the first is in use again. */
static void make_kept(int pairs[][2], int count) {
  int i;
  for (i = 0; i < count; i++) {
    open_pair(pairs[i]);
    want(pairs[i][0], i % 2 ? CURL_POLL_IN : CURL_POLL_OUT);
    if (i % 4 < 2) clo_sockets_keep(&sockets, pairs[i][0]);
    want(pairs[i][0], CURL_POLL_REMOVE);
    if (i % 4 >= 2) clo_sockets_keep(&sockets, pairs[i][0]);
  }
  want(pairs[0][0], CURL_POLL_IN);
}

/* Something comes on each; it ends those that are idle. */
static void assert_idle_end(int pairs[][2], int count) {
  int i;
  for (i = 0; i < count; i++) assert_int_equal(write(pairs[i][1], "x", 1), 1);
  clo_sockets_drop_stale(&sockets);
  for (i = 0; i < count; i++) {
    char byte;
    ssize_t got = recv(pairs[i][1], &byte, 1, MSG_DONTWAIT);
    if (got != (i ? 0 : -1)) fail_msg("%d of %d: %d", i, count, (int)got);
  }
}

static void kept_ones_stay_watched(int count, int is_late) {
  int pairs[PAIRS][2];
  int watched = is_late ? -1 : clo_sockets_descriptor(&sockets);
  int i;
  make_kept(pairs, count);
  if (is_late) watched = clo_sockets_descriptor(&sockets);
  assert_int_equal(is_ready(watched), 0);
  assert_idle_end(pairs, count);
  for (i = 0; i < 5; i++) clo_sockets_poll(&sockets);
  assert_int_equal(sockets.interest[0].revents, POLLIN);
  want(pairs[0][0], CURL_POLL_REMOVE);
  assert_int_equal(is_ready(watched), 1);
  assert_int_equal(clo_sockets_poll(&sockets), 0);
  assert_int_equal(is_ready(watched), 0);
  for (i = 0; i < count; i++) {
    clo_sockets_on_close(&sockets, pairs[i][0]);
    close(pairs[i][1]);
  }
}

static void the_kernel_s_set_may_lack_memory(void **state) {
  struct clo_transfer transfer;
  CURL *easy = curl_easy_init();
  memset(&transfer, 0, sizeof transfer);
  assert_non_null(easy);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  assert_true(clo_sockets_descriptor(&sockets) >= 0);
  alloc_fail(3); /* after its place and the interest */
  assert_int_equal(
      clo_sockets_on_interest(easy, 0, CURL_POLL_IN, &sockets, NULL), 0);
  alloc_fail(0);
  assert_int_equal(sockets.unwatched, 1);
  assert_int_equal(transfer.unwatched, 1);
  curl_easy_cleanup(easy);
}

static void the_kept_ones_stay_watched(void **state) {
  kept_ones_stay_watched(10, 0);
  kept_ones_stay_watched(PAIRS, 0);
  drop(state);
  kept_ones_stay_watched(10, 1);
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_interest_follows_what_is_wanted),
      TEST(a_new_place_is_not_ready),
      TEST(what_was_never_watched_may_be_removed),
      TEST(what_is_opened_is_known_until_it_is_closed),
      TEST(what_is_abandoned_is_closed),
#ifdef __linux__
      TEST(one_descriptor_is_ready_for_all),
      TEST(the_kept_ones_stay_watched),
      TEST(the_kernel_s_set_may_lack_memory),
#endif
      TEST(opening_may_lack_memory),
      TEST(watching_may_lack_memory),
      TEST(so_it_may_for_libcurls_own),
      TEST(a_change_of_events_needs_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
