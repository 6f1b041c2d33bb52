#!/bin/sh
# Both commands of the README, and the rest of the tests, typed by a newcomer on
# a bare Debian: in a new root of a release, with git and make, in a clone of
# this checkout's last commit. Prints what each took.
#   tools/fresh.sh RELEASE[/sudo]...      for example: bookworm trixie/sudo
# With /sudo the newcomer is a user who has sudo, otherwise root. Needs root, on
# Debian or Ubuntu, and 2 GB in TMPDIR (or /var/tmp). The mirror is that of apt's
# sources. Exit status: 1 if a command or a test failed, 3 if no bare root can be
# made here.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
CANNOT=3

usage() {
  echo 'usage: tools/fresh.sh RELEASE[/sudo]...' >&2
  exit 2
}

cannot() {
  echo "fresh: $1" >&2
  exit "$CANNOT"
}

root_of() { echo "$work/$1" | sed 's|/sudo$|-sudo|'; }

# ---- a bare root; this part runs in namespaces of its own ----

# Lines of apt's sources, both forms: address suite component
sources() {
  # shellcheck disable=SC2016 # apt fills them in
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages'
}

# has ADDRESS SUITE: whether a repository has a suite.
has() {
  /usr/lib/apt/apt-helper download-file "${1%/}/dists/$2/InRelease" \
    "$work/InRelease" >/dev/null 2>&1
}

find_mirror() {
  sources | cut -d ' ' -f 1 | awk '!seen[$0]++' | while read -r address; do
    if has "$address" "$release"; then echo "$address"; break; fi
  done
}

# The machine's sources, with its release's name replaced: updates come too.
write_sources() {
  here=$(. /etc/os-release && echo "${VERSION_CODENAME:-$release}")
  {
    echo "$mirror $release main"
    sources | sed -n "s/ $here\(-[^ ]*\)\? / $release\1 /p"
  } | sort -u | while read -r address suite component; do
    ! has "$address" "$suite" || echo "deb $address $suite $component"
  done >"$root/etc/apt/sources.list"
}

# What the machine needs to reach a mirror: proxies, clocks that are wrong.
write_apt_settings() {
  {
    apt-config dump |
      grep -E '^Acquire::(Check-|ForceIP|Retries|http)' |
      grep -v -i 'auto-detect' || :
    for scheme in http https; do
      proxy=$(printenv "${scheme}_proxy" || :)
      [ -z "$proxy" ] || echo "Acquire::${scheme}::Proxy \"$proxy\";"
    done
  } >"$root/etc/apt/apt.conf.d/99fresh"
}

make_root() {
  mirror=$(find_mirror)
  [ -n "$mirror" ] || cannot "none of apt's sources has $release"
  eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
  [ -z "${http_proxy:-}" ] || export http_proxy
  debootstrap --variant=minbase "$release" "$root" "$mirror" \
    >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    cannot "debootstrap cannot make $release"
  }
  write_sources
  write_apt_settings
  echo "127.0.0.1 localhost $(uname -n)" >"$root/etc/hosts"
}

# ---- a newcomer in it; so does this one ----

# as USER COMMAND: a login shell's command, with nothing of our environment.
as() {
  env -i --default-signal PATH="$PATH" TERM="${TERM:-dumb}" \
    chroot "$root" su - "$1" -c "$2" </dev/null
}

# What a newcomer has before the first command.
prepare() {
  mount -t proc proc "$root/proc"
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  packages='git make'
  [ "$user" = root ] || packages="$packages sudo"
  as root "apt-get update && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends $packages" \
    >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
  [ "$user" = root ] || {
    as root "useradd -m -s /bin/sh $user"
    echo "$user ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/$user"
  }
}

clone() {
  home=$(as "$user" pwd)
  if [ -e .git ]; then
    # A checkout may belong to another user.
    printf '[safe]\n  directory = *\n' >"$work/gitconfig"
    GIT_CONFIG_GLOBAL=$work/gitconfig git clone --quiet . "$root$home/close"
  else
    mkdir "$root$home/close"
    tar cf - --exclude=./build . | tar xf - -C "$root$home/close"
  fi
  as root "chown -R $user $home/close"
}

