#!/bin/sh
# Runs a command against a sandbox that lives as long as it does: nothing is sent
# to anybody. LUA is the command's Lua, LuaJIT unless told.
#   [LUA=lua5.4] examples/with_sandbox.sh COMMAND [ARGUMENT...]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
LUA=${LUA:-luajit}
make -s -C "$root" build LUA="$LUA"
eval "$(make -s -C "$root" env LUA="$LUA")"

dir=$(mktemp -d)
mkfifo "$dir/alive" "$dir/ready"
# It ends with its standard input, which the command holds open as number 9.
lua5.4 -e '
  assert(require("close.sandbox").serve {
    port = 0, watch_stdin = true,
    on_ready = function(server)
      io.stdout:write(server.url, "\n")
      io.stdout:flush()
    end,
  })' <"$dir/alive" >"$dir/ready" 9>&- &
exec 9>"$dir/alive"
read -r CLOSE_BASE_URL <"$dir/ready"
rm -r "$dir"

export CLOSE_BASE_URL CLOSE_API_KEY=api_sandbox
unset CLOSE_ACCESS_TOKEN
exec "$@"
