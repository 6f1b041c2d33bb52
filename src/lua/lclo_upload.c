/* Reads what a caller says of a file to upload into the core's struct
 * clo_upload. */
#include "lclo_upload.h"

#include <string.h>

#include "clo_unknown.h"
#include "clo_upload.h"
#include "lclo_read.h"

/* Nothing is allocated from here to the end of the check, so what is borrowed
 * needs no keeping. */
static void read_upload(lua_State *L, struct clo_upload *upload,
                        struct clo_violations *violations) {
  lua_pushnil(L);
  while (lua_next(L, LCLO_PARAMS)) {
    size_t len = 0;
    const char *name = lclo_key_name(L, &len);
    int field = name ? clo_attachment_find(name, len) : -1;
    if (field == CLO_ATTACHMENT_CONTENT_TYPE)
      lclo_read_value(L, &upload->content_type);
    else if (field == CLO_ATTACHMENT_FILENAME)
      lclo_read_value(L, &upload->filename);
    else
      clo_upload_unknown(name ? name : LCLO_NO_NAME,
                         name ? len : sizeof LCLO_NO_NAME - 1, violations);
    lua_pop(L, 1);
  }
}

/* check_upload(info, host_null) -> true | nil, errors, unlisted */
static int check_upload(lua_State *L) {
  struct clo_upload upload;
  struct lclo_held *held;
  memset(&upload, 0, sizeof upload);
  luaL_checktype(L, LCLO_PARAMS, LUA_TTABLE);
  lua_settop(L, 2);
  held = lclo_take_held(L);
  read_upload(L, &upload, &held->violations);
  clo_upload_check(&upload, &held->violations);
  if (lclo_refuse(L, held)) return 3;
  lua_pushboolean(L, 1);
  return 1;
}

void lclo_push_check_upload(lua_State *L) {
  lclo_push_with_held(L, check_upload);
}
