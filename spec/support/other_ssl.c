/* An OpenSSL that the host has inside, for LD_PRELOAD: a function of it that
 * libcurl then calls, too. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>

void *SSL_new(void *context);

void *SSL_new(void *context) {
  void *(*real)(void *);
  *(void **)&real = dlsym(RTLD_NEXT, "SSL_new");
  return real(context);
}
