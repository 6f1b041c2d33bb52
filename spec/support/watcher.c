/* Runs a command for process.lua, as a child that lives no longer than the
 * test: standard input is a pipe that only the test holds open. At its end
 * the child gets SIGTERM, and a second later SIGKILL.
 *
 *   watcher PIDS STATUS STDIN STDOUT STDERR COMMAND...
 *
 * PIDS is a fifo: its first line is the child's number. STDIN is a file, and so
 * are STDOUT, where "-" is that fifo, and STDERR, where "-" is our own. STATUS
 * is a file that gets the exit status as sh counts it. */
#define _GNU_SOURCE /* ppoll */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIDS = 1, STATUS, STDIN, STDOUT, STDERR, COMMAND };
enum { PATIENCE = 1 }; /* seconds between SIGTERM and SIGKILL */

static void on_child(int number) { (void)number; }

/* Makes the file the descriptor, or ends the child. */
static void redirect(const char *path, int flags, int as) {
  int fd = open(path, flags, 0666);
  if (fd < 0 || dup2(fd, as) < 0) {
    perror(path);
    _exit(126);
  }
  if (fd != as) close(fd);
}

static void become(char **argv, const sigset_t *signals) {
  const int writes = O_WRONLY | O_CREAT | O_TRUNC;
  char line[32];
  int n = snprintf(line, sizeof line, "%ld\n", (long)getpid());
  sigprocmask(SIG_SETMASK, signals, NULL);
  if (strcmp(argv[STDERR], "-") != 0) redirect(argv[STDERR], writes, 2);
  redirect(argv[STDIN], O_RDONLY, 0); /* a fifo: the test opens it first */
  redirect(argv[PIDS], O_WRONLY, 1);
  if (write(1, line, (size_t)n) != n) _exit(126);
  if (strcmp(argv[STDOUT], "-") != 0) redirect(argv[STDOUT], writes, 1);
  execvp(argv[COMMAND], argv + COMMAND);
  perror(argv[COMMAND]);
  _exit(127);
}

/* Whether the child has ended, within this time or before the end of the pipe;
 * NULL: without limit. */
static int has_ended(pid_t child, int *status, const struct timespec *limit,
                     const sigset_t *signals) {
  struct pollfd pipe = {0, POLLIN, 0};
  while (waitpid(child, status, WNOHANG) != child) {
    if (ppoll(&pipe, limit ? 0 : 1, limit, signals) >= 0)
      return waitpid(child, status, WNOHANG) == child;
  }
  return 1;
}

static void tell(const char *path, int status) {
  FILE *file = fopen(path, "w");
  if (!file) return;
  fprintf(file, "%d\n", WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                            : WEXITSTATUS(status));
  fclose(file);
}

int main(int argc, char **argv) {
  const struct timespec patience = {PATIENCE, 0};
  struct sigaction act;
  sigset_t chld, before;
  pid_t child;
  int status = 0;
  if (argc <= COMMAND) return 2;
  setsid(); /* out of the reach of a signal to the test's process group */
  sigemptyset(&chld);
  sigaddset(&chld, SIGCHLD);
  sigprocmask(SIG_BLOCK, &chld, &before);
  if ((child = fork()) == 0) become(argv, &before);
  if (child < 0) return 1;
  memset(&act, 0, sizeof act);
  act.sa_handler = on_child;
  sigaction(SIGCHLD, &act, NULL);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  redirect("/dev/null", O_WRONLY, 1);
  redirect("/dev/null", O_WRONLY, 2);
  sigdelset(&before, SIGCHLD);
  if (!has_ended(child, &status, NULL, &before)) {
    kill(child, SIGTERM);
    if (!has_ended(child, &status, &patience, &before)) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
    }
  }
  tell(argv[STATUS], status);
  return 0;
}
