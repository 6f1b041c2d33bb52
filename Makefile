# make demo | test | build | env | install | uninstall | spec | c-test | lint |
#   layers | musl | torture | bench | clean
# Everything that is built stands below build/.

LUA ?= lua5.4
LUAS = lua5.1 lua5.2 lua5.3 lua5.4 luajit
PREFIX ?= /usr/local
CORES = $(shell nproc)

# The tests set this to -Werror. A user's compiler may have newer warnings.
WERROR ?=

# For the tests alone: SANITIZE=1 builds a second tree with ASan and UBSan,
# SANITIZE=thread a third with TSan.
ifeq ($(SANITIZE),thread)
TREE = build/tsan
WERROR = -Werror
SANFLAGS = -fsanitize=thread -O1
else ifdef SANITIZE
TREE = build/sanitize
WERROR = -Werror
SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
  -fno-omit-frame-pointer -O1
else
TREE = build
SANFLAGS = -O2
endif

CC ?= cc
CFLAGS ?= -g
STRICT = -std=c99 -D_POSIX_C_SOURCE=200809L -fPIC -fvisibility=hidden \
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
  -Wmissing-prototypes -Wconversion -Wvla -Wformat=2 -Wundef
ALL_CFLAGS = $(STRICT) $(WERROR) $(SANFLAGS) $(CFLAGS)

# Only asked for where something is compiled.
LUA_CFLAGS = $(or $(LUA_INCDIR:%=-I%),$(shell pkg-config --cflags $(LUA)))
CURL_CFLAGS = $(shell pkg-config --cflags 'libcurl >= 7.74')
CURL_LIBS = $(if $(CURL_LIBDIR),-L$(CURL_LIBDIR) -lcurl,$(shell \
  pkg-config --libs libcurl))