# Runs a step, and notes what it took, or the end of what it printed.
step() {
  name=$1
  shift
  begun=$(date +%s)
  : >"$work/log"
  "$@" || {
    { echo "$release: $name failed:" && tail -n 14 "$work/log" |
      sed 's/^/  /'; } >>"$work/failures"
    return 1
  }
  echo "$release: $name $(($(date +%s) - begun)) s" | tee -a "$report"
}

# typed COMMAND: by the newcomer, who sees what it prints; so do we.
typed() {
  rm -f "$work/failed"
  { as "$user" "cd close && $1" 2>&1 || echo failed >"$work/failed"; } |
    tee "$work/log"
  [ ! -e "$work/failed" ]
}

demo() { typed 'make demo'; }

# tests COMMAND: counts its tests, and notes what failed: what the tests say of
# it at their end, or, where they broke off, the last lines.
tests() {
  ended=well
  typed "$1" || ended=badly
  counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' \
    "$work/log" | tail -n 1)
  here=${counts#* }
  # A run that broke off failed, whatever it had counted.
  if [ -z "$counts" ]; then
    here=1 counts='0 1'
  elif [ "$ended" = badly ] && [ "$here" -eq 0 ]; then
    here=1
  fi
  passed=$((passed + ${counts% *})) failed=$((failed + here))
  [ "$here" -eq 0 ] || {
    echo "$release: $1 failed:"
    sed -n '/^What failed, /,/^$/ { /^What failed, /d; /^$/d; s/^/  /; p }' \
      "$work/log" | grep . || tail -n 14 "$work/log" | sed 's/^/  /'
  } >>"$work/failures"
}

versions() {
  dpkg-query --admindir="$root/var/lib/dpkg" -W \
    -f '${db:Status-Status} ${Package} ${Version}\n' libcurl4-openssl-dev \
    nginx neovim 'luanti-server' 'minetest-server' luajit 'luajit2' \
    2>/dev/null | sed -n "s/^installed /$release: /p" >>"$report"
}

inside() {
  if [ "$1" = make ]; then
    step 'bare root' make_root
    return
  fi
  passed=0 failed=1
  if step 'git and make' prepare && step 'clone' clone &&
    step 'make demo' demo
  then
    passed=1 failed=0 # the demo
    for command in 'make test' 'make test ONLY=rest'; do
      step "$command" tests "$command"
    done
  fi
  versions
  echo "$passed $failed" >>"$work/counts"
}

if [ "${1-}" = --inside ]; then
  what=$2 work=$3 release=${4%/sudo} user=root
  [ "$release" = "$4" ] || user=newcomer
  root=$(root_of "$4")
  report=$work/report
  inside "$what"
  exit
fi

# ---- outside ----

[ $# -gt 0 ] || usage
for release in "$@"; do
  case ${release%/sudo} in '' | *[!a-z0-9]*) usage ;; esac
done
[ "$(id -u)" -eq 0 ] || cannot 'needs root'
tools/setup.sh fresh || cannot 'debootstrap is missing'
unshare --mount --pid --fork --mount-proc true 2>/dev/null ||
  cannot 'may not mount anything here'

child=
work=$(mktemp -d "${TMPDIR:-/var/tmp}/close-fresh-XXXXXX")
: >"$work/report"

# The kernel ends whatever runs in the namespaces, and their mounts, with them.
clean_up() {
  trap '' HUP INT PIPE TERM
  [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || :
  tries=0
  until rm -rf --one-file-system "$work" 2>/dev/null || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' HUP PIPE TERM

# apart make|try RELEASE: that part, in namespaces that end with this script.
apart() {
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child \
    --mount-proc sh "$0" --inside "$1" "$work" "$2" &
  child=$!
  status=0
  wait "$child" || status=$?
  child=
  return "$status"
}

# All of them first, so that what cannot be tried is known before the tests.
for release in "$@"; do apart make "$release" || exit; done
for release in "$@"; do
  apart try "$release" || {
    echo "0 1" >>"$work/counts"
    echo "$release: broke off" >>"$work/failures"
  }
  rm -rf --one-file-system "$(root_of "$release")"
done

echo
cat "$work/report"
[ ! -e "$work/failures" ] || { echo && cat "$work/failures"; }
awk '{ passed += $1; failed += $2 }
  END { printf "\n%d passed, %d failed\n", passed, failed; exit failed > 0 }' \
  "$work/counts"
