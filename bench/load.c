/* A closed loop of N clients on connections of their own that stay open, over
 * loopback: each asks again as soon as it has its answer, which must be a 200
 * with a Content-Length. One more client may fetch another path meanwhile, a
 * hundred times a second at most.
 *   load PORT PATH CLIENTS SECONDS [OTHER_PATH]
 *   -> answers a second, p50, p99 and longest in ms, answers; p99 of the other
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CLIENTS 1000
#define MAX_TIMES 2000000
#define SPREAD 0.1 /* seconds that the first requests are spread over */
#define PAUSE 0.01 /* of the other client */

struct times {
  float *ms;
  size_t count;
};

struct peer {
  char request[300];
  size_t request_size;
  char answer[65536];
  size_t have;
  double sent, next; /* next: when to ask again, while nothing is asked */
  int waits;
  double pause;
  struct times *times;
};

static struct peer peers[MAX_CLIENTS + 1];
static struct pollfd fds[MAX_CLIENTS + 1];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "wrong");
  exit(1);
}

static void times_init(struct times *times) {
  times->ms = malloc(MAX_TIMES * sizeof *times->ms);
  times->count = 0;
  if (!times->ms) fail("memory");
}

static int connect_to(int port) {
  struct sockaddr_in address;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((unsigned short)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
    fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static void peer_init(size_t i, int port, const char *path, double first,
                      double pause, struct times *times) {
  struct peer *p = &peers[i];
  int n = snprintf(p->request, sizeof p->request,
                   "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
  if (n < 0 || (size_t)n >= sizeof p->request) fail("path");
  p->request_size = (size_t)n;
  p->next = first;
  p->pause = pause;
  p->times = times;
  fds[i].fd = connect_to(port);
  fds[i].events = POLLIN;
}

static void ask(size_t i) {
  struct peer *p = &peers[i];
  p->sent = now();
  p->have = 0;
  p->waits = 1;
  if (write(fds[i].fd, p->request, p->request_size) !=
      (ssize_t)p->request_size)
    fail("write");
}

/* Whether the answer is there in full. */
static int is_whole(struct peer *p) {
  const char *end, *length;
  p->answer[p->have] = 0;
  if (!(end = strstr(p->answer, "\r\n\r\n"))) return 0;
  if (strncmp(p->answer, "HTTP/1.1 200", 12)) {
    fprintf(stderr, "%.600s\n", p->answer);
    fail("an answer that is no 200");
  }
  if (!(length = strstr(p->answer, "Content-Length: ")))
    fail("no Content-Length");
  return p->have >= (size_t)(end + 4 - p->answer) +
                        (size_t)strtoul(length + 16, NULL, 10);
}

static void take(size_t i) {
  struct peer *p = &peers[i];
  ssize_t n =
    read(fds[i].fd, p->answer + p->have, sizeof p->answer - 1 - p->have);
  if (n <= 0) fail("read");
  p->have += (size_t)n;
  if (!is_whole(p)) return;
  if (p->times->count < MAX_TIMES)
    p->times->ms[p->times->count++] = (float)((now() - p->sent) * 1000);
  p->waits = 0;
  p->next = p->pause > 0 ? p->sent + p->pause : 0;
}

static int compare(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static double share(const struct times *times, double part) {
  if (!times->count) return 0;
  return (double)times->ms[(size_t)((double)(times->count - 1) * part)];
}

static void run(size_t count, double end) {
  for (;;) {
    double t = now();
    size_t i;
    int waits = 0;
    for (i = 0; i < count; i++) {
      if (!peers[i].waits && t < end && peers[i].next <= t) ask(i);
      waits += peers[i].waits;
    }
    if (!waits && t >= end) return;
    if (poll(fds, (nfds_t)count, 1) < 0) fail("poll");
    for (i = 0; i < count; i++)
      if (fds[i].revents) take(i);
  }
}

int main(int argc, char **argv) {
  struct times calls, others;
  size_t i, clients;
  double start, seconds;
  int port;
  if (argc < 5) return 2;
  port = atoi(argv[1]);
  clients = (size_t)strtoul(argv[3], NULL, 10);
  seconds = atof(argv[4]);
  if (!clients || clients > MAX_CLIENTS) return 2;
  times_init(&calls);
  times_init(&others);
  start = now();
  for (i = 0; i < clients; i++)
    peer_init(i, port, argv[2],
              start + SPREAD * (double)i / (double)clients, 0, &calls);
  if (argc > 5) peer_init(clients, port, argv[5], start, PAUSE, &others);
  start = now();
  run(clients + (argc > 5), start + seconds);
  seconds = now() - start;
  qsort(calls.ms, calls.count, sizeof *calls.ms, compare);
  qsort(others.ms, others.count, sizeof *others.ms, compare);
  printf("%.1f %.2f %.2f %.2f %lu %.2f\n", (double)calls.count / seconds,
         share(&calls, 0.5), share(&calls, 0.99), share(&calls, 1),
         (unsigned long)calls.count, share(&others, 0.99));
  return 0;
}
