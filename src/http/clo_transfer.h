/* One call's life: its request, its attempts, the guard over its body, and the
 * answer's bytes. An engine owns every transfer and moves it between its
 * lists; nothing else keeps a pointer to one. */
#ifndef CLO_TRANSFER_H
#define CLO_TRANSFER_H

#include <curl/curl.h>

#include "clo_buf.h"
#include "clo_policy.h"

enum clo_auth { CLO_AUTH_NONE, CLO_AUTH_BASIC, CLO_AUTH_BEARER };

/* Whom to trust: as set up, by ca_file or libcurl's default; or the system's
 * authorities, in their directory or their bundle. */
enum clo_trust { CLO_TRUST_AS_SET, CLO_TRUST_DIRECTORY, CLO_TRUST_BUNDLE };

/* A form to send (RFC 7578): fields, and as its last part a file. */
struct clo_form {
  const struct clo_form_field {
    const char *name, *value;
    size_t value_len;
  } *fields;
  size_t count;
  const char *filename, *content_type; /* the file's; its bytes: the body */
};

/* What a call asks for. Strings are the caller's; submitting copies them. */
struct clo_request {
  unsigned long id;     /* the caller's own number for it; 0: the engine's */
  unsigned long ticket; /* 0, or the first id of the work that it continues:
                           that goes before all that has not begun */
  const char *method; /* GET, POST, PUT, PATCH or DELETE */
  const char *group;  /* the endpoint group, which a rate limit holds for */
  const char *url;
  const char *body; /* JSON, or the form's file, or NULL for none */
  size_t body_len;
  const struct clo_form *form; /* NULL: none; with POST */
  enum clo_auth auth;
  const char *secret; /* the API key or the access token */
  double timeout;     /* seconds: all attempts, all waits */
  int max_retries;
  int repeatable; /* a repeat does no harm; -1: as its method has it */
  double delay;   /* seconds until its first attempt may begin */
};

struct clo_transfer {
  unsigned long id, ticket; /* as in its request */
  CURL *easy; /* made once, prepared for each attempt; NULL: to be made */
  CURLSH *sessions; /* the engine's, which easy uses; or NULL */
  struct clo_transfer *prev, *next;
  struct clo_group *group; /* the engine's */

  char method[8];
  struct clo_buf url, body, secret; /* url and secret end in a NUL */
  CURLU *address; /* the url, taken apart; NULL: not yet */
  struct curl_slist authorization;  /* the header whose line secret is */
  curl_mime *form;          /* what the body is the file of, or NULL */
  struct curl_slist *lines; /* the engine's: those of all requests */
  int max_retries;
  int repeatable; /* 1 or 0 */

  /* Moments on the engine's clock. */
  double submitted;
  double deadline;
  double start_at;   /* when the next attempt may start */
  double started_at; /* when the running one started */
  double overdue_at; /* when libcurl should have ended it, */
  double limit_at;   /* and if it gets connected before that, when then */
  double ended_at;   /* when the last one ended */

  int by_proxy;         /* the engine has a proxy */
  int by_tls;           /* it speaks TLS to the proxy itself */
  int http2;            /* the engine's option */
  enum clo_trust trust; /* of the running attempt */
  int tried_other;      /* the first authorities did not trust the server */
  int attempts;
  int unknown;   /* of them, those that Close may have acted on */
  int is_given;  /* libcurl has the body whole, instead of reading it */
  int has_begun; /* libcurl has begun to send the request */
  int on_kept;   /* it did so on a connection that had been used before */
  size_t body_read; /* bytes of the body that libcurl has read; of a form's, its
                    file's: what goes before it is of no use alone */
  struct clo_buf headers; /* of the last answer: its lines, CRLF kept */
  struct clo_buf answer;  /* its body */
  int answer_began;       /* a status line was read */
  int interim;            /* the last status line was of a 1xx */
  int odd;                /* it is not as HTTP/1 and HTTP/2 have it */
  int headers_whole;      /* the blank line after the headers was read */
  int codings;            /* how many the body is in: gzip or the like */
  size_t head;            /* bytes of headers, those of 1xx answers too */
  int too_large;          /* headers or answer hit their maximum */
  int no_memory;          /* there was no memory for headers or answer */
  int from_parent;        /* the call is the parent's of this fork's child */
  void *sockets;          /* the engine's */
  int open_error;         /* the system's, where that did not open a socket */
  int unwatched;          /* the engine does not hear of its socket */
  int is_looked_up;       /* its host is, or was; told by an old libcurl */
  int is_refused;         /* on_begin refused the connection libcurl chose */
  int refusals;           /* how often it did so in this attempt */
  int is_parked;          /* it is no call: its handle was given up */

  struct clo_transfer *next_ended; /* after it in the engine's list ended */
  CURLcode code; /* how the last attempt ended */
  struct clo_attempt end;
  double server_delay; /* seconds that the answer asks us to wait, or -1 */
  struct clo_rate_limit rate; /* of the last answer, */
  int has_rate;               /* where it has one */
  char message[CURL_ERROR_SIZE];
};

/* How one attempt went. */
struct clo_event {
  unsigned long id;
  struct clo_attempt end;
  CURLcode code;
  int attempt;     /* 1 for the first */
  double seconds;  /* that this attempt took */
  double retry_in; /* seconds to the next attempt, or -1: this was the last */
  char method[8];
  struct clo_event *next;
};

/* Bytes of all headers. Servers send a few KiB; each may become a string. */
#define CLO_HEADERS_MAX (64 * 1024)

/* A transfer without a request; NULL if out of memory. */
struct clo_transfer *clo_transfer_new(size_t max_response_bytes);
void clo_transfer_free(struct clo_transfer *transfer);

/* Copies the request in, but for its form; 0 if out of memory. */
int clo_transfer_load(struct clo_transfer *transfer,
                      const struct clo_request *request);

/* Forgets the request and the answer, the secret's bytes included. */
void clo_transfer_clear(struct clo_transfer *transfer);

/* Before an attempt: nothing read, nothing answered. */
void clo_transfer_rewind(struct clo_transfer *transfer);

/* Bytes of the body that may have left. */
size_t clo_transfer_left(const struct clo_transfer *transfer);

/* Finds a header of the last answer by its lower-case name. Returns its value
 * and sets *len, or returns NULL. */
const char *clo_transfer_header(const struct clo_transfer *transfer,
                                const char *name, size_t *len);

/* One line of the headers, taken apart. */
struct clo_header {
  const char *name, *value;
  size_t name_len, value_len;
};

/* Reads the next header of these lines at *at (0 at first) and moves *at past
 * it; returns 0 after the last. */
int clo_header_next(const char *lines, size_t len, size_t *at,
                    struct clo_header *header);

/* The same for the next header of a lower-case name in the last answer. */
int clo_transfer_next_named(const struct clo_transfer *transfer,
                            const char *name, size_t *at,
                            struct clo_header *header);

/* libcurl's callbacks, which clo_curl.c sets. */
size_t clo_transfer_on_read(char *into, size_t size, size_t n, void *transfer);
int clo_transfer_on_seek(void *transfer, curl_off_t offset, int origin);
size_t clo_transfer_on_header(char *line, size_t size, size_t n,
                              void *transfer);
size_t clo_transfer_on_write(char *bytes, size_t size, size_t n,
                             void *transfer);

#endif
