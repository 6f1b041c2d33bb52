#!/bin/sh
# The rock: lint, made into a tree in a copy of the checkout for each Lua that
# luarocks serves, and used from there alone. The dependencies are the system's.
# Then that git ignores what was made, and that make clean removes it.
set -eu
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
tree=$copy/lua_modules
trap 'rm -rf "$copy"' EXIT

luarocks lint close-scm-1.rockspec
tar cf - --exclude=./build --exclude=./.git . | tar xf - -C "$copy"
export GIT_CONFIG_GLOBAL=/dev/null
git -C "$copy" init -q
git -C "$copy" add .

# A module that the rockspec forgets would be missed by its users only.
listed=$(grep -c '"lua/close.*\.lua"' close-scm-1.rockspec)
there=$(find lua -name '*.lua' | wc -l)
[ "$listed" -eq "$there" ] ||
  { echo "the rockspec lists $listed Lua files of $there"; exit 1; }
for source in src/*/*.c; do
  grep -q "\"$source\"" close-scm-1.rockspec ||
    { echo "the rockspec lacks $source"; exit 1; }
done

# Nobody gets a stranger's code from an address that is not known to be ours.
if grep '://' close-scm-1.rockspec | grep -v 'git+file:///path/to/close'; then
  echo "the rockspec names an address"
  exit 1
fi

for version in 5.1 5.2 5.3 5.4; do
  (cd "$copy" && luarocks --lua-version="$version" --tree="$tree" make \
    --deps-mode=none close-scm-1.rockspec)
  (cd / && LUA_PATH="$tree/share/lua/$version/?.lua;;" \
    LUA_CPATH="$tree/lib/lua/$version/?.so;;" \
    "lua$version" "$copy/spec/support/smoke.lua")
  [ -f "$tree/share/lua/$version/close/types.lua" ]
done
"$tree/bin/close-sandbox" --help

cd "$copy"
if git ls-files --others --exclude-standard | grep .; then
  echo 'git does not ignore these'
  exit 1
fi
make -s clean
if git ls-files --others | grep .; then
  echo 'make clean does not remove these'
  exit 1
fi
git diff --exit-code
