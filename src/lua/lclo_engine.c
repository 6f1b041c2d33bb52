/* The engine as a userdata. Its methods are the engine's verbs and know
 * nothing of SMS; lua/close/options.lua has checked the config. */
#include "lclo_engine.h"

#include <math.h>
#include <string.h>

#include "clo_clock.h"
#include "clo_engine.h"
#include "lclo_answer.h"
#include "lclo_read.h"

#define ENGINE "close.engine"

struct handle {
  struct clo_engine *engine; /* NULL once closed */
};

/* Each method has the metatable as its upvalue; luaL_checkudata, which looks it
 * up by name, is needed only for its message. */
static struct handle *check_handle(lua_State *L) {
  struct handle *handle = lua_touserdata(L, 1);
  int is_engine;
  if (handle && lua_getmetatable(L, 1)) {
    is_engine = lua_rawequal(L, -1, lua_upvalueindex(1));
    lua_pop(L, 1);
    if (is_engine) return handle;
  }
  return luaL_checkudata(L, 1, ENGINE);
}

/* The engine, after all other arguments were read. */
static struct clo_engine *check_engine(lua_State *L) {
  struct handle *handle = check_handle(L);
  if (!handle->engine) luaL_error(L, "the engine is closed");
  return handle->engine;
}

static const char *string_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name); /* stays on the stack: the string is borrowed */
  return lua_tostring(L, -1);
}

static double number_field(lua_State *L, const char *name) {
  double number;
  lua_getfield(L, 1, name);
  number = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return number;
}

/* One that is larger than a size_t can be is as large as that. */
static size_t size_field(lua_State *L, const char *name) {
  double number = number_field(L, name);
  return number < (double)((size_t)-1 / 2) ? (size_t)number : (size_t)-1 / 2;
}

