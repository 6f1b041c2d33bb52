/* Which codings a header says its body is in. */
#ifndef CLO_CODING_H
#define CLO_CODING_H

#include <stddef.h>

/* How many codings that have to be undone the line of a header names: of
 * Content-Encoding and Transfer-Encoding, without chunked and identity. */
int clo_coding_count(const char *line, size_t len);

#endif
