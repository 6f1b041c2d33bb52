#!/bin/sh
# Installs what packages.txt names and this machine lacks.
#   tools/setup.sh demo|test|bench|fresh
# Needs nothing where all is there; otherwise root, or sudo.
set -eu
cd "$(dirname "$0")/.."

case ${1-} in
  demo | fresh) sections=$1 ;;
  test) sections='demo test' ;;
  bench) sections='demo test bench' ;;
  *) echo "usage: tools/setup.sh demo|test|bench|fresh" >&2; exit 2 ;;
esac

# Lines of the sections: package [| package...] # purpose
wanted() {
  awk -v sections="$sections" '
    /^#/ || /^$/ { next }
    /^\[/ { gsub(/[][]/, ""); on = index(" " sections " ", " " $0 " "); next }
    on { print }' packages.txt
}

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ' 2>/dev/null || :)
is_installed() {
  case " $installed" in *" installed $1 "*) ;; *) return 1 ;; esac
}

has_candidate() {
  candidate=$(LC_ALL=C apt-cache policy "$1" | sed -n 's/^ *Candidate: //p')
  [ -n "$candidate" ] && [ "$candidate" != '(none)' ]
}

# first TEST LINE: the line's first package that passes the test, or none.
first() {
  for package in $(echo "${2%%#*}" | tr -d '|'); do
    ! "$1" "$package" || { echo "$package"; return; }
  done
}

missing=$(wanted | while IFS= read -r line; do
  [ -n "$(first is_installed "$line")" ] || printf '%s\n' "$line"
done)
[ -n "$missing" ] || exit 0

fail() {
  { echo "setup: $1:" && printf '%s\n' "$2" | sed 's/ *# */: /; s/^/  /'; } >&2
  exit 1
}

command -v apt-get >/dev/null ||
  fail 'without apt-get, these are yours to install' "$missing"
if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null; then
  as_root=sudo
else
  fail 'neither root nor sudo is here to install these' "$missing"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM
# Old lists may do, so a failure matters only if the packages are not found.
if $as_root apt-get update >"$log" 2>&1; then : >"$log"; fi

absent=$(printf '%s\n' "$missing" | while IFS= read -r line; do
  [ -n "$(first has_candidate "$line")" ] || printf '%s\n' "$line"
done)
if [ -n "$absent" ]; then
  tail -n 20 "$log" >&2
  fail 'no package of these names is available here' "$absent"
fi

packages=$(printf '%s\n' "$missing" | while IFS= read -r line; do
  first has_candidate "$line"
done | tr '\n' ' ')
echo "setup: installing $packages"
# A server package must not start its service here, and no package that is here
# may go for another.
# shellcheck disable=SC2086 # packages are words
if ! $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y --no-install-recommends --no-remove $packages \
  >>"$log" 2>&1
then
  tail -n 20 "$log" >&2
  exit 1
fi
