/* Reads what a caller hands in, raw: no metamethod of the caller's runs, and
 * nothing is changed; and tells what is wrong with it. */
#include "lclo_read.h"

#include <limits.h>
#include <string.h>

/* JSON's null: cjson.null and ngx.null are the light userdata NULL; host_null
 * is the host's own, such as vim.NIL. */
static int is_null(lua_State *L, int index) {
  int type = lua_type(L, index);
  if (type == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index)) return 1;
  return (type == LUA_TUSERDATA || type == LUA_TLIGHTUSERDATA) &&
         lua_rawequal(L, index, LCLO_HOST_NULL);
}

const char *lclo_type_name(lua_State *L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return "nil";
    case LUA_TBOOLEAN: return "a boolean";
    case LUA_TNUMBER: return "a number";
    case LUA_TSTRING: return "a string";
    case LUA_TTABLE: return "a table";
    case LUA_TFUNCTION: return "a function";
    case LUA_TTHREAD: return "a coroutine";
    default: return is_null(L, index) ? "null" : "a userdata";
  }
}

void lclo_name_value(struct clo_value *value, const char *name) {
  value->type = CLO_OBJECT;
  value->data = name;
  value->len = strlen(name);
}

void lclo_read_value(lua_State *L, struct clo_value *value) {
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      value->type = CLO_STRING;
      value->data = lua_tolstring(L, -1, &value->len);
      return;
    case LUA_TNUMBER:
      value->type = CLO_NUMBER;
      value->number = lua_tonumber(L, -1);
      return;
    case LUA_TBOOLEAN:
      value->type = CLO_BOOLEAN;
      value->boolean = lua_toboolean(L, -1);
      return;
    default:
      if (is_null(L, -1))
        value->type = CLO_NULL;
      else
        lclo_name_value(value, lclo_type_name(L, -1));
  }
}

long lclo_sequence_length(lua_State *L, const char **why) {
  double largest = 0;
  long count = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
    lua_pop(L, 1);
    if (!(key >= 1 && key < 1e9 && key == (double)(long)key)) {
      lua_pop(L, 1);
      *why = "a table with keys that are not 1, 2, 3, ...";
      return -1;
    }
    if (key > largest) largest = key;
    count++;
  }
  *why = "a list with a hole in it";
  return (double)count == largest ? count : -1;
}

const char *lclo_key_name(lua_State *L, size_t *len) {
  if (lua_type(L, -2) != LUA_TSTRING) return NULL;
  return lua_tolstring(L, -2, len);
}

void lclo_keep(lua_State *L, int index) {
  if (lua_isnil(L, index)) {
    lua_newtable(L);
    lua_replace(L, index);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, index, (int)lua_rawlen(L, index) + 1);
}

int lclo_no_memory(lua_State *L) {
  lua_pushliteral(L, "not enough memory");
  return lua_error(L);
}

/* The bound is far above what has room in memory, and keeps all sums and
 * products of it in range on 32 bits, too. */
void *lclo_new_items(lua_State *L, size_t count, size_t size) {
  void *array;
  if (count >= INT_MAX / size) lclo_no_memory(L);
  array = lua_newuserdata(L, (count + 1) * size);
  memset(array, 0, (count + 1) * size);
  return array;
}

static void push_errors(lua_State *L,
                        const struct clo_violations *violations) {
  size_t i;
  lua_createtable(L, (int)violations->count, 0);
  for (i = 0; i < violations->count; i++) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, violations->list[i].field);
    lua_setfield(L, -2, "field");
    lua_pushstring(L, violations->list[i].code);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, violations->list[i].message);
    lua_setfield(L, -2, "message");
    lua_rawseti(L, -2, (int)(i + 1));
  }
}

static int free_held(lua_State *L) {
  struct lclo_held *held = lua_touserdata(L, 1);
  clo_violations_free(&held->violations);
  return 0;
}

static struct lclo_held *push_held(lua_State *L) {
  struct lclo_held *held = lua_newuserdata(L, sizeof *held);
  clo_violations_init(&held->violations);
  held->in_use = 0;
  return held;
}

/* Where the upvalue is in use, by the call whose allocation ran the finalizer
 * that we are in, or by one that ended in an error of Lua's, a new one takes
 * its place, and the old one goes with its call. */
struct lclo_held *lclo_take_held(lua_State *L) {
  struct lclo_held *held = lua_touserdata(L, lua_upvalueindex(1));
  if (held->in_use) {
    held = push_held(L);
    lua_getmetatable(L, lua_upvalueindex(1));
    lua_setmetatable(L, -2);
    lua_replace(L, lua_upvalueindex(1));
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  held->in_use = 1;
  return held;
}

static void leave_held(struct lclo_held *held) {
  clo_violations_free(&held->violations);
  held->in_use = 0;
}

int lclo_refuse(lua_State *L, struct lclo_held *held) {
  const struct clo_violations *violations = &held->violations;
  int is_wrong = violations->count > 0;
  if (violations->out_of_memory) {
    leave_held(held);
    return lclo_no_memory(L);
  }
  if (is_wrong) {
    lua_pushnil(L);
    push_errors(L, violations);
    lua_pushnumber(L, (lua_Number)violations->unlisted);
  }
  leave_held(held);
  return is_wrong ? 3 : 0;
}

void lclo_push_with_held(lua_State *L, lua_CFunction function) {
  push_held(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, free_held);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, function, 1);
}
