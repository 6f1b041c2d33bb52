/* A page that the kernel wipes in a child costs no system call to look at. A
 * handler of pthread_atfork would not, either; but not all ways to fork call
 * it, and it must not outlive this module. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */
#include "clo_process.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef MADV_WIPEONFORK
/* An emulator may accept all advice and do nothing; so one that does not exist
 * is tried first. */
static char *new_mark(void) {
  char *mark = mmap(NULL, 1, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mark == MAP_FAILED) return NULL;
  if (madvise(mark, 1, -1) != 0 && madvise(mark, 1, MADV_WIPEONFORK) == 0)
    return mark;
  munmap(mark, 1);
  return NULL;
}
#else
static char *new_mark(void) { return NULL; }
#endif

void clo_process_note(struct clo_process *process) {
  if (!process->mark) process->mark = new_mark();
  if (process->mark) *process->mark = 1;
  process->pid = getpid();
}

int clo_process_is_other(const struct clo_process *process) {
  return process->mark ? *process->mark == 0 : process->pid != getpid();
}

void clo_process_free(struct clo_process *process) {
  if (process->mark) munmap(process->mark, 1);
  process->mark = NULL;
}
