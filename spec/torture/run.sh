#!/bin/sh
# The allocation tests: every scenario of scenarios.lua, with Lua's allocations
# and with C's. All of them, and every allocation, unless told.
#   run.sh [STEP [LUA,LUA... [lua|c [SCENARIO,SCENARIO...]]]]
set -u
cd "$(dirname "$0")/../.." || exit
step=${1:-1} luas=${2:-lua5.4,luajit} kinds=${3:-lua,c}
scenarios=${4:-new,create,create_async,poll,send,send_async,poll_send}
[ $# -ge 4 ] ||
  scenarios=$scenarios,draft,poll_draft,request,list,each,each_async
[ $# -ge 4 ] || scenarios=$scenarios,poll_each,upload,token,cancel,wrong
words() { echo "$1" | tr , ' '; }

work=$(mktemp -d)
mkfifo "$work/in"
trap 'rm -rf "$work"' EXIT
eval "$(make -s --no-print-directory env LUA=lua5.4)"
lua5.4 spec/torture/server.lua <"$work/in" >"$work/port" &
exec 3>"$work/in" # the server ends with us
turns=0
while [ ! -s "$work/port" ] && [ "$turns" -lt 200 ]; do
  sleep 0.05
  turns=$((turns + 1))
done
url=http://127.0.0.1:$(cat "$work/port")

failed=0
for lua in $(words "$luas"); do
  eval "$(make -s --no-print-directory env LUA="$lua")"
  for kind in $(words "$kinds"); do
    echo "$lua, $kind:"
    for scenario in $(words "$scenarios"); do
      "build/torture/$lua" "$scenario" "$kind" "$step" 1 "$url" || failed=1
    done
  done
done
exec 3>&-
wait
exit "$failed"
