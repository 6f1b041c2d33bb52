/* An OpenSSL that the host has inside, for LD_PRELOAD: a function of it that
 * libcurl then calls, too. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>

long SSL_CTX_ctrl(void *context, int command, long number, void *pointer);

long SSL_CTX_ctrl(void *context, int command, long number, void *pointer) {
  long (*real)(void *, int, long, void *);
  *(void **)&real = dlsym(RTLD_NEXT, "SSL_CTX_ctrl");
  return real(context, command, number, pointer);
}
