/* How a text travels as SMS. */
#ifndef LCLO_SEGMENTS_H
#define LCLO_SEGMENTS_H

#include "lclo_compat.h"

/* The function segments(text) -> how the text travels as SMS; nil and the place
 * of the first byte that is not UTF-8. */
int lclo_segments(lua_State *L);

#endif
