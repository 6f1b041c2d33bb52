/* A library that uses its own functions, whatever the host has. */
#ifndef LCLO_APART_H
#define LCLO_APART_H

#include "lclo_compat.h"

int lclo_load_apart(lua_State *L);

#endif
