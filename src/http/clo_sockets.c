/* Bookkeeping of descriptors. If out of memory, opening a socket fails. A
 * failure to store the interest is only noted: libcurl would end all transfers
 * of the multi handle for it, without asking to be called for that. */
#define _GNU_SOURCE /* POLLRDHUP */
#ifndef __linux__
#undef _POSIX_C_SOURCE /* which hides it elsewhere */
#endif
#include "clo_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif
#include <unistd.h>

#include "clo_transfer.h"

void clo_sockets_init(struct clo_sockets *s) {
  memset(s, 0, sizeof *s);
  s->epoll = -1;
}

void clo_sockets_free(struct clo_sockets *s) {
  if (s->epoll >= 0) close(s->epoll);
  free(s->interest);
  free(s->place);
  free(s->told);
  free(s->open);
  free(s->http1);
  clo_sockets_init(s);
}

void clo_sockets_abandon(struct clo_sockets *s) {
  size_t i;
  for (i = 0; i < s->open_count; i++) close(s->open[i]);
  s->open_count = s->count = 0;
  if (s->place) memset(s->place, 0, s->places * sizeof *s->place);
  if (s->epoll >= 0) close(s->epoll); /* the parent's: ours is made again */
  s->epoll = -1;
  if (s->told) memset(s->told, 0, s->told_cap);
  if (s->http1) memset(s->http1, 0, s->http1_cap);
}

/* The array with room for want elements, the new ones zero; NULL (and the old
 * array as it was) if out of memory. */
static void *grown(void *array, size_t *cap, size_t want, size_t size) {
  size_t larger = *cap ? *cap : 16;
  char *moved;
  if (want <= *cap) return array;
  while (larger < want) larger *= 2;
  if (!(moved = realloc(array, larger * size))) return NULL;
  memset(moved + *cap * size, 0, (larger - *cap) * size);
  *cap = larger;
  return moved;
}

static void remove_interest(struct clo_sockets *s, int fd) {
  size_t at;
  if ((size_t)fd >= s->places || !(at = s->place[fd])) return;
  s->place[fd] = 0;
  if (at < s->count) { /* the last one takes its place */
    s->interest[at - 1] = s->interest[s->count - 1];
    s->place[s->interest[at - 1].fd] = at;
  }
  s->count--;
}

static int add_interest(struct clo_sockets *s, int fd, short events) {
  size_t *place = grown(s->place, &s->places, (size_t)fd + 1, sizeof *place);
  struct pollfd *interest;
  if (!place) return 0;
  s->place = place;
  if (!s->place[fd]) {
    interest = grown(s->interest, &s->cap, s->count + 1, sizeof *interest);
    if (!interest) return 0;
    s->interest = interest;
    s->place[fd] = ++s->count;
    s->interest[s->count - 1].revents = 0;
  }
  s->interest[s->place[fd] - 1].fd = fd;
  s->interest[s->place[fd] - 1].events = events;
  return 1;
}

static int is_kept(const struct clo_sockets *s, int fd) {
  return (size_t)fd < s->http1_cap && s->http1[fd];
}

static int is_watched(const struct clo_sockets *s, int fd) {
  return (size_t)fd < s->places && s->place[fd];
}

static int is_idle(const struct clo_sockets *s, int fd) {
  return is_kept(s, fd) && !is_watched(s, fd);
}

/* What has come is taken away, up to an amount that no server sends unasked,
 * and with it the socket's error: a libcurl of before 8.22 then sees an end,
 * instead of something to read, or would use a connection that was reset. */
