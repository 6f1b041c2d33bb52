/* The filters of a list. Each opener leaves one value on the stack. */
#ifndef LCLO_FILTER_H
#define LCLO_FILTER_H

#include "lclo_compat.h"

/* The function filters(filters, host_null). */
void lclo_push_filters(lua_State *L);

/* The function filter_fields() -> a list of {name, kind, plain}. */
int lclo_filter_fields(lua_State *L);

#endif
