#!/bin/sh
# Starts the server of the measurements, measures, stops it.
#   tools/bench.sh LUA
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'bench/server.sh stop "$dir"' EXIT
eval "$(bench/server.sh start "$dir")"
eval "$(make -s env LUA="$1")"
ulimit -n 8192 2>/dev/null || : # a thousand connections
lua5.4 bench/bench.lua "$1" build/curl_post
"$1" bench/pacing.lua
# Neovim's Lua and nginx's is LuaJIT.
(eval "$(make -s env LUA=luajit)"
 nvim --headless --clean -S bench/hosts_neovim.lua)
bench/nginx_host.sh build/load 3 3
