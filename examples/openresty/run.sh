#!/bin/sh
# Serves the form until Ctrl-C: against a sandbox, where nothing is sent to
# anybody; or, with CLOSE_API_KEY set, against Close, from CLOSE_LOCAL_PHONE.
# CLOSE_COUNTRY_CODES has the countries that are texted ("+1 +44"); +1 if unset.
#   examples/openresty/run.sh [PORT]
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/local/openresty/nginx/sbin
here=$(cd "$(dirname "$0")" && pwd)

if [ -z "${CLOSE_API_KEY-}${CLOSE_ACCESS_TOKEN-}" ]; then
  export CLOSE_LOCAL_PHONE="${CLOSE_LOCAL_PHONE:-+14154445555}"
  exec "$here/../with_sandbox.sh" "$here/run.sh" "$@"
fi
if [ -z "${CLOSE_LOCAL_PHONE-}" ]; then
  echo 'set CLOSE_LOCAL_PHONE to a number of your organization, such as' \
    '+14154445555: messages would really be sent from it' >&2
  exit 2
fi
make -s -C "$here/../.." build LUA=luajit
eval "$(make -s -C "$here/../.." env LUA=luajit)"

dir=$(mktemp -d)
nginx=
# Calls that are in flight come to their end first.
finish() {
  trap '' INT TERM HUP
  [ -z "$nginx" ] || { kill -QUIT "$nginx" 2>/dev/null; wait "$nginx"; } || :
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 0' INT TERM HUP

ln -s "$here/nginx.conf" "$here/handler.lua" "$dir"
# Debian builds nginx's Lua in as two modules; in OpenResty it is static.
for module in ndk_http_module ngx_http_lua_module; do
  file=/usr/lib/nginx/modules/$module.so
  [ ! -f "$file" ] || echo "load_module $file;"
done >"$dir/modules.conf"
# Workers of another user could not reach the directory.
[ "$(id -u)" -ne 0 ] || echo 'user root;' >>"$dir/modules.conf"

# A port below those that the system gives to clients.
random_port() {
  echo $((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
}

try=0
while [ "$try" -lt 5 ]; do
  port=${1:-$(random_port)}
  echo "listen 127.0.0.1:$port;" >"$dir/listen.conf"
  # Not by Ctrl-C itself: finish tells it when.
  (trap '' INT; exec nginx -p "$dir/" -e "$dir/error.log" \
    -c "$dir/nginx.conf" 2>"$dir/stderr") &
  nginx=$!
  while kill -0 "$nginx" 2>/dev/null; do
    if [ -s "$dir/nginx.pid" ]; then
      echo "the form is at http://127.0.0.1:$port/"
      wait "$nginx" || :
      exit 1 # it was not told to
    fi
    sleep 0.05
  done
  try=$((try + 1)) # the port was taken
done
cat "$dir/stderr" >&2
exit 1
