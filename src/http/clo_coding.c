/* The codings of RFC 9110, 8.4 and RFC 9112, 7: libcurl undoes them. */
#include "clo_coding.h"

#include <string.h>

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int is_word(const char *text, size_t len, const char *word) {
  size_t i;
  for (i = 0; i < len && word[i] != '\0'; i++) {
    char c = text[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c + ('a' - 'A'));
    if (c != word[i]) return 0;
  }
  return i == len && word[i] == '\0';
}

int clo_coding_count(const char *line, size_t len) {
  const char *end = line + len, *at = memchr(line, ':', len), *last;
  int count = 0;
  if (!at || (!is_word(line, (size_t)(at - line), "content-encoding") &&
              !is_word(line, (size_t)(at - line), "transfer-encoding")))
    return 0;
  while (at < end) { /* at the colon or a comma */
    for (at++; at < end && is_blank(*at);) at++;
    for (last = at; last < end && *last != ',' && !is_blank(*last);) last++;
    count += last > at && !is_word(at, (size_t)(last - at), "chunked") &&
             !is_word(at, (size_t)(last - at), "identity");
    for (at = last; at < end && *at != ',';) at++;
  }
  return count;
}
