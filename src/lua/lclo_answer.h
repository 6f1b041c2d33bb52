/* What came back, as Lua values. */
#ifndef LCLO_ANSWER_H
#define LCLO_ANSWER_H

#include "clo_transfer.h"
#include "lclo_compat.h"

/* To be called once for a Lua state, before any answer is pushed. */
void lclo_begin_answers(lua_State *L);

/* Pushes a done transfer's response (or nil) and its failure (or nil). */
void lclo_push_answer(lua_State *L, const struct clo_transfer *transfer);

/* Pushes an event as the table that on_event gets. */
void lclo_push_event(lua_State *L, const struct clo_event *event);

/* The function clean(value), which takes JSON's nulls out of a decoded value.
 * */
int lclo_clean(lua_State *L);

/* The function readable_json(text), which gives the text of an answer as
 * lua-cjson is to read it. */
int lclo_readable_json(lua_State *L);

#endif
