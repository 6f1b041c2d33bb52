#!/bin/sh
# Every test, several at a time, and at the end the counts of all.
# Called by `make test`, which has done the set-up and the builds.
#   ONLY="lua5.4 c" tools/test.sh   runs those stages only
#   ONLY=rest tools/test.sh         runs some again, as make test has no time for
#   JOBS=1 tools/test.sh            one at a time
#   tools/test.sh names             only says whether there are such stages
# A stage is a set of jobs; tools/test_job.sh runs one job and counts its tests.
set -u
cd "$(dirname "$0")/.."
# Most jobs wait most of the time: for answers, pauses and timeouts.
JOBS=${JOBS:-$(($(nproc) * 4))}
SUMMARY=24 # lines
STAGES='lint layers c lua5.1 lua5.2 lua5.3 lua5.4 luajit lua5.4-sanitized
  luajit-sanitized lua5.4-eager luajit-eager faults faults-lua5.1
  faults-luajit faults-sanitized torture hosts valgrind musl rock install'
ONLY=${ONLY:-$STAGES}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The specs that make values of C in Lua, which the collector could take too
# early, and which a sanitizer of LuaJIT's glue could see. LuaJIT's collector,
# never at rest, takes minutes for those that make the most.
GLUE='activity answers create credentials events files list reentry validate'
GLUE_MOST='fuzz wrong_input'
# The specs of what the C part does alone, which is the same for all Luas; and
# those of Lua and of programs, which ask of the C part what others do, too.
WIRE='authorities compressed connection descriptors dns libcurl timeout tls'
LUA_ALONE='blocking_loop bulk callers calls docs driver each environment
  errors examples from_scratch json live locale memory ngx_interval ngx_loop
  ngx_poller on_draft options pacing poll_loop protect raw_pairs secrets
  send_draft send_life snippets'
# Those of programs and examples, and of what is the same in all Luas.
PROGRAMS='blocking_loop bulk docs driver environment examples from_scratch
  ngx_interval ngx_loop ngx_poller snippets'
# Those of what Lua does with each verb, the longest.
VERBS='resource send send_draft send_life'

is_wanted() {
  case " $(echo $ONLY) " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# job STAGE KIND ARGUMENT...: see test_job.sh.
job() {
  ! is_wanted "$1" || echo "$work" "$@" >>"$work/jobs"
}

# specs STAGE LUA MODE FILE...: a job for each file.
specs() {
  stage=$1 lua=$2 mode=$3
  shift 3
  for file; do job "$stage" spec "$lua" "$mode" "$file"; done
}

# without NAMES FILE...: the spec files of other names.
without() {
  names=$(echo $1)
  shift
  for file; do
    name=${file##*/}
    case " $names " in
      *" ${name%_spec.lua} "*) ;;
      *) echo "$file" ;;
    esac
  done
}

# glue LUA MODE NAME...
glue() {
  lua=$1 mode=$2
  shift 2
  for name; do specs "$lua-$mode" "$lua" "$mode" "spec/${name}_spec.lua"; done
}

for stage in $ONLY; do
  case " $(echo $STAGES) rest " in
    *" $stage "*) ;;
    *) echo "test: no stage $stage; there are:" $STAGES rest >&2; exit 2 ;;
  esac
done
[ "${1-}" != names ] || exit 0
for name in $WIRE $LUA_ALONE $PROGRAMS $VERBS; do
  ls "spec/${name}_spec.lua" >/dev/null || exit 2
done

# The longest first, so that none of them is left at the end. The fault tests
# are played whole by lua5.4 alone; the witness is bare libcurl, without Lua.
specs faults lua5.4 plain spec/faults/*_spec.lua
job rock one tools/rock.sh
for name in random send; do # random faults are drawn from the matrix
  file=spec/faults/${name}_spec.lua
  specs faults-luajit luajit plain "$file"
  specs faults-lua5.1 lua5.1 plain "$file"
done
specs faults-sanitized lua5.4 sanitized spec/faults/random_spec.lua
# shellcheck disable=SC2046,SC2086 # names are words, here and below
specs lua5.4-sanitized lua5.4 sanitized $(without "$LUA_ALONE" spec/*_spec.lua)
glue luajit sanitized $GLUE_MOST $GLUE
glue lua5.4 eager $GLUE_MOST $GLUE
glue luajit eager $GLUE
specs lua5.4 lua5.4 plain spec/support/*_spec.lua
specs lua5.4 lua5.4 plain spec/*_spec.lua spec/sandbox
specs luajit luajit plain $(without "$WIRE" spec/*_spec.lua) spec/sandbox
specs lua5.1 lua5.1 plain $(without "$WIRE $PROGRAMS" spec/*_spec.lua)
for lua in lua5.2 lua5.3; do
  specs "$lua" "$lua" plain $(without "$WIRE $PROGRAMS $VERBS" spec/*_spec.lua)
done
specs lua5.1 lua5.1 plain spec/sandbox
# Whatever drives them, nginx's, Neovim's and Luanti's own Lua is LuaJIT.
specs hosts lua5.4 plain spec/hosts/*_spec.lua
for program in build/sanitize/c/test_*; do
  case $program in *.d) ;; *) job c c "$program" ;; esac
done
# A sample of what `make torture` runs.
job torture one spec/torture/run.sh 31 lua5.4,luajit c
job torture one spec/torture/run.sh 11 lua5.4,luajit lua
job valgrind one tools/valgrind.sh lua5.4
job install one tools/install_test.sh
job lint one make -s lint
job layers one make -s layers LUA=lua5.4
job musl one make -s musl LUA=lua5.4
# The rest: all of these specs are among those above with another Lua or mode.
specs rest lua5.4 sanitized spec/faults/send_spec.lua
specs rest luajit sanitized spec/contract_spec.lua
for lua in lua5.4 luajit; do
  specs rest "$lua" eager spec/contract_spec.lua
done
for lua in lua5.2 lua5.3; do
  for name in $VERBS; do specs rest "$lua" plain "spec/${name}_spec.lua"; done
done

mkdir "$work/results"
begun=$(date +%s)
xargs -P "$JOBS" -L 1 tools/test_job.sh <"$work/jobs"

# What failed, again, for those who see the end alone. The jobs share the lines;
# each has one at least.
if [ -d "$work/failures" ]; then
  set -- "$work"/failures/*
  lines=$(($# < SUMMARY ? SUMMARY / $# : 1))
  printf '\nWhat failed, in %d jobs:\n' $#
  for file; do head -n "$lines" "$file"; done | head -n "$SUMMARY"
fi

# Each job has left "passed failed seconds" in results/STAGE.
echo
printf '%-18s %7s %7s %9s\n' stage passed failed 'job time'
for stage in $ONLY; do
  [ -f "$work/results/$stage" ] || continue
  awk -v stage="$stage" '{ p += $1; f += $2; s += $3 }
    END { printf "%-18s %7d %7d %7d s\n", stage, p, f, s }' \
    "$work/results/$stage"
done
cat "$work/results"/* >"$work/all"
ran=$(wc -l <"$work/all") wanted=$(wc -l <"$work/jobs")
passed=$(awk '{ n += $1 } END { print n + 0 }' "$work/all")
failed=$(awk '{ n += $2 } END { print n + 0 }' "$work/all")
if [ "$ran" -ne "$wanted" ]; then
  echo "test: $ran jobs of $wanted came to their end"
  failed=$((failed + wanted - ran))
fi
echo "$(($(date +%s) - begun)) s, $JOBS jobs at a time"
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
