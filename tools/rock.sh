#!/bin/sh
# The two rocks: lint, each made into a tree of its own in a copy of the checkout
# for the oldest and the newest Lua, and used from there alone and together (all
# others differ in no more than the compiler's -I, which `make build` has, too).
# The dependencies are the system's. Then that git ignores what was made, and
# that make clean removes it.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
copy=$dir/checkout
close=$copy/lua_modules/close
sandbox=$copy/lua_modules/sandbox
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

for spec in close-scm-1.rockspec close-sandbox-scm-1.rockspec; do
  luarocks lint "$spec"
done
mkdir "$copy"
tar cf - --exclude=./build --exclude=./.git . | tar xf - -C "$copy"
export GIT_CONFIG_GLOBAL=/dev/null
git -C "$copy" init -q
git -C "$copy" add .

# A file that both rockspecs forget would be missed by users only.
find lua src -name '*.lua' -o -name '*.c' | sort >"$dir/there"
grep -ho '"\(lua\|src\)/[^"]*\.\(lua\|c\)"' ./*.rockspec | tr -d '"' | sort |
  diff "$dir/there" - || { echo 'the rockspecs list other files'; exit 1; }

# Nobody gets a stranger's code from an address that is not known to be ours.
if grep '://' ./*.rockspec | grep -v 'git+file:///path/to/close'; then
  echo "a rockspec names an address"
  exit 1
fi

# load PATH CPATH COMMAND...: a command that finds modules there.
load() {
  (cd / && export LUA_PATH="$1" LUA_CPATH="$2" && shift 2 && "$@")
}

# start VERSION: a sandbox from its rock alone; sets $server, and $variables
# for its clients. Its program has no path of its own with --deps-mode=none.
start() {
  : >"$dir/ready"
  (cd / && LUA_PATH="$sandbox/share/lua/$1/?.lua;;" \
    exec "$sandbox/bin/close-sandbox" --port 0 --quiet) >>"$dir/ready" &
  server=$!
  for _ in $(seq 100); do
    [ ! -s "$dir/ready" ] || break
    sleep 0.1
  done
  variables=$(sed 's/.*: export //' "$dir/ready")
}

stop() {
  kill "$server"
  server=
}

# cjson LUA DIRECTORY: puts the system's lua-cjson, and nothing else, there.
cjson() {
  mkdir "$2"
  ln -s "$("$1" -e 'for name in package.cpath:gmatch "[^;]+" do
    name = name:gsub("?", "cjson")
    if io.open(name) then print(name) break end
  end')" "$2/cjson.so"
}

# try_alone LUA VERSION: each rock without the other, and without LuaSocket.
try_alone() {
  cjson "$1" "$dir/$2"
  # shellcheck disable=SC2086 # two variables
  load "$close/share/lua/$2/?.lua" "$close/lib/lua/$2/?.so;$dir/$2/?.so" \
    env $variables "$1" -e 'local close = require "close"
      assert(not pcall(require, "socket"))
      assert(not pcall(require, "close.sandbox"))
      local sms, err = close.sms.send { text = "Hi",
        local_phone = "+14154445555", remote_phone = "+18183334444" }
      assert(sms and sms.text == "Hi", tostring(err))'
  load "$sandbox/share/lua/$2/?.lua" "$dir/$2/?.so" \
    "$1" -e 'local ok, problem = pcall(require, "close.sandbox")
      assert(not ok and problem:find "lua%-socket, or the rock luasocket")'
}

# Not optimized, which builds faster.
rock() {
  luarocks --lua-version="$version" make --deps-mode=none "$@" \
    CFLAGS='-O0 -fPIC'
}

for version in 5.1 5.4; do
  (cd "$copy" && rock --tree="$close" close-scm-1.rockspec &&
    rock --tree="$sandbox" close-sandbox-scm-1.rockspec)
  start "$version"
  try_alone "lua$version" "$version"
  stop
  load "$close/share/lua/$version/?.lua;$sandbox/share/lua/$version/?.lua;;" \
    "$close/lib/lua/$version/?.so;;" \
    "lua$version" "$copy/spec/support/smoke.lua"
  [ -f "$close/share/lua/$version/close/types.lua" ]
done

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
