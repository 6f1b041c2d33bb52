/* Reads a caller's table into the core's struct clo_sms, and makes from it the
 * body that is sent. The table is read raw: no metamethod of the caller's runs,
 * and nothing in it is changed. */
#include "lclo.h"

#include <string.h>

#include "clo_format.h"
#include "clo_sms.h"

/* The arguments of validate(params, null2, verb), and the body being made. */
enum { PARAMS = LCLO_PARAMS, VERB = LCLO_NULL2 + 1, BODY };

static void read_item(lua_State *L, struct clo_attachment *item, size_t place,
                      struct clo_violations *violations) {
  struct clo_value what;
  memset(item, 0, sizeof *item);
  if (lua_type(L, -1) != LUA_TTABLE) {
    memset(&what, 0, sizeof what);
    lclo_read_value(L, &what);
    item->type = what.type == CLO_OBJECT ? CLO_ABSENT : what.type;
    item->type_name = what.type == CLO_OBJECT ? what.data : NULL;
    return;
  }
  item->type = CLO_OBJECT;
  item->type_name = NULL;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    size_t len = 0;
    const char *name = lclo_key_name(L, &len);
    int field = name ? clo_attachment_find(name, len) : -1;
    if (field >= 0)
      lclo_read_value(L, &item->field[field]);
    else
      clo_sms_unknown(name ? name : "[a key that is not a string]",
                      name ? len : 28, place, violations);
    lua_pop(L, 1);
  }
}

/* Reads the list on top of the stack; its items live in a userdata that is
 * pushed below it and stays until validate returns. */
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
  items = lclo_new_items(L, count, sizeof *items);
  lua_insert(L, BODY + 1); /* out of the way, and kept */
  for (i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)(i + 1));
    read_item(L, &items[i], (size_t)(i + 1), violations);
    lua_pop(L, 1);
  }
  value->type = CLO_LIST;
  sms->attachments = items;
  sms->attachment_count = (size_t)count;
}

/* Puts the value on top of the stack into the body under the key below it; a
 * date that is a number becomes a string, a null JSON's null. */
static void put_in_body(lua_State *L, const struct clo_field *field,
                        const struct clo_value *value) {
  char date[CLO_RFC3339_SIZE];
  lua_pushvalue(L, -2);
  if (value->type == CLO_NULL)
    lua_pushlightuserdata(L, NULL);
  else if (value->type == CLO_NUMBER && field->kind == CLO_KIND_DATE)
    lua_pushlstring(L, date, clo_rfc3339_write(value->number, date));
  else
    lua_pushvalue(L, -2);
  lua_rawset(L, BODY);
}

/* extra = {...}: the body gets its members as they are. They are put there
 * last, so that they win. */
static void check_extra(lua_State *L, struct clo_violations *violations) {
  if (lua_type(L, -1) != LUA_TTABLE) {
    clo_violations_add(violations, "extra", "type",
                       "extra must be a table of further body fields");
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) continue;
    lua_pop(L, 1);
    clo_violations_add(violations, "extra", "type",
                       "the keys of extra must be strings: the names of "
                       "further body fields");
    return;
  }
}

static void merge_extra(lua_State *L) {
  lua_pushliteral(L, "extra");
  lua_rawget(L, PARAMS);
  if (lua_type(L, -1) == LUA_TTABLE) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, BODY);
    }
  }
  lua_pop(L, 1);
}

static void read_field(lua_State *L, int at, struct clo_sms *sms,
                       struct clo_violations *violations) {
  const struct clo_field *field = &clo_sms_fields[at];
  struct clo_value *value = &sms->field[at];
  if (field->kind == CLO_KIND_LIST && lua_type(L, -1) == LUA_TTABLE)
    read_attachments(L, sms, violations);
  else
    lclo_read_value(L, value);
  if (!field->query) put_in_body(L, field, value);
}

/* A draft's id stands beside the fields of what is sent; Lua checks it. */
static int is_draft_id(const struct clo_sms *sms, const char *name,
                       size_t len) {
  return sms->verb == CLO_SEND_DRAFT && len == 8 &&
         memcmp(name, "draft_id", 8) == 0;
}

/* Reads all of params; returns whether it has an extra. */
static int read_params(lua_State *L, struct clo_sms *sms,
                       struct clo_violations *violations) {
  int extra = 0;
  lua_pushnil(L);
  while (lua_next(L, PARAMS)) {
    size_t len = 0;
    const char *name = lclo_key_name(L, &len);
    int at = name ? clo_sms_find(name, len) : -1;
    if (at >= 0) {
      read_field(L, at, sms, violations);
    } else if (name && len == 5 && memcmp(name, "extra", 5) == 0) {
      extra = 1;
      check_extra(L, violations);
    } else if (!name || !is_draft_id(sms, name, len)) {
      clo_sms_unknown(name ? name : "[a key that is not a string]",
                      name ? len : 28, 0, violations);
    }
    lua_pop(L, 1);
  }
  return extra;
}

/* validate(params, null2, verb|nil) -> body, send_to_inbox, bytes
 *                                   | nil, errors, unlisted
 * verb is "create" unless told, "update", "send" or "send_draft" */
static int validate(lua_State *L) {
  static const char *const verbs[] = {"create", "update", "send", "send_draft",
                                      NULL}; /* as in enum clo_verb */
  struct clo_violations *violations;
  struct lclo_held *held;
  struct clo_sms sms;
  int extra = 0;
  memset(&sms, 0, sizeof sms);
  lua_settop(L, 3);
  sms.verb = (enum clo_verb)luaL_checkoption(L, VERB, "create", verbs);
  lua_createtable(L, 0, 10);
  held = lclo_take_held(L);
  violations = &held->violations;
  if (lua_type(L, PARAMS) == LUA_TTABLE) {
    extra = read_params(L, &sms, violations);
    clo_sms_check(&sms, violations);
  } else {
    clo_violations_add(violations, "params", "type",
                       "params must be a table such as {status = \"outbox\", "
                       "...}, got %s", luaL_typename(L, PARAMS));
  }
  if (lclo_refuse(L, held)) return 3;
  if (extra) merge_extra(L);
  lua_pushvalue(L, BODY);
  lua_pushboolean(L, sms.field[CLO_SMS_SEND_TO_INBOX].boolean);
  lua_pushnumber(L, clo_sms_bytes(&sms));
  return 3;
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
