#!/bin/sh
# The server of the measurements: nginx on free ports of 127.0.0.1.
#   bench/server.sh start DIR   makes DIR (or takes an empty one), starts
#                               nginx, prints the lines to eval
#   bench/server.sh stop DIR    ends that nginx and removes DIR
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin
here=$(cd "$(dirname "$0")" && pwd)

usage() {
  echo 'usage: bench/server.sh start|stop DIR' >&2
  exit 2
}

new_key() {
  openssl req -config openssl.cnf -newkey ec \
    -pkeyopt ec_paramgen_curve:P-256 -nodes "$@"
}

# Nobody is to trust these beyond one run: an authority, and a certificate of
# its for this host.
make_certificates() {
  cat >openssl.cnf <<'END'
[req]
distinguished_name = name
prompt = no
[name]
CN = localhost
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
END
  new_key -x509 -days 30 -extensions authority -subj /CN=close-bench-ca \
    -keyout ca.key -out ca.pem
  new_key -keyout server.key -out server.csr
  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 1 \
    -days 30 -extfile openssl.cnf -extensions server -out server.pem
}

# A port below those that the system gives to clients.
random_port() {
  echo $((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
}

# Debian builds nginx's Lua in as two modules; elsewhere it may be static.
load_modules() {
  for module in ndk_http_module ngx_http_lua_module; do
    file=/usr/lib/nginx/modules/$module.so
    [ ! -f "$file" ] || printf 'load_module %s; ' "$file"
  done
}

start() {
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  # stop removes it whole
  [ -z "$(ls -A "$dir")" ] || { echo "$1 is not empty" >&2; exit 1; }
  cd "$dir"
  make_certificates >openssl.log 2>&1 || { cat openssl.log >&2; exit 1; }
  try=0
  while [ "$try" -lt 5 ]; do
    http=$(random_port) https=$(random_port) h2=$(random_port)
    sed -e "s|@MODULES@|$(load_modules)|; s|@DIR@|$dir|; s|@HTTP@|$http|" \
      -e "s|@HTTPS@|$https|; s|@H2@|$h2|" \
      "$here/nginx.conf.in" >nginx.conf
    if nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" 2>stderr; then
      echo "export CLOSE_BENCH_HTTP=http://127.0.0.1:$http/api/v1"
      echo "export CLOSE_BENCH_HTTPS=https://127.0.0.1:$https/api/v1"
      echo "export CLOSE_BENCH_H2=https://127.0.0.1:$h2/api/v1"
      echo "export CLOSE_BENCH_CA=$dir/ca.pem"
      return
    fi
    try=$((try + 1)) # a port was taken
  done
  cat stderr >&2
  exit 1
}

stop() {
  [ -f "$1/nginx.conf" ] || { echo "no server was started in $1" >&2; exit 1; }
  pid=$(cat "$1/nginx.pid" 2>/dev/null || :)
  if [ -n "$pid" ]; then
    kill "$pid" 2>/dev/null || :
    n=0
    # nginx removes the file at its end.
    while [ -e "$1/nginx.pid" ] && [ "$n" -lt 100 ]; do
      sleep 0.05
      n=$((n + 1))
    done
  fi
  rm -rf "$1"
}

[ $# -eq 2 ] || usage
case $1 in
  start) start "$2" ;;
  stop) stop "$2" ;;
  *) usage ;;
esac
