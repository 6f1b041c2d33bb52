/* What ended an attempt, from libcurl's result code and easy handle, and from
 * the answer's headers. */
#include "clo_result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clo_libcurl.h"

#define CURLE_TOO_LARGE_ANSWER 100 /* CURLE_TOO_LARGE, */
#define HAS_TOO_LARGE 0x080600     /* since 8.6 */

/* More than the longest header that older ones take. */
#define HEADER_ROOM (256 * 1024)

/* What a proxy answered to CONNECT. A 408, a 429 and a 5xx may pass. */
static enum clo_cause connect_cause(CURL *easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
  if (status == 407) return CLO_CAUSE_PROXY_AUTH;
  return status / 100 == 4 && status != 408 && status != 429
             ? CLO_CAUSE_PROXY
             : CLO_CAUSE_CONNECTION;
}

/* What a SOCKS proxy answered. */
static enum clo_cause socks_cause(CURL *easy) {
  long said = CURLPX_OK;
  curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &said);
  switch (said) {
    case CURLPX_NO_AUTH: /* it takes none of the ways that we have */
    case CURLPX_USER_REJECTED:
    case CURLPX_IDENTD_DIFFER: return CLO_CAUSE_PROXY_AUTH;
    case CURLPX_REPLY_NOT_ALLOWED: return CLO_CAUSE_PROXY;
    default: return CLO_CAUSE_CONNECTION;
  }
}

/* What a result code means, and what a proxy said in it. */
static enum clo_cause cause_of(CURL *easy, CURLcode code) {
  switch ((int)code) {
    case CURLE_PROXY: return socks_cause(easy);
    case CURLE_COULDNT_CONNECT: /* a refusal's code, of late */
    case CURLE_RECV_ERROR: return connect_cause(easy);
    case CURLE_OK: return CLO_CAUSE_ANSWER;
    case CURLE_OUT_OF_MEMORY: return CLO_CAUSE_MEMORY;
    case CURLE_OPERATION_TIMEDOUT: return CLO_CAUSE_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED: return CLO_CAUSE_TLS;
    case CURLE_UNSUPPORTED_PROTOCOL: /* an answer that is not HTTP/1 or 2 */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_TOO_LARGE_ANSWER:
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_WRITE_ERROR: return CLO_CAUSE_PROTOCOL;
    default: return CLO_CAUSE_CONNECTION;
  }
}

/* Whether one header was longer than libcurl takes. Older ones report it as
 * "out of memory", which is believed if such a header cannot be allocated. */
static int may_be_too_long(const struct clo_transfer *t, CURLcode code) {
  void *room;
  if (code != CURLE_OUT_OF_MEMORY || !t->answer_began || t->headers_whole ||
      clo_libcurl_info()->version_num >= HAS_TOO_LARGE)
    return 0;
  room = malloc(HEADER_ROOM);
  free(room);
  return room != NULL;
}

/* Descriptors that a look-up, or the reading of a certificate, may need. */
#define FEW 4

/* Whether the process, or the system, is short of descriptors: its error. */
static int descriptors_error(void) {
  int fds[FEW], count = 0, error = 0;
  while (count < FEW && !error) {
    fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fds[count] < 0)
      error = errno == EMFILE || errno == ENFILE ? errno : -1;
    else
      count++;
  }
  while (count > 0) close(fds[--count]);
  return error > 0 ? error : 0;
}

/* The system's error that kept an attempt from being connected, where it can be
 * known; otherwise 0. Ask before anything else is done with the handle. */
static int system_error(const struct clo_transfer *t, CURLcode code) {
  long error = 0;
  switch ((int)code) {
    case CURLE_COULDNT_CONNECT:
      if (t->open_error) return t->open_error;
      curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &error);
      return (int)error;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_OUT_OF_MEMORY: /* 7.88's, where a look-up cannot begin */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_PEER_FAILED_VERIFICATION: return descriptors_error();
    default: return 0;
  }
}

/* A date as seconds since 1970; -1 where it is none. */
static double read_date(const char *value, size_t len) {
  char date[64];
  if (!value || len >= sizeof date) return -1;
  memcpy(date, value, len);
  date[len] = '\0';
  return (double)curl_getdate(date, NULL);
}

/* Seconds until a date, by the server's clock: the answer's own Date. */
static double seconds_to(const struct clo_transfer *t, double when) {
  size_t len = 0;
  const char *value = clo_transfer_header(t, "date", &len);
  double now = read_date(value, len);
  if (now < 0) now = (double)time(NULL);
  return when > now ? when - now : 0;
}

/* What Retry-After says: seconds, or a date; -1 where it is neither. There
 * should be one; of several, the longest time keeps them all. */
static double read_retry_after(const struct clo_transfer *t) {
  struct clo_header header;
  double longest = -1;
  size_t at = 0;
  while (clo_transfer_next_named(t, "retry-after", &at, &header)) {
    double seconds = clo_policy_retry_after(header.value, header.value_len);
    double when = seconds < 0 ? read_date(header.value, header.value_len) : -1;
    if (when >= 0) seconds = seconds_to(t, when);
    if (seconds > longest) longest = seconds;
  }
  return longest;
}

/* Reads RateLimit, whose members may come in several lines, which count as one
 * (RFC 9110, 5.3). One that is longer than any real one is ignored. */
