/* Growable bytes with a maximum. Growth doubles, so n appends cost O(n); the
 * last step stops at the maximum instead of going past it. */
#include "clo_buf.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

void clo_buf_init(struct clo_buf *buf, size_t max) {
  buf->data = NULL;
  buf->len = 0;
  buf->cap = 0;
  buf->max = max;
}

/* Makes room for need bytes, cap < need <= max. Returns 0 without memory. */
static int grow(struct clo_buf *buf, size_t need) {
  size_t cap = buf->cap > 0 ? buf->cap : FIRST_CAP;
  char *data;
  while (cap < need) cap = cap > buf->max / 2 ? buf->max : cap * 2;
  if (cap > buf->max) cap = buf->max;
  data = realloc(buf->data, cap);
  if (!data) return 0;
  buf->data = data;
  buf->cap = cap;
  return 1;
}

enum clo_buf_result clo_buf_append(struct clo_buf *buf, const void *data,
                                   size_t n) {
  if (n == 0) return CLO_BUF_OK; /* data may be NULL, memcpy may not see it */
  if (n > buf->max - buf->len) return CLO_BUF_TOO_LARGE;
  if (n > buf->cap - buf->len && !grow(buf, buf->len + n))
    return CLO_BUF_NO_MEMORY;
  memcpy(buf->data + buf->len, data, n);
  buf->len += n;
  return CLO_BUF_OK;
}

void clo_buf_reset(struct clo_buf *buf) { buf->len = 0; }

void clo_buf_free(struct clo_buf *buf) {
  free(buf->data);
  clo_buf_init(buf, buf->max);
}
