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

/* OpenSSL's SSL_CTX_ctrl(), and the command of SSL_CTX_set_read_ahead(), which
 * is a macro. */
static long (*context_control)(void *context, int command, long, void *);
#define SET_READ_AHEAD 41

/* Finds it in the library that libcurl uses: the process may have others. */
static void find_context_control(void) {
  CURL *(*known)(void) = curl_easy_init;
  void *address, *library, *hosts;
  Dl_info there;
  memcpy(&address, &known, sizeof address);
  if (!dladdr(address, &there)) return;
  library = dlopen(there.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  if (!library || !(address = dlsym(library, "SSL_CTX_ctrl"))) return;
  /* A host that has OpenSSL inside gives libcurl that one, too. */
  hosts = dlsym(RTLD_DEFAULT, "SSL_CTX_ctrl");
  if (!hosts || hosts == address)
    memcpy(&context_control, &address, sizeof address);
}

static void ask(void) {
  info = curl_version_info(CURLVERSION_NOW);
  find_context_control();
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

int clo_libcurl_reads_ahead(void) {
  static const char *const names[] = {"OpenSSL/", "LibreSSL/", "quictls/",
                                      "AWS-LC/", "BoringSSL"};
  const char *tls = clo_libcurl_info()->ssl_version;
  size_t i;
  for (i = 0; tls && i < sizeof names / sizeof *names; i++) {
    const char *found = strstr(tls, names[i]);
    /* Behind a parenthesis stands one that is not in use. */
    if (found && (found == tls || found[-1] == ' '))
      return version() >= 0x080f00;
  }
  return 0;
}

int clo_libcurl_may_end_read_ahead(void) {
  return clo_libcurl_info() && context_control;
}

CURLcode clo_libcurl_on_tls(CURL *easy, void *context, void *unused) {
  (void)easy;
  (void)unused;
  context_control(context, SET_READ_AHEAD, 0, NULL);
  return CURLE_OK;
}

#define NETWORK_CHANGED ((CURLMoption)17) /* CURLMOPT_, since 8.16 */
#define CLEAR_CONNS 2L                    /* CURLMNWC_ */

void clo_libcurl_forget_kept(CURLM *multi) {
  if (version() >= 0x081600)
    (void)curl_multi_setopt(multi, NETWORK_CHANGED, CLEAR_CONNS);
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