static int read_rate(struct clo_transfer *t) {
  char joined[512];
  struct clo_header header;
  size_t at = 0, len = 0;
  while (clo_transfer_next_named(t, "ratelimit", &at, &header)) {
    if (header.value_len + 1 > sizeof joined - len) return 0;
    if (len > 0) joined[len++] = ',';
    memcpy(joined + len, header.value, header.value_len);
    len += header.value_len;
  }
  return clo_policy_rate_limit(joined, len, &t->rate);
}

/* What the answer says of its rate limit, and how long it asks us to wait. */
static void read_limits(struct clo_transfer *t) {
  int may_ask = t->end.status >= 400; /* others are not searched for it */
  t->has_rate = read_rate(t);
  t->server_delay = clo_policy_server_delay(
      t->end.status, t->has_rate ? &t->rate : NULL,
      may_ask ? read_retry_after(t) : -1);
}

static void explain(struct clo_transfer *t, const char *message) {
  snprintf(t->message, sizeof t->message, "%s", message);
}

static void fill_end(struct clo_transfer *t, enum clo_cause cause) {
  t->end.cause = cause;
  t->end.body_len = t->body.len;
  t->end.body_left = clo_transfer_left(t);
  t->end.repeatable = t->repeatable;
}

/* Adds the system's error to what libcurl says of a connection that could not
 * be made. Without descriptors there is none, whatever they were needed for. */
static enum clo_cause name_errno(struct clo_transfer *t, CURLcode code,
                                 enum clo_cause cause) {
  int number = system_error(t, code);
  char text[80];
  size_t len = strlen(t->message);
  if (!number || strerror_r(number, text, sizeof text) != 0) return cause;
  if (!strstr(t->message, text))
    snprintf(t->message + len, sizeof t->message - len, " (%s)", text);
  if (number == ENOMEM) return CLO_CAUSE_MEMORY;
  return number == EMFILE || number == ENFILE ? CLO_CAUSE_CONNECTION : cause;
}

/* Whether all of an answer came whose length is known, compressed or not; and,
 * out of memory, whether we have got it. */
static int is_whole(const struct clo_transfer *t, enum clo_cause cause) {
  curl_off_t length = -1, size = 0;
  curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (cause == CLO_CAUSE_MEMORY)
    return t->codings == 0 && length == (curl_off_t)t->answer.len;
  curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &size);
  return length >= 0 && size == length;
}

/* Why an answer was not read, or NULL. */
static const char *refusal(const struct clo_transfer *t, CURLcode code) {
  if (t->too_large)
    return t->head > CLO_HEADERS_MAX
               ? "the answer's headers are larger than 64 KiB"
               : "the answer is larger than the option max_response_bytes";
  if (may_be_too_long(t, code))
    return "the answer has a larger header than libcurl accepts, or there was "
           "no memory for it";
  if (t->odd) return "the answer is neither HTTP/1 nor HTTP/2";
  return t->codings > 1 ? "the answer is compressed more than once" : NULL;
}

/* What ended an attempt, in a message and as a cause. */
static enum clo_cause explain_code(struct clo_transfer *t, CURLcode code) {
  enum clo_cause cause = cause_of(t->easy, code);
  const char *refused = refusal(t, code);
  if (refused || t->no_memory) {
    explain(t, refused ? refused : "not enough memory");
    return refused ? CLO_CAUSE_PROTOCOL : CLO_CAUSE_MEMORY;
  }
  if (code == CURLE_WRITE_ERROR && t->codings > 0)
    explain(t, "the compressed answer cannot be decoded");
  else if (code == CURLE_SEND_FAIL_REWIND ||
           code == CURLE_ABORTED_BY_CALLBACK) /* that was the guard */
    explain(t, "the connection ended before an answer came");
  else if (cause == CLO_CAUSE_PROXY)
    explain(t, "the proxy refuses to connect to this address");
  else if (cause == CLO_CAUSE_PROXY_AUTH || t->end.status == 407)
    explain(t, "the proxy did not accept the user name and the password of "
               "the option proxy");
  else if (code != CURLE_OK && t->message[0] == '\0')
    explain(t, curl_easy_strerror(code));
  return code == CURLE_OK ? cause : name_errno(t, code, cause);
}

void clo_result_read(struct clo_transfer *t, CURLcode code) {
  long status = 0, request_size = 0;
  enum clo_cause cause;
  if (t->odd) code = CURLE_UNSUPPORTED_PROTOCOL; /* as newer ones say */
  curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_size);
  /* A status counts once its headers were whole; an interim 1xx never does. */
  t->end.status =
      t->headers_whole && !t->odd && status >= 200 ? (int)status : 0;
  t->code = code;
  cause = explain_code(t, code);
  /* libcurl accepts a connection that ends in the headers. */
  if (code == CURLE_OK && t->end.status == 0) {
    cause = CLO_CAUSE_CONNECTION;
    explain(t, "the connection ended before the answer's headers did");
  }
  /* A server may answer before it has read the whole request, and close. */
  if (t->end.status / 100 == 2 && is_whole(t, cause) &&
      (cause == CLO_CAUSE_CONNECTION || cause == CLO_CAUSE_TIMEOUT ||
       cause == CLO_CAUSE_MEMORY)) {
    cause = CLO_CAUSE_ANSWER;
    t->code = CURLE_OK;
  }
  t->end.request_left = request_size > 0;
  fill_end(t, cause);
  read_limits(t);
}

void clo_result_set(struct clo_transfer *t, enum clo_cause cause,
                    const char *message) {
  fill_end(t, cause);
  explain(t, message);
}
