/* The wrapped allocation functions. They count, fail the one asked for, and
 * leave the rest to the real ones. */
#include "alloc.h"
#include "test.h"

#include <curl/curl.h>

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

static char *copy_string(const char *string) {
  size_t size = strlen(string) + 1;
  char *copy = __wrap_malloc(size);
  return copy ? memcpy(copy, string, size) : NULL;
}

void alloc_give_to_curl(void) {
  assert_int_equal(curl_global_init_mem(CURL_GLOBAL_DEFAULT, __wrap_malloc,
                                        free, __wrap_realloc, copy_string,
                                        __wrap_calloc),
                   CURLE_OK);
}
