/* Writes that take nothing or a part, for LD_PRELOAD: what send() does is the
 * next letter of the file that CLOSE_SPEC_WRITES names.
 *   E  it would block
 *   1  it takes one byte
 *   h  it takes half of the bytes
 *   .  it takes all, as it does after the last letter
 *   !  it would block, now and from then on
 * A letter that was used becomes a blank, so that a test can count them. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int letters = -1;

/* Programs that this one starts have no short writes. */
__attribute__((constructor)) static void find_letters(void) {
  const char *name = getenv("CLOSE_SPEC_WRITES");
  if (name) letters = open(name, O_RDWR | O_CLOEXEC);
  unsetenv("CLOSE_SPEC_WRITES");
}

static char next_letter(void) {
  char all[64];
  ssize_t i, n = pread(letters, all, sizeof all, 0);
  for (i = 0; i < n; i++) {
    if (all[i] == ' ') continue;
    if (all[i] != '!' && pwrite(letters, " ", 1, i) != 1) abort();
    return all[i];
  }
  return '.';
}

ssize_t send(int fd, const void *bytes, size_t n, int flags) {
  ssize_t (*real)(int, const void *, size_t, int);
  char letter = letters >= 0 ? next_letter() : '.';
  if (letter == 'E' || letter == '!') {
    errno = EAGAIN;
    return -1;
  }
  if (letter == '1' && n > 1) n = 1;
  if (letter == 'h') n -= n / 2;
  *(void **)&real = dlsym(RTLD_NEXT, "send");
  return real(fd, bytes, n, flags);
}
