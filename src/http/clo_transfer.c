/* The guard and the answer's buffers. The guard is what keeps libcurl from
 * sending a POST a second time by itself: when a kept connection dies, libcurl
 * rewinds the body and sends it again on a new one. A body is guarded in one of
 * two ways:
 * - libcurl reads it. Rewinding needs the seek callback, and ours allows it
 *   only while no byte was read.
 * - If it is small, libcurl is given it whole, and sends it in one write with
 *   the headers. It calls on_begin (clo_curl.c) before, which lets it begin
 *   once. */
#include "clo_transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clo_coding.h"

/* Of an address: 16 KiB of a base URL, 8 of a path, and a query, whose bound of
 * 64 KiB (CLO_QUERY_MAX) is of bytes that are not yet escaped. */
#define URL_MAX (256 * 1024)
#define KEPT_MAX (64 * 1024) /* a larger buffer is not kept between calls */

struct clo_transfer *clo_transfer_new(size_t max_response_bytes) {
  struct clo_transfer *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  clo_buf_init(&t->url, URL_MAX);
  clo_buf_init(&t->secret, 64 * 1024);
  clo_buf_init(&t->body, (size_t)-1 / 2);
  clo_buf_init(&t->headers, CLO_HEADERS_MAX);
  clo_buf_init(&t->answer, max_response_bytes);
  return t;
}

void clo_transfer_free(struct clo_transfer *t) {
  if (!t) return;
  clo_transfer_clear(t);
  curl_easy_cleanup(t->easy);
  curl_url_cleanup(t->address);
  clo_buf_free(&t->url);
  clo_buf_free(&t->secret);
  clo_buf_free(&t->body);
  clo_buf_free(&t->headers);
  clo_buf_free(&t->answer);
  free(t);
}

/* Sets buf to n bytes; 0 if they do not fit or if out of memory. */
static int load(struct clo_buf *buf, const void *bytes, size_t n) {
  clo_buf_reset(buf);
  return clo_buf_append(buf, bytes, n) == CLO_BUF_OK;
}

/* RFC 9110, 9.2.2, of the methods that Close has. */
static int is_idempotent(const char *method) {
  return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
}

static int add(struct clo_buf *buf, const char *text) {
  return clo_buf_append(buf, text, strlen(text)) == CLO_BUF_OK;
}

/* Appends the key and a colon in Base64 (RFC 7617, 2; RFC 4648, 4). */
static int add_basic(struct clo_buf *buf, const char *key) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t i, k, n = strlen(key) + 1;
  for (i = 0; i < n; i += 3) {
    char four[5] = "====";
    unsigned long bits = 0;
    for (k = i; k < i + 3; k++)
      bits = bits << 8 | (k + 1 < n ? (unsigned char)key[k] : k < n ? ':' : 0);
    for (k = 0; k < 4 && (k < 2 || i + k <= n); k++)
      four[k] = digits[bits >> (18 - 6 * k) & 63];
    if (!add(buf, four)) return 0;
  }
  return 1;
}

/* Makes the line of the header Authorization, once for all attempts. libcurl
 * would make it for each, and three copies of it. */
static int load_secret(struct clo_transfer *t, enum clo_auth auth,
                       const char *secret) {
  struct clo_buf *line = &t->secret;
  int ok = 1;
  clo_buf_reset(line);
  if (auth == CLO_AUTH_BASIC)
    ok = add(line, "Authorization: Basic ") && add_basic(line, secret);
  else if (auth == CLO_AUTH_BEARER)
    ok = add(line, "Authorization: Bearer ") && add(line, secret);
  if (line->len > 0) ok = ok && clo_buf_append(line, "", 1) == CLO_BUF_OK;
  t->authorization.data = line->data;
  return ok;
}

/* Keeps what is known of a URL that the last request had, too: its bytes are
 * still in the buffer while there is an address. */
