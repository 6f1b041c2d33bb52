/* The fields of an SMS. */
#ifndef LCLO_SMS_H
#define LCLO_SMS_H

#include "clo_value.h"
#include "lclo_compat.h"

/* Pushes the function validate(params, host_null, verb). */
void lclo_push_validate(lua_State *L);

/* The function fields() -> those of an SMS, those of an attachment, each a list
 * of {name, kind, required, nullable, query, update, values}. */
int lclo_fields(lua_State *L);

/* "string", "date", ... */
const char *lclo_kind_name(enum clo_kind kind);

#endif
