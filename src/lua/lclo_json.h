/* JSON as it nearly always comes, read into Lua tables. */
#ifndef LCLO_JSON_H
#define LCLO_JSON_H

#include "lclo_compat.h"

/* plain_json(text) -> table, is_object; nothing where the text is no plain
 * object or array: it is no JSON, or nested deeply, or there is a fraction, a
 * long number or half an emoji in it. */
int lclo_plain_json(lua_State *L);

#endif
