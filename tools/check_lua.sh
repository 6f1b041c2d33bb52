#!/bin/sh
# Refuses a module that was compiled with the headers of another Lua.
#   tools/check_lua.sh MODULE LUA
# Where there is no program LUA, there is nothing to compare.
set -eu
command -v "$2" >/dev/null || exit 0
compiled=$(grep -ao 'compiled for Lua [0-9.]*' "$1" | head -n 1)
compiled=${compiled#compiled for }
runs=$("$2" -e 'print(_VERSION)')
[ "$compiled" != "$runs" ] || exit 0
echo "$1 was compiled with the headers of $compiled, but the program $2 is" \
  "$runs. Give the name of one Lua that has both, such as" \
  "LUA=lua${runs#Lua }, or the directory of the headers of $runs:" \
  "LUA_INCDIR=DIRECTORY" >&2
exit 1
