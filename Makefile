# make demo | test | build | env | install | lint | layers | bench | clean
# Everything that is built stands below build/.

LUA ?= lua5.4
LUAS = lua5.1 lua5.2 lua5.3 lua5.4 luajit
PREFIX ?= /usr/local

# SANITIZE=1 builds a second tree with ASan and UBSan.
ifdef SANITIZE
TREE = build/sanitize
SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
  -fno-omit-frame-pointer -O1
else
TREE = build
SANFLAGS = -O2
endif

CC ?= cc
CFLAGS ?= -g
STRICT = -std=c99 -D_POSIX_C_SOURCE=200809L -fPIC -fvisibility=hidden \
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes \
  -Wmissing-prototypes -Wconversion -Wvla -Wformat=2 -Wundef
ALL_CFLAGS = $(STRICT) $(SANFLAGS) $(CFLAGS)

# Only asked for where something is compiled.
LUA_CFLAGS = $(or $(LUA_INCDIR:%=-I%),$(shell pkg-config --cflags $(LUA)))
CURL_CFLAGS = $(shell pkg-config --cflags libcurl)
CURL_LIBS = $(or $(CURL_LIBDIR:%=-L%)-lcurl,$(shell pkg-config --libs libcurl))

CORE = $(patsubst src/%.c,$(TREE)/obj/%.o,$(wildcard src/core/*.c))
HTTP = $(patsubst src/%.c,$(TREE)/obj/%.o,$(wildcard src/http/*.c))
GLUE = $(patsubst src/lua/%.c,$(TREE)/obj/$(LUA)/%.o,$(wildcard src/lua/*.c))
LUA_FILES = lua spec tools bin/close-sandbox examples bench \
  close-scm-1.rockspec
ARCHIVE = $(TREE)/libclo.a
MODULE = $(TREE)/$(LUA)/close/core.so

.PHONY: build
build: $(MODULE)

$(TREE)/obj/core/%.o: src/core/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(TREE)/obj/http/%.o: src/http/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(CURL_CFLAGS) -Isrc/core -MMD -MP -c $< -o $@

$(TREE)/obj/$(LUA)/%.o: src/lua/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -isystem $(patsubst -I%,%,$(LUA_CFLAGS)) \
	  -Isrc/core -Isrc/http -MMD -MP -c $< -o $@

$(ARCHIVE): $(CORE) $(HTTP)
	@rm -f $@
	$(AR) rcs $@ $^

$(MODULE): $(GLUE) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -Wl,--exclude-libs,ALL -o $@ \
	  $(GLUE) $(ARCHIVE) $(CURL_LIBS)

VERSION_DIR = $(shell $(LUA) -e 'print(_VERSION:match"%d.%d")')

# The lines that let $(LUA) load the checkout, from any directory, before what
# its paths are already. LUA_PATH_5_4 and its kin, which Lua 5.1 lacks, would win
# over LUA_PATH.
.PHONY: env
env: SUFFIX = $(subst .,_,$(filter-out 5.1,$(VERSION_DIR)))
env: OLD = $(if $(SUFFIX),\$${$1_$(SUFFIX):-\$${$1:-;;}},\$${$1:-;;})
env: UNSET = $(if $(SUFFIX),; unset LUA_PATH_$(SUFFIX) LUA_CPATH_$(SUFFIX))
env:
	@echo "export LUA_PATH='$(CURDIR)/lua/?.lua;'\"$(call OLD,LUA_PATH)\"" \
	  "LUA_CPATH='$(CURDIR)/$(TREE)/$(LUA)/?.so;'\"$(call OLD,LUA_CPATH)\"$(UNSET)"

-include $(CORE:.o=.d) $(HTTP:.o=.d) $(GLUE:.o=.d)

# ---- the C tests, always under the sanitizers ----

TESTS = $(patsubst spec/c/test_%.c,$(TREE)/c/test_%,$(wildcard spec/c/test_*.c))
TEST_PARTS = $(filter-out $(wildcard spec/c/test_*.c),$(wildcard spec/c/*.c))

.PHONY: c-tests
c-tests: $(TESTS)

$(TREE)/c/test_%: spec/c/test_%.c $(TEST_PARTS) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Isrc/core -Isrc/http -o $@ $< $(TEST_PARTS) \
	  $(ARCHIVE) $(LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
	  -lcmocka $(CURL_LIBS)

# ---- the commands ----

.PHONY: demo
demo:
	@tools/setup.sh demo
	@$(MAKE) -s build LUA=lua5.4
	@eval "$$($(MAKE) -s env LUA=lua5.4)" && lua5.4 examples/script/demo.lua

.PHONY: test
test:
	@tools/setup.sh test
	@for lua in $(LUAS); do $(MAKE) -s build LUA=$$lua || exit 1; done
	@$(MAKE) -s sanitized
	@tools/test.sh

# A slow resolver, which a spec preloads.
build/slow_dns.so: spec/support/slow_dns.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -shared -fvisibility=default -o $@ $<

# Bare libcurl, which the fault matrix compares with.
build/witness: spec/support/witness.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -O2 $(CURL_CFLAGS) -o $@ $< $(CURL_LIBS)

.PHONY: sanitized
sanitized: build/slow_dns.so build/witness
	@$(MAKE) -s c-tests SANITIZE=1
	@for lua in lua5.4 luajit; do \
	  $(MAKE) -s build LUA=$$lua SANITIZE=1 || exit 1; done

.PHONY: bench
bench:
	@tools/setup.sh test
	@$(MAKE) -s build build/curl_post build/load
	@$(MAKE) -s build LUA=luajit
	@tools/bench.sh $(LUA)

build/curl_post: bench/curl_post.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -O2 $(CURL_CFLAGS) -o $@ $< $(CURL_LIBS)

build/load: bench/load.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -O2 -o $@ $<

.PHONY: lint
lint:
	@luacheck -q $(LUA_FILES)

.PHONY: layers
layers: $(MODULE)
	@lua5.4 tools/layers.lua $(TREE) $(LUA)

.PHONY: install
install: TO = $(DESTDIR)$(PREFIX)
install: $(MODULE)
	test -n "$(VERSION_DIR)"
	install -d "$(TO)/bin"
	sed "1s|.*|#!$$(command -v $(LUA))|" bin/close-sandbox \
	  >"$(TO)/bin/close-sandbox"
	chmod 755 "$(TO)/bin/close-sandbox"
	to=$$(cd "$(TO)" && pwd) && cd lua && find . -name '*.lua' -exec \
	  install -D -m 644 {} "$$to/share/lua/$(VERSION_DIR)/{}" ';'
	install -D -m 755 $(MODULE) \
	  "$(TO)/lib/lua/$(VERSION_DIR)/close/core.so"

# And what LuaRocks leaves in a checkout.
.PHONY: clean
clean:
	rm -rf build close lua_modules .luarocks
	rm -f src/*/*.o *.rock
