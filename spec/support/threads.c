/* A program with several lua_States, each in a thread of its own, as FreeSWITCH
   has them: threads SCRIPT COUNT. The states begin at the same moment, run the
   script with `thread` set to 1, 2, ..., and print what it returns. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

enum { MOST = 64 };

static const char *script;
static pthread_barrier_t all_ready;

struct worker {
  pthread_t thread;
  int number;
  int failed;
};

static void *run(void *given) {
  struct worker *worker = given;
  lua_State *L = luaL_newstate();
  if (L)
    luaL_openlibs(L);
  pthread_barrier_wait(&all_ready);
  if (!L) {
    worker->failed = 1;
    return NULL;
  }
  lua_pushinteger(L, worker->number);
  lua_setglobal(L, "thread");
  worker->failed = luaL_loadfile(L, script) || lua_pcall(L, 0, 1, 0);
  const char *text = lua_tostring(L, -1);
  printf("%d: %s\n", worker->number, text ? text : "no text");
  lua_close(L);
  return NULL;
}

int main(int argc, char **argv) {
  static struct worker workers[MOST];
  int count = argc == 3 ? atoi(argv[2]) : 0;
  int failed = 0;
  if (count < 1 || count > MOST)
    return 2;
  script = argv[1];
  pthread_barrier_init(&all_ready, NULL, (unsigned)count);
  for (int i = 0; i < count; i++) {
    workers[i].number = i + 1;
    if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
      return 2;
  }
  for (int i = 0; i < count; i++) {
    pthread_join(workers[i].thread, NULL);
    failed |= workers[i].failed;
  }
  pthread_barrier_destroy(&all_ready);
  return failed ? 1 : 0;
}