static int load_url(struct clo_transfer *t, const char *url) {
  size_t size = strlen(url) + 1;
  if (t->address && t->url.cap >= size &&
      memcmp(t->url.data, url, size) == 0) {
    t->url.len = size;
    return 1;
  }
  curl_url_cleanup(t->address);
  t->address = NULL;
  return load(&t->url, url, size);
}

int clo_transfer_load(struct clo_transfer *t, const struct clo_request *r) {
  snprintf(t->method, sizeof t->method, "%s", r->method);
  t->max_retries = r->max_retries;
  t->repeatable = r->repeatable >= 0 ? r->repeatable
                                     : is_idempotent(r->method);
  t->attempts = t->unknown = t->from_parent = 0;
  return load_url(t, r->url) &&
         load_secret(t, r->auth, r->secret ? r->secret : "") &&
         load(&t->body, r->body, r->body ? r->body_len : 0);
}

static void forget(struct clo_buf *buf) {
  if (buf->cap > KEPT_MAX)
    clo_buf_free(buf);
  else
    clo_buf_reset(buf);
}

void clo_transfer_clear(struct clo_transfer *t) {
  curl_mime_free(t->form); /* it releases the easy handle, too */
  t->form = NULL;
  if (t->secret.data) memset(t->secret.data, 0, t->secret.cap);
  forget(&t->secret);
  forget(&t->url);
  forget(&t->body);
  forget(&t->headers);
  forget(&t->answer);
}

void clo_transfer_rewind(struct clo_transfer *t) {
  t->body_read = 0;
  t->is_given = t->has_begun = t->on_kept = 0;
  t->too_large = t->no_memory = t->unwatched = t->is_looked_up = 0;
  t->open_error = t->is_refused = 0;
  t->head = 0;
  t->odd = 0;
  t->headers_whole = t->answer_began = t->interim = t->codings = 0;
  t->code = CURLE_OK;
  t->server_delay = -1;
  t->has_rate = 0;
  t->message[0] = '\0';
  memset(&t->end, 0, sizeof t->end);
  clo_buf_reset(&t->headers);
  clo_buf_reset(&t->answer);
}

size_t clo_transfer_on_read(char *into, size_t size, size_t n, void *transfer) {
  struct clo_transfer *t = transfer;
  size_t left = t->body.len - t->body_read;
  /* It has begun again without rewinding, as 7.88 does over HTTP/2 where the
   * body had to wait: it would send a request without one. */
  if (left == 0 && t->body.len > 0) return CURL_READFUNC_ABORT;
  if (left > size * n) left = size * n;
  if (left > 0) memcpy(into, t->body.data + t->body_read, left);
  t->body_read += left;
  return left;
}

