/* The sockets of one multi handle: which are open, so that a child process can
 * close them, and which libcurl waits for, as an array for poll(2). */
#ifndef CLO_SOCKETS_H
#define CLO_SOCKETS_H

#include <curl/curl.h>
#include <poll.h>
#include <stddef.h>

struct clo_sockets {
  struct pollfd *interest; /* what libcurl waits for; owned */
  size_t count, cap;
  size_t *place; /* a descriptor's place in interest, plus 1; owned */
  size_t places;
  int epoll; /* the kernel's set, or -1: not used yet */
  char *told; /* by descriptor: the events it is in that set with; owned */
  size_t told_cap;
  int *open; /* all open ones, kept-alive connections too; owned */
  size_t open_count, open_cap;
  char *http1; /* by descriptor: it has answered over HTTP/1; owned */
  size_t http1_cap;
  int unwatched; /* out of memory for an interest: its transfer says so too */
  int unheard; /* for that of no transfer and no connection, but libcurl's own:
                * since 8.21 it hears by it that a look-up is over */
};

void clo_sockets_init(struct clo_sockets *sockets);
void clo_sockets_free(struct clo_sockets *sockets);

/* A descriptor that is readable while one of the interest is ready, or an idle
 * connection that is kept; made when first asked for; -1 where the system has
 * no such thing. */
int clo_sockets_descriptor(struct clo_sockets *sockets);

/* Whether a socket is ready; the interest then says which. Where there is a
 * descriptor for all of them, those that are not ready cost nothing, and an
 * idle connection that is ready is shut down as by clo_sockets_drop_stale(). */
int clo_sockets_poll(struct clo_sockets *sockets);

/* Closes every open socket and libcurl's own pair, without sending anything.
 * For the child of a fork. */
void clo_sockets_abandon(struct clo_sockets *sockets);

/* The same in the process that owns them, after libcurl has lost them. The
 * descriptor for all of them stays. */
void clo_sockets_drop_all(struct clo_sockets *sockets);

/* A connection has answered over HTTP/1 and is kept. */
void clo_sockets_keep(struct clo_sockets *sockets, curl_socket_t fd);

/* Shuts down the kept connections on which something came while they were idle:
 * their end, or bytes that libcurl would take for the answer to the next
 * request. libcurl, or clo_sockets_has_ended(), then sees that they are dead.
 * Returns 1 or -1 if it did what clo_sockets_poll() does: a socket is ready, or
 * none is; otherwise 0. */
int clo_sockets_drop_stale(struct clo_sockets *sockets);

/* The open socket that has this port here; CURL_SOCKET_BAD: none. */
curl_socket_t clo_sockets_find(const struct clo_sockets *sockets, int port);

/* Whether a connection that is to be used again has ended. One that is kept may
 * have nothing to read, either; over HTTP/2 a server sends what it likes. */
int clo_sockets_has_ended(const struct clo_sockets *sockets, curl_socket_t fd);

/* libcurl's callbacks; the last argument is the struct clo_sockets. */
int clo_sockets_on_interest(CURL *easy, curl_socket_t fd, int what,
                            void *sockets, void *unused);
curl_socket_t clo_sockets_on_open(void *sockets, curlsocktype purpose,
                                  struct curl_sockaddr *address);
int clo_sockets_on_close(void *sockets, curl_socket_t fd);

#endif
