#!/bin/sh
# The allocation tests: every scenario of scenarios.lua, with Lua's allocations
# and with C's. All of them, and every allocation, unless told.
#   run.sh [STEP [LUA,LUA... [KIND,KIND... [SCENARIO,SCENARIO...]]]]
# Those over TLS are named tls_ and, with HTTP/2, h2_. KIND is lua, lasting, c or
# tls. Not among the usual ones are
#   tls: OpenSSL's allocations. OpenSSL 3.0 may refuse all later connections
#     after one of them has failed;
#   tls_many: libcurl 7.88 may free a host's name twice where memory lacks while
#     it keeps a TLS session (Curl_ssl_addsessionid).
# Of some 10,000 allocations of poll_each that failed with lasting, one ended
# LuaJIT (2.1-20230119) by signal 11: with no C function called, its interpreter
# took a Lua function with varargs for one of C.
set -u
cd "$(dirname "$0")/../.." || exit
step=${1:-1} luas=${2:-lua5.4,luajit} kinds=${3:-lua,lasting,c}
scenarios=${4:-new,create,create_async,poll,send,send_async,poll_send}
[ $# -ge 4 ] ||
  scenarios=$scenarios,draft,poll_draft,request,list,each,each_async
[ $# -ge 4 ] || scenarios=$scenarios,poll_each,upload,token,cancel,wrong
# Not in a sample: h2_new was seen to fail with libcurl 8.14.
[ $# -ge 4 ] || [ "$step" -gt 1 ] ||
  scenarios=$scenarios,tls_create,tls_poll,tls_new,h2_create,h2_poll,h2_new
words() { echo "$1" | tr , ' '; }

# is_wanted LUA KIND SCENARIO: TLS makes no difference for Lua, nor Lua for TLS.
is_wanted() {
  case $1,$2,$3 in
    *,lua,tls_* | *,lua,h2_* | *,lasting,tls_* | *,lasting,h2_*) return 1 ;;
    luajit,*,tls_* | luajit,*,h2_*) return 1 ;;
    *,tls,tls_* | *,tls,h2_*) return 0 ;;
    *,tls,*) return 1 ;;
  esac
}

case ,$scenarios in
  *,tls_* | *,h2_*) front=tls ;;
  *) front= ;;
esac
[ "$kinds" != lua ] || front=
work=$(mktemp -d)
mkfifo "$work/in"
trap 'rm -rf "$work"' EXIT
eval "$(make -s --no-print-directory env LUA=lua5.4)"
lua5.4 spec/torture/server.lua $front <"$work/in" >"$work/addresses" &
exec 3>"$work/in" # the server ends with us
turns=0
while [ ! -s "$work/addresses" ] && [ "$turns" -lt 600 ]; do
  sleep 0.05
  turns=$((turns + 1))
done
addresses=$(cat "$work/addresses")

failed=0
for lua in $(words "$luas"); do
  eval "$(make -s --no-print-directory env LUA="$lua")"
  for kind in $(words "$kinds"); do
    echo "$lua, $kind:"
    for scenario in $(words "$scenarios"); do
      is_wanted "$lua" "$kind" "$scenario" || continue
      "build/torture/$lua" "$scenario" "$kind" "$step" 1 "$addresses" ||
        failed=1
    done
  done
done
exec 3>&-
wait
exit "$failed"
