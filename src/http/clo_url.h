/* Which addresses a call may go to: https, or http to this machine. */
#ifndef CLO_URL_H
#define CLO_URL_H

#include <stddef.h>

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

#endif
