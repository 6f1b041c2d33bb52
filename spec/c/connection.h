/* The server's connections and its book: the script, the counts, the ledger.
 * For server.c alone. */
#ifndef CLO_SPEC_CONNECTION_H
#define CLO_SPEC_CONNECTION_H

#include "server.h"

enum { CONNECTIONS = 96, LEDGER = 512, HEAD_MAX = 4096, SCRIPT_MAX = 32 };

enum state { FREE, READING_HEAD, READING_BODY, DELAYED, WRITING, SILENT };

struct connection {
  enum state state;
  int fd, number;
  int deaf; /* reacted before the request was whole: reads no more */
  const struct reaction *reaction; /* NULL: no request is in work */
  double due;                      /* when a delayed reply begins */
  char head[HEAD_MAX];
  size_t head_len, body_len, body_got;
  char body[sizeof((struct taken *)0)->body];
  unsigned long long hash;
  const char *out; /* what is left of the reply or of one repetition */
  size_t out_left, times;
};

struct book {
  struct reaction script[SCRIPT_MAX];
  size_t script_len;
  struct server_counts counts;
  struct connection connections[CONNECTIONS];
  struct taken ledger[LEDGER];
};

#define HASH_START 14695981039346656037ULL

unsigned long long hash_of(unsigned long long hash, const char *bytes,
                           size_t n);

/* Puts a socket that was just accepted to use. */
void connection_begin(struct book *book, struct connection *connection,
                      int fd);
void connection_end(struct connection *connection, int reset);

/* What poll(2) shall look for. */
short connection_interest(const struct connection *connection);

/* Does what can be done now. */
void connection_go_on(struct book *book, struct connection *connection,
                      int ready);

#endif
