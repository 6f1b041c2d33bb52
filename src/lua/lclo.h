/* What the glue's files share. Each opener leaves one value on the stack.
 *
 * The rule for all of them. A call of Lua's API that may allocate (it makes a
 * string, a table, a userdata or a function, or sets a key) may raise an error.
 * It may also run finalizers, and those may do anything: close the engine,
 * change the caller's tables, call the very function that we are in. So:
 *
 * 1. Borrowed bytes (a string's, a userdata's) are kept until their last use, on
 *    our stack or in a table that nobody else has. The caller's tables do not
 *    keep them.
 * 2. A caller's table is gone through without such a call in between; what is
 *    found goes to places on the stack that were made before.
 * 3. A pointer to the engine, or into it, is fetched after the last such call
 *    that comes before its use, and is not used after the next one.
 * 4. What C owns belongs to a userdata, or such calls run under lua_pcall.
 * 5. Between a change of the engine and the return of what it came to there is
 *    no such call; what cannot be returned is put back. */
#ifndef LCLO_H
#define LCLO_H

#include "lclo_compat.h"

#include "clo_engine.h"
#include "clo_sms.h"

/* ---- reading a caller's table: lclo_read.c ---- */

/* Where functions that do so have the table, and the host's own null. */
enum { LCLO_PARAMS = 1, LCLO_NULL2 };

/* Makes of value one that is called so in a sentence. */
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

/* "string", "date", ... */
const char *lclo_kind_name(enum clo_kind kind);

/* ---- the openers ---- */

/* The function filters(filters, null2), and the function filter_fields() -> a
 * list of {name, kind, plain}: lclo_filter.c. */
void lclo_push_filters(lua_State *L);
int lclo_filter_fields(lua_State *L);

/* The function validate(params, null2, verb): lclo_sms.c. */
void lclo_push_validate(lua_State *L);

/* The function check_upload(info, null2): lclo_upload.c. */
void lclo_push_check_upload(lua_State *L);

/* The function fields() -> those of an SMS, those of an attachment, each a list
 * of {name, kind, required, nullable, query, update, values}: lclo_sms.c. */
int lclo_fields(lua_State *L);

/* The function engine(config) that makes an engine: lclo_engine.c. */
void lclo_push_engine(lua_State *L);

/* Pushes a done transfer's response (or nil) and its failure (or nil):
 * lclo_answer.c. */
void lclo_push_answer(lua_State *L, const struct clo_transfer *transfer);

/* Pushes an event as the table that on_event gets. */
void lclo_push_event(lua_State *L, const struct clo_event *event);

/* The function clean(value), which takes JSON's nulls out of a decoded value:
 * lclo_answer.c. */
int lclo_clean(lua_State *L);

/* The function readable_json(text), which gives the text of an answer as
 * lua-cjson is to read it: lclo_answer.c. */
int lclo_readable_json(lua_State *L);

/* The function segments(text) -> how the text travels as SMS; nil and the place
 * of the first byte that is not UTF-8: lclo_segments.c. */
int lclo_segments(lua_State *L);

#endif
