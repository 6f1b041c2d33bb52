/* The scan of a JSON text for what is to be read differently. It knows strings,
 * escapes, numbers and brackets, and leaves all else to the reader. */
#include "clo_json.h"

#include <string.h>

#define ESCAPE 6              /* bytes of an escape such as \ud83d */
#define MOST "9007199254740992" /* 2^53: doubles are exact up to it */

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

/* What can come last, besides the characters of JSON's own. */
#define STRING 's'
#define VALUE 'v' /* a number, true, false, null, or what is none of JSON */

static int ends_value(char last) {
  return last == STRING || last == VALUE || last == '}' || last == ']';
}

static size_t skip_blanks(const struct clo_json *json, size_t at) {
  const char *s = json->s;
  while (at < json->len && (s[at] == ' ' || s[at] == '\n' || s[at] == '\r' ||
                            s[at] == '\t'))
    at++;
  return at;
}

static void set_change(struct clo_json *json, enum clo_json_change change,
                       size_t from, size_t to) {
  json->change = change;
  json->from = from;
  json->to = to;
}

/* ---- strings ---- */

/* The next c from at on, or the end. */
static size_t find(const struct clo_json *json, char c, size_t at) {
  const char *found = memchr(json->s + at, c, json->len - at);
  return found ? (size_t)(found - json->s) : json->len;
}

/* The next quote or backslash from at on, or the end. */
static size_t find_in_string(struct clo_json *json, size_t at) {
  size_t quote = find(json, '"', at);
  if (json->backslash < at) json->backslash = find(json, '\\', at);
  return quote < json->backslash ? quote : json->backslash;
}

/* Goes on in a string, to its end or a change. */
static void scan_string(struct clo_json *json) {
  size_t at = find_in_string(json, json->look), n;
  while (at < json->len && json->s[at] == '\\') {
    n = escape_length(json->s + at, json->len - at);
    if (n == 0) {
      set_change(json, CLO_JSON_REPLACE, at, at + ESCAPE);
      json->look = at + ESCAPE;
      return;
    }
    at = find_in_string(json, at + n);
  }
  json->look = at < json->len ? at + 1 : at;
  json->in_string = 0;
  json->last = STRING;
}

static void begin_string(struct clo_json *json) {
  json->name = json->look++;
  json->before_name = json->last;
  json->in_string = 1;
}

/* ---- values ---- */

static void scan_number(struct clo_json *json) {
  size_t at = json->look;
  size_t n = number_length(json->s + at, json->len - at);
  json->look = at + n;
  json->last = VALUE;
  if (is_too_long(json->s + at, n))
    set_change(json, CLO_JSON_QUOTE, at, at + n);
  else
    json->has_number = 1;
}

/* A null: leaves it out with its name, and with the comma before it, or as the
 * first of several the one after it. */
static void scan_null(struct clo_json *json) {
  size_t end = json->look + 4, next = skip_blanks(json, end), from = json->name;
  char c = next < json->len ? json->s[next] : '\0', last = json->before_name;
  int may = json->is_json && json->last == ':' && (json->objects & 1) &&
            (c == ',' || c == '}') && (last == ',' || last == '{');
  json->look = end;
  json->last = VALUE;
  if (may && last == ',') {
    from = json->comma;
  } else if (may && c == ',') {
    end = next + 1;
    next = skip_blanks(json, end);
    may = next < json->len && json->s[next] == '"';
  }
  if (!may || from < json->at) {
    json->has_null = 1;
    return;
  }
  set_change(json, CLO_JSON_LEAVE_OUT, from, end);
  json->look = end;
  if (last == '{') json->last = '{';
}

static void scan_value(struct clo_json *json, char c) {
  if (is_number_byte(c)) {
    scan_number(json);
  } else if (c == 'n' && json->len - json->look >= 4 &&
             memcmp(json->s + json->look, "null", 4) == 0) {
    scan_null(json);
  } else {
    json->last = VALUE;
    json->look++;
  }
}

/* ---- the scan ---- */

static void scan_bracket(struct clo_json *json, char c) {
  if (c == '{' || c == '[')
    json->objects = json->objects << 1 | (c == '{');
  else
    json->objects >>= 1;
  json->last = c;
  json->look++;
}

static void scan_comma(struct clo_json *json) {
  if (!ends_value(json->last)) json->is_json = 0;
  json->last = ',';
  json->comma = json->look++;
}

static void scan_colon(struct clo_json *json) {
  if (json->last != STRING) json->is_json = 0;
  json->last = ':';
  json->look++;
}

/* Goes on to the next change, or to the end. */
static void scan(struct clo_json *json) {
  while (json->look < json->len && json->change == CLO_JSON_NONE) {
    char c = json->s[json->look];
    if (json->in_string)
      scan_string(json);
    else
      switch (c) {
        case '"': begin_string(json); break;
        case ',': scan_comma(json); break;
        case ':': scan_colon(json); break;
        case '{': case '}': case '[': case ']': scan_bracket(json, c); break;
        case ' ': case '\n': case '\r': case '\t': json->look++; break;
        default: scan_value(json, c); break;
      }
  }
}

void clo_json_start(struct clo_json *json, const char *s, size_t len) {
  static const char mark[] = "\xEF\xBB\xBF";
  size_t skipped = len >= 3 && memcmp(s, mark, 3) == 0 ? 3 : 0;
  memset(json, 0, sizeof *json);
  json->s = s + skipped;
  json->len = len - skipped;
  json->is_json = 1;
  json->backslash = json->len > 0 ? find(json, '\\', 0) : 0;
}

/* Hands out the change that the scan has come to. */
static void hand_out(struct clo_json *json, struct clo_json_part *part) {
  part->quoted = json->change == CLO_JSON_QUOTE;
  part->s = json->change == CLO_JSON_REPLACE ? "\\ufffd" : json->s + json->from;
  part->len = json->to - json->from;
  json->at = json->to;
  json->change = CLO_JSON_NONE;
}

int clo_json_next(struct clo_json *json, struct clo_json_part *part) {
  size_t end;
  for (;;) {
    scan(json);
    end = json->change == CLO_JSON_NONE ? json->len : json->from;
    if (json->at < end) break;
    if (json->change == CLO_JSON_NONE) return 0;
    if (json->change != CLO_JSON_LEAVE_OUT) {
      hand_out(json, part);
      return 1;
    }
    json->at = json->to;
    json->change = CLO_JSON_NONE;
  }
  part->s = json->s + json->at;
  part->len = end - json->at;
  part->quoted = 0;
  json->at = end;
  return 1;
}
