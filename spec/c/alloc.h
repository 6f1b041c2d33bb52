/* Memory that runs out when a test says so. The test programs are linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc and with alloc.c; until a test
 * asks for a failure every call passes through. */
#ifndef CLO_SPEC_ALLOC_H
#define CLO_SPEC_ALLOC_H

#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

/* Starts counting at 0. The nth call from now on fails, counted from 1, and
 * those after it succeed again; 0: none fails. */
void alloc_fail(size_t nth);

/* As alloc_fail, but all after it fail too. */
void alloc_fail_from(size_t nth);

/* Makes libcurl take its memory from here, too; before all else that is done
 * with it. */
void alloc_give_to_curl(void);

/* Calls since the last alloc_fail or alloc_fail_from. */
size_t alloc_count(void);

#endif
