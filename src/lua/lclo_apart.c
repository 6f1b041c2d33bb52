/* Loads a library that Lua is to load, so that it uses its own functions and
 * not the host's of the same names. Neovim has a lua-cjson of its own, and
 * gives its symbols to all that it loads: parts of both would work together,
 * and with two versions of it a message's text would be another one. */
#define _GNU_SOURCE /* RTLD_DEEPBIND, RTLD_DEFAULT, */
#ifndef __linux__
#undef _POSIX_C_SOURCE /* which hides it elsewhere */
#endif
#include "lclo_apart.h"

#include <dlfcn.h>

#ifdef RTLD_DEEPBIND
/* Whether a library has brought another Lua with it, which it would use. */
static int has_other_lua(void *library) {
  void *its = dlsym(library, "lua_pushnil");
  return its && its != dlsym(RTLD_DEFAULT, "lua_pushnil");
}

static int load(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (!library) return 0;
  if (!has_other_lua(library)) return 1; /* it stays for Lua */
  dlclose(library);
  return 0;
}
#else
static int load(const char *path) {
  (void)path;
  return 0;
}
#endif

/* load_apart(path, symbol) -> whether the library was loaded: it is where the
 * process has the symbol, and the system can do it */
int lclo_load_apart(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  int is_there = dlsym(RTLD_DEFAULT, luaL_checkstring(L, 2)) != NULL;
  lua_pushboolean(L, is_there && load(path));
  return 1;
}