static int flag_field(lua_State *L, const char *name) {
  int flag;
  lua_getfield(L, 1, name);
  flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

/* engine(config) -> an engine */
static int new_engine(lua_State *L) {
  struct clo_config config = {0};
  char why[CLO_WHY_MAX];
  struct handle *handle;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  config.user_agent = string_field(L, "user_agent");
  config.ca_file = string_field(L, "ca_file");
  config.proxy = string_field(L, "proxy");
  config.plain = flag_field(L, "plain");
  config.http2 = flag_field(L, "http2");
  config.events = flag_field(L, "events");
  config.connect_timeout = number_field(L, "connect_timeout");
  config.attempt_timeout = number_field(L, "attempt_timeout");
  config.max_response_bytes = size_field(L, "max_response_bytes");
  config.max_in_flight = (int)number_field(L, "max_in_flight");
  handle = lua_newuserdata(L, sizeof *handle);
  handle->engine = NULL;
  luaL_getmetatable(L, ENGINE);
  lua_setmetatable(L, -2);
  handle->engine = clo_engine_new(&config, why);
  if (!handle->engine) {
    lua_pushstring(L, why);
    return lua_error(L);
  }
  return 1;
}

/* The arguments of submit, and what is kept of its form. */
enum { FORM = 12, ID, TICKET, KEPT };

/* Takes a string off the stack, and keeps it. */
static const char *take_string(lua_State *L, size_t *len) {
  const char *string;
  luaL_checktype(L, -1, LUA_TSTRING);
  string = lua_tolstring(L, -1, len);
  lclo_keep(L, KEPT);
  lua_pop(L, 1);
  return string;
}

/* Reads {fields = {{name, value}, ...}, filename = , content_type = }. */
static void read_form(lua_State *L, struct clo_form *form) {
  struct clo_form_field *field;
  size_t i;
  luaL_checktype(L, FORM, LUA_TTABLE);
  lua_getfield(L, FORM, "filename");
  form->filename = take_string(L, NULL);
  lua_getfield(L, FORM, "content_type");
  form->content_type = take_string(L, NULL);
  lua_getfield(L, FORM, "fields");
  luaL_checktype(L, -1, LUA_TTABLE);
  form->count = (size_t)lua_rawlen(L, -1);
  form->fields = field = lclo_new_items(L, form->count, sizeof *field);
  lclo_keep(L, KEPT);
  lua_pop(L, 1);
  for (i = 0; i < form->count; i++, field++) {
    lua_rawgeti(L, -1, (int)(i + 1));
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_rawgeti(L, -1, 1);
    field->name = take_string(L, NULL);
    lua_rawgeti(L, -1, 2);
    field->value = take_string(L, &field->value_len);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* engine:submit(method, url, group, body|nil, scheme|nil, secret|nil, due,
 * max_retries, repeatable|nil, delay|nil, form|nil, id|nil, ticket|nil) -> id;
 * scheme is "basic" or "bearer", due a moment of now(), the last five are as in
 * struct clo_request. nil where the engine is closed, maybe by a finalizer that
 * ran while the form was read. */
static int submit(lua_State *L) {
  struct handle *handle = check_handle(L);
  struct clo_request request = {0};
  struct clo_form form;
  const char *scheme = luaL_optstring(L, 6, "");
  unsigned long id;
  lua_settop(L, KEPT);
  request.method = luaL_checkstring(L, 2);
  request.url = luaL_checkstring(L, 3);
  request.group = luaL_checkstring(L, 4);
  request.body = luaL_optlstring(L, 5, NULL, &request.body_len);
  request.auth = strcmp(scheme, "basic") == 0    ? CLO_AUTH_BASIC
                 : strcmp(scheme, "bearer") == 0 ? CLO_AUTH_BEARER
                                                 : CLO_AUTH_NONE;
  request.secret = luaL_optstring(L, 7, NULL);
  request.timeout = luaL_checknumber(L, 8) - clo_clock_now();
  request.max_retries = (int)luaL_checknumber(L, 9);
  request.repeatable = lua_isnoneornil(L, 10) ? -1 : lua_toboolean(L, 10);
  request.delay = luaL_optnumber(L, 11, 0);
  request.id = (unsigned long)luaL_optnumber(L, ID, 0);
  request.ticket = (unsigned long)luaL_optnumber(L, TICKET, 0);
  request.form = lua_isnil(L, FORM) ? NULL : &form;
  if (request.form) read_form(L, &form);
  if (!handle->engine) return 0;
  id = clo_engine_submit(handle->engine, &request);
  if (id == 0) return lclo_no_memory(L);
  lua_pushnumber(L, (lua_Number)id);
  return 1;
}

static int is_ready(struct clo_engine *engine) {
  return clo_engine_done(engine) || clo_engine_event(engine);
}

/* Waits, unless it is ready; first does what is due, such as a new request. A
 * hook that is set after that may be Ctrl-C's, so that Lua is to go on. */
static void wait_for(lua_State *L, struct clo_engine *engine, double budget,
                     double seconds) {
  if (is_ready(engine)) return;
  if (clo_engine_deadline(engine) == 0) {
    clo_engine_step(engine, budget);
    if (is_ready(engine) || lua_gethookmask(L) != 0) return;
  }
  clo_engine_wait(engine, seconds);
}

/* engine:step(budget|nil, seconds|nil) -> as engine:ready(). With seconds it
 * waits before, at most so long, and does nothing more if that makes it ready:
 * the next request of a call that goes on comes before one that is queued. */
static int step(lua_State *L) {
  double budget = luaL_optnumber(L, 2, HUGE_VAL);
  double seconds = luaL_optnumber(L, 3, 0);
  struct clo_engine *engine = check_engine(L);
  if (seconds != 0) wait_for(L, engine, budget, seconds);
  if (seconds == 0 || !is_ready(engine)) clo_engine_step(engine, budget);
  lua_pushboolean(L, is_ready(engine));
  return 1;
}

/* engine:cancel(id) -> whether it was still pending */
static int cancel(lua_State *L) {
  unsigned long id = (unsigned long)luaL_checknumber(L, 2);
  lua_pushboolean(L, clo_engine_cancel(check_engine(L), id));
  return 1;
}

/* engine:deadline() -> seconds to the next moment a step has work, or nil */
static int deadline(lua_State *L) {
  double seconds = clo_engine_deadline(check_engine(L));
  if (seconds < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, seconds);
  return 1;
}

/* engine:expected() -> seconds until an answer can be expected, less than 0 if
 * that has passed, infinite if no attempt runs; nil if it is not known */
static int expected(lua_State *L) {
  double seconds;
  if (!clo_engine_expected(check_engine(L), &seconds)) return 0;
  lua_pushnumber(L, seconds);
  return 1;
}

/* engine:descriptor() -> one that is readable while there is work, or nil */
static int descriptor(lua_State *L) {
  int fd = clo_engine_descriptor(check_engine(L));
  if (fd < 0) return 0;
  lua_pushnumber(L, fd);
  return 1;
}

/* engine:ready() -> whether there is a finished call or an event */
static int ready(lua_State *L) {
  lua_pushboolean(L, is_ready(check_engine(L)));
  return 1;
}

/* Makes the values of a finished call. */
static int push_done(lua_State *L) {
  const struct clo_transfer *transfer = lua_touserdata(L, 1);
  lua_pushnumber(L, (lua_Number)transfer->id);
  lclo_push_answer(L, transfer);
  lclo_pushnumber(L, transfer->unknown);
  return 4;
}

/* The same once more, after a full collection. */
static int push_done_again(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT, 0);
  return push_done(L);
}

/* Pushes the values of a finished call, or an error. On the stack are
 * push_done_again, push_done and the transfer: in Lua 5.1 and LuaJIT pushing
 * these may fail. */
static int try_push_done(lua_State *L, struct clo_transfer *transfer) {
  int failed = lua_pcall(L, 1, 4, 0);
  if (failed != LUA_ERRMEM) return failed;
  lua_pop(L, 1);
  lua_pushlightuserdata(L, transfer); /* LuaJIT has made room for it before */
  return lua_pcall(L, 1, 4, 0);
}

/* engine:done() -> id, response|nil, failure|nil of a call that is done, how
 * many of its attempts Close may have acted on, unknown to us; nil where there
 * is none; its id alone if out of memory. The call is let go after that; if
 * another error comes while its values are made it is done as before.
 *
 * Making them may run finalizers, and those may call anything here: the call
 * that is read belongs to no list meanwhile, and the engine may be closed. */
static int done(lua_State *L) {
  struct handle *handle = check_handle(L);
  struct clo_transfer *transfer;
  unsigned long id;
  int failed;
  if (!clo_engine_done(check_engine(L))) return 0;
  lua_pushcfunction(L, push_done_again);
  lua_pushcfunction(L, push_done); /* which may have run a finalizer, too */
  if (!handle->engine || !(transfer = clo_engine_done(handle->engine)))
    return 0;
  lua_pushlightuserdata(L, transfer);
  clo_engine_take(handle->engine, transfer);
  failed = try_push_done(L, transfer);
  id = transfer->id;
  if (!handle->engine)
    clo_engine_free_taken(transfer);
  else if (failed && failed != LUA_ERRMEM)
    clo_engine_put_back(handle->engine, transfer);
  else
    clo_engine_release(handle->engine, transfer);
  if (!failed) return 4;
  if (failed != LUA_ERRMEM) return lua_error(L);
  lua_pushnumber(L, (lua_Number)id);
  return 1;
}

/* engine:next_done() -> the id of the call that done() would return, or nil */
static int next_done(lua_State *L) {
  const struct clo_transfer *transfer = clo_engine_done(check_engine(L));
  if (!transfer) return 0;
  lua_pushnumber(L, (lua_Number)transfer->id);
  return 1;
}

/* engine:event() -> the table of the oldest event, or nil */
static int next_event(lua_State *L) {
  struct clo_engine *engine = check_engine(L);
  const struct clo_event *event = clo_engine_event(engine);
  struct clo_event copy;
  if (!event) return 0;
  copy = *event;
  clo_engine_drop_event(engine);
  lclo_push_event(L, &copy);
  return 1;
}

/* engine:close(), which may be called twice; also __gc */
static int close_engine(lua_State *L) {
  struct handle *handle = check_handle(L);
  struct clo_engine *engine = handle->engine;
  handle->engine = NULL;
  clo_engine_free(engine);
  return 0;
}

void lclo_push_engine(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"submit", submit},         {"step", step},
      {"cancel", cancel},         {"deadline", deadline},
      {"expected", expected},     {"descriptor", descriptor},
      {"ready", ready},           {"done", done},
      {"next_done", next_done},   {"event", next_event},
      {"close", close_engine},    {"__gc", close_engine},
      {NULL, NULL}};
  luaL_newmetatable(L, ENGINE);
  lua_pushvalue(L, -1);
  lclo_setfuncs_with(L, methods, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lclo_begin_answers(L);
  lua_pushcfunction(L, new_engine);
}
