/* An HTTP/1.1 server on loopback that follows a script, also in what no server
 * should do, and records every request that it received whole.
 * It is one thread with buffers of its own: after server_start() it never
 * allocates, so a test may make memory run out while it is at work. */
#ifndef CLO_SPEC_SERVER_H
#define CLO_SPEC_SERVER_H

#include <stddef.h>

/* When the server reacts to a request. */
enum server_when {
  AT_WHOLE,   /* once it was read to its last byte */
  AT_ACCEPT,  /* before it is read */
  AT_HEADERS, /* after its headers; what follows is not read */
  AT_HALF     /* after half of its body; the rest is not read */
};

/* What becomes of the connection after the reply. */
enum server_then {
  THEN_KEEP, /* the next request is read from it */
  THEN_CLOSE,
  THEN_RESET,
  THEN_SILENCE /* nothing more, until the client goes away */
};

struct reaction {
  const char *reply; /* sent as it stands; NULL: none */
  enum server_then then;
  enum server_when when;
  double delay;       /* seconds before the reply */
  unsigned linger;    /* microseconds from the reply to the end */
  const char *repeat; /* sent again and again after the reply, */
  size_t times;       /* so often */
};

#define ENDLESS ((size_t)-1)
#define REPLY(status, headers, body) \
  "HTTP/1.1 " status "\r\n" headers "Content-Length: " body
#define OK_REPLY REPLY("200 OK", "", "2\r\n\r\n{}")

/* A request that was read whole. */
struct taken {
  int connection; /* 0 for the first one accepted */
  char head[2048]; /* ends in a NUL */
  char body[1024]; /* its first bytes */
  size_t body_len; /* of all of it */
  unsigned long long hash;
};

struct server_counts {
  size_t taken;       /* requests read whole */
  size_t begun;       /* requests that the script was asked for */
  size_t connections; /* accepted so far */
  size_t most_busy;   /* most requests in work at one time */
  size_t left;        /* connections that the client closed or reset */
  size_t sent;        /* bytes */
};

struct server;

/* The i-th request, counted over all connections, gets script[i], and the last
 * one of the script all those after it. Copies the script, not its strings.
 * Fails the test where it cannot. */
struct server *server_start(const struct reaction *script, size_t count);

/* Ends the thread and all connections. NULL is fine. */
void server_stop(struct server *server);

int server_port(const struct server *server);

struct server_counts server_counts(struct server *server);

/* How many requests were read whole whose body is these bytes. */
size_t server_copies(struct server *server, const void *body, size_t len);

/* The i-th whole request; fails the test where there are not so many. The
 * pointer is good until the server is stopped. */
const struct taken *server_taken(struct server *server, size_t i);

/* Wait, 5 s at most, until so many requests were read whole, or begun; clients
 * gone; or bytes sent. They fail the test if that does not come. */
void server_await_taken(struct server *server, size_t count);
void server_await_begun(struct server *server, size_t count);
void server_await_left(struct server *server, size_t count);
void server_await_sent(struct server *server, size_t count);

/* Closes (or resets) all connections there are, and returns when it is done. */
void server_hang_up(struct server *server, int reset);

/* Takes no more connections; those that there are stay. */
void server_refuse(struct server *server);

/* A port on which nobody listens. */
int server_refusing_port(void);

/* Sleeps, also where a signal comes. */
void nap(double seconds);

/* Seconds on a clock that only goes on. */
double clock_now(void);

#endif
