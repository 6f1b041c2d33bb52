/* Reads a caller's table into the core's struct clo_sms, and makes from it the
 * body that is sent. The table is read raw: no metamethod of the caller's runs,
 * and nothing in it is changed. */
#include "lclo_sms.h"

#include <string.h>

#include "clo_format.h"
#include "clo_sms.h"
#include "clo_unknown.h"
#include "lclo_read.h"

/* The arguments of validate(params, host_null, verb); then params.extra, what
 * was read from attachments, a place for each field's value and for its name,
 * and the body being made. */
enum {
  PARAMS = LCLO_PARAMS,
  VERB = LCLO_HOST_NULL + 1,
  EXTRA,
  KEPT,
  PLACES,
  NAMES = PLACES + CLO_SMS_FIELDS,
  HELD = NAMES + CLO_SMS_FIELDS,
  BODY
};

#define EXTRA_MAX 1000000 /* members that room is made for; more fit, too */

/* Replaces the item on top of the stack by a copy of what a request takes of
 * it, which keeps what was read, whatever its owner does with it meanwhile. */
static void read_item_fields(lua_State *L, enum clo_verb verb,
                             struct clo_attachment *item, size_t place,
                             struct clo_violations *violations) {
  int places = lua_gettop(L) + 1, at;
  lua_settop(L, places + CLO_ATTACHMENT_FIELDS - 1);
  lua_pushnil(L);
  while (lua_next(L, places - 1)) {
    size_t len = 0;
    const char *name = lclo_key_name(L, &len);
    int field = name ? clo_attachment_find(name, len) : -1;
    if (field >= 0) {
      lclo_read_value(L, &item->field[field]);
      lua_replace(L, places + field);
      continue;
    }
    if (!name || !clo_attachment_is_answered(name, len))
      clo_sms_unknown(verb, name ? name : LCLO_NO_NAME,
                      name ? len : sizeof LCLO_NO_NAME - 1, place, violations);
    lua_pop(L, 1);
  }
  lua_createtable(L, 0, CLO_ATTACHMENT_FIELDS);
  for (at = 0; at < CLO_ATTACHMENT_FIELDS; at++) {
    lua_pushvalue(L, places + at);
    lua_setfield(L, -2, clo_attachment_fields[at].name);
  }
  lua_replace(L, places - 1);
  lua_settop(L, places - 1);
}

static void read_item(lua_State *L, enum clo_verb verb,
                      struct clo_attachment *item, size_t place,
                      struct clo_violations *violations) {
  struct clo_value what;
  if (lua_type(L, -1) == LUA_TTABLE) {
    item->type = CLO_OBJECT;
    read_item_fields(L, verb, item, place, violations);
    return;
  }
  memset(&what, 0, sizeof what);
  lclo_read_value(L, &what);
  item->type = what.type == CLO_OBJECT ? CLO_ABSENT : what.type;
  item->type_name = what.type == CLO_OBJECT ? what.data : NULL;
}

/* Reads the list on top of the stack; a copy of it takes its place. */
static void read_attachments(lua_State *L, struct clo_sms *sms,
                             struct clo_violations *violations) {
  struct clo_value *value = &sms->field[CLO_SMS_ATTACHMENTS];
  struct clo_attachment *items;
  const char *why;
  long i, count = lclo_sequence_length(L, &why);
  if (count < 0) {
    lclo_name_value(value, why);
    return;
  }
  items = lclo_new_items(L, (size_t)count, sizeof *items);
  lclo_keep(L, KEPT);
  lua_pop(L, 1);
  lua_createtable(L, (int)count, 0);
  for (i = 0; i < count; i++) {
    lua_rawgeti(L, -2, (int)(i + 1));
    read_item(L, sms->verb, &items[i], (size_t)(i + 1), violations);
    lua_rawseti(L, -2, (int)(i + 1));
  }
  lua_replace(L, PLACES + CLO_SMS_ATTACHMENTS);
  value->type = CLO_LIST;
  sms->attachments = items;
  sms->attachment_count = (size_t)count;
}

/* Puts a field's value into the body; a date that is a number becomes a string,
 * a null JSON's null. */
