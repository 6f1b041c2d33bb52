/* The row of a table that a test is at, so that a failure names it. */
#ifndef CLO_SPEC_ROW_H
#define CLO_SPEC_ROW_H

/* Names the row, as printf does; it holds to the test's end. */
void row(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
