/* What differs between versions of libcurl. Which one it is shows at run time:
 * it may be another than that of the headers. */
#ifndef CLO_LIBCURL_H
#define CLO_LIBCURL_H

#include <curl/curl.h>
#include <signal.h>

/* The oldest that this is tried with. */
#define CLO_LIBCURL_LEAST 0x074a00
#define CLO_LIBCURL_LEAST_NAME "7.74.0"
#if LIBCURL_VERSION_NUM < CLO_LIBCURL_LEAST
#error "libcurl 7.74 or newer is needed"
#endif

/* Options by their numbers, where headers have not got them: since 7.80, 7.85,
 * 7.87 and 8.20. The last is CURLMOPT_QUICK_EXIT. */
#if LIBCURL_VERSION_NUM < 0x075000
#define CURLOPT_PREREQFUNCTION ((CURLoption)20312)
#define CURLOPT_PREREQDATA ((CURLoption)10313)
#define CURL_PREREQFUNC_OK 0
#define CURL_PREREQFUNC_ABORT 1
#endif
#if LIBCURL_VERSION_NUM < 0x075500
#define CURLOPT_PROTOCOLS_STR ((CURLoption)10318)
#endif
#if LIBCURL_VERSION_NUM < 0x075700
#define CURLOPT_QUICK_EXIT ((CURLoption)322)
#endif
#define CLO_LIBCURL_MULTI_QUICK_EXIT ((CURLMoption)21)

/* So that newer headers do not warn of the name. */
#define CURLOPT_PROTOCOLS ((CURLoption)181)

/* Which libcurl runs. It is asked once for the process: each call of
 * curl_version_info() writes to what all of them return, in any thread. */
const curl_version_info_data *clo_libcurl_info(void);

/* Whether it is older than 7.87. Such a one has not got CURLOPT_QUICK_EXIT: to
 * give a call up, it waits for the thread that looks the call's host up. And it
 * lets OpenSSL raise SIGPIPE, which would end the host's process. */
int clo_libcurl_is_old(void);

/* Whether a further connection of an engine resumes a TLS session, and whether
 * it needs a CURLSH for it: 7.87 may crash with one, and 8.12 shares sessions
 * among the calls of a multi handle by itself. */
int clo_libcurl_resumes(void);
int clo_libcurl_needs_share(void);

/* Whether it has CURLOPT_PREREQFUNCTION. */
int clo_libcurl_asks_first(void);

/* Whether its TLS library is this one, such as "OpenSSL/". */
int clo_libcurl_has_tls(const char *name);

/* Whether no more of a body leaves than it counts as sent (HTTP/1). GnuTLS
 * sends what waits in it when a connection is closed; others were not tried,
 * nor old versions. */
int clo_libcurl_counts_all(void);

/* For that function, about a connection that is used again. Whether bytes wait
 * in the TLS library that libcurl would take for the next answer of HTTP/1: the
 * rest of an answer's last record or, with OpenSSL and a version after 8.14, of
 * all that has come. Where OpenSSL cannot be asked, it is taken to have some
 * with such a version, and none with others; so is GnuTLS where it may be
 * HTTP/2. */
int clo_libcurl_has_unread(CURL *easy, int may_be_http2);

/* The connection's socket, if libcurl may not have looked whether it has ended:
 * since 8.22 it does so at most once a second. Otherwise CURL_SOCKET_BAD. */
curl_socket_t clo_libcurl_unchecked(CURL *easy);

/* Holds SIGPIPE back in this thread, where libcurl may raise it; then takes one
 * away that came meanwhile. The process's handlers are its host's. */
struct clo_sigpipe {
  sigset_t before; /* the thread's mask */
  int is_held;
};
void clo_libcurl_hold_sigpipe(struct clo_sigpipe *held);
void clo_libcurl_release_sigpipe(const struct clo_sigpipe *held);

/* Runs what may wait in a thread of its own, which gets no signals; 0 where
 * there can be none. */
int clo_libcurl_run_aside(void *(*run)(void *), void *data);

#endif
