/* A Lua host whose memory runs out on command. For each N it forks a child that
 * runs one scenario of scenarios.lua with its N-th allocation failing, and
 * prints what the scenario found to be wrong with it.
 *
 *   host SCENARIO lua|lasting|c|tls STEP FIRST ADDRESSES
 *
 * lua: the allocations of Lua; where it collects its garbage and asks again, it
 * fails again. lasting: the same, and the next ones fail as well. tls: those of
 * OpenSSL. c: those of the core, of libcurl and of all else that it loads, such
 * as nghttp2; but not those of lua-cjson, which ends the process by itself, and
 * of libgcc, which crashes (__register_frame, which LuaJIT's compiler calls).
 * Every STEP-th N from FIRST on.
 * Ends with a line: how many allocations were failed, how many findings. */
#define _GNU_SOURCE
#include <lauxlib.h>
#include <link.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LASTING = 8, CHILD_MAX = 20, NOT_REACHED = 77, NTH_MAX = 100000,
       FOUND_MAX = 100 };

enum part { OF_LUA, OF_US, OF_C, OF_TLS, OF_NEITHER };

static struct {
  enum part part; /* whose allocations are counted */
  int armed, has_acted;
  long count, fail_at; /* 0: none */
  long lasts;          /* how many fail in a row */
  int tripped;
  void *block; /* what Lua asked for when it was refused: again, too */
  size_t size;
  size_t live; /* Lua's blocks; LuaJIT does not tell their sizes truly */
  pthread_t thread;
} memory;

static int fails(void) {
  long more = ++memory.count - memory.fail_at;
  if (memory.fail_at == 0 || more < 0 || more >= memory.lasts) return 0;
  memory.tripped = 1;
  return 1;
}

/* ---- Lua's; libc is glibc ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static int is_asked_again(void *block, size_t size) {
  return memory.tripped && size == memory.size && block == memory.block;
}

static void *lua_alloc(void *unused, void *block, size_t old, size_t size) {
  void *moved;
  (void)unused;
  if (!block) old = 0;
  if (size == 0) {
    if (block) memory.live--;
    __libc_free(block);
    return NULL;
  }
  if (memory.part == OF_LUA && memory.armed && size > old) {
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

/* Where the code lies that is told apart: the core and libcurl (OF_US),
 * OpenSSL, lua-cjson and libgcc. All else is OF_C. (dladdr() would look through
 * all symbols each time.) */
static struct place {
  const char *from, *to;
  enum part part;
} places[32];
static size_t place_count;

static enum part part_of_object(const char *name) {
  if (strstr(name, "cjson") || strstr(name, "/libgcc")) return OF_NEITHER;
  if (strstr(name, "/libssl") || strstr(name, "/libcrypto")) return OF_TLS;
  if (strstr(name, "/close/core") || strstr(name, "/libcurl")) return OF_US;
  return OF_C;
}

static int note_places(struct dl_phdr_info *object, size_t size, void *unused) {
  enum part part = part_of_object(object->dlpi_name);
  int i;
  (void)size;
  (void)unused;
  for (i = 0; part != OF_C && i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    struct place *place = &places[place_count];
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
    if (place_count == sizeof places / sizeof *places) return 1;
    place->from = (const char *)object->dlpi_addr + segment->p_vaddr;
    place->to = place->from + segment->p_memsz;
    place->part = part;
    place_count++;
  }
  return 0;
}

static enum part part_of(const char *caller) {
  size_t i;
  for (i = 0; i < place_count; i++)
    if (caller >= places[i].from && caller < places[i].to)
      return places[i].part;
  return OF_C;
}

/* The blocks that the core and libcurl have got since act() began. Not those of
 * nghttp2: 1.52 leaks one where memory lacks while it reads SETTINGS. */
static struct {
  void *list[4096];
  size_t count;
  int is_full;
} blocks;

static void forget(const void *block) {
  size_t i = blocks.count;
  while (block && i-- > 0) {
    if (blocks.list[i] != block) continue;
    blocks.list[i] = blocks.list[--blocks.count];
    return;
  }
}

static void *note_block(void *block, enum part part) {
  if (part != OF_US || !block || !memory.has_acted) return block;
  if (blocks.count == sizeof blocks.list / sizeof *blocks.list)
    blocks.is_full = 1;
  else
    blocks.list[blocks.count++] = block;
  return block;
}

static int fails_in_c(enum part part) {
  return memory.part != OF_LUA && memory.armed &&
         pthread_equal(pthread_self(), memory.thread) &&
         (part == memory.part || (part == OF_US && memory.part == OF_C)) &&
         fails();
}

void *malloc(size_t size) {
  enum part part = part_of(__builtin_return_address(0));
  return fails_in_c(part) ? NULL : note_block(__libc_malloc(size), part);
}

void *calloc(size_t count, size_t size) {
  enum part part = part_of(__builtin_return_address(0));
  return fails_in_c(part) ? NULL : note_block(__libc_calloc(count, size), part);
}

void *realloc(void *block, size_t size) {
  enum part part = part_of(__builtin_return_address(0));
  void *moved;
  if (fails_in_c(part)) return NULL;
  forget(block);
  moved = __libc_realloc(block, size);
  return note_block(moved || size == 0 ? moved : block, part);
}

void free(void *block) {
  forget(block);
  __libc_free(block);
}

/* ---- a child ---- */

/* Calls a global function with what is on the stack; its error ends the
 * child. */
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
  place_count = 0;
  dl_iterate_phdr(note_places, NULL);
  lua_getglobal(L, "act");
  memory.fail_at = nth;
  memory.count = 0;
  memory.armed = memory.has_acted = 1;
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

/* After lua_close(): whether something was not given back. */
static int report_leaks(const char *scenario, long nth) {
  if (memory.live != 0)
    printf("  %s %ld: %zu of Lua's blocks leak\n", scenario, nth,
           memory.live);
  if (blocks.count != 0 || blocks.is_full)
    printf("  %s %ld: %zu of C's blocks leak\n", scenario, nth, blocks.count);
  return memory.live != 0 || blocks.count != 0 || blocks.is_full;
}

static int run(const char *scenario, const char *addresses, long nth) {
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
  lua_pushstring(L, addresses);
  lua_pushstring(L, text);
  must(L, "setup", 0);
  act(L, nth);
  if (!memory.tripped) return NOT_REACHED;
  must(L, "check", 1);
  wrong = lua_tostring(L, -1);
  found = wrong != NULL;
  if (found) printf("  %s %ld: %s\n", scenario, nth, wrong);
  lua_close(L);
  return report_leaks(scenario, nth) || found;
}

int main(int argc, char **argv) {
  long nth, step, failed = 0, findings = 0;
  if (argc != 6) return 2;
  memory.lasts = strcmp(argv[2], "lasting") == 0 ? LASTING : 1;
  memory.part = memory.lasts > 1 || strcmp(argv[2], "lua") == 0 ? OF_LUA
                : strcmp(argv[2], "tls") == 0                   ? OF_TLS
                                              : OF_C;
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
