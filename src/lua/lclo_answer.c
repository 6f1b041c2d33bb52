/* Makes Lua values of what came back: the response, the failure, the event. */
#include "lclo_answer.h"

#include <string.h>

#include "clo_json.h"
#include "clo_policy.h"

static void set_number(lua_State *L, const char *key, double number) {
  lclo_pushnumber(L, number);
  lua_setfield(L, -2, key);
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Pushes the header's name in lower case. */
static void push_name(lua_State *L, const struct clo_header *header) {
  char small[64];
  luaL_Buffer b;
  size_t i;
  if (header->name_len > sizeof small) {
    luaL_buffinit(L, &b);
    for (i = 0; i < header->name_len; i++)
      luaL_addchar(&b, lower(header->name[i]));
    luaL_pushresult(&b);
    return;
  }
  for (i = 0; i < header->name_len; i++) small[i] = lower(header->name[i]);
  lua_pushlstring(L, small, header->name_len);
}

/* Sets table[name] to the value on top of the stack; where it has one, puts
 * both into the list lists[name]. The name lies below the value; takes both
 * off. lists is nil until there is a list. */
static void add_header(lua_State *L, int table, int lists) {
  lua_pushvalue(L, -2);
  lua_rawget(L, table);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_rawset(L, table);
    return;
  }
  if (lua_isnil(L, lists)) {
    lua_newtable(L);
    lua_replace(L, lists);
  }
  lua_pushvalue(L, -3);
  lua_rawget(L, lists);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, -4);
    lua_pushvalue(L, -2);
    lua_rawset(L, lists);
  }
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
  lua_pop(L, 4);
}

/* Pushes the values of the list at index, with ", " between them. */
static void push_joined(lua_State *L, int list) {
  int i, n = (int)lua_rawlen(L, list);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (i = 1; i <= n; i++) {
    if (i > 1) luaL_addlstring(&b, ", ", 2);
    lua_rawgeti(L, list, i);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
}

static void join_lists(lua_State *L, int table, int lists) {
  lua_pushnil(L);
  while (lua_next(L, lists)) {
    lua_pushvalue(L, -2);
    push_joined(L, lists + 2);
    lua_rawset(L, table);
    lua_pop(L, 1);
  }
}

/* Pushes header lines as a table; a name that comes twice has its values joined
 * with ", " (RFC 9110, 5.3), all at once. */
static void push_headers(lua_State *L, const char *lines, size_t len) {
  struct clo_header header;
  size_t at = 0;
  int table = lua_gettop(L) + 1, lists = table + 1;
  lua_createtable(L, 0, 8);
  lua_pushnil(L);
  while (clo_header_next(lines, len, &at, &header)) {
    push_name(L, &header);
    lua_pushlstring(L, header.value, header.value_len);
    add_header(L, table, lists);
  }
  if (!lua_isnil(L, lists)) join_lists(L, table, lists);
  lua_settop(L, table);
}

static void set_rate_limit(lua_State *L, const struct clo_transfer *t) {
  if (!t->has_rate) return;
  lua_createtable(L, 0, 3);
  set_number(L, "limit", t->rate.limit);
  set_number(L, "remaining", t->rate.remaining);
  set_number(L, "reset", t->rate.reset);
  lua_setfield(L, -2, "rate_limit");
}

/* A response's metatable. */
#define RESPONSE "close.response"
#define RAW_HEADERS "raw_headers"

/* __index(response, name): makes response.headers, of response.raw_headers,
 * when it is first looked at, as most callers never do. */
static int make_headers(lua_State *L) {
  const char *lines;
  size_t len;
  luaL_checktype(L, 1, LUA_TTABLE); /* anybody can call this function */
  lua_settop(L, 2);
  lua_pushliteral(L, "headers");
  if (!lua_rawequal(L, 2, 3)) return 0;
  lua_pushliteral(L, RAW_HEADERS);
  lua_rawget(L, 1);
  if (lua_type(L, 4) != LUA_TSTRING) return 0; /* its owner's work */
  lines = lua_tolstring(L, 4, &len);
  push_headers(L, lines, len);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 5);
  lua_rawset(L, 1);
  return 1;
}

static void set_buffer(lua_State *L, const char *key,
                       const struct clo_buf *buffer) {
  lua_pushlstring(L, buffer->data ? buffer->data : "", buffer->len);
  lua_setfield(L, -2, key);
}

static void push_response(lua_State *L, const struct clo_transfer *t) {
  if (t->end.status == 0) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 6);
  luaL_getmetatable(L, RESPONSE);
  lua_setmetatable(L, -2);
  set_number(L, "status", t->end.status);
  set_buffer(L, RAW_HEADERS, &t->headers);
  set_buffer(L, "body", &t->answer);
  set_number(L, "attempts", t->attempts);
  lua_pushnumber(L, t->ended_at - t->submitted);
  lua_setfield(L, -2, "elapsed");
  set_rate_limit(L, t);
}