CORE = $(patsubst src/%.c,$(TREE)/obj/%.o,$(wildcard src/core/*.c))
HTTP = $(patsubst src/%.c,$(TREE)/obj/%.o,$(wildcard src/http/*.c))
GLUE = $(patsubst src/lua/%.c,$(TREE)/obj/$(LUA)/%.o,$(wildcard src/lua/*.c))
LUA_FILES = lua spec tools bin/close-sandbox examples bench \
  $(wildcard *.rockspec)
ARCHIVE = $(TREE)/libclo.a
MODULE = $(TREE)/$(LUA)/close/core.so
COMMA = ,

.DELETE_ON_ERROR:

.PHONY: build
build: $(MODULE)

# Written when the flags change. What is compiled depends on it, so nothing of
# other flags stays: no warning is missed, and no other Lua's headers.
$(TREE)/obj/flags: FLAGS = $(CC) $(ALL_CFLAGS) $(CURL_CFLAGS)
$(TREE)/obj/$(LUA)/flags: FLAGS = $(LUA_CFLAGS) $(LDFLAGS) $(CURL_LIBS)
$(TREE)/obj/flags $(TREE)/obj/$(LUA)/flags: always
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@

.PHONY: always

$(TREE)/obj/core/%.o: src/core/%.c $(TREE)/obj/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(TREE)/obj/http/%.o: src/http/%.c $(TREE)/obj/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(CURL_CFLAGS) -Isrc/core -MMD -MP -c $< -o $@

$(TREE)/obj/$(LUA)/%.o: src/lua/%.c $(TREE)/obj/flags $(TREE)/obj/$(LUA)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS:-I%=-isystem %) \
	  -Isrc/core -Isrc/http -MMD -MP -c $< -o $@

$(ARCHIVE): $(CORE) $(HTTP)
	@rm -f $@
	$(AR) rcs $@ $^

# Of some flags those that the linker here knows. macOS's has no --exclude-libs,
# and has to be told that Lua comes later; not all systems have a libdl.
known = $(shell for flag in $1; do echo 'int probe;' | $(CC) -shared -fPIC \
  -x c - -o $(TREE)/obj/probe $$flag 2>/dev/null && echo "$$flag"; done)

$(MODULE): KNOWN = $(call known,-Wl$(COMMA)--exclude-libs$(COMMA)ALL \
  -Wl$(COMMA)-undefined$(COMMA)dynamic_lookup -ldl)
$(MODULE): $(GLUE) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -o $@ $(GLUE) $(ARCHIVE) \
	  $(CURL_LIBS) -pthread $(KNOWN)
	@tools/check_lua.sh $@ $(LUA)

VERSION_DIR = $(shell $(LUA) -e 'print(_VERSION:match"%d.%d")' 2>/dev/null)
NEEDS_LUA = test -n "$(VERSION_DIR)" || { \
  echo 'There is no program $(LUA). Name yours: LUA=lua5.4' >&2; exit 1; }

# The lines that let $(LUA) load the checkout, from any directory, before what
# its paths are already. LUA_PATH_5_4 and its kin, which Lua 5.1 lacks, would win
# over LUA_PATH.
.PHONY: env
env: SUFFIX = $(subst .,_,$(filter-out 5.1,$(VERSION_DIR)))
env: OLD = $(if $(SUFFIX),\$${$1_$(SUFFIX):-\$${$1:-;;}},\$${$1:-;;})
env: UNSET = $(if $(SUFFIX),; unset LUA_PATH_$(SUFFIX) LUA_CPATH_$(SUFFIX))
env:
	@$(NEEDS_LUA)
	@echo "export LUA_PATH='$(CURDIR)/lua/?.lua;'\"$(call OLD,LUA_PATH)\"" \
	  "LUA_CPATH='$(CURDIR)/$(TREE)/$(LUA)/?.so;'\"$(call OLD,LUA_CPATH)\"$(UNSET)"

-include $(CORE:.o=.d) $(HTTP:.o=.d) $(GLUE:.o=.d)

# ---- the C tests, always under the sanitizers ----

# cmocka gives each test a state, which most of them have no use for.
TEST_CFLAGS = $(ALL_CFLAGS) -Wno-unused-parameter $(CURL_CFLAGS) \
  -Isrc/core -Isrc/http
TESTS = $(patsubst spec/c/test_%.c,$(TREE)/c/test_%,$(wildcard spec/c/test_*.c))
TEST_PARTS = $(patsubst spec/c/%.c,$(TREE)/obj/spec/%.o, \
  $(filter-out $(wildcard spec/c/test_*.c),$(wildcard spec/c/*.c)))

.PHONY: c-tests
c-tests: $(TESTS)

$(TREE)/obj/spec/%.o: spec/c/%.c $(TREE)/obj/flags
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) -MMD -MP -c $< -o $@

$(TREE)/c/test_%: spec/c/test_%.c $(TEST_PARTS) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) -MMD -MP -MF $@.d -MT $@ -o $@ $< $(TEST_PARTS) \
	  $(ARCHIVE) $(LDFLAGS) \
	  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
	  -Wl,--wrap=_cmocka_run_group_tests -lcmocka $(CURL_LIBS) -pthread -ldl

-include $(TEST_PARTS:.o=.d) $(TESTS:%=%.d)

# ---- the commands ----

.PHONY: demo
demo:
	@tools/setup.sh demo
	@$(MAKE) -s build LUA=lua5.4
	@eval "$$($(MAKE) -s env LUA=lua5.4)" && lua5.4 examples/script/demo.lua

.PHONY: test
test: export WERROR = -Werror
test:
	@tools/test.sh names
	@tools/setup.sh test
	@for lua in $(LUAS); do \
	  $(MAKE) -s -j$(CORES) build threads LUA=$$lua || exit 1; done
	@$(MAKE) -s sanitized
	@tools/test.sh

# FILE: a spec file, several, or a folder. What runs in nginx, Neovim and Luanti
# needs LuaJIT's module as well.
.PHONY: spec
spec: export WERROR = -Werror
spec:
	@test -n "$(FILE)" || \
	  { echo 'Which one? For example: make spec FILE=spec/text_spec.lua'; exit 2; }
	@tools/setup.sh test
	@$(MAKE) -s build threads $(PRELOADED) $(STARTED)
	@$(MAKE) -s build LUA=luajit
	@case '$(FILE)' in *threads*) $(MAKE) -s race-detector ;; esac
	@eval "$$($(MAKE) -s --no-print-directory env)" && \
	  export LUA_PATH="$(CURDIR)/?.lua;$$LUA_PATH" CLOSE_SPEC_LUA=$(LUA) && \
	  $(LUA) /usr/bin/busted $(FILE)

# NAME: a file of spec/c, without its .c. What passed is not shown one by one.
.PHONY: c-test
c-test:
	@test -n "$(NAME)" && test -f "spec/c/$(NAME).c" || \
	  { echo 'Which one? For example: make c-test NAME=test_sms'; exit 2; }
	@tools/setup.sh test
	@$(MAKE) -s SANITIZE=1 build/sanitize/c/$(NAME)
	@build/sanitize/c/$(NAME) >build/c-test.log 2>&1; status=$$?; \
	  sed '/^\[ RUN /{$$!N;/\n\[       OK \]/d;}' build/c-test.log; exit $$status

# What specs preload: a slow resolver, another libcurl, short writes, functions
# of lua-cjson's and OpenSSL's names.
PRELOADED = build/slow_dns.so build/other_curl.so build/short_writes.so \
  build/other_strbuf.so build/other_ssl.so
# It asks the real one, which Lua loads later, where it would not be found.
build/other_curl.so: LDLIBS = -Wl,--no-as-needed $(CURL_LIBS)
$(PRELOADED): build/%.so: spec/support/%.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -Werror $(CURL_CFLAGS) -shared -fvisibility=default -o $@ \
	  $< $(LDLIBS)

# What they start: bare libcurl, which the fault matrix compares with, and what
# ends their children with them.
STARTED = build/witness build/watcher
build/witness: LDLIBS = $(CURL_LIBS)
$(STARTED): build/%: spec/support/%.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -Werror -O2 $(CURL_CFLAGS) -o $@ $< $(LDLIBS)

# Several lua_States in threads.
.PHONY: threads
threads: $(TREE)/$(LUA)/threads

$(TREE)/$(LUA)/threads: spec/support/threads.c $(TREE)/obj/flags \
  $(TREE)/obj/$(LUA)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS:-I%=-isystem %) -o $@ $< \
	  $(shell pkg-config --libs $(LUA)) -pthread

.PHONY: sanitized
sanitized: $(PRELOADED) $(STARTED) torture-hosts
	@$(MAKE) -s -j$(CORES) c-tests SANITIZE=1
	@for lua in lua5.4 luajit; do \
	  $(MAKE) -s -j$(CORES) build threads LUA=$$lua SANITIZE=1 || exit 1; done
	@$(MAKE) -s race-detector

# No compiler has it for a processor of 32 bits.
.PHONY: race-detector
race-detector:
	@test -z "$(call known,-fsanitize=thread)" || \
	  $(MAKE) -s -j$(CORES) build threads LUA=lua5.4 SANITIZE=thread

# Every allocation fails once, of Lua's, of libcurl's and of ours: minutes.
.PHONY: torture
torture: export WERROR = -Werror
torture:
	@tools/setup.sh test
	@for lua in lua5.4 luajit; do $(MAKE) -s build LUA=$$lua || exit 1; done
	@$(MAKE) -s torture-hosts build/watcher c-tests SANITIZE=1
	@CLO_SPEC_TORTURE=1 build/sanitize/c/test_engine_curl_memory
	@spec/torture/run.sh

.PHONY: torture-hosts
torture-hosts: build/torture/lua5.4 build/torture/luajit

build/torture/%: spec/torture/host.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) $(WERROR) -O2 -fvisibility=default -rdynamic \
	  $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $*)) -o $@ $< \
	  $(shell pkg-config --libs $*) -pthread -ldl

.PHONY: bench
bench:
	@tools/setup.sh bench
	@$(MAKE) -s build build/curl_post build/load
	@$(MAKE) -s build LUA=luajit
	@tools/bench.sh $(LUA)

build/curl_post: bench/curl_post.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -O2 $(CURL_CFLAGS) -o $@ $< $(CURL_LIBS)

build/load: bench/load.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -O2 -o $@ $<

# Loops over pairs: see lua/close/raw_pairs.lua.
.PHONY: lint
lint:
	@luacheck -q $(LUA_FILES)
	@! grep -nE '.{81}| $$' $(wildcard src/*/*.[ch] spec/*/*.[ch] bench/*.[ch])
	@! grep -nE 'in (pairs *\(|next *,)' $(filter-out lua/close/sandbox.lua, \
	  $(wildcard lua/close.lua lua/close/*.lua lua/close/loop/*.lua))

.PHONY: layers
layers: export WERROR = -Werror
layers:
	@$(MAKE) -s build
	@lua5.4 tools/layers.lua $(TREE) $(LUA)

# The module's C against another C library's headers. It is not linked: libcurl
# and Lua are here for this one, so nothing but their headers is lent.
.PHONY: musl
musl: HEADERS = $(shell $(CC) $(CURL_CFLAGS) $(LUA_CFLAGS) -M \
  -include curl/curl.h -include lua.h -x c /dev/null)
musl: LENT = $(sort $(filter %-multiarch.h,$(HEADERS)) \
  $(patsubst %/curl.h,%,$(filter %/curl/curl.h,$(HEADERS))))
musl:
	@rm -rf build/musl && mkdir -p build/musl && ln -s $(LENT) build/musl
	@musl-gcc $(STRICT) -Werror -fsyntax-only -Isrc/core -Isrc/http \
	  $(LUA_CFLAGS:-I%=-isystem %) -isystem build/musl $(wildcard src/*/*.c)

.PHONY: install
install: TO = $(DESTDIR)$(PREFIX)
install: $(MODULE)
	@$(NEEDS_LUA)
	@tools/check_lua.sh $(MODULE) $(LUA)
	install -d "$(TO)/bin"
	sed "1s|.*|#!$$(command -v $(LUA))|" bin/close-sandbox \
	  >"$(TO)/bin/close-sandbox"
	chmod 755 "$(TO)/bin/close-sandbox"
	find lua -name '*.lua' | while read -r file; do \
	  to="$(TO)/share/lua/$(VERSION_DIR)/$${file#lua/}"; \
	  install -d "$${to%/*}" && install -m 644 "$$file" "$$to" || exit 1; done
	install -d "$(TO)/lib/lua/$(VERSION_DIR)/close"
	install -m 755 $(MODULE) "$(TO)/lib/lua/$(VERSION_DIR)/close/core.so"

# What install has put there, of this $(LUA). Where something else is in a
# directory, that stays.
.PHONY: uninstall
uninstall: TO = $(DESTDIR)$(PREFIX)
uninstall: HERE = $(TO)/share/lua/$(VERSION_DIR)
uninstall: CORE_HERE = $(TO)/lib/lua/$(VERSION_DIR)/close
uninstall:
	@$(NEEDS_LUA)
	@find lua -name '*.lua' | while read -r file; do \
	  rm -f "$(HERE)/$${file#lua/}"; done
	@find lua -depth -mindepth 1 -type d | while read -r dir; do \
	  rmdir "$(HERE)/$${dir#lua/}" 2>/dev/null || :; done
	@rm -f "$(CORE_HERE)/core.so"
	@rmdir "$(CORE_HERE)" 2>/dev/null || :
	@program="$(TO)/bin/close-sandbox"; if [ -f "$$program" ] && \
	  [ "$$(head -n 1 "$$program")" = "#!$$(command -v $(LUA))" ]; then \
	  rm -f "$$program"; fi

# And what LuaRocks, Neovim and managers of its plugins leave in a checkout.
.PHONY: clean
clean:
	rm -rf build close lua_modules .luarocks
	rm -f src/*/*.o *.rock lua/close/core.so examples/neovim/doc/tags
