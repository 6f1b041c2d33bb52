/* Which addresses a call may go to: https, or http to this machine. */
#ifndef CLO_URL_H
#define CLO_URL_H

#include <stddef.h>

/* What the checks return if out of memory; compare the pointer. */
extern const char clo_url_no_memory[];

/* NULL if url may be a base_url; otherwise a constant clause that says why
 * not, such as "its host is missing". Sets *loopback to whether its host is
 * this machine, *plain to whether its scheme is http. */
const char *clo_url_check(const char *url, int *plain, int *loopback);

#define CLO_URL_MAX (16 * 1024) /* bytes of an address that an answer names */

/* NULL if url, of len bytes, which an answer named, may be sent to: https, or,
 * where plain, http to this machine; otherwise why not. */
const char *clo_url_check_named(const char *url, size_t len, int plain);

/* NULL if url may be a proxy; otherwise why not. A proxy named without a
 * scheme is an http proxy, as with curl. */
const char *clo_url_check_proxy(const char *url, int *loopback);

/* The room that len bytes take at most once they are escaped, NUL included. */
#define CLO_URL_ESCAPED(len) (3 * (len) + 1)

/* Writes text to out, which has that room, as it can stand in a URL's path or
 * query, and a NUL. Returns its length; 0 for a text that is not empty: there
 * was no memory, or it has more than 8,000,000 bytes. */
size_t clo_url_escape(const char *text, size_t len, char *out);

#endif
