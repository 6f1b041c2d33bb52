/* What the glue's files share. Each opener leaves one value on the stack. */
#ifndef LCLO_H
#define LCLO_H

#include "lclo_compat.h"

#include "clo_engine.h"

/* The function validate(params, null2, verb): lclo_sms.c. */
void lclo_push_validate(lua_State *L);

/* The function check_upload(info, null2): lclo_sms.c. */
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

/* The function segments(text) -> how the text travels as SMS; nil and the place
 * of the first byte that is not UTF-8: lclo_segments.c. */
int lclo_segments(lua_State *L);

#endif
