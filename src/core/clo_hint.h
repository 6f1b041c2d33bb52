/* What a violation's sentence says of the caller's own words: the word shown
 * so that it can do no harm in a log, and the right one it may stand for. For
 * the core's own use. */
#ifndef CLO_HINT_H
#define CLO_HINT_H

#include "clo_value.h"

#define CLO_QUOTE_SIZE 192

/* Writes s to out in double quotes and returns out. What is invisible, quotes,
 * backslashes and what is not UTF-8 show as \xNN; after 40 bytes or so it is
 * cut, with "..." for the rest. */
const char *clo_quote(const char *s, size_t len, char out[CLO_QUOTE_SIZE]);

#define CLO_ODD_SIZE 64

/* Writes to out where s, which should be plain ASCII, is not, such as "; it has
 * U+202A at byte 1", or nothing; and returns out. */
const char *clo_describe_odd(const char *s, size_t len, char out[CLO_ODD_SIZE]);

/* Writes a name to out as it can stand in a violation's field, and returns out:
 * as it is where it can do no harm there, otherwise as clo_quote shows it, but
 * without the quotes. */
const char *clo_show_name(const char *name, size_t len,
                          char out[CLO_QUOTE_SIZE]);

/* A wrong word, in small letters, and what it stands for. A list of them ends
 * with one that is all NULL. */
struct clo_alias {
  const char *wrong;
  const char *right;
};

/* The field whose name is nearest to a word and near enough, or NULL.
 * Characters that no name has do not count. */
const char *clo_hint_nearest(const struct clo_field *fields, size_t count,
                             const char *s, size_t len);

/* The field that a wrong name probably stands for, or NULL: by the aliases, or
 * the nearest. */
const char *clo_hint_name(const struct clo_alias *aliases,
                          const struct clo_field *fields, size_t count,
                          const char *s, size_t len);

/* Whether a name is that of a call's option: the library's, not Close's, and
 * easily put among the fields. */
int clo_hint_is_option(const char *name, size_t len);
#define CLO_HINT_OPTION \
  "but an option: give it in a table of its own, as the last argument"

/* The value of an ENUM field that the caller probably means, or NULL; likewise.
 */
const char *clo_hint_value(const struct clo_field *field, const char *s,
                           size_t len);

#endif
