#!/bin/sh
# The rock: lint, made into a fresh tree for each Lua that luarocks serves, and
# used from there alone. The dependencies are the system's.
set -eu
cd "$(dirname "$0")/.."
tree=$(mktemp -d)
copy=$(mktemp -d)
trap 'rm -rf "$tree" "$copy"' EXIT

luarocks lint close-scm-1.rockspec
tar cf - --exclude=./build --exclude=./.git . | tar xf - -C "$copy"

# A module that the rockspec forgets would be missed by its users only.
listed=$(grep -c '"lua/close.*\.lua"' close-scm-1.rockspec)
there=$(find lua -name '*.lua' | wc -l)
[ "$listed" -eq "$there" ] ||
  { echo "the rockspec lists $listed Lua files of $there"; exit 1; }
for source in src/*/*.c; do
  grep -q "\"$source\"" close-scm-1.rockspec ||
    { echo "the rockspec lacks $source"; exit 1; }
done

for version in 5.1 5.2 5.3 5.4; do
  (cd "$copy" && luarocks --lua-version="$version" --tree="$tree" make \
    --deps-mode=none close-scm-1.rockspec)
  (cd / && LUA_PATH="$tree/share/lua/$version/?.lua;;" \
    LUA_CPATH="$tree/lib/lua/$version/?.so;;" \
    "lua$version" "$copy/spec/support/smoke.lua")
  [ -f "$tree/share/lua/$version/close/types.lua" ]
done
"$tree/bin/close-sandbox" --help