int clo_transfer_on_seek(void *transfer, curl_off_t offset, int origin) {
  const struct clo_transfer *t = transfer;
  int untouched = t->body_read == 0 && offset == 0 && origin == SEEK_SET;
  return untouched ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* Where libcurl was given the body, it counts what it has sent. It counts from
 * 0 when it begins again, which it does only if it began on a kept
 * connection. */
size_t clo_transfer_left(const struct clo_transfer *t) {
  curl_off_t sent = 0;
  if (!t->is_given) return t->body_read;
  if (!t->has_begun) return 0;
  curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
  return sent == 0 && t->on_kept ? t->body.len : (size_t)sent;
}

static int gather(struct clo_transfer *t, struct clo_buf *buf,
                  const char *bytes, size_t n) {
  enum clo_buf_result result = clo_buf_append(buf, bytes, n);
  if (result == CLO_BUF_TOO_LARGE) t->too_large = 1;
  if (result == CLO_BUF_NO_MEMORY) t->no_memory = 1;
  return result == CLO_BUF_OK;
}

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* Each status line begins a new answer: a 1xx, then the final one. Old libcurls
 * take HTTP/9 for HTTP/1, and 2x0 for 2. */
static void begin_answer(struct clo_transfer *t, const char *line, size_t n) {
  const char *end = line + n, *status = memchr(line, ' ', n);
  while (status && status < end && *status == ' ') status++;
  clo_buf_reset(&t->headers);
  t->headers_whole = t->codings = 0;
  t->answer_began = 1;
  t->interim = status && status < end && *status == '1';
  t->odd = (line[5] != '1' && line[5] != '2') || !status || end - status < 3 ||
           !is_digit(status[0]) || !is_digit(status[1]) || !is_digit(status[2]);
}

/* A line that begins with a blank continues the one before; a space replaces
 * what is between them (RFC 9112, 5.2). */
static int unfold(struct clo_transfer *t, const char *line, size_t n) {
  struct clo_buf *headers = &t->headers;
  for (; n > 0 && is_blank(*line); line++) n--;
  if (n == 0 || headers->len == 0) return 1;
  while (headers->len > 0 && is_blank(headers->data[headers->len - 1]))
    headers->len--;
  return gather(t, headers, " ", 1) && gather(t, headers, line, n);
}

size_t clo_transfer_on_header(char *line, size_t size, size_t n,
                              void *transfer) {
  struct clo_transfer *t = transfer;
  n *= size;
  t->head += n;
  if (t->head > CLO_HEADERS_MAX) t->too_large = 1;
  if (t->too_large) return 0;
  /* What follows the body is a trailer, and no header (RFC 9110, 6.5.1). */
  if (t->headers_whole && !t->interim) return n;
  if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
    begin_answer(t, line, n);
    return n;
  }
  if (!t->headers_whole) t->codings += clo_coding_count(line, n);
  if (n > 0 && (line[0] == '\r' || line[0] == '\n')) t->headers_whole = 1;
  /* Nested codings could keep libcurl busy for a minute with some MB that
   * decode to nothing, which no limit on the decoded bytes ends. */
  if (t->headers_whole && t->codings > 1) return 0;
  if (n > 0 && (*line == ' ' || *line == '\t'))
    return unfold(t, line, n) ? n : 0;
  return gather(t, &t->headers, line, n) ? n : 0;
}

size_t clo_transfer_on_write(char *bytes, size_t size, size_t n,
                             void *transfer) {
  struct clo_transfer *t = transfer;
  n *= size;
  return gather(t, &t->answer, bytes, n) ? n : 0;
}

int clo_header_next(const char *lines, size_t len, size_t *at,
                    struct clo_header *header) {
  while (*at < len) {
    const char *line = lines + *at;
    const char *end = memchr(line, '\n', len - *at);
    const char *colon;
    if (!end) end = lines + len;
    *at = (size_t)(end - lines) + 1;
    colon = memchr(line, ':', (size_t)(end - line));
    if (!colon || colon == line) continue; /* the blank line, or no header */
    header->name = line;
    header->name_len = (size_t)(colon - line);
    for (colon++; colon < end && is_blank(*colon);) colon++;
    while (end > colon && is_blank(end[-1])) end--;
    header->value = colon;
    header->value_len = (size_t)(end - colon);
    return 1;
  }
  return 0;
}

/* ASCII only: a header's name has no other letters (RFC 9110, 5.1). */
static int same_name(const struct clo_header *header, const char *name) {
  size_t i;
  for (i = 0; i < header->name_len; i++) {
    char c = header->name[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c + ('a' - 'A'));
    if (name[i] == '\0' || c != name[i]) return 0;
  }
  return name[i] == '\0';
}

int clo_transfer_next_named(const struct clo_transfer *t, const char *name,
                            size_t *at, struct clo_header *header) {
  while (clo_header_next(t->headers.data, t->headers.len, at, header))
    if (same_name(header, name)) return 1;
  return 0;
}

const char *clo_transfer_header(const struct clo_transfer *t, const char *name,
                                size_t *len) {
  struct clo_header header;
  size_t at = 0;
  if (!clo_transfer_next_named(t, name, &at, &header)) return NULL;
  *len = header.value_len;
  return header.value;
}
