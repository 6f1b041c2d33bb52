#!/bin/sh
# Calls from nginx: one worker, an upstream that takes 100 ms. Starts both on
# free ports of 127.0.0.1, measures, stops them.
#   bench/nginx_host.sh LOAD [SECONDS [ROUNDS]]   LOAD is bench/load.c's program
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
load=$1
dir=$(mktemp -d)

# Waits until nginx has removed its pid file, which it does at its end.
stop() {
  pid=$(cat "$dir/$1.pid" 2>/dev/null || :)
  [ -n "$pid" ] || return 0
  kill "$pid" 2>/dev/null || :
  n=0
  while [ -e "$dir/$1.pid" ] && [ "$n" -lt 100 ]; do
    sleep 0.05
    n=$((n + 1))
  done
}
clean_up() {
  stop host
  stop slow
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# A port below those that the system gives to clients.
random_port() {
  echo $((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
}

# Debian builds nginx's Lua in as two modules; elsewhere it may be static.
modules=
for module in ndk_http_module ngx_http_lua_module; do
  file=/usr/lib/nginx/modules/$module.so
  [ ! -f "$file" ] || modules="${modules}load_module $file; "
done
# Workers of another user could not reach the directory.
user=
[ "$(id -u)" -ne 0 ] || user='user root;'

# start NAME: fills in a template and starts nginx; a port may be taken.
start() {
  try=0
  while [ "$try" -lt 5 ]; do
    port=$(random_port)
    [ "$1" = host ] && host_port=$port || slow_port=$port
    sed -e "s|@MODULES@|$modules|; s|@USER@|$user|; s|@DIR@|$dir|" \
      -e "s|@ROOT@|$root|; s|@SLOW@|$slow_port|; s|@HOST@|${host_port-}|" \
      "$here/nginx_$1.conf.in" | sed -e "s|@ROOT@|$root|g" >"$dir/$1.conf"
    if nginx -p "$dir" -e "$dir/$1.log" -c "$dir/$1.conf" 2>"$dir/stderr"
    then return; fi
    try=$((try + 1))
  done
  cat "$dir/stderr" >&2
  exit 1
}

start slow
start host
master=$(cat "$dir/host.pid")
worker=$(tr -d ' ' <"/proc/$master/task/$master/children")
lua5.4 "$here/nginx_host.lua" "$load" "$host_port" "$worker" \
  "${2:-3}" "${3:-3}"
for log in slow host; do
  [ ! -s "$dir/$log.log" ] || { head -n 5 "$dir/$log.log" >&2; exit 1; }
done
