/* What a caller says of a file to upload. */
#ifndef LCLO_UPLOAD_H
#define LCLO_UPLOAD_H

#include "lclo_compat.h"

/* Pushes the function check_upload(info, host_null). */
void lclo_push_check_upload(lua_State *L);

#endif
