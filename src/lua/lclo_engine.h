/* The engine as a userdata. */
#ifndef LCLO_ENGINE_H
#define LCLO_ENGINE_H

#include "lclo_compat.h"

/* Pushes the function engine(config) that makes an engine. */
void lclo_push_engine(lua_State *L);

#endif
