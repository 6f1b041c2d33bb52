/* A Lua host whose memory runs out on command. For each N it forks a child that
 * runs one scenario of scenarios.lua with its N-th allocation failing, and
 * prints what the scenario found to be wrong with it.
 *
 *   host SCENARIO lua|c STEP FIRST URL
 *
 * lua: the allocations of Lua; where it collects its garbage and asks again, it
 * fails again. c: those of the core, of libcurl and of what it loads, but not
 * lua-cjson's, which ends the process by itself. Every STEP-th N from FIRST on.
 * Ends with a line: how many allocations were failed, how many findings. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_MAX = 20, NOT_REACHED = 77, NTH_MAX = 100000, FOUND_MAX = 100 };

static struct {
  int in_lua; /* which allocations are counted */
  int armed;
  long count, fail_at; /* 0: none */
  int tripped;
  void *block; /* what Lua asked for when it was refused: again, too */
  size_t size;
  size_t live; /* Lua's blocks; LuaJIT does not tell their sizes truly */
  pthread_t thread;
} memory;

static int fails(void) {
  if (++memory.count != memory.fail_at) return 0;
  memory.tripped = 1;
  return 1;
}

/* ---- Lua's; libc is glibc ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static int is_asked_again(void *block, size_t size) {
  return memory.tripped && size == memory.size && block == memory.block;
}

static void *lua_alloc(void *unused, void *block, size_t old, size_t size) {
  void *moved;
  (void)unused;
  if (!block) old = 0;
  if (size == 0) {
    if (block) memory.live--;
    free(block);
    return NULL;
  }
  if (memory.in_lua && memory.armed && size > old) {
    if (is_asked_again(block, size)) {
      memory.size = 0;
      return NULL;
    }
    if (fails()) {
      memory.block = block;
      memory.size = size;
      return NULL;
    }
    memory.size = 0;
  }
  moved = __libc_realloc(block, size);
  if (moved && !block) memory.live++;
  return moved;
}

/* ---- C's: these stand before libc's for all that is loaded ---- */

static int is_of_cjson(const void *caller) {
  Dl_info about;
  return dladdr(caller, &about) && about.dli_fname &&
         strstr(about.dli_fname, "cjson") != NULL;
}

static int fails_in_c(const void *caller) {
  return !memory.in_lua && memory.armed &&
         pthread_equal(pthread_self(), memory.thread) &&
         !is_of_cjson(caller) && fails();
}

void *malloc(size_t size) {
  return fails_in_c(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  return fails_in_c(__builtin_return_address(0)) ? NULL
                                                 : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
  return fails_in_c(__builtin_return_address(0)) ? NULL
                                                 : __libc_realloc(block, size);
}

/* ---- a child ---- */

/* Calls a global function with what is on the stack; its error ends the child. */
static void must(lua_State *L, const char *name, int results) {
  int arguments = lua_gettop(L);
  lua_getglobal(L, name);
  lua_insert(L, 1);
  if (lua_pcall(L, arguments, results, 0) == 0) return;
  printf("  %s: %s\n", name, lua_tostring(L, -1));
  fflush(stdout);
  _exit(1);
}

/* What act() came to, as the text of its error or nil; its N-th allocation
 * fails. */
static void act(lua_State *L, long nth) {
  lua_getglobal(L, "act");
  memory.fail_at = nth;
  memory.count = 0;
  memory.armed = 1;
  if (lua_pcall(L, 0, 0, 0) == 0) {
    memory.armed = 0;
    lua_pushnil(L);
    return;
  }
  memory.armed = 0;
  if (lua_type(L, -1) == LUA_TSTRING) return;
  lua_settop(L, 0);
  lua_pushliteral(L, "an error that is no string");
}

static int run(const char *scenario, const char *url, long nth) {
  lua_State *L = lua_newstate(lua_alloc, NULL);
  char text[64];
  const char *wrong;
  int found;
  if (!L) return 1;
  alarm(CHILD_MAX);
  memory.thread = pthread_self();
  luaL_openlibs(L);
  if (luaL_dofile(L, "spec/torture/scenarios.lua")) {
    printf("  %s\n", lua_tostring(L, -1));
    return 1;
  }
  lua_settop(L, 0);
  snprintf(text, sizeof text, "%ld-%d", nth, (int)getpid());
  lua_pushstring(L, scenario);
  lua_pushstring(L, url);
  lua_pushstring(L, text);
  must(L, "setup", 0);
  act(L, nth);
  if (!memory.tripped) return NOT_REACHED;
  must(L, "check", 1);
  wrong = lua_tostring(L, -1);
  found = wrong != NULL;
  if (found) printf("  %s %ld: %s\n", scenario, nth, wrong);
  lua_close(L);
  if (memory.live != 0) {
    printf("  %s %ld: %zu of Lua's blocks leak\n", scenario, nth,
           memory.live);
    found = 1;
  }
  return found;
}

int main(int argc, char **argv) {
  long nth, step, failed = 0, findings = 0;
  if (argc != 6) return 2;
  memory.in_lua = strcmp(argv[2], "lua") == 0;
  step = atol(argv[3]);
  for (nth = atol(argv[4]); nth < NTH_MAX && findings < FOUND_MAX;
       nth += step) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
      status = run(argv[1], argv[5], nth);
      fflush(stdout);
      _exit(status);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return 2;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_REACHED) break;
    failed++;
    if (WIFSIGNALED(status))
      printf("  %s %ld: signal %d\n", argv[1], nth, WTERMSIG(status));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) findings++;
    fflush(stdout);
  }
  printf("%-14s %-4s %5ld allocations failed, %ld findings\n", argv[1], argv[2],
         failed, findings);
  return findings > 0;
}
