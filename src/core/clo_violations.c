/* The list of broken rules. It owns copies of its strings, and has a maximum,
 * as a caller's list of attachments has none. */
#include "clo_violations.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 8

void clo_violations_init(struct clo_violations *violations) {
  violations->list = NULL;
  violations->count = 0;
  violations->cap = 0;
  violations->unlisted = 0;
  violations->out_of_memory = 0;
}

void clo_violations_free(struct clo_violations *violations) {
  size_t i;
  for (i = 0; i < violations->count; i++) {
    free(violations->list[i].field);
    free(violations->list[i].message);
  }
  free(violations->list);
  clo_violations_init(violations);
}

/* A slot for one more, or NULL without memory. */
static struct clo_violation *next_slot(struct clo_violations *violations) {
  struct clo_violation *list = violations->list;
  size_t cap = violations->cap;
  if (violations->count == cap) {
    cap = cap > 0 ? cap * 2 : FIRST_CAP;
    list = realloc(list, cap * sizeof *list);
    if (!list) return NULL;
    violations->list = list;
    violations->cap = cap;
  }
  return &list[violations->count];
}

static char *copy(const char *s) {
  size_t size = strlen(s) + 1;
  char *copied = malloc(size);
  if (copied) memcpy(copied, s, size);
  return copied;
}

#if defined(__GNUC__)
__attribute__((format(printf, 1, 0)))
#endif
static char *formatted(const char *format, va_list args) {
  va_list measured;
  char *text;
  int len;
  va_copy(measured, args);
  len = vsnprintf(NULL, 0, format, measured);
  va_end(measured);
  if (len < 0) return NULL;
  text = malloc((size_t)len + 1);
  if (text) vsnprintf(text, (size_t)len + 1, format, args);
  return text;
}

void clo_violations_add(struct clo_violations *violations, const char *field,
                        const char *code, const char *format, ...) {
  struct clo_violation *slot;
  va_list args;
  if (violations->count >= CLO_VIOLATIONS_MAX) {
    violations->unlisted++;
    return;
  }
  slot = next_slot(violations);
  if (!slot) {
    violations->out_of_memory = 1;
    return;
  }
  va_start(args, format);
  slot->field = copy(field);
  slot->code = code;
  slot->message = formatted(format, args);
  va_end(args);
  if (!slot->field || !slot->message) {
    free(slot->field);
    free(slot->message);
    violations->out_of_memory = 1;
    return;
  }
  violations->count++;
}
