#!/bin/sh
# make install into a fresh prefix, for each Lua, and the main job from there.
set -eu
cd "$(dirname "$0")/.."
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
smoke=$PWD/spec/support/smoke.lua
for lua in lua5.1 lua5.2 lua5.3 lua5.4 luajit; do
  make -s install LUA="$lua" PREFIX="$prefix"
  version=${lua#lua}
  [ "$lua" != luajit ] || version=5.1
  (cd / && LUA_PATH="$prefix/share/lua/$version/?.lua;;" \
    LUA_CPATH="$prefix/lib/lua/$version/?.so;;" "$lua" "$smoke")
done
[ -x "$prefix/bin/close-sandbox" ]
