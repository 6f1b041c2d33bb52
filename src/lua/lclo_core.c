/* The module close.core, for lua/close alone. */
#define _FILE_OFFSET_BITS 64 /* else stat() may fail on 32 bits */
#include "lclo_compat.h"

#include <locale.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif
#include <sys/stat.h>

#include "clo_clock.h"
#include "clo_format.h"
#include "clo_hint.h"
#include "clo_libcurl.h"
#include "clo_policy.h"
#include "clo_sms.h"
#include "clo_url.h"
#include "clo_version.h"
#include "lclo_answer.h"
#include "lclo_apart.h"
#include "lclo_engine.h"
#include "lclo_filter.h"
#include "lclo_read.h"
#include "lclo_segments.h"
#include "lclo_sms.h"
#include "lclo_upload.h"

/* Pushes a result, or nil and why there is none; returns how many values. */
static int push_checked(lua_State *L, int result, const char *why) {
  if (!why) {
    lua_pushboolean(L, result);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* check_url(url) -> plain | nil, why */
static int check_url(lua_State *L) {
  int plain, loopback;
  const char *why = clo_url_check(luaL_checkstring(L, 1), &plain, &loopback);
  return push_checked(L, plain, why);
}

/* check_named_url(url, plain) -> true | nil, why; raises lack of memory as Lua
 * does */
static int check_named_url(lua_State *L) {
  size_t len;
  const char *url = luaL_checklstring(L, 1, &len);
  const char *why = clo_url_check_named(url, len, lua_toboolean(L, 2));
  if (why == clo_url_no_memory) return lclo_no_memory(L);
  return push_checked(L, 1, why);
}

/* check_proxy(url) -> loopback | nil, why */
static int check_proxy(lua_State *L) {
  int loopback;
  const char *why = clo_url_check_proxy(luaL_checkstring(L, 1), &loopback);
  return push_checked(L, loopback, why);
}

/* escape(text) -> text as it can stand in a URL's path or query */
static int escape(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  /* For each byte, and one more, as much as a single one takes. */
  char *escaped = lclo_new_items(L, len, CLO_URL_ESCAPED(1));
  if (clo_url_escape(text, len, escaped) == 0 && len > 0)
    return lclo_no_memory(L);
  lua_pushstring(L, escaped);
  return 1;
}

/* describe_odd(text) -> where text is not plain ASCII, such as "; it has U+000A
 * at byte 9", or "" */
static int describe_odd(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  char out[CLO_ODD_SIZE];
  lua_pushstring(L, clo_describe_odd(text, len, out));
  return 1;
}

/* type_name(value) -> what error messages call a value of its type */
static int type_name(lua_State *L) {
  lua_settop(L, 1);
  lua_pushstring(L, lclo_type_name(L, 1));
  return 1;
}

/* now() -> seconds on the monotonic clock */
static int now(lua_State *L) {
  lua_pushnumber(L, clo_clock_now());
  return 1;
}

/* pause(attempts, max_retries, remaining, asked|nil) -> seconds to wait before
 * the next attempt, or nil: as clo_policy_pause() has it */
static int pause_before(lua_State *L) {
  struct clo_budget budget;
  double micros = clo_clock_now() * 1e6, seconds;
  budget.attempts = (int)luaL_checknumber(L, 1);
  budget.max_retries = (int)luaL_checknumber(L, 2);
  budget.remaining = luaL_checknumber(L, 3);
  budget.server_delay = luaL_optnumber(L, 4, -1);
  budget.random = micros - (double)(long long)micros; /* jitter, no secret */
  seconds = clo_policy_pause(&budget);
  if (seconds < 0) return 0;
  lua_pushnumber(L, seconds);
  return 1;
}

/* seconds(date) -> seconds since 1970 of an RFC 3339 date-time, or nil */
static int seconds_of(lua_State *L) {
  size_t len;
  const char *date = luaL_checklstring(L, 1, &len);
  double seconds;
  if (!clo_rfc3339_read(date, len, &seconds)) return 0;
  lua_pushnumber(L, seconds);
  return 1;
}

/* is_special(path) -> whether it is there and is no plain file: a directory, or
 * what might never end, such as a pipe */
static int is_special(lua_State *L) {
  struct stat about;
  int is_there = stat(luaL_checkstring(L, 1), &about) == 0;
  lua_pushboolean(L, is_there && !S_ISREG(about.st_mode));
  return 1;
}

/* is_hooked() -> whether a hook is set, of any kind */
static int is_hooked(lua_State *L) {
  lua_pushboolean(L, lua_gethookmask(L) != 0);
  return 1;
}

/* c_locale(true) -> whether this thread, and no other, now follows the C
 * locale; c_locale(false) ends that. */
static int c_locale(lua_State *L) {
  locale_t *before = lua_touserdata(L, lua_upvalueindex(1));
  locale_t own;
  if (*before) freelocale(uselocale(*before));
  *before = (locale_t)0;
  if (lua_toboolean(L, 1) && (own = newlocale(LC_ALL_MASK, "C", (locale_t)0)))
    *before = uselocale(own);
  lua_pushboolean(L, *before != (locale_t)0);
  return 1;
}

static void push_c_locale(lua_State *L) {
  locale_t *before = lua_newuserdata(L, sizeof *before);
  *before = (locale_t)0;
  lua_pushcclosure(L, c_locale, 1);
}

__attribute__((visibility("default"))) int luaopen_close_core(lua_State *L);

int luaopen_close_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"check_url", check_url},
                                       {"check_named_url", check_named_url},
                                       {"check_proxy", check_proxy},
                                       {"clean", lclo_clean},
                                       {"escape", escape},
                                       {"fields", lclo_fields},
                                       {"filter_fields", lclo_filter_fields},
                                       {"is_hooked", is_hooked},
                                       {"is_special", is_special},
                                       {"load_apart", lclo_load_apart},
                                       {"now", now},
                                       {"pause", pause_before},
                                       {"readable_json", lclo_readable_json},
                                       {"seconds", seconds_of},
                                       {"segments", lclo_segments},
                                       {"type_name", type_name},
                                       {"describe_odd", describe_odd},
                                       {NULL, NULL}};
  lua_newtable(L);
  lclo_setfuncs(L, functions);
  lclo_push_validate(L);
  lua_setfield(L, -2, "validate");
  lclo_push_check_upload(L);
  lua_setfield(L, -2, "check_upload");
  lclo_push_filters(L);
  lua_setfield(L, -2, "filters");
  lclo_push_engine(L);
  lua_setfield(L, -2, "engine");
  push_c_locale(L);
  lua_setfield(L, -2, "c_locale");
  lclo_pushnumber(L, CLO_BODY_MAX);
  lua_setfield(L, -2, "max_body");
  lua_pushliteral(L, CLO_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushliteral(L, LCLO_COMPILED_FOR);
  lua_setfield(L, -2, "compiled_for");
  lua_pushstring(L, clo_libcurl_info()->version);
  lua_setfield(L, -2, "curl_version");
  return 1;
}
