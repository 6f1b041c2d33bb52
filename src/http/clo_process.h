/* The process that something belongs to. */
#ifndef CLO_PROCESS_H
#define CLO_PROCESS_H

#include <sys/types.h>

struct clo_process {
  char *mark; /* 1, until the kernel makes it 0 in a child; NULL: it cannot */
  pid_t pid;
};

/* Notes that this process is the one. Before the first time it is all zero. */
void clo_process_note(struct clo_process *process);

/* Whether this is another process than was noted: a child of a fork. */
int clo_process_is_other(const struct clo_process *process);

/* Gives the memory back; process->pid goes on to say which it is. */
void clo_process_free(struct clo_process *process);

#endif
