/* The one place where libcurl's options are set. */
#ifndef CLO_CURL_H
#define CLO_CURL_H

#include <curl/curl.h>

#include "clo_transfer.h"

/* What all calls of an engine share. */
struct clo_config {
  const char *user_agent;
  const char *ca_file;    /* PEM; NULL: the system's */
  const char *proxy;      /* NULL: none. The environment is not asked */
  int plain;              /* 1 lets http through as well as https */
  int http2;              /* 1 speaks HTTP/2 with servers that offer it */
  double connect_timeout; /* seconds */
  double attempt_timeout;
  size_t max_response_bytes;
  int max_in_flight;
  int events; /* 1 keeps an event for each attempt */
};

/* The room that a sentence on what went wrong has. Where a function here takes
 * why, it writes one there before it fails for anything but lack of memory. */
enum { CLO_WHY_MAX = CURL_ERROR_SIZE };

/* Starts libcurl once for the process; 0 where it cannot. */
int clo_curl_start(char *why);

/* Gives the transfer an easy handle with all options that do not change from
 * call to call; 0 on failure, the transfer as it was. */
int clo_curl_equip(struct clo_transfer *transfer,
                   const struct clo_config *config, struct curl_slist *headers,
                   curl_opensocket_callback on_open,
                   curl_closesocket_callback on_close, void *sockets,
                   char *why);

/* Which authorities to ask first, and which then, where those do not vouch for a
 * certificate; the same where there are no others. */
enum clo_trust clo_curl_trust(const struct clo_config *config);
enum clo_trust clo_curl_other_trust(enum clo_trust trust);

/* The headers every request carries; NULL if out of memory. The first two are
 * not for forms. */
struct curl_slist *clo_curl_headers(const struct clo_config *config);

/* Gives the transfer, which has its easy handle, a copy of the form. Its file
 * is read through the guard, as any body is. 0 if out of memory. */
int clo_curl_form(struct clo_transfer *transfer, const struct clo_form *form);

/* Sets what changes with each attempt. */
CURLcode clo_curl_aim(struct clo_transfer *transfer, double timeout,
                      char *why);

#endif
