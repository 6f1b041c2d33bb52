/* Growable bytes that cannot be made without a maximum: what comes from the
 * network or from a caller's table never decides how much memory is used. */
#ifndef CLO_BUF_H
#define CLO_BUF_H

#include <stddef.h>

enum clo_buf_result { CLO_BUF_OK = 0, CLO_BUF_TOO_LARGE, CLO_BUF_NO_MEMORY };

struct clo_buf {
  char *data; /* owned; NULL until the first byte; no trailing NUL */
  size_t len;
  size_t cap;
  size_t max; /* len never passes it */
};

/* Makes an empty buffer of at most max bytes. Allocates nothing. */
void clo_buf_init(struct clo_buf *buf, size_t max);

/* Appends n bytes; on failure the buffer stays as it was. */
enum clo_buf_result clo_buf_append(struct clo_buf *buf, const void *data,
                                   size_t n);

/* Forgets the bytes and keeps the memory. */
void clo_buf_reset(struct clo_buf *buf);

/* Gives the memory back. The buffer may be used again afterwards. */
void clo_buf_free(struct clo_buf *buf);

#endif
