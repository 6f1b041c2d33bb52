/* The one place where libcurl's options are set. */
#ifndef CLO_CURL_H
#define CLO_CURL_H

#include <curl/curl.h>

#include "clo_sockets.h"
#include "clo_transfer.h"

/* What all calls of an engine share. A string is copied in copy_config() and
 * freed in clo_engine_free(). */
struct clo_config {
  const char *user_agent;
  const char *ca_file;    /* PEM; NULL: the system's */
  const char *proxy;      /* NULL: none. The environment is not read */
  int plain;              /* 1 lets http through as well as https */
  int http2;              /* 1 speaks HTTP/2 with servers that offer it */
  double connect_timeout; /* seconds */
  double attempt_timeout;
  size_t max_response_bytes;
  int max_in_flight;
  int events; /* 1 keeps an event for each attempt */
};

/* The size of the buffer why. A function that takes it writes a sentence there
 * before it fails, unless it is out of memory. */
enum { CLO_WHY_MAX = CURL_ERROR_SIZE };

/* Starts libcurl once for the process; 0 if it cannot. */
int clo_curl_start(char *why);

/* Where all calls of an engine keep their TLS sessions, so that a further
 * connection costs less; NULL where libcurl does this by itself, or cannot, or
 * if out of memory. Free it after the handles, by curl_share_cleanup(). */
CURLSH *clo_curl_sessions(void);

/* Gives the transfer an easy handle with all options that do not change from
 * call to call; 0 on failure, the transfer as it was. */
int clo_curl_setup(struct clo_transfer *transfer,
                   const struct clo_config *config, struct curl_slist *headers,
                   CURLSH *sessions, struct clo_sockets *sockets, char *why);

/* Whether a request uses no connection that is there. */
int clo_curl_connects_anew(const struct clo_transfer *transfer);

/* Gives the easy handle of a transfer whose host is being looked up to another,
 * with which it can connect to nothing. It stays in the multi handle. */
void clo_curl_park(struct clo_transfer *transfer, struct clo_transfer *parked);

/* Which authorities to use first, and which if those do not trust a
 * certificate; the same if there are no others. */
enum clo_trust clo_curl_trust(const struct clo_config *config);
enum clo_trust clo_curl_other_trust(enum clo_trust trust);

/* The headers every request carries; NULL if out of memory. The first two are
 * not for forms. */
struct curl_slist *clo_curl_headers(const struct clo_config *config);

/* Gives the transfer, which has its easy handle, a copy of the form. Its file
 * is read through the guard, as any body is. 0 if out of memory. */
int clo_curl_form(struct clo_transfer *transfer, const struct clo_form *form);

/* Sets what changes with each attempt. */
CURLcode clo_curl_prepare(struct clo_transfer *transfer, double timeout,
                          char *why);

#endif
