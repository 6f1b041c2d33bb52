/* The wrapped allocation functions. They count, fail the one asked for, and
 * leave the rest to the real ones. */
#include "alloc.h"

static size_t calls;
static size_t failing; /* 0: none */
static int all_after;

void alloc_fail(size_t nth) {
  calls = 0;
  failing = nth;
  all_after = 0;
}

void alloc_fail_from(size_t nth) {
  alloc_fail(nth);
  all_after = 1;
}

size_t alloc_count(void) { return calls; }

static int fails(void) {
  calls++;
  if (failing == 0) return 0;
  return calls == failing || (all_after && calls > failing);
}

void *__wrap_malloc(size_t size) {
  return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) {
  return fails() ? NULL : __real_realloc(block, size);
}
