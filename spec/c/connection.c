/* A connection's life: read a request, react as the script says, write. Each
 * goes as far as the socket goes without blocking. */
#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* FNV-1a: two bodies that differ do not meet by chance in a test. */
unsigned long long hash_of(unsigned long long hash, const char *bytes,
                           size_t n) {
  while (n-- > 0) hash = (hash ^ (unsigned char)*bytes++) * 1099511628211ULL;
  return hash;
}

void connection_end(struct connection *c, int reset) {
  struct linger now = {1, 0};
  if (reset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(c->fd);
  c->state = FREE;
}

static void expect_request(struct connection *c) {
  c->state = READING_HEAD;
  c->head_len = c->body_len = c->body_got = 0;
  c->hash = HASH_START;
  c->reaction = NULL;
}

static const struct reaction *upcoming(const struct book *b) {
  size_t i = b->counts.begun;
  return &b->script[i < b->script_len ? i : b->script_len - 1];
}

static void end_reply(struct connection *c) {
  const struct reaction *r = c->reaction;
  if (r->linger > 0) nap(r->linger / 1e6);
  switch (r->then) {
    case THEN_KEEP: expect_request(c); break;
    case THEN_CLOSE: connection_end(c, 0); break;
    case THEN_RESET: connection_end(c, 1); break;
    case THEN_SILENCE: c->state = SILENT; break;
  }
}

/* Takes the next bytes of the reply up; 0 where there are no more. */
static int next_part(struct connection *c) {
  if (c->out_left > 0) return 1;
  if (c->times == 0) return 0;
  if (c->times != ENDLESS) c->times--;
  c->out = c->reaction->repeat;
  c->out_left = strlen(c->out);
  return 1;
}

static void lose(struct book *b, struct connection *c) {
  b->counts.left++;
  connection_end(c, 0);
}

/* At most so many parts in one go: a reply without end must not keep the thread
 * from other connections. */
#define PARTS_AT_ONCE 64

static void write_reply(struct book *b, struct connection *c) {
  int parts = 0;
  while (next_part(c)) {
    ssize_t n;
    if (parts++ == PARTS_AT_ONCE) return;
    n = send(c->fd, c->out, c->out_left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno != EAGAIN) lose(b, c);
      return;
    }
    b->counts.sent += (size_t)n;
    c->out += n;
    c->out_left -= (size_t)n;
  }
  end_reply(c);
}

static void begin_reply(struct book *b, struct connection *c) {
  c->state = WRITING;
  c->out = c->reaction->reply ? c->reaction->reply : "";
  c->out_left = strlen(c->out);
  c->times = c->reaction->repeat ? c->reaction->times : 0;
  write_reply(b, c);
}

static void react(struct book *b, struct connection *c) {
  c->deaf = c->reaction->when != AT_WHOLE;
  c->state = DELAYED;
  c->due = clock_now() + c->reaction->delay;
  if (c->reaction->delay <= 0) begin_reply(b, c);
}

static void begin_request(struct book *b, struct connection *c) {
  size_t busy = 0, i;
  c->reaction = upcoming(b);
  b->counts.begun++;
  for (i = 0; i < CONNECTIONS; i++)
    busy += b->connections[i].state != FREE && b->connections[i].reaction;
  if (busy > b->counts.most_busy) b->counts.most_busy = busy;
}

static void take_whole(struct book *b, struct connection *c) {
  struct taken *t = &b->ledger[b->counts.taken % LEDGER];
  size_t head = c->head_len < sizeof t->head ? c->head_len : sizeof t->head - 1;
  t->connection = c->number;
  memcpy(t->head, c->head, head);
  t->head[head] = '\0';
  memcpy(t->body, c->body, sizeof t->body);
  t->body_len = c->body_len;
  t->hash = c->hash;
  b->counts.taken++;
  react(b, c);
}

static size_t content_length(const char *head) {
  static const char name[] = "\r\nContent-Length:";
  for (; (head = strchr(head, '\r')); head++)
    if (strncasecmp(head, name, sizeof name - 1) == 0)
      return (size_t)strtoul(head + sizeof name - 1, NULL, 10);
  return 0;
}

static void headers_are_whole(struct book *b, struct connection *c) {
  c->head[c->head_len] = '\0';
  c->body_len = content_length(c->head);
  c->state = READING_BODY;
  begin_request(b, c);
  if (c->reaction->when == AT_HEADERS)
    react(b, c);
  else if (c->body_len == 0)
    take_whole(b, c);
}

static size_t feed_head(struct book *b, struct connection *c,
                        const char *bytes, size_t n) {
  size_t i;
  for (i = 0; i < n && c->state == READING_HEAD; i++) {
    if (c->head_len + 1 >= sizeof c->head) {
      connection_end(c, 1);
      break;
    }
    c->head[c->head_len++] = bytes[i];
    if (c->head_len >= 4 &&
        memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0)
      headers_are_whole(b, c);
  }
  return i;
}

static void feed_body(struct book *b, struct connection *c,
                      const char *bytes, size_t n) {
  size_t left = c->body_len - c->body_got;
  if (n > left) n = left;
  if (c->body_got < sizeof c->body) {
    size_t room = sizeof c->body - c->body_got;
    memcpy(c->body + c->body_got, bytes, n < room ? n : room);
  }
  c->hash = hash_of(c->hash, bytes, n);
  c->body_got += n;
  if (c->reaction->when == AT_HALF && c->body_got >= c->body_len / 2)
    react(b, c);
  else if (c->body_got == c->body_len)
    take_whole(b, c);
}

static void read_more(struct book *b, struct connection *c) {
  char bytes[16 * 1024];
  ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  size_t used = 0;
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) lose(b, c);
    return;
  }
  if (c->state == READING_HEAD) used = feed_head(b, c, bytes, (size_t)n);
  if (c->state == READING_BODY && used < (size_t)n)
    feed_body(b, c, bytes + used, (size_t)n - used);
}

void connection_begin(struct book *b, struct connection *c, int fd) {
  int on = 1;
  /* A reply of many small parts would wait for acknowledgements otherwise. */
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c->fd = fd;
  c->number = (int)b->counts.connections++;
  c->deaf = 0;
  expect_request(c);
  if (upcoming(b)->when != AT_ACCEPT) return;
  begin_request(b, c);
  react(b, c);
}

short connection_interest(const struct connection *c) {
  if (c->state == WRITING) return POLLOUT;
  return c->deaf ? 0 : POLLIN;
}

void connection_go_on(struct book *b, struct connection *c, int ready) {
  if (c->state == DELAYED && c->due <= clock_now())
    begin_reply(b, c);
  else if (c->state == WRITING && ready)
    write_reply(b, c);
  else if (c->state != FREE && ready)
    read_more(b, c);
}
