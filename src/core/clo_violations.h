/* The list of broken rules. */
#ifndef CLO_VIOLATIONS_H
#define CLO_VIOLATIONS_H

#include <stddef.h>

/* One broken rule. The strings live as long as the list they are in. */
struct clo_violation {
  char *field;      /* such as "attachments[2].url"; owned by the list */
  const char *code; /* required, type, enum, format, range, conflict,
                       unknown_field */
  char *message;    /* one sentence that says how to mend it; owned */
};

#define CLO_VIOLATIONS_MAX 1000 /* listed; the rest is counted */

struct clo_violations {
  struct clo_violation *list; /* owned */
  size_t count;
  size_t cap;
  size_t unlisted;  /* found beyond CLO_VIOLATIONS_MAX */
  int out_of_memory; /* one could not be stored: the list is not complete */
};

/* An empty list; allocates nothing. */
void clo_violations_init(struct clo_violations *violations);

/* Empties it and gives all memory back. */
void clo_violations_free(struct clo_violations *violations);

/* Adds one violation; field and the message (a printf format) are copied.
 * On lack of memory sets out_of_memory and drops it. */
void clo_violations_add(struct clo_violations *violations, const char *field,
                        const char *code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

#endif
