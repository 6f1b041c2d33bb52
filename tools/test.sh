#!/bin/sh
# Every test, one stage after the other, and at the end the counts of all.
# Called by `make test`, which has done the set-up and the builds. A test that
# was skipped counts as failed.
set -u
cd "$(dirname "$0")/.."
LUAS=${LUAS:-lua5.1 lua5.2 lua5.3 lua5.4 luajit}
passed=0
failed=0
work=$(mktemp -d)
log=$work/log
trap 'rm -rf "$work"' EXIT

# add PASSED FAILED NAME: counts a stage, shows its output where it failed.
add() {
  passed=$((passed + $1))
  failed=$((failed + $2))
  printf '%-42s %5d passed, %d failed\n' "$3" "$1" "$2"
  [ "$2" -eq 0 ] || cat "$log"
}

# one NAME COMMAND...: a stage that is one test.
one() {
  name=$1
  shift
  if "$@" >"$log" 2>&1; then add 1 0 "$name"; else add 0 1 "$name"; fi
}

# A cmocka program; a crash counts as one failure more.
c_test() {
  "$1" >"$log" 2>&1
  status=$?
  good=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log")
  bad=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' "$log")
  skipped=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p' "$log")
  bad=$((${bad:-0} + ${skipped:-0}))
  [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  [ "${good:-0}" -gt 0 ] || [ "$bad" -gt 0 ] || bad=1
  add "${good:-0}" "$bad" "C: $(basename "$1")"
}

# What takes long or needs a host stands in folders that have stages of their
# own.
SPECS='spec/*_spec.lua spec/sandbox'

# begin NAME LUA TREE [VARIABLE=VALUE...] -- busted's arguments: specs under one
# Lua, beside what runs already.
begun=0
begin() {
  begun=$((begun + 1))
  echo "$1" >"$work/$begun.name"
  lua=$2 tree=$3
  shift 3
  settings=
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    settings="$settings $1"
    shift
  done
  shift
  # shellcheck disable=SC2086 # settings are words
  (eval "$(make -s env LUA="$lua" TREE="$tree")" &&
    LUA_PATH="$PWD/?.lua;$LUA_PATH" CLOSE_SPEC_LUA=$lua \
      exec env $settings "$lua" /usr/bin/busted "$@") \
    >"$work/$begun.log" 2>&1 &
  echo $! >"$work/$begun.pid"
}

# Waits for all that was begun, and counts it.
ended=0
collect() {
  while [ "$ended" -lt "$begun" ]; do
    ended=$((ended + 1))
    log=$work/$ended.log
    wait "$(cat "$work/$ended.pid")"
    status=$?
    counts=$(sed -n 's/^\([0-9]*\) success[a-z]* \/ \([0-9]*\) failure[a-z]* \/ \([0-9]*\) error[a-z]* \/ \([0-9]*\) pending.*/\1 \2 \3 \4/p' "$log")
    # shellcheck disable=SC2086 # four numbers
    set -- ${counts:-0 0 0 0}
    bad=$(($2 + $3 + $4))
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    [ "$1" -gt 0 ] || [ "$bad" -gt 0 ] || bad=1
    add "$1" "$bad" "$(cat "$work/$ended.name")"
  done
}

suite() {
  begin "$@"
  collect
}

one 'luacheck' make -s lint
one 'layers' make -s layers LUA=lua5.4

for program in build/sanitize/c/test_*; do
  case $program in *.d) ;; *) c_test "$program" ;; esac
done

# Two at a time: most of what they do is to wait.
# shellcheck disable=SC2086 # files are words, here and below
for lua in $LUAS; do
  begin "suite: $lua" "$lua" build -- $SPECS
  [ $((begun % 2)) -eq 1 ] || collect
done
collect

# Under ASan and UBSan, whose runtime must come first in a process that was not
# built with it. LuaJIT keeps its objects where the leak checker cannot look.
asan="LD_PRELOAD=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)"
for lua in lua5.4 luajit; do
  begin "suite: $lua, sanitizers" "$lua" build/sanitize "$asan" \
    ASAN_OPTIONS=detect_leaks=0 CLOSE_SPEC_SANITIZED=1 -- \
    --exclude-tags=unsanitized $SPECS
done
collect
begin 'suite: lua5.4, sanitizers, eager collector' lua5.4 build/sanitize \
  "$asan" ASAN_OPTIONS=detect_leaks=0 CLOSE_SPEC_SANITIZED=1 -- \
  --exclude-tags=unsanitized --helper=spec/support/eager_gc.lua $SPECS
begin 'suite: luajit, eager collector' luajit build -- \
  --helper=spec/support/eager_gc.lua $SPECS
collect

# The fault matrix: whole with lua5.4, which also shows its tables.
suite 'faults: lua5.4, sanitizers' lua5.4 build/sanitize "$asan" \
  ASAN_OPTIONS=detect_leaks=0 CLOSE_SPEC_SANITIZED=1 -- spec/faults
suite 'faults: lua5.1' lua5.1 build -- spec/faults
suite 'faults: luajit' luajit build -- spec/faults
suite 'faults: lua5.4' lua5.4 build -- spec/faults
[ "$bad" -gt 0 ] || cat "$log"

# Whatever drives them, nginx's, Neovim's and Luanti's own Lua is LuaJIT.
suite 'hosts: nginx, Neovim, Luanti' lua5.4 build -- spec/hosts

one 'valgrind: lua5.4' tools/valgrind.sh lua5.4
one 'the rock: lint, make, load' tools/rock.sh
one 'make install: load, run' tools/install_test.sh

echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
