/* The server's thread, and what a test asks of it. */
#include "server.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "test.h"

enum { WINDOW = 64 * 1024 };

struct server {
  int listener, port, wake[2];
  pthread_t thread;
  pthread_mutex_t lock; /* over all that follows */
  int quit, hang_up, reset;
  struct book book;
};

double clock_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void nap(double seconds) {
  struct timespec t;
  t.tv_sec = (time_t)seconds;
  t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
  while (nanosleep(&t, &t) != 0) continue;
}

/* ---- the thread ---- */

static void accept_one(struct server *s) {
  struct connection *c = s->book.connections;
  int fd = accept(s->listener, NULL, NULL);
  if (fd < 0) return;
  while (c < s->book.connections + CONNECTIONS && c->state != FREE) c++;
  if (c < s->book.connections + CONNECTIONS)
    connection_begin(&s->book, c, fd);
  else
    close(fd);
}

/* Milliseconds to the next delayed reply, rounded up; -1: there is none. */
static int next_due(const struct server *s) {
  double first = -1, now = clock_now();
  size_t i;
  for (i = 0; i < CONNECTIONS; i++) {
    const struct connection *c = &s->book.connections[i];
    if (c->state == DELAYED && (first < 0 || c->due < first)) first = c->due;
  }
  if (first < 0) return -1;
  return first <= now ? 0 : (int)((first - now) * 1000) + 1;
}

static void end_all(struct server *s, int reset) {
  size_t i;
  for (i = 0; i < CONNECTIONS; i++)
    if (s->book.connections[i].state != FREE)
      connection_end(&s->book.connections[i], reset);
}

static void obey(struct server *s) {
  char byte;
  if (recv(s->wake[0], &byte, 1, MSG_DONTWAIT) != 1 || !s->hang_up) return;
  end_all(s, s->reset);
  s->hang_up = 0;
}

/* What poll(2) watches, and the connection of each place but the first two. */
struct watch {
  struct pollfd fds[CONNECTIONS + 2];
  struct connection *of[CONNECTIONS + 2];
  nfds_t count;
};

static void watch_all(struct server *s, struct watch *w) {
  size_t i;
  w->fds[0] = (struct pollfd){s->wake[0], POLLIN, 0};
  w->fds[1] = (struct pollfd){s->listener, POLLIN, 0};
  w->count = 2;
  for (i = 0; i < CONNECTIONS; i++) {
    struct connection *c = &s->book.connections[i];
    if (c->state == FREE) continue;
    w->fds[w->count] = (struct pollfd){c->fd, connection_interest(c), 0};
    w->of[w->count++] = c;
  }
}

static void turn(struct server *s, const struct watch *w) {
  nfds_t i;
  if (w->fds[0].revents) obey(s);
  for (i = 2; i < w->count; i++)
    connection_go_on(&s->book, w->of[i], w->fds[i].revents);
  if (w->fds[1].revents) accept_one(s);
}

static void *serve(void *server) {
  struct server *s = server;
  struct watch w;
  pthread_mutex_lock(&s->lock);
  while (!s->quit) {
    int ms = next_due(s);
    watch_all(s, &w);
    pthread_mutex_unlock(&s->lock);
    poll(w.fds, w.count, ms);
    pthread_mutex_lock(&s->lock);
    turn(s, &w);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

/* ---- what a test calls ---- */

static int bound_socket(int *port) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

/* Bound, so that nobody else gets it, and without listen(). */
int server_refusing_port(void) {
  static int port;
  if (!port) bound_socket(&port);
  return port;
}

struct server *server_start(const struct reaction *script, size_t count) {
  struct server *s = calloc(1, sizeof *s);
  int window = WINDOW;
  assert_true(s && count > 0 && count <= SCRIPT_MAX);
  memcpy(s->book.script, script, count * sizeof *script);
  s->book.script_len = count;
  s->listener = bound_socket(&s->port);
  /* So that a body that is not read does not vanish in the kernel's buffers. */
  setsockopt(s->listener, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
  assert_int_equal(listen(s->listener, 128), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s->wake), 0);
  assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
  assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
  return s;
}

static void command(struct server *s) {
  assert_int_equal(send(s->wake[1], "!", 1, MSG_NOSIGNAL), 1);
}

void server_stop(struct server *s) {
  if (!s) return;
  pthread_mutex_lock(&s->lock);
  s->quit = 1;
  pthread_mutex_unlock(&s->lock);
  command(s);
  pthread_join(s->thread, NULL);
  end_all(s, 1);
  close(s->listener);
  close(s->wake[0]);
  close(s->wake[1]);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

int server_port(const struct server *s) { return s->port; }

struct server_counts server_counts(struct server *s) {
  struct server_counts counts;
  pthread_mutex_lock(&s->lock);
  counts = s->book.counts;
  pthread_mutex_unlock(&s->lock);
  return counts;
}

size_t server_copies(struct server *s, const void *body, size_t len) {
  unsigned long long hash = hash_of(HASH_START, body, len);
  size_t copies = 0, i;
  pthread_mutex_lock(&s->lock);
  for (i = 0; i < s->book.counts.taken && i < LEDGER; i++) {
    const struct taken *t = &s->book.ledger[i];
    copies += t->body_len == len && t->hash == hash;
  }
  pthread_mutex_unlock(&s->lock);
  return copies;
}

const struct taken *server_taken(struct server *s, size_t i) {
  assert_true(i < server_counts(s).taken && i < LEDGER);
  return &s->book.ledger[i];
}

/* Waits until the count at an offset of the counts is reached. */
static void await(struct server *s, size_t offset, size_t count) {
  double until = clock_now() + 5;
  for (;;) {
    struct server_counts counts = server_counts(s);
    size_t is;
    memcpy(&is, (char *)&counts + offset, sizeof is);
    if (is >= count) return;
    if (clock_now() > until) fail_msg("the server waits in vain");
    nap(0.0005);
  }
}

void server_await_taken(struct server *s, size_t count) {
  await(s, offsetof(struct server_counts, taken), count);
}

void server_await_begun(struct server *s, size_t count) {
  await(s, offsetof(struct server_counts, begun), count);
}

void server_await_left(struct server *s, size_t count) {
  await(s, offsetof(struct server_counts, left), count);
}

void server_await_sent(struct server *s, size_t count) {
  await(s, offsetof(struct server_counts, sent), count);
}

void server_refuse(struct server *s) {
  assert_int_equal(shutdown(s->listener, SHUT_RDWR), 0);
}

void server_hang_up(struct server *s, int reset) {
  double until = clock_now() + 5;
  int busy = 1;
  pthread_mutex_lock(&s->lock);
  s->hang_up = 1;
  s->reset = reset;
  pthread_mutex_unlock(&s->lock);
  command(s);
  while (busy) {
    assert_true(clock_now() < until);
    nap(0.0002);
    pthread_mutex_lock(&s->lock);
    busy = s->hang_up;
    pthread_mutex_unlock(&s->lock);
  }
}
