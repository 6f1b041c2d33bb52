#!/bin/sh
# What users and developers type, tried in a copy of the checkout: make install
# into a fresh prefix, for each Lua, and the main job from there; make
# uninstall; a checkout as a plugin of Neovim; make env, which adds to what the
# user has set; another Lua's headers, which are refused; make spec and make
# c-test; warnings; make clean.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/theirs" "$dir/bin" "$dir/checkout"
echo 'return "theirs"' >"$dir/theirs/theirs.lua"
echo 'error "not ours"' >"$dir/theirs/close.lua"

neovim_line=$(grep '^make build LUA=luajit && ' docs/install.md)

# With the times, so nothing is compiled again.
cp -a .gitignore .busted Makefile packages.txt bin build lua spec src tools \
  "$dir/checkout"
cd "$dir/checkout"
smoke=$PWD/spec/support/smoke.lua
export GIT_CONFIG_GLOBAL=/dev/null
git init -q
git add .

fail() {
  echo "$1"
  exit 1
}

# says WORDS COMMAND...: the command fails, and with these words.
says() {
  words=$1
  shift
  if "$@" >"$dir/said" 2>&1; then fail "no failure: $*"; fi
  grep -q -e "$words" "$dir/said" && return
  cat "$dir/said"
  fail "not said: $words"
}

# load PREFIX LUA VERSION COMMAND...: a command that finds what was installed.
load() {
  (cd / && export LUA_PATH="$1/share/lua/$3/?.lua;;" \
    LUA_CPATH="$1/lib/lua/$3/?.so;;" && shift 3 && "$@")
}

# try PREFIX LUA VERSION: what was installed there.
try() {
  load "$@" "$2" "$smoke"
  load "$@" "$1/bin/close-sandbox" --help >/dev/null
  [ "$(head -n 1 "$1/bin/close-sandbox")" = "#!$(command -v "$2")" ]
}

# ---- make install, make env ----

