#!/bin/sh
# One job of tools/test.sh: runs it, counts its tests, and shows its output
# where one failed. A test that was skipped counts as failed, and so does a
# crash, a job without a test, and one that does not end.
#   tools/test_job.sh WORK STAGE spec LUA plain|sanitized|eager FILE
#   tools/test_job.sh WORK STAGE c PROGRAM
#   tools/test_job.sh WORK STAGE one COMMAND...
set -u
work=$1 stage=$2 kind=$3
shift 3
log=$(mktemp "$work/log.XXXXXX")
begun=$(date +%s)
LIMIT=600 # seconds
SUMMARY=14 # lines

run() { timeout --foreground -k 10 "$LIMIT" "$@" >"$log" 2>&1; }

# cmocka's count of one kind; a program may have several groups of tests.
count() { awk -v kind="$1" '/^\[ / && $2 == kind && /test/ { n += $4 }
  END { print n + 0 }' "$log"; }

# A cmocka program.
run_c() {
  run "$1"
  status=$?
  passed=$(count PASSED)
  failed=$(($(count FAILED) + $(count SKIPPED)))
}

# Specs under one Lua. The sanitizers' runtime must come first in a process that
# was not built with it. LuaJIT keeps its objects where the leak checker cannot
# look.
run_spec() {
  lua=$1 mode=$2 file=$3 tree=build skip=once
  set --
  if [ "$lua" = lua5.4 ] && [ "$mode" = plain ]; then skip=none; fi
  if [ "$mode" != plain ] && { [ "$mode" = sanitized ] || [ "$lua" != luajit ]
  }; then
    tree=build/sanitize skip=once,unsanitized
    set -- env CLOSE_SPEC_SANITIZED=1 ASAN_OPTIONS=detect_leaks=0 \
      "LD_PRELOAD=$(gcc -print-file-name=libasan.so):$(
        gcc -print-file-name=libubsan.so)"
  fi
  # Asked for once for each Lua and mode, not for each file.
  settings=$work/$lua-$mode.env
  if [ ! -s "$settings" ]; then
    make -s env LUA="$lua" TREE="$tree" >"$log" && mv "$log" "$settings"
  fi
  . "$settings"
  export LUA_PATH="$PWD/?.lua;$LUA_PATH" CLOSE_SPEC_LUA="$lua"
  set -- "$@" "$lua" "$(command -v busted)" "--exclude-tags=$skip"
  [ "$mode" != eager ] || set -- "$@" --helper=spec/support/eager_gc.lua
  run "$@" "$file"
  status=$?
  counts=$(sed -n 's/^\([0-9]*\) success[a-z]* \/ \([0-9]*\) failure[a-z]* \/ \([0-9]*\) error[a-z]* \/ \([0-9]*\) pending.*/\1 \2 \3 \4/p' "$log")
  # shellcheck disable=SC2086 # four numbers
  set -- ${counts:-0 0 0 0}
  passed=$1 failed=$(($2 + $3 + $4))
}

run_one() {
  run "$@"
  status=$?
  passed=1 failed=0
  [ "$status" -eq 0 ] || passed=0
}

# The first lines of each failure; where none is told in these forms, the last
# lines of all.
summary() {
  awk -v lines="$((failed < 7 ? SUMMARY / failed : 2))" '
    /^\[( RUN|=)/ { left = 0 }
    /^(Failure|Error|Pending) -> / || /^\[  (ERROR  |SKIPPED) *\] [^0-9]/ ||
      /ERROR: [A-Za-z]*Sanitizer/ || /: runtime error: / { left = lines }
    left > 0 && NF { print; left--; found = 1 }
    END { exit !found }' "$log" || tail -n "$SUMMARY" "$log"
}

name="$*"
"run_$kind" "$@"
passed=${passed:-0}
if [ "$failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$passed" -eq 0 ]; }; then
  failed=1
fi
seconds=$(($(date +%s) - begun))
echo "$passed $failed $seconds" >>"$work/results/$stage"
printf '%-18s %4d passed, %d failed, %3d s: %s\n' "$stage" "$passed" \
  "$failed" "$seconds" "$name"
if [ "$failed" -gt 0 ]; then
  [ "$status" -ne 124 ] || echo "it did not end within $LIMIT seconds" >>"$log"
  cat "$log"
  mkdir -p "$work/failures"
  { echo "$stage: $name" && summary | head -n "$SUMMARY" | cut -c 1-160 |
    sed 's/^/  /'; } >"$work/failures/${log##*/}"
elif [ "$stage" = faults ]; then
  grep -v '^[+]*$' "$log" # its tables
fi
rm -f "$log"
exit 0