static void set_name(lua_State *L, const char *key, const char *name) {
  lua_pushstring(L, name);
  lua_setfield(L, -2, key);
}

static void push_failure(lua_State *L, const struct clo_transfer *t) {
  enum clo_outcome outcome = clo_policy_outcome(&t->end);
  if (outcome == CLO_OUTCOME_ANSWERED) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 8);
  set_name(L, "kind", clo_policy_kind(t->end.cause, t->end.status));
  set_name(L, "outcome", clo_outcome_name(outcome));
  set_name(L, "message", t->message);
  set_number(L, "attempts", t->attempts);
  if (t->end.status != 0) set_number(L, "status", t->end.status);
  if (t->code != CURLE_OK) set_number(L, "code", t->code);
  if (t->server_delay >= 0) set_number(L, "retry_after", t->server_delay);
  if (t->from_parent) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "is_from_parent");
  }
}

void lclo_push_answer(lua_State *L, const struct clo_transfer *t) {
  push_response(L, t);
  push_failure(L, t);
}

void lclo_begin_answers(lua_State *L) {
  luaL_newmetatable(L, RESPONSE);
  lua_pushcfunction(L, make_headers);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void lclo_push_event(lua_State *L, const struct clo_event *event) {
  enum clo_outcome outcome = clo_policy_outcome(&event->end);
  lua_createtable(L, 0, 10);
  set_number(L, "id", (double)event->id);
  set_name(L, "method", event->method);
  set_number(L, "attempt", event->attempt);
  lua_pushnumber(L, event->seconds);
  lua_setfield(L, -2, "seconds");
  if (event->end.status != 0) set_number(L, "status", event->end.status);
  if (event->code != CURLE_OK) set_number(L, "code", event->code);
  if (event->retry_in >= 0) set_number(L, "retry_in", event->retry_in);
  if (outcome == CLO_OUTCOME_ANSWERED) return;
  set_name(L, "kind", clo_policy_kind(event->end.cause, event->end.status));
  set_name(L, "outcome", clo_outcome_name(outcome));
}

/* ---- JSON ---- */

/* Whether the text's first character, blanks aside, is an object's. */
static int begins_object(const char *s, size_t len) {
  size_t i = 0;
  while (i < len && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' ||
                     s[i] == '\r'))
    i++;
  return i < len && s[i] == '{';
}

/* readable_json(text) -> the text as lua-cjson is to read it, see clo_json.h;
 * whether it is an object's, if it is JSON; whether its value is to be cleaned
 * then. The same text unless something in it has to change. */
int lclo_readable_json(lua_State *L) {
  struct clo_json json;
  struct clo_json_part part;
  size_t len, room, used = 0;
  char small[4096], *copy;
  const char *text = luaL_checklstring(L, 1, &len);
  lua_settop(L, 1);
  clo_json_start(&json, text, len);
  if (clo_json_next(&json, &part) && (part.len < len || part.quoted)) {
    room = len + CLO_JSON_QUOTES(len);
    copy = room <= sizeof small ? small : lua_newuserdata(L, room);
    do {
      if (part.quoted) copy[used++] = '"';
      memcpy(copy + used, part.s, part.len);
      used += part.len;
      if (part.quoted) copy[used++] = '"';
    } while (clo_json_next(&json, &part));
    lua_pushlstring(L, copy, used);
  }
  lua_pushboolean(L, begins_object(json.s, json.len));
  lua_pushboolean(L, json.has_null || (LCLO_HAS_INTEGERS && json.has_number));
  return 3;
}

/* Replaces the value on top of the stack, in a traversal of the table below
 * its key, by the one that was pushed above it. */
static void replace(lua_State *L) {
  lua_pushvalue(L, -3);
  lua_insert(L, -2);
  lua_rawset(L, -5);
}

/* Cleans the table on top of the stack. The decoder has bounded its depth. */
static void clean(lua_State *L) {
  luaL_checkstack(L, 5, "the answer is nested too deeply");
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    switch (lua_type(L, -1)) {
      case LUA_TTABLE: clean(L); break;
      case LUA_TLIGHTUSERDATA: /* the decoder knows no other than null */
        lua_pushnil(L);
        replace(L);
        break;
      case LUA_TNUMBER:
        if (!lclo_isroundfloat(L, -1)) break;
        lclo_pushnumber(L, lua_tonumber(L, -1));
        replace(L);
        break;
      default: break;
    }
    lua_pop(L, 1);
  }
}

/* clean(value) -> value: the same table without JSON's nulls, and with whole
 * numbers as integers where the Lua has those. */
int lclo_clean(lua_State *L) {
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TTABLE) clean(L);
  return 1;
}
