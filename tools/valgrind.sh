#!/bin/sh
# The main job under valgrind: no error, no byte lost.
#   tools/valgrind.sh LUA
set -eu
cd "$(dirname "$0")/.."
eval "$(make -s env LUA="$1")"
exec valgrind --quiet --error-exitcode=9 --leak-check=full \
  --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite \
  "$1" spec/support/smoke.lua 50
