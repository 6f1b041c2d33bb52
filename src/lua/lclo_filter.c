/* Reads a caller's filters into the core's struct clo_filters, and makes of
 * them what a query says. The table is read raw, and nothing in it is changed.
 */
#include "lclo_filter.h"

#include <string.h>

#include "clo_filter.h"
#include "clo_format.h"
#include "lclo_read.h"
#include "lclo_sms.h"

/* The arguments of filters(filters, host_null), the query being made, what was
 * read from lists, and a place for each filter. */
enum { FILTERS = LCLO_PARAMS, QUERY = LCLO_HOST_NULL + 1, KEPT, PLACES };

/* Reads the list on top of the stack. */
static void read_list(lua_State *L, struct clo_filters *filters, int at) {
  struct clo_value *items;
  const char *why;
  long i, count = lclo_sequence_length(L, &why);
  if (count < 0) {
    lclo_name_value(&filters->value[at], why);
    return;
  }
  items = lclo_new_items(L, (size_t)count, sizeof *items);
  lclo_keep(L, KEPT);
  lua_pop(L, 1);
  for (i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)(i + 1));
    lclo_keep(L, KEPT);
    lclo_read_value(L, &items[i]);
    lua_pop(L, 1);
  }
  filters->value[at].type = CLO_LIST;
  filters->items[at] = items;
  filters->count[at] = (size_t)count;
}

static void read_filter(lua_State *L, struct clo_filters *filters, int at) {
  if (clo_filter_fields[at].kind == CLO_KIND_WORDS &&
      lua_type(L, -1) == LUA_TTABLE)
    read_list(L, filters, at);
  else
    lclo_read_value(L, &filters->value[at]);
}

/* Goes through the caller's table; says which places were filled. */
static void find_filters(lua_State *L, char *is_given,
                         struct clo_violations *violations) {
  lua_pushnil(L);
  while (lua_next(L, FILTERS)) {
    size_t len = 0;
    const char *name = lclo_key_name(L, &len);
    int at = name ? clo_filter_find(name, len) : -1;
    if (at >= 0) {
      is_given[at] = 1;
      lua_replace(L, PLACES + at);
      continue;
    }
    clo_filter_unknown(name ? name : LCLO_NO_NAME,
                       name ? len : sizeof LCLO_NO_NAME - 1, violations);
    lua_pop(L, 1);
  }
}

static void read_filters(lua_State *L, struct clo_filters *filters,
                         struct clo_violations *violations) {
  char is_given[CLO_FILTERS] = {0};
  int at;
  find_filters(L, is_given, violations);
  for (at = 0; at < CLO_FILTERS; at++) {
    if (!is_given[at]) continue;
    lua_pushvalue(L, PLACES + at);
    read_filter(L, filters, at);
    lua_pop(L, 1);
  }
}

/* ---- the query ---- */

static void add_word(luaL_Buffer *b, const char *word, size_t len, int first) {
  if (!first) luaL_addchar(b, ',');
  luaL_addlstring(b, word, len);
}

/* Pushes words with commas between them. */
static void push_words(lua_State *L, const struct clo_filters *filters,
                       int at) {
  const struct clo_value *value = &filters->value[at];
  const char *word;
  size_t len, i, from = 0;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  if (value->type == CLO_STRING)
    for (i = 0; clo_filter_word(value, &from, &word, &len); i++)
      add_word(&b, word, len, i == 0);
  else
    for (i = 0; i < filters->count[at]; i++)
      add_word(&b, filters->items[at][i].data, filters->items[at][i].len,
               i == 0);
  luaL_pushresult(&b);
}

static void push_filter(lua_State *L, const struct clo_filters *filters,
                        int at) {
  const struct clo_value *value = &filters->value[at];
  enum clo_kind kind = clo_filter_fields[at].kind;
  char date[CLO_RFC3339_SIZE];
  if (kind == CLO_KIND_WORDS)
    push_words(L, filters, at);
  else if (kind == CLO_KIND_COUNT)
    lclo_pushnumber(L, value->number);
  else if (value->type == CLO_NUMBER)
    lua_pushlstring(L, date, clo_rfc3339_write(value->number, date));
  else
    lua_pushlstring(L, value->data, value->len);
}

/* Puts all that was given into the query, by the names that Close knows. */
static void make_query(lua_State *L, const struct clo_filters *filters) {
  int at;
  for (at = 0; at < CLO_FILTERS; at++) {
    if (filters->value[at].type == CLO_ABSENT) continue;
    push_filter(L, filters, at);
    lua_setfield(L, QUERY,
                 clo_filter_fields[clo_filter_meant((enum clo_filter)at)].name);
  }
}

/* filters(filters, host_null) -> query | nil, errors, unlisted
 * The query has strings, not escaped, and numbers for _limit and _skip. */
static int check(lua_State *L) {
  struct clo_filters filters;
  struct clo_violations *violations;
  struct lclo_held *held;
  memset(&filters, 0, sizeof filters);
  luaL_checkstack(L, CLO_FILTERS + LUA_MINSTACK, "too many filters");
  lua_settop(L, 2);
  lua_createtable(L, 0, 8);
  lua_settop(L, PLACES + CLO_FILTERS - 1);
  held = lclo_take_held(L);
  violations = &held->violations;
  if (lua_type(L, FILTERS) == LUA_TTABLE) {
    read_filters(L, &filters, violations);
    clo_filters_check(&filters, violations);
  } else if (!lua_isnil(L, FILTERS)) {
    clo_violations_add(violations, "filters", "type",
                       "filters must be a table such as {lead_id = \"...\"}, "
                       "got %s", lclo_type_name(L, FILTERS));
  }
  if (lclo_refuse(L, held)) return 3;
  make_query(L, &filters);
  lua_settop(L, QUERY);
  return 1;
}

void lclo_push_filters(lua_State *L) { lclo_push_with_held(L, check); }

int lclo_filter_fields(lua_State *L) {
  int at;
  lua_createtable(L, CLO_FILTERS, 0);
  for (at = 0; at < CLO_FILTERS; at++) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, clo_filter_fields[at].name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, lclo_kind_name(clo_filter_fields[at].kind));
    lua_setfield(L, -2, "kind");
    lua_pushboolean(L, (int)clo_filter_meant((enum clo_filter)at) != at);
    lua_setfield(L, -2, "plain");
    lua_rawseti(L, -2, at + 1);
  }
  return 1;
}
