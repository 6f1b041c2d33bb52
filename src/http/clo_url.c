/* Reads URLs with libcurl's own parser, so that what is checked here is what
 * libcurl connects to. */
#include "clo_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>

/* localhost, 127.0.0.0/8 (which the parser has normalised), ::1. What only
 * looks like an address, such as 127.0.0.256, is a name to a resolver. */
static int is_loopback(const char *host) {
  unsigned char address[4];
  if (curl_strequal(host, "localhost") || strcmp(host, "[::1]") == 0) return 1;
  return inet_pton(AF_INET, host, address) == 1 && address[0] == 127;
}

/* Whether there are credentials; where libcurl cannot say, there may be. */
static int has_credentials(CURLU *url) {
  char *user = NULL, *password = NULL;
  int has_none =
      curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
      curl_url_get(url, CURLUPART_PASSWORD, &password, 0) == CURLUE_NO_PASSWORD;
  curl_free(user);
  curl_free(password);
  return !has_none;
}

const char clo_url_no_memory[] = "there is not enough memory to read it";

/* Reads text into url; fault says why it cannot be one. */
static const char *parse(CURLU *url, const char *text, unsigned int flags,
                         const char *fault) {
  CURLUcode code = curl_url_set(url, CURLUPART_URL, text, flags);
  if (strchr(text, ' ')) return fault; /* which old ones take */
  if (code == CURLUE_OUT_OF_MEMORY) return clo_url_no_memory;
  return code == CURLUE_OK ? NULL : fault;
}

/* What is wrong with the host, or NULL. */
static const char *host_fault(CURLU *url, int *loopback) {
  char *host = NULL;
  CURLUcode code = curl_url_get(url, CURLUPART_HOST, &host, 0);
  int found = code == CURLUE_OK && host[0] != '\0';
  *loopback = found && is_loopback(host);
  curl_free(host);
  if (code == CURLUE_OUT_OF_MEMORY) return clo_url_no_memory;
  return found ? NULL : "its host is missing";
}

/* 1 or 0; -1 if out of memory. */
static int scheme_is(CURLU *url, const char *const *names) {
  char *scheme = NULL;
  int found = 0;
  CURLUcode code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
  if (code == CURLUE_OK)
    while (*names && !found) found = strcmp(scheme, *names++) == 0;
  curl_free(scheme);
  return code == CURLUE_OUT_OF_MEMORY ? -1 : found;
}

static const char *base_fault(const char *text, CURLU *url, int *plain,
                              int *loopback) {
  static const char *const http[] = {"http", NULL};
  static const char *const https[] = {"https", NULL};
  const char *fault;
  int is_http = scheme_is(url, http), is_https = scheme_is(url, https);
  if (is_http < 0 || is_https < 0) return clo_url_no_memory;
  *plain = is_http;
  if (!is_http && !is_https) return "its scheme must be https";
  if ((fault = host_fault(url, loopback))) return fault;
  if (has_credentials(url))
    return "it must not hold credentials: use api_key or access_token";
  if (strpbrk(text, "?#")) /* libcurl's parser drops the empty ones */
    return "it must end with its path, without ? or #";
  if (*plain && !*loopback)
    return "http would send the key in the clear: use https (http is for "
           "localhost only)";
  return NULL;
}

const char *clo_url_check(const char *text, int *plain, int *loopback) {
  CURLU *url = curl_url();
  const char *fault = clo_url_no_memory;
  *plain = *loopback = 0;
  if (url) {
    fault = parse(url, text, CURLU_NON_SUPPORT_SCHEME,
                  "it is not a URL such as \"https://api.close.com/api/v1\"");
    if (!fault) fault = base_fault(text, url, plain, loopback);
  }
  curl_url_cleanup(url);
  return fault;
}

static const char *named_fault(CURLU *url, int plain) {
  static const char *const http[] = {"http", NULL};
  static const char *const https[] = {"https", NULL};
  int is_http = scheme_is(url, http), is_https = scheme_is(url, https);
  int loopback;
  const char *fault;
  if (is_http < 0 || is_https < 0) return clo_url_no_memory;
  if (!is_http && !is_https) return "its scheme is not https";
  if ((fault = host_fault(url, &loopback))) return fault;
  if (has_credentials(url))
    return "it holds credentials";
  return is_http && !(plain && loopback) ? "its scheme is not https" : NULL;
}

const char *clo_url_check_named(const char *text, size_t len, int plain) {
  CURLU *url;
  const char *fault = clo_url_no_memory;
  if (len > CLO_URL_MAX) return "it is too long";
  if (strlen(text) != len) return "it is not a URL";
  if ((url = curl_url())) {
    fault = parse(url, text, CURLU_NON_SUPPORT_SCHEME, "it is not a URL");
    if (!fault) fault = named_fault(url, plain);
  }
  curl_url_cleanup(url);
  return fault;
}

const char *clo_url_check_proxy(const char *text, int *loopback) {
  static const char *const schemes[] = {"http",    "https",  "socks4",
                                        "socks4a", "socks5", "socks5h",
                                        NULL};
  CURLU *url = curl_url();
  const char *fault = clo_url_no_memory;
  int known;
  *loopback = 0;
  if (url) {
    fault = parse(url, text, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME,
                  "it is not a URL such as \"http://proxy.example:3128\"");
    known = fault ? 1 : scheme_is(url, schemes);
    if (known < 0) fault = clo_url_no_memory;
    if (known == 0)
      fault = "its scheme must be http, https, socks4, socks4a, socks5 or "
              "socks5h";
    if (!fault) fault = host_fault(url, loopback);
  }
  curl_url_cleanup(url);
  return fault;
}

#define ESCAPE_MAX 8000000 /* libcurl's own, for a string of any option */

size_t clo_url_escape(const char *text, size_t len, char *out) {
  char *escaped;
  size_t made;
  out[0] = '\0';
  /* To libcurl a length of 0 means: up to the NUL. */
  if (len == 0 || len > ESCAPE_MAX) return 0;
  escaped = curl_easy_escape(NULL, text, (int)len);
  if (!escaped) return 0;
  made = strlen(escaped);
  memcpy(out, escaped, made + 1);
  curl_free(escaped);
  return made;
}