static void put_in_body(lua_State *L, int at, const struct clo_value *value) {
  char date[CLO_RFC3339_SIZE];
  lua_pushvalue(L, NAMES + at);
  if (value->type == CLO_NULL)
    lua_pushlightuserdata(L, NULL);
  else if (value->type == CLO_NUMBER &&
           clo_sms_fields[at].kind == CLO_KIND_DATE)
    lua_pushlstring(L, date, clo_rfc3339_write(value->number, date));
  else
    lua_pushvalue(L, PLACES + at);
  lua_rawset(L, BODY);
}

/* extra = {...}: the body gets its members as they are. They are put there
 * last, so that they replace others. Returns how many there are. */
static int check_extra(lua_State *L, struct clo_violations *violations) {
  int count = 0;
  if (lua_type(L, EXTRA) != LUA_TTABLE) {
    clo_violations_add(violations, "extra", "type",
                       "extra must be a table of further body fields");
    return 0;
  }
  lua_pushnil(L);
  while (lua_next(L, EXTRA)) {
    lua_pop(L, 1);
    if (count < EXTRA_MAX) count++;
    if (lua_type(L, -1) == LUA_TSTRING) continue;
    lua_pop(L, 1);
    clo_violations_add(violations, "extra", "type",
                       "the keys of extra must be strings: the names of "
                       "further body fields");
    return 0;
  }
  return count;
}

/* The body has room for them, so that nothing is allocated meanwhile. */
static void merge_extra(lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, EXTRA)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, BODY);
  }
}

static void read_field(lua_State *L, int at, struct clo_sms *sms,
                       struct clo_violations *violations) {
  lua_pushvalue(L, PLACES + at);
  if (clo_sms_fields[at].kind == CLO_KIND_LIST &&
      lua_type(L, -1) == LUA_TTABLE)
    read_attachments(L, sms, violations);
  else
    lclo_read_value(L, &sms->field[at]);
  lua_pop(L, 1);
}

/* Pushes the body of what was given. It has room for what is put there. */
static void push_body(lua_State *L, const struct clo_sms *sms,
                      const char *is_given, int extras) {
  int at, given = 0;
  for (at = 0; at < CLO_SMS_FIELDS; at++) given += is_given[at];
  lua_createtable(L, 0, given + extras);
  for (at = 0; at < CLO_SMS_FIELDS; at++) {
    if (is_given[at] && !clo_sms_fields[at].query)
      put_in_body(L, at, &sms->field[at]);
  }
  if (extras) merge_extra(L);
}

/* A draft's id stands beside the fields of what is sent; Lua checks it. */
static int is_draft_id(const struct clo_sms *sms, const char *name,
                       size_t len) {
  return sms->verb == CLO_SEND_DRAFT && len == 8 &&
         memcmp(name, "draft_id", 8) == 0;
}

/* Goes through params; says which places were filled. */
static void find_fields(lua_State *L, const struct clo_sms *sms,
                        char *is_given, struct clo_violations *violations) {
  lua_pushnil(L);
  while (lua_next(L, PARAMS)) {
    size_t len = 0;
    const char *name = lclo_key_name(L, &len);
    int at = name ? clo_sms_find(name, len) : -1;
    if (at >= 0) {
      is_given[at] = 1;
      lua_replace(L, PLACES + at);
      lua_pushvalue(L, -1);
      lua_replace(L, NAMES + at);
    } else if (name && len == 5 && memcmp(name, "extra", 5) == 0) {
      lua_replace(L, EXTRA);
    } else {
      if (!name || !is_draft_id(sms, name, len))
        clo_sms_unknown(sms->verb, name ? name : LCLO_NO_NAME,
                        name ? len : sizeof LCLO_NO_NAME - 1, 0, violations);
      lua_pop(L, 1);
    }
  }
}

/* Reads all of params; returns how many members extra has. */
static int read_params(lua_State *L, struct clo_sms *sms, char *is_given,
                       struct clo_violations *violations) {
  int at;
  find_fields(L, sms, is_given, violations);
  for (at = 0; at < CLO_SMS_FIELDS; at++)
    if (is_given[at]) read_field(L, at, sms, violations);
  return lua_isnil(L, EXTRA) ? 0 : check_extra(L, violations);
}

