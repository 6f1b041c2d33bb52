/* JSON as it is to be read. A scan finds the places that change, without a
 * copy.
 *   - A byte order mark at the start is left out (RFC 8259, 8.1).
 *   - An escape of half a surrogate pair, such as \ud83d alone, becomes \ufffd
 *     (RFC 8259, 8.2): a strict reader would refuse all of the text.
 *   - A whole number above 2^53, which a double would round, is put in quotes:
 *     a string keeps its digits.
 *   - A member of an object that is null is left out: its name and value need
 *     not be made first.
 * A text that is no JSON does not become JSON by that. */
#ifndef CLO_JSON_H
#define CLO_JSON_H

#include <stddef.h>

enum clo_json_change { CLO_JSON_NONE, CLO_JSON_LEAVE_OUT, CLO_JSON_REPLACE,
                       CLO_JSON_QUOTE };

struct clo_json {
  const char *s; /* borrowed */
  size_t len;
  size_t at;   /* all before it was handed out */
  size_t look; /* all before it was scanned */
  /* the next change, and where */
  enum clo_json_change change;
  size_t from, to;
  /* the place of the scan: in a string; the brackets that are open, a bit for
   * each, 1 for an object's; what came last: a bracket, a comma, a colon, or
   * one of the letters in clo_json.c */
  int in_string;
  size_t backslash; /* the first one from there on */
  unsigned long objects;
  char last;
  /* the last string: where it begins, and what was before it; the last comma */
  size_t name, comma;
  char before_name;
  int is_json; /* as far as it was looked at */
  /* once all was handed out: whether there is a number, or a null that was not
   * left out */
  int has_number, has_null;
};

struct clo_json_part {
  const char *s; /* borrowed from the text, or constant */
  size_t len;
  int quoted; /* to be put in quotes */
};

/* By how many bytes a text of len bytes can become longer: two for each number
 * of 16 digits or more. */
#define CLO_JSON_QUOTES(len) ((len) / 8 + 2)

/* Begins a scan of a text, which may be no JSON at all. */
void clo_json_start(struct clo_json *json, const char *s, size_t len);

/* Returns 1 and the next part of the text as it is to be read, or 0 after the
 * last. Where nothing has to change, the first part is all of the text. */
int clo_json_next(struct clo_json *json, struct clo_json_part *part);

#endif
