/* The Lua C API of 5.4, as far as the glue uses it, on 5.1, 5.2, 5.3 and
 * LuaJIT. No other file asks which Lua it is compiled for.
 *
 * The rule for all who use it. A call that may allocate (it makes a string, a
 * table, a userdata or a function, or sets a key) may raise an error. It may
 * also run finalizers, and those may do anything: close the engine, change the
 * caller's tables, call the very function that we are in. So:
 *
 * 1. Borrowed bytes (a string's, a userdata's) are kept until their last use,
 *    on our stack or in a table that no other code has. The caller's tables do
 *    not keep them.
 * 2. A caller's table is gone through without such a call in between; what is
 *    found goes to places on the stack that were made before.
 * 3. A pointer to the engine, or into it, is fetched after the last such call
 *    that comes before its use, and is not used after the next one.
 * 4. What C owns belongs to a userdata, or such calls run under lua_pcall.
 * 5. Between a change of the engine and the return of what it came to there is
 *    no such call; what cannot be returned is put back. */
#ifndef LCLO_COMPAT_H
#define LCLO_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

/* What tools/check_lua.sh finds in a module. */
#define LCLO_COMPILED_FOR "compiled for " LUA_VERSION

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#define lclo_setfuncs_with(L, funcs, n) luaL_openlib(L, NULL, funcs, n)
#else
#define lclo_setfuncs_with(L, funcs, n) luaL_setfuncs(L, funcs, n)
#endif
#define lclo_setfuncs(L, funcs) lclo_setfuncs_with(L, funcs, 0)

#define LCLO_HAS_INTEGERS (LUA_VERSION_NUM >= 503)

/* Pushes a number, as an integer where the Lua has those and it is one. */
static inline void lclo_pushnumber(lua_State *L, double number) {
#if LUA_VERSION_NUM >= 503
  if (number >= -9007199254740992.0 && number <= 9007199254740992.0 &&
      number == (double)(lua_Integer)number) {
    lua_pushinteger(L, (lua_Integer)number);
    return;
  }
#endif
  lua_pushnumber(L, number);
}

/* Whether the number at index is one that lclo_pushnumber would change. */
static inline int lclo_isroundfloat(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 503
  return lua_type(L, index) == LUA_TNUMBER && !lua_isinteger(L, index);
#else
  (void)L;
  (void)index;
  return 0;
#endif
}

#endif
