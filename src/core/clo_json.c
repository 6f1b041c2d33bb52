/* The scan of a JSON text for what is to be read differently. It knows strings,
 * escapes and numbers, and leaves all else to the reader. */
#include "clo_json.h"

#include <string.h>

#define ESCAPE 6              /* bytes of an escape such as \ud83d */
#define MOST "9007199254740992" /* 2^53: a double has every whole number to it */

static int is_number_byte(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' ||
         c == 'e' || c == 'E';
}

static size_t number_length(const char *s, size_t len) {
  size_t i;
  for (i = 0; i < len && is_number_byte(s[i]);) i++;
  return i;
}

/* Whether a number of n bytes is a whole one that a double would round. */
static int is_too_long(const char *s, size_t n) {
  size_t i, most = sizeof MOST - 1;
  if (n > 0 && *s == '-') {
    s++;
    n--;
  }
  if (n < most || *s == '0') return 0; /* JSON has no leading zeros */
  for (i = 0; i < n; i++)
    if (s[i] < '0' || s[i] > '9') return 0;
  return n > most || memcmp(s, MOST, most) > 0;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The number in an escape such as \ud83d that s begins with, or -1. */
static int escaped(const char *s, size_t len) {
  int i, digit, code = 0;
  if (len < ESCAPE || s[0] != '\\' || s[1] != 'u') return -1;
  for (i = 2; i < ESCAPE; i++) {
    if ((digit = hex_digit(s[i])) < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}

/* The bytes of what the backslash at s begins: an escape, or a pair of them;
 * 0 for half a pair. */
static size_t escape_length(const char *s, size_t len) {
  int code = escaped(s, len), low;
  if (code < 0) return len < 2 ? len : 2;
  if (code < 0xD800 || code > 0xDFFF) return ESCAPE;
  low = code < 0xDC00 ? escaped(s + ESCAPE, len - ESCAPE) : -1;
  return low >= 0xDC00 && low <= 0xDFFF ? 2 * ESCAPE : 0;
}

/* ---- whether a scan is needed: hardly ever, and this looks at few bytes ---- */

/* Whether as many digits as MOST has stand in a row. They have one of their own
 * at a place that is looked at. */
static int has_long_number(const char *s, size_t len) {
  size_t least = sizeof MOST - 1, i, first, end;
  for (i = least - 1; i < len; i += least) {
    for (end = i; end < len && s[end] >= '0' && s[end] <= '9';) end++;
    for (first = end; first > 0 && s[first - 1] >= '0' && s[first - 1] <= '9';)
      first--;
    if (end > i && end - first >= least) return 1;
  }
  return 0;
}

static int has_surrogate(const char *s, size_t len) {
  const char *at = s, *end = s + len;
  while (len > 0 && (at = memchr(at, '\\', (size_t)(end - at)))) {
    if (end - at > 2 && at[1] == 'u' && (at[2] == 'd' || at[2] == 'D')) return 1;
    if (++at == end) break;
  }
  return 0;
}

/* ---- the scan ---- */

/* The next place from `at` on that has to change, or the end. */
static size_t find(struct clo_json *json, size_t at) {
  const char *s = json->s;
  size_t len = json->len, n;
  if (!json->may_change) return len;
  while (at < len) {
    if (s[at] == '"') {
      json->in_string = !json->in_string;
      at++;
    } else if (json->in_string && s[at] == '\\') {
      n = escape_length(s + at, len - at);
      if (n == 0) return at;
      at += n;
    } else if (!json->in_string && is_number_byte(s[at])) {
      n = number_length(s + at, len - at);
      if (is_too_long(s + at, n)) return at;
      at += n;
    } else {
      at++;
    }
  }
  return at;
}

void clo_json_start(struct clo_json *json, const char *s, size_t len) {
  static const char mark[] = "\xEF\xBB\xBF";
  size_t skipped = len >= 3 && memcmp(s, mark, 3) == 0 ? 3 : 0;
  json->s = s + skipped;
  json->len = len - skipped;
  json->at = 0;
  json->in_string = 0;
  json->may_change = has_long_number(json->s, json->len) ||
                     has_surrogate(json->s, json->len);
}

int clo_json_next(struct clo_json *json, struct clo_json_part *part) {
  size_t from = json->at, to;
  if (from == json->len) return 0;
  to = find(json, from);
  part->s = json->s + from;
  part->quoted = 0;
  if (to > from) {
    part->len = to - from;
  } else if (json->in_string) { /* half a pair */
    part->s = "\\ufffd";
    part->len = ESCAPE;
  } else {
    part->len = number_length(part->s, json->len - from);
    part->quoted = 1;
  }
  json->at = from + part->len;
  return 1;
}
