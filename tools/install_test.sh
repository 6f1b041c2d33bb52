#!/bin/sh
# make install into a fresh prefix, for each Lua, and the main job from there;
# and that make env is added to what the user has set.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
smoke=$PWD/spec/support/smoke.lua
mkdir "$dir/theirs"
echo 'return "theirs"' >"$dir/theirs/theirs.lua"
echo 'error "not ours"' >"$dir/theirs/close.lua"

# try PREFIX LUA VERSION: what was installed there.
try() {
  (cd / && LUA_PATH="$1/share/lua/$3/?.lua;;" \
    LUA_CPATH="$1/lib/lua/$3/?.so;;" "$2" "$smoke" &&
    LUA_PATH="$1/share/lua/$3/?.lua;;" LUA_CPATH="$1/lib/lua/$3/?.so;;" \
    "$1/bin/close-sandbox" --help >/dev/null)
  [ "$(head -n 1 "$1/bin/close-sandbox")" = "#!$(command -v "$2")" ]
}

for lua in lua5.1 lua5.2 lua5.3 lua5.4 luajit; do
  prefix="$dir/a prefix"
  make -s install LUA="$lua" PREFIX="$prefix"
  version=${lua#lua}
  [ "$lua" != luajit ] || version=5.1
  try "$prefix" "$lua" "$version"
  for path in LUA_PATH "LUA_PATH_$(echo "$version" | tr . _)"; do
    # Lua 5.1 reads LUA_PATH alone.
    [ "$path" != LUA_PATH_5_1 ] || continue
    (export "$path=$dir/theirs/?.lua;;" && eval "$(make -s env LUA="$lua")" &&
      cd / && "$lua" -e 'assert(require "theirs" == "theirs")' "$smoke")
  done
done

# A Lua of another name, and a prefix below DESTDIR.
mkdir "$dir/bin"
ln -s "$(command -v lua5.4)" "$dir/bin/lua"
PATH="$dir/bin:$PATH" make -s install LUA=lua GLUE= \
  MODULE=build/lua5.4/close/core.so DESTDIR="$dir/stage" PREFIX=/usr
PATH="$dir/bin:$PATH" try "$dir/stage/usr" lua 5.4
