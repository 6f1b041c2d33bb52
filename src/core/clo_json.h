/* JSON that a strict reader refuses, or reads as another value, though others
 * do not: one such string would make a whole list unreadable. A scan finds
 * these places without a copy.
 *   - A byte order mark at the start is left out (RFC 8259, 8.1).
 *   - An escape of half a surrogate pair, such as \ud83d alone, becomes \ufffd
 *     (RFC 8259, 8.2).
 *   - A whole number above 2^53, which a double would round, is put in quotes:
 *     a string keeps its digits. */
#ifndef CLO_JSON_H
#define CLO_JSON_H

#include <stddef.h>

struct clo_json {
  const char *s; /* borrowed */
  size_t len;
  size_t at; /* all before it was handed out */
  int in_string;
  int may_change; /* 0: all of it stays as it is */
};

struct clo_json_part {
  const char *s; /* borrowed from the text, or constant */
  size_t len;
  int quoted; /* to be put in quotes */
};

/* Begins a scan of a text, which may be no JSON at all. */
void clo_json_start(struct clo_json *json, const char *s, size_t len);

/* Returns 1 and the next part of the text as it is to be read, or 0 after the
 * last. Where nothing has to change, the first part is all of the text. */
int clo_json_next(struct clo_json *json, struct clo_json_part *part);

#endif
