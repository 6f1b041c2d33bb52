/* A name server that takes its time, for LD_PRELOAD: every look-up hangs for
 * three seconds and fails. */
#include <netdb.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **result) {
  (void)node;
  (void)service;
  (void)hints;
  (void)result;
  sleep(3);
  return EAI_AGAIN;
}