prefix="$dir/a prefix"
for lua in lua5.1 lua5.2 lua5.3 lua5.4 luajit; do
  make -s install LUA="$lua" PREFIX="$prefix"
  version=${lua#lua}
  [ "$lua" != luajit ] || version=5.1
  try "$prefix" "$lua" "$version"
  for path in LUA_PATH "LUA_PATH_$(echo "$version" | tr . _)"; do
    # Lua 5.1 reads LUA_PATH alone.
    [ "$path" != LUA_PATH_5_1 ] || continue
    (export "$path=$dir/theirs/?.lua;;" && eval "$(make -s env LUA="$lua")" &&
      cd / && "$lua" -e 'assert(require "theirs" == "theirs")' "$smoke")
  done
done

says 'no program lua0' make -s env LUA=lua0

# Lua 5.1 and LuaJIT look into the same directory.
load "$prefix" lua5.1 5.1 lua5.1 "$smoke"
make -s install LUA=lua5.1 PREFIX="$prefix"
load "$prefix" luajit 5.1 luajit "$smoke"

# A Lua of another name, and a prefix below DESTDIR.
ln -s "$(command -v lua5.4)" "$dir/bin/lua"
(export PATH="$dir/bin:$PATH" && make -s install LUA=lua GLUE= \
  MODULE=build/lua5.4/close/core.so DESTDIR="$dir/stage" PREFIX=/usr &&
  try "$dir/stage/usr" lua 5.4 &&
  make -s uninstall LUA=lua DESTDIR="$dir/stage" PREFIX=/usr)
[ -z "$(find "$dir/stage" ! -type d)" ]

# Nothing went into the checkout.
if git ls-files --others --exclude-standard | grep .; then
  fail 'make install has put these into the checkout'
fi
git diff --exit-code

# ---- make uninstall ----

# Of one Lua only; the program is the last one's, whose Lua is lua5.1.
echo 'return "theirs"' >"$prefix/share/lua/5.4/close/theirs.lua"
make -s uninstall LUA=lua5.4 PREFIX="$prefix"
find "$prefix/share/lua/5.4" "$prefix/lib/lua/5.4" ! -type d >"$dir/left"
echo "$prefix/share/lua/5.4/close/theirs.lua" | diff "$dir/left" -
try "$prefix" lua5.1 5.1
rm "$prefix/share/lua/5.4/close/theirs.lua"
for lua in lua5.4 lua5.3 lua5.2 lua5.1; do
  make -s uninstall LUA="$lua" PREFIX="$prefix"
  make -s uninstall LUA="$lua" PREFIX="$prefix" # nothing is left to remove
done
if find "$prefix" ! -type d -o -name close | grep .; then
  fail 'make uninstall has left these'
fi
says 'no program lua0' make -s uninstall LUA=lua0 PREFIX="$prefix"

# ---- a plugin of Neovim, as docs/install.md has it ----

sh -c "$neovim_line"
(cd / && env -u LUA_PATH -u LUA_CPATH nvim --headless -u NONE \
  --cmd "set rtp^=$dir/checkout" \
  -c 'lua print(require("close")._VERSION .. " is here")' -c 'q!') \
  >"$dir/said" 2>&1
grep -q '^[0-9.]* is here' "$dir/said" || { cat "$dir/said" && false; }
if git ls-files --others --exclude-standard | grep .; then
  fail 'the plugin has changed the checkout'
fi

# ---- another Lua's headers ----

headers() { pkg-config --cflags-only-I "$1" | sed 's/^-I//; s/ *$//'; }

ln -sf "$(command -v lua5.3)" "$dir/bin/lua"
(export PATH="$dir/bin:$PATH" &&
  says 'headers of Lua 5.4.*lua is Lua 5.3.*LUA=lua5.3' \
    make -s install LUA=lua GLUE= MODULE=build/lua5.4/close/core.so \
    PREFIX="$dir/refused" &&
  says 'headers of Lua 5.4.*LUA_INCDIR' \
    make -s build LUA=lua LUA_INCDIR="$(headers lua5.4)" &&
  [ ! -e build/lua/close/core.so ] &&
  make -s install LUA=lua LUA_INCDIR="$(headers lua5.3)" \
    PREFIX="$dir/mended" && try "$dir/mended" lua 5.3)
[ ! -e "$dir/refused" ]
says 'no program lua0' make -s install LUA=lua0 GLUE= \
  MODULE=build/lua5.4/close/core.so PREFIX="$dir/refused"

# Headers where the compiler looks anyway, and a libcurl of one's own.
make -n build LUA_CFLAGS= CURL_LIBDIR=/opt/lib >"$dir/said"
grep -q -e ' -L/opt/lib -lcurl' "$dir/said"
if grep -e '-isystem *[-\\]' "$dir/said"; then
  fail '-isystem without a directory'
fi

# ---- one spec, one C test ----

(unset LUA_PATH LUA_CPATH WERROR
 make -s spec FILE=spec/text_spec.lua LUA=lua5.1 | grep ' 0 failures / 0 errors'
 make -s c-test NAME=test_buf | grep PASSED)
says 'FILE=' make -s spec
says 'NAME=' make -s c-test NAME=no_such_test

# A test of its own: leaks fail it, and are not looked for after an assertion.
c_test() {
  cat >"spec/c/test_leak.c" <<.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
static void leaks(void **state) {
  (void)state;
  for (int i = 0; i < 10; i++) assert_non_null(malloc(8));
  assert_int_equal($1, 1);
}
static void is_fine(void **state) { (void)state; }
int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_fine), cmocka_unit_test(leaks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
.
}
c_test 1
says 'detected memory leaks' make -s c-test NAME=test_leak
c_test 2
says 'ERROR.*0x2 != 0x1' make -s c-test NAME=test_leak
[ "$(grep -n -m 1 ERROR "$dir/said" | cut -d : -f 1)" -le 3 ]
if grep -i sanitizer "$dir/said"; then fail 'leaks were looked for'; fi
rm spec/c/test_leak.c

# ---- warnings end the tests' builds, and no other ----

echo 'static int not_used;' >>src/core/clo_buf.c
(unset WERROR
 make -s build/obj/core/clo_buf.o
 says 'Werror.*unused' make -s spec FILE=spec/text_spec.lua
 says 'Werror.*unused' make -s c-test NAME=test_buf) 2>"$dir/warned"
grep -q 'warning.*not_used' "$dir/warned"
git checkout -q src/core/clo_buf.c

# ---- make clean ----

make -s clean
if git ls-files --others | grep .; then
  fail 'make clean does not remove these'
fi
git diff --exit-code
