/* The Lua C API of 5.4, as far as the glue uses it, on 5.1, 5.2, 5.3 and
 * LuaJIT. No other file asks which Lua it is compiled for. */
#ifndef LCLO_COMPAT_H
#define LCLO_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

/* What tools/check_lua.sh finds in a module. */
#define LCLO_COMPILED_FOR "compiled for " LUA_VERSION

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#define lclo_setfuncs(L, funcs) luaL_register(L, NULL, funcs)
#else
#define lclo_setfuncs(L, funcs) luaL_setfuncs(L, funcs, 0)
#endif

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
