#define _GNU_SOURCE /* dladdr, RTLD_DEFAULT, */
#ifndef __linux__
#undef _POSIX_C_SOURCE /* which hides it elsewhere */
#endif
#include "clo_libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const curl_version_info_data *info;

/* OpenSSL's SSL_has_pending() and SSL_get0_alpn_selected(), both or neither. */
static int (*has_pending)(const void *ssl);
static void (*get_protocol)(const void *ssl, const unsigned char **text,
                            unsigned *len);

/* gnutls_record_check_pending(), or NULL. */
static size_t (*check_pending)(void *session);

/* Finds them in the library that libcurl uses: the process may have others. */
static void find_tls(void) {
  CURL *(*known)(void) = curl_easy_init;
  void *address, *library, *makes, *hosts, *pending, *protocol;
  Dl_info there;
  memcpy(&address, &known, sizeof address);
  if (!dladdr(address, &there)) return;
  library = dlopen(there.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  if (!library) return;
  pending = dlsym(library, "gnutls_record_check_pending");
  if (pending) memcpy(&check_pending, &pending, sizeof pending);
  if (!(makes = dlsym(library, "SSL_new"))) return;
  /* A host that has OpenSSL inside gives libcurl that one, too. */
  hosts = dlsym(RTLD_DEFAULT, "SSL_new");
  if (hosts && hosts != makes) return;
  pending = dlsym(library, "SSL_has_pending");
  protocol = dlsym(library, "SSL_get0_alpn_selected");
  if (!pending || !protocol) return;
  memcpy(&has_pending, &pending, sizeof pending);
  memcpy(&get_protocol, &protocol, sizeof protocol);
}

static void ask(void) {
  info = curl_version_info(CURLVERSION_NOW);
  find_tls();
}

const curl_version_info_data *clo_libcurl_info(void) {
  pthread_once(&once, ask);
  return info;
}

static unsigned version(void) { return clo_libcurl_info()->version_num; }

int clo_libcurl_is_old(void) { return version() < 0x075700; }

int clo_libcurl_resumes(void) { return version() >= 0x075800; }

int clo_libcurl_needs_share(void) {
  return clo_libcurl_resumes() && version() < 0x080c00;
}

int clo_libcurl_asks_first(void) { return version() >= 0x075000; }

int clo_libcurl_has_tls(const char *name) {
  const char *tls = clo_libcurl_info()->ssl_version;
  return tls && strncmp(tls, name, strlen(name)) == 0;
}

int clo_libcurl_counts_all(void) {
  return !clo_libcurl_is_old() && clo_libcurl_has_tls("OpenSSL/");
}

/* Whether OpenSSL reads more from the socket than it is asked for. */
static int reads_ahead(void) { return version() >= 0x080f00; }

int clo_libcurl_has_unread(CURL *easy, int may_be_http2) {
  const struct curl_tlssessioninfo *tls = NULL;
  const unsigned char *protocol = NULL;
  unsigned len = 0;
  curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &tls);
  if (!tls || !tls->internals) return 0;
  if (tls->backend == CURLSSLBACKEND_GNUTLS)
    return !may_be_http2 && check_pending && check_pending(tls->internals) > 0;
  if (tls->backend != CURLSSLBACKEND_OPENSSL) return 0;
  if (!has_pending) return reads_ahead();
  get_protocol(tls->internals, &protocol, &len);
  return (len != 2 || memcmp(protocol, "h2", 2) != 0) &&
         has_pending(tls->internals);
}

curl_socket_t clo_libcurl_unchecked(CURL *easy) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  if (version() >= 0x081600)
    curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
  return fd;
}

/* macOS has no sigtimedwait, but sockets that raise no SIGPIPE, which libcurl
 * asks for. */
#if defined _POSIX_REALTIME_SIGNALS && _POSIX_REALTIME_SIGNALS > 0
static void only_sigpipe(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGPIPE);
}

void clo_libcurl_hold_sigpipe(struct clo_sigpipe *held) {
  sigset_t set;
  held->is_held = 0;
  if (!clo_libcurl_is_old()) return;
  /* The host has blocked it, and has one coming that it may want. */
  if (sigpending(&set) == 0 && sigismember(&set, SIGPIPE) == 1) return;
  only_sigpipe(&set);
  held->is_held = pthread_sigmask(SIG_BLOCK, &set, &held->before) == 0;
}

void clo_libcurl_release_sigpipe(const struct clo_sigpipe *held) {
  const struct timespec at_once = {0, 0};
  sigset_t set;
  if (!held->is_held) return;
  only_sigpipe(&set);
  while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) continue;
  pthread_sigmask(SIG_SETMASK, &held->before, NULL);
}
#else
void clo_libcurl_hold_sigpipe(struct clo_sigpipe *held) { held->is_held = 0; }

void clo_libcurl_release_sigpipe(const struct clo_sigpipe *held) {
  (void)held;
}
#endif

int clo_libcurl_run_aside(void *(*run)(void *), void *data) {
  sigset_t all, before;
  pthread_t thread;
  int error;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return 0;
  error = pthread_create(&thread, NULL, run, data);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error == 0 && pthread_detach(thread) == 0;
}
