/* What every test needs: cmocka and the headers that it wants, the length of a
 * table, the row of it that a failure names, and exact copies. */
#ifndef CLO_SPEC_TEST_H
#define CLO_SPEC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* Names the row, as printf does; it holds to the test's end. */
void row(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A copy with no byte to spare, so that the sanitizer sees a read too far. The
 * caller frees it. */
char *exact(const char *bytes, size_t len);

#endif
