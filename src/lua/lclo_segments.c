/* The function segments: a text's encoding and segments as a table. */
#include "lclo_segments.h"

#include "clo_segments.h"

static void set_number(lua_State *L, const char *name, size_t number) {
  lclo_pushnumber(L, (double)number);
  lua_setfield(L, -2, name);
}

static void push_forced_by(lua_State *L, const char *text,
                           const struct clo_segments *found) {
  size_t i;
  lua_createtable(L, (int)found->forced_count, 0);
  for (i = 0; i < found->forced_count; i++) {
    lua_pushlstring(L, text + found->forced_by[i].at, found->forced_by[i].len);
    lua_rawseti(L, -2, (int)(i + 1));
  }
}

int lclo_segments(lua_State *L) {
  struct clo_segments found;
  size_t len, good;
  const char *text = luaL_checklstring(L, 1, &len);
  good = clo_segments_count(text, len, &found);
  if (good < len) {
    lua_pushnil(L);
    lclo_pushnumber(L, (double)good + 1);
    return 2;
  }
  lua_createtable(L, 0, 6);
  lua_pushstring(L, found.ucs2 ? "UCS-2" : "GSM-7");
  lua_setfield(L, -2, "encoding");
  set_number(L, "segments", found.segments);
  set_number(L, "units", found.units);
  set_number(L, "remaining", found.remaining);
  set_number(L, "per_segment", found.per_segment);
  push_forced_by(L, text, &found);
  lua_setfield(L, -2, "forced_by");
  return 1;
}