/* Whether the body has strings alone, and will not be too large as JSON, where
 * a byte becomes six at most (RFC 8259, 7). */
static int is_plain(const struct clo_sms *sms, const char *is_given) {
  int at;
  for (at = 0; at < CLO_SMS_FIELDS; at++)
    if (is_given[at] && !clo_sms_fields[at].query &&
        sms->field[at].type != CLO_STRING)
      return 0;
  return clo_sms_bytes(sms) <= CLO_BODY_MAX / 6 - 1024;
}

/* validate(params, host_null, verb|nil) -> body, query|nil, bytes, is_plain
 *                                   | nil, errors, unlisted
 * verb is "create" by default, "update", "send" or "send_draft" */
static int validate(lua_State *L) {
  static const char *const verbs[] = {"create", "update", "send", "send_draft",
                                      NULL}; /* as in enum clo_verb */
  static const char *const examples[] = {
      "status = \"outbox\"", "text = \"Hello\"",
      "remote_phone = \"+14154445555\"", "draft_id = \"acti_...\""};
  struct clo_violations *violations;
  struct lclo_held *held;
  struct clo_sms sms;
  char is_given[CLO_SMS_FIELDS] = {0};
  int extras = 0;
  memset(&sms, 0, sizeof sms);
  luaL_checkstack(L, BODY + LUA_MINSTACK, "too many fields");
  lua_settop(L, VERB);
  sms.verb = (enum clo_verb)luaL_checkoption(L, VERB, "create", verbs);
  lua_settop(L, HELD - 1);
  held = lclo_take_held(L);
  violations = &held->violations;
  if (lua_type(L, PARAMS) == LUA_TTABLE) {
    extras = read_params(L, &sms, is_given, violations);
    clo_sms_check(&sms, violations);
  } else {
    clo_violations_add(violations, "params", "type",
                       "params must be a table such as {%s, ...}, got %s",
                       examples[sms.verb], lclo_type_name(L, PARAMS));
  }
  if (lclo_refuse(L, held)) return 3;
  push_body(L, &sms, is_given, extras);
  if (sms.field[CLO_SMS_SEND_TO_INBOX].boolean)
    lua_pushliteral(L, "?send_to_inbox=true");
  else
    lua_pushnil(L);
  lua_pushnumber(L, clo_sms_bytes(&sms));
  lua_pushboolean(L, !extras && is_plain(&sms, is_given));
  return 4;
}

void lclo_push_validate(lua_State *L) {
  lclo_push_with_held(L, validate);
}

/* ---- the tables, for specs and documentation ---- */

const char *lclo_kind_name(enum clo_kind kind) {
  static const char *const names[] = {"string",  "phone", "date",
                                      "enum",    "number", "boolean",
                                      "list",    "count",  "words"};
  return names[kind];
}

static void push_fields(lua_State *L, const struct clo_field *fields, int n) {
  int i, v;
  lua_createtable(L, n, 0);
  for (i = 0; i < n; i++) {
    lua_createtable(L, 0, 7);
    lua_pushstring(L, fields[i].name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, lclo_kind_name(fields[i].kind));
    lua_setfield(L, -2, "kind");
    lua_pushboolean(L, fields[i].required);
    lua_setfield(L, -2, "required");
    lua_pushboolean(L, fields[i].nullable);
    lua_setfield(L, -2, "nullable");
    lua_pushboolean(L, fields[i].query);
    lua_setfield(L, -2, "query");
    lua_pushboolean(L, fields[i].update);
    lua_setfield(L, -2, "update");
    if (fields[i].values) {
      lua_newtable(L);
      for (v = 0; fields[i].values[v]; v++) {
        lua_pushstring(L, fields[i].values[v]);
        lua_rawseti(L, -2, v + 1);
      }
      lua_setfield(L, -2, "values");
    }
    lua_rawseti(L, -2, i + 1);
  }
}

int lclo_fields(lua_State *L) {
  push_fields(L, clo_sms_fields, CLO_SMS_FIELDS);
  push_fields(L, clo_attachment_fields, CLO_ATTACHMENT_FIELDS);
  return 2;
}
