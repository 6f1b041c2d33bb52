#!/bin/sh
# Installs what packages.txt names and this machine lacks.
#   tools/setup.sh demo|test
# Needs nothing where all is there; otherwise root, or sudo.
set -eu
cd "$(dirname "$0")/.."

case ${1-} in
  demo) sections='demo' ;;
  test) sections='demo test' ;;
  *) echo "usage: tools/setup.sh demo|test" >&2; exit 2 ;;
esac

wanted=$(awk -v sections="$sections" '
  /^#/ || /^$/ { next }
  /^\[/ { gsub(/[][]/, ""); on = index(" " sections " ", " " $0 " "); next }
  on { print $1 }' packages.txt)

missing=
for package in $wanted; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "setup: installing$missing"
if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null; then
  as_root=sudo
else
  echo "setup: these packages are missing, and neither root nor sudo is" \
    "here to install them:$missing" >&2
  exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A server package must not start its service here.
if ! { $as_root apt-get update &&
       $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
         apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1
then
  tail -n 20 "$log" >&2
  exit 1
fi
