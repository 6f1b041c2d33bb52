/* clo_sockets: the interest set holds what libcurl asked for and nothing else,
 * whatever the order; and what was opened is known and can be let go. */

#include <arpa/inet.h>
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
  assert_int_equal(dup2(second, first), first); /* another file's by now */
  assert_int_equal(clo_sockets_on_close(&sockets, first), 0);
  assert_true(is_open(first));
  close(first);
  assert_int_equal(sockets.open_count, 1);
  assert_int_equal(sockets.count, 1);
  assert_int_equal(sockets.interest[0].fd, second);
}

/* Binds it to a free port of this machine, and returns that. */
static int bind_one(int fd) {
  struct sockaddr_in own;
  socklen_t len = sizeof own;
  memset(&own, 0, sizeof own);
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(fd, (struct sockaddr *)&own, len), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
  return ntohs(own.sin_port);
}

static void one_is_found_by_its_port(void **state) {
  int first = open_one(), second = open_one();
  int port = bind_one(first), other = bind_one(second);
  assert_int_equal(clo_sockets_find(&sockets, port), first);
  assert_int_equal(clo_sockets_find(&sockets, other), second);
  clo_sockets_on_close(&sockets, second);
  assert_int_equal(clo_sockets_find(&sockets, other), CURL_SOCKET_BAD);
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
  assert_false(is_open(fd));
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
  assert_false(is_open(watched));
  want(pipes[1], CURL_POLL_IN); /* in the child's set, too */
  assert_int_equal(is_ready(clo_sockets_descriptor(&sockets)), 1);
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

/* A pipe's end that is readable is at a number where another one was. */
static void assert_new_one_is_watched(int number) {
  int watched = clo_sockets_descriptor(&sockets), pipes[2];
  assert_int_equal(pipe(pipes), 0);
  assert_int_equal(write(pipes[1], "x", 1), 1);
  assert_int_equal(dup2(pipes[0], number), number);
  assert_int_equal(is_ready(watched), 0);
  want(number, CURL_POLL_IN);
  assert_int_equal(sockets.unwatched, 0);
  assert_int_equal(is_ready(watched), 1);
  want(number, CURL_POLL_REMOVE);
  if (pipes[0] != number) close(pipes[0]);
  close(pipes[1]);
}

/* libcurl closes what is its own as it likes. */
static void a_number_that_comes_again_is_watched(void **state) {
  int own[2], ends[2], number;
  assert_true(clo_sockets_descriptor(&sockets) >= 0);
  assert_int_equal(pipe(own), 0);
  number = own[0]; /* closed before it is let go */
  want(number, CURL_POLL_IN);
  close(number);
  want(number, CURL_POLL_REMOVE);
  assert_new_one_is_watched(number);
  want(number, CURL_POLL_IN); /* closed, and lost with all */
  close(number);
  clo_sockets_drop_all(&sockets);
  assert_new_one_is_watched(number);
  close(number);
  open_pair(ends); /* kept, then closed */
  want(ends[0], CURL_POLL_IN);
  clo_sockets_keep(&sockets, ends[0]);
  want(ends[0], CURL_POLL_REMOVE);
  clo_sockets_on_close(&sockets, ends[0]);
  assert_new_one_is_watched(ends[0]);
  close(ends[0]);
  close(ends[1]);
  close(own[1]);
}

/* Over HTTP/2 a server sends what it likes, even if the number was one of a
 * connection over HTTP/1. */
static void what_was_kept_is_forgotten(void **state) {
  int ends[2], turn, number = -1;
  for (turn = 0; turn < 3; turn++) {
    open_pair(ends);
    if (number < 0) number = ends[0];
    assert_int_equal(ends[0], number);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_false(clo_sockets_has_ended(&sockets, ends[0]));
    clo_sockets_keep(&sockets, ends[0]);
    assert_true(clo_sockets_has_ended(&sockets, ends[0]));
    if (turn == 0) clo_sockets_on_close(&sockets, ends[0]);
    if (turn == 1) clo_sockets_abandon(&sockets);
    close(ends[1]);
  }
}

/* Its answer was noted late. */
static void what_is_in_use_again_stays_watched(void **state) {
  int ends[2], watched = clo_sockets_descriptor(&sockets);
  open_pair(ends);
  want(ends[0], CURL_POLL_OUT);
  clo_sockets_keep(&sockets, ends[0]);
  assert_int_equal(is_ready(watched), 1);
  close(ends[1]);
}

/* Nobody would know that it is kept, so it could not be asked for its end. */
static void keeping_may_lack_memory(void **state) {
  int ends[2];
  char byte;
  open_pair(ends);
  alloc_fail(1);
  clo_sockets_keep(&sockets, ends[0]);
  alloc_fail(0);
  assert_int_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);
  close(ends[1]);
}

/* Only what something came on ends, and nothing of that is left to read. */
static void an_idle_one_ends_alone(void **state) {
  static char much[3 * 4096];
  int pairs[2][2], i;
  char byte;
  for (i = 0; i < 2; i++) {
    open_pair(pairs[i]);
    clo_sockets_keep(&sockets, pairs[i][0]);
  }
  assert_int_equal(write(pairs[1][1], much, sizeof much), sizeof much);
  clo_sockets_drop_stale(&sockets);
  assert_int_equal(recv(pairs[0][1], &byte, 1, MSG_DONTWAIT), -1);
  assert_int_equal(recv(pairs[1][1], &byte, 1, MSG_DONTWAIT), 0);
  assert_int_equal(recv(pairs[1][0], &byte, 1, MSG_DONTWAIT), 0);
  for (i = 0; i < 2; i++) close(pairs[i][1]);
}

/* If one of all cannot be watched, there is no descriptor, nor one that leaks;
 * the next one is for all again. */
static void the_descriptor_may_fail(void **state) {
  int pipes[2], free_one, watched;
  assert_int_equal(pipe(pipes), 0);
  assert_int_equal(write(pipes[1], "x", 1), 1);
  want(pipes[0], CURL_POLL_IN);
  want(FDS, CURL_POLL_IN); /* there is no such file */
  free_one = dup(pipes[0]);
  close(free_one);
  assert_int_equal(clo_sockets_descriptor(&sockets), -1);
  want(FDS, CURL_POLL_REMOVE);
  watched = clo_sockets_descriptor(&sockets);
  assert_int_equal(watched, free_one);
  assert_int_equal(is_ready(watched), 1);
  close(pipes[0]);
  close(pipes[1]);
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
      TEST(one_is_found_by_its_port),
      TEST(what_is_abandoned_is_closed),
#ifdef __linux__
      TEST(one_descriptor_is_ready_for_all),
      TEST(a_number_that_comes_again_is_watched),
      TEST(what_was_kept_is_forgotten),
      TEST(what_is_in_use_again_stays_watched),
      TEST(keeping_may_lack_memory),
      TEST(an_idle_one_ends_alone),
      TEST(the_descriptor_may_fail),
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
