/* Reading what a caller hands in, and telling what is wrong with it. */
#ifndef LCLO_READ_H
#define LCLO_READ_H

#include "clo_value.h"
#include "clo_violations.h"
#include "lclo_compat.h"

/* Where functions that do so have the table, and the host's own null. */
enum { LCLO_PARAMS = 1, LCLO_HOST_NULL };

/* What error messages call a value of its type, such as "a table". */
const char *lclo_type_name(lua_State *L, int index);

/* Sets the type name that error messages use for value. */
void lclo_name_value(struct clo_value *value, const char *name);

/* Reads the scalar on top of the stack. */
void lclo_read_value(lua_State *L, struct clo_value *value);

/* The length of the sequence on top of the stack, or -1 where it is none; then
 * *why says so. A sequence has the keys 1 to n and no others. */
long lclo_sequence_length(lua_State *L, const char **why);

/* The name on top but one of the stack, or NULL where it is no string. */
const char *lclo_key_name(lua_State *L, size_t *len);

/* What a key that is no string is called. */
#define LCLO_NO_NAME "[a key that is not a string]"

/* Keeps the value on top of the stack in a table of our own at index, which is
 * nil until something is kept. */
void lclo_keep(lua_State *L, int index);

/* Raises lack of memory as Lua does: luaL_error would put a place before it. */
int lclo_no_memory(lua_State *L);

/* Pushes a userdata with room for count elements of size bytes, all zero, and
 * one more. */
void *lclo_new_items(lua_State *L, size_t count, size_t size);

/* A list of violations, and whether a call is at work with it. */
struct lclo_held {
  struct clo_violations violations;
  int in_use;
};

/* Pushes a function whose upvalue is such a list. */
void lclo_push_with_held(lua_State *L, lua_CFunction function);

/* Pushes the list for this call of such a function, which is the upvalue, so
 * that none is lost to an error of Lua's. */
struct lclo_held *lclo_take_held(lua_State *L);

/* Gives it back. Where something is wrong, pushes nil, the violations as a list
 * of {field, code, message}, how many more there are, and returns 3; otherwise
 * 0. Raises an error if out of memory. */
int lclo_refuse(lua_State *L, struct lclo_held *held);

#endif