static void drop_kept(int fd) {
  char bytes[4096];
  int reads = 64;
  shutdown(fd, SHUT_RDWR);
  while (reads-- > 0 && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
    continue;
}

#define AT_ONCE 64 /* descriptors that are asked in one system call */

#ifdef __linux__
/* Brings a descriptor's place in the kernel's set in line; events 0: none. */
static int tell_kernel(struct clo_sockets *s, int fd, short events) {
  char *told;
  int op;
  struct epoll_event event;
  if (s->epoll < 0) return 1;
  if (!(told = grown(s->told, &s->told_cap, (size_t)fd + 1, 1))) return 0;
  s->told = told;
  if (told[fd] == (char)events) return 1;
  op = !events ? EPOLL_CTL_DEL : told[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  memset(&event, 0, sizeof event);
  event.data.fd = fd;
  event.events = (events & POLLIN ? (unsigned)EPOLLIN : 0) |
                 (events & POLLOUT ? (unsigned)EPOLLOUT : 0);
  if (epoll_ctl(s->epoll, op, fd, &event) && events) return 0;
  told[fd] = (char)events; /* who is taken out may be closed, and so be gone */
  return 1;
}

static int tell_all(struct clo_sockets *s) {
  size_t i;
  int ok = 1;
  for (i = 0; i < s->count && ok; i++)
    ok = tell_kernel(s, s->interest[i].fd, s->interest[i].events);
  for (i = 0; i < s->open_count && ok; i++)
    if (is_idle(s, s->open[i])) ok = tell_kernel(s, s->open[i], POLLIN);
  return ok;
}

int clo_sockets_descriptor(struct clo_sockets *s) {
  if (s->epoll >= 0) return s->epoll;
  s->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (s->epoll < 0 || tell_all(s)) return s->epoll;
  close(s->epoll);
  s->epoll = -1;
  if (s->told) memset(s->told, 0, s->told_cap);
  return -1;
}

/* One that is ready without interest. There is nothing to read on a connection
 * that is idle but its end; libcurl asks for any other when it wants to. */
static void drop_ready(struct clo_sockets *s, int fd) {
  if (is_idle(s, fd)) drop_kept(fd);
  tell_kernel(s, fd, 0);
}

/* Asks the kernel's set; returns how many it told of, of AT_ONCE. */
static int ask_kernel(struct clo_sockets *s, int *ready) {
  struct epoll_event events[AT_ONCE];
  int i, n = epoll_wait(s->epoll, events, AT_ONCE, 0);
  *ready = 0;
  for (i = 0; i < n; i++) { /* the bits are those of poll() */
    int fd = events[i].data.fd;
    size_t at = (size_t)fd < s->places ? s->place[fd] : 0;
    if (at) {
      s->interest[at - 1].revents = (short)events[i].events;
      *ready = 1;
    } else {
      drop_ready(s, fd);
    }
  }
  return n;
}
#else
static int tell_kernel(struct clo_sockets *s, int fd, short events) {
  return s && fd >= 0 && events >= 0;
}

int clo_sockets_descriptor(struct clo_sockets *s) { return s->epoll; }

static int ask_kernel(struct clo_sockets *s, int *ready) {
  *ready = 0;
  return s->epoll;
}
#endif

int clo_sockets_poll(struct clo_sockets *s) {
  int ready;
  if (s->epoll < 0)
    return s->count > 0 && poll(s->interest, s->count, 0) > 0;
  ask_kernel(s, &ready);
  return ready;
}

/* One that is kept stays in the kernel's set: it is asked for again soon, and
 * tells of its end until then. Any other may be closed without our
 * knowledge. */
static void forget_interest(struct clo_sockets *s, int fd) {
  remove_interest(s, fd);
  tell_kernel(s, fd, is_kept(s, fd) ? POLLIN : 0);
}

static int is_open(const struct clo_sockets *s, int fd) {
  size_t i;
  for (i = 0; i < s->open_count; i++)
    if (s->open[i] == fd) return 1;
  return 0;
}

/* That of no transfer may be a connection's that is being closed. */
static void note_unwatched(struct clo_sockets *s, CURL *easy, int fd) {
  struct clo_transfer *t = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
  s->unwatched = 1;
  if (t)
    t->unwatched = 1;
  else if (!is_open(s, fd))
    s->unheard = 1;
}

int clo_sockets_on_interest(CURL *easy, curl_socket_t fd, int what,
                            void *sockets, void *unused) {
  struct clo_sockets *s = sockets;
  int events = (what & CURL_POLL_IN ? POLLIN : 0) |
               (what & CURL_POLL_OUT ? POLLOUT : 0);
  (void)unused;
  if (what == CURL_POLL_REMOVE) {
    forget_interest(s, fd);
  } else if (!add_interest(s, fd, (short)events) ||
             !tell_kernel(s, fd, (short)events)) {
    note_unwatched(s, easy, fd);
  }
  return 0;
}

curl_socket_t clo_sockets_on_open(void *sockets, curlsocktype purpose,
                                  struct curl_sockaddr *address) {
  struct clo_sockets *s = sockets;
  int *open = grown(s->open, &s->open_cap, s->open_count + 1, sizeof *open);
  int fd;
  (void)purpose;
  if (!open) {
    errno = ENOMEM;
    return CURL_SOCKET_BAD;
  }
  s->open = open;
  /* A program that the host starts must not hold our connections open, nor one
   * that another thread starts in this moment. */
#ifdef SOCK_CLOEXEC
  fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
              address->protocol);
#else
  fd = socket(address->family, address->socktype, address->protocol);
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
  if (fd < 0) return CURL_SOCKET_BAD;
  s->open[s->open_count++] = fd;
  return fd;
}

static int forget_open(struct clo_sockets *s, int fd) {
  size_t i;
  for (i = 0; i < s->open_count; i++)
    if (s->open[i] == fd) {
      s->open[i] = s->open[--s->open_count];
      return 1;
    }
  return 0;
}

int clo_sockets_on_close(void *sockets, curl_socket_t fd) {
  struct clo_sockets *s = sockets;
  /* Its number may belong to another file by now. */
  if (!forget_open(s, fd)) return 0;
  if (is_kept(s, fd)) s->http1[fd] = 0;
  remove_interest(s, fd);
  tell_kernel(s, fd, 0); /* which a child's copy would keep in it */
  return close(fd);
}

void clo_sockets_drop_all(struct clo_sockets *s) {
  while (s->count > 0) {
    int fd = s->interest[s->count - 1].fd;
    tell_kernel(s, fd, 0);
    remove_interest(s, fd);
  }
  while (s->open_count > 0) clo_sockets_on_close(s, s->open[0]);
  s->unwatched = s->unheard = 0;
}

/* On an idle connection there is nothing to read but its end. */
static void drop_readable(struct pollfd *idle, nfds_t count) {
  nfds_t i;
  if (poll(idle, count, 0) <= 0) return;
  for (i = 0; i < count; i++)
    if (idle[i].revents) drop_kept(idle[i].fd);
}

int clo_sockets_drop_stale(struct clo_sockets *s) {
  struct pollfd idle[AT_ONCE];
  nfds_t count = 0;
  size_t i;
  int ready, n = s->epoll < 0 ? -1 : ask_kernel(s, &ready);
  if (n >= 0 && n < AT_ONCE) return ready ? 1 : -1;
  for (i = 0; i < s->open_count; i++) {
    if (!is_idle(s, s->open[i])) continue;
    idle[count].fd = s->open[i];
    idle[count].events = POLLIN;
    if (++count < AT_ONCE) continue;
    drop_readable(idle, count);
    count = 0;
  }
  if (count > 0) drop_readable(idle, count);
  return 0;
}

#ifndef POLLRDHUP
#define POLLRDHUP 0 /* POLLHUP tells it there */
#endif

curl_socket_t clo_sockets_find(const struct clo_sockets *s, int port) {
  struct sockaddr_in6 own; /* has the port where that of IPv4 has it */
  size_t i;
  for (i = 0; i < s->open_count; i++) {
    socklen_t len = sizeof own;
    if (getsockname(s->open[i], (struct sockaddr *)&own, &len) == 0 &&
        ntohs(own.sin6_port) == port)
      return s->open[i];
  }
  return CURL_SOCKET_BAD;
}

int clo_sockets_has_ended(const struct clo_sockets *s, curl_socket_t fd) {
  struct pollfd one;
  one.fd = fd;
  one.events = is_kept(s, fd) ? POLLIN : POLLRDHUP;
  return poll(&one, 1, 0) > 0;
}

void clo_sockets_keep(struct clo_sockets *s, curl_socket_t fd) {
  char *http1 = grown(s->http1, &s->http1_cap, (size_t)fd + 1, 1);
  if (http1) (s->http1 = http1)[fd] = 1;
  /* If it cannot be asked whether it has ended, it must not be used again. If
   * another request is on it already, that one's answer is noted. */
  if (!is_watched(s, fd) && (!http1 || !tell_kernel(s, fd, POLLIN)))
    drop_kept(fd);
}
