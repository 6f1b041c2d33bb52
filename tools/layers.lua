-- The layer check: src/core uses libc alone, src/http the core, src/lua both,
-- lua/close src/lua, and no files need each other in a circle. Reads the tree:
-- includes, symbols of objects, requires, rockspecs. Prints each fault.
--   lua5.4 tools/layers.lua BUILD_TREE LUA

local tree, lua = arg[1], arg[2]
local faults, checked = {}, 0

local function fault(...) faults[#faults + 1] = string.format(...) end

local function lines(command)
  local pipe = assert(io.popen(command))
  local found = {}
  for line in pipe:lines() do found[#found + 1] = line end
  assert(pipe:close(), command .. " failed")
  return found
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local function set(words)
  local found = {}
  for word in words:gmatch "%S+" do found[word] = true end
  return found
end

local function sorted(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- ---- who needs whom: uses[a][b] is true where a needs b ----

local uses = {}

local function note_use(from, to)
  checked = checked + 1
  if from == to then return end
  uses[from] = uses[from] or {}
  uses[from][to] = true
end

-- Names one circle for each way back that a walk finds.
local function check_circles()
  local state, path = {}, {}
  local function visit(name)
    if state[name] == "done" then return end
    path[#path + 1] = name
    if state[name] == "open" then
      local first = #path - 1
      while path[first] ~= name do first = first - 1 end
      fault("a circle: %s", table.concat(path, " -> ", first))
    else
      state[name] = "open"
      for _, other in ipairs(sorted(uses[name] or {})) do visit(other) end
      state[name] = "done"
    end
    path[#path] = nil
  end
  for _, name in ipairs(sorted(uses)) do visit(name) end
end

-- ---- C. A .c and the .h of the same name are one file here ----

-- Each folder may use those before it.
local FOLDERS = { "src/core", "src/http", "src/lua" }
local PURE = { -- all that the core may use of the system
  headers = set [[stddef.h stdint.h stdlib.h stdio.h stdarg.h string.h limits.h
                  float.h math.h]],
  symbols = set [[malloc calloc realloc free memcpy memmove memset memcmp memchr
                  strlen strcmp strncmp snprintf vsnprintf
                  _GLOBAL_OFFSET_TABLE_]],
}
local OPENER = "luaopen_close_core" -- the one symbol that the module exports

local headers = {}  -- by name: its path, its text without comments
local sources = {}  -- paths of all .c and .h
local rank = {}     -- by path without the ending: the folder's place

for place, folder in ipairs(FOLDERS) do
  for _, path in ipairs(lines("find " .. folder .. " -name '*.[ch]' | sort")) do
    sources[#sources + 1] = path
    rank[path:sub(1, -3)] = place
    if path:find "%.h$" then
      headers[path:match "[^/]+$"] = { path = path,
        text = read(path):gsub("/%*.-%*/", " ") }
    end
  end
end

-- Notes what a file of C needs of another one.
local function note_c(from, to, what)
  note_use(from, to)
  if rank[from] < rank[to] then
    fault("%s must not use %s of %s", from, what, to)
  end
end

local function check_system_header(path, name)
  checked = checked + 1
  local is_lua = name:find "^lua" or name == "lauxlib.h"
  if rank[path:sub(1, -3)] == 1 and not PURE.headers[name] or
     is_lua and not path:find "/lclo_compat%.h$" then
    fault("%s must not include <%s>", path, name)
  end
end

local function check_source(path)
  local text = read(path):gsub("/%*.-%*/", " ")
  for kind, name in text:gmatch '#%s*include%s*([<"])([^>"]+)' do
    if kind == "<" then
      check_system_header(path, name)
    elseif headers[name] then
      note_c(path:sub(1, -3), headers[name].path:sub(1, -3), name)
    else
      fault("%s must not include \"%s\"", path, name)
    end
  end
  if text:find "LUA_VERSION_NUM" and not path:find "/lclo_compat%.h$" then
    fault("%s must not ask for LUA_VERSION_NUM", path)
  end
end

-- What a compiler adds for a processor of 32 bits: where the code is, and how a
-- number of 64 bits is divided.
local function is_compilers(symbol)
  return symbol:find "^__x86%.get_pc_thunk" or
    symbol:find "^__u?div[mod]*[sd]i[34]$" or symbol:find "^__u?moddi3$"
end

-- Calls back with each file of C, as above, and a symbol that nm lists of it.
local function each_symbol(options, found)
  for name, place in pairs(rank) do
    local object = ("%s/obj/%s.o"):format(tree,
      name:gsub("^src/", ""):gsub("^lua/", lua .. "/"))
    local is_source = io.open(name .. ".c")
    if is_source then
      is_source:close()
      for _, line in ipairs(lines("nm " .. options .. " " .. object)) do
        local symbol = line:match "%s(%S+)$"
        if not is_compilers(symbol) then found(name, symbol, place) end
      end
    end
  end
end

-- A declaration in another header would hide a use from the check of includes.
local function check_declared(symbol, file)
  for _, header in pairs(headers) do
    local is_there = header.text:find("%f[%w_]" .. symbol .. "%f[^%w_]")
    local is_own = header.path == file .. ".h"
    if is_there and not is_own then
      fault("%s names %s, which is of %s", header.path, symbol, file)
    elseif is_own and not is_there then
      fault("%s does not declare %s", header.path, symbol)
    end
  end
end

local function check_symbols()
  local defined, used = {}, { [OPENER] = true }
  each_symbol("-g --defined-only", function(file, symbol)
    defined[symbol] = file
  end)
  each_symbol("-u", function(file, symbol, place)
    checked = checked + 1
    used[symbol] = true
    if defined[symbol] then
      note_c(file, defined[symbol], symbol)
    elseif place == 1 and not PURE.symbols[symbol] or
           place < 3 and symbol:find "^luaL?_" then
      fault("%s must not use %s", file, symbol)
    end
  end)
  for _, symbol in ipairs(sorted(defined)) do
    if symbol ~= OPENER then check_declared(symbol, defined[symbol]) end
    if not used[symbol] then
      fault("%s of %s is used by no other file: make it static, or take it out",
        symbol, defined[symbol])
    end
  end
  for _, line in ipairs(lines("nm -D --defined-only " .. tree .. "/" .. lua ..
    "/close/core.so")) do
    local name = line:match "%s(%S+)$"
    if name ~= OPENER then fault("core.so exports %s", name) end
  end
end

-- ---- Lua ----

-- What the names of a rock's dependencies let its files require.
local MODULES = { ["lua-cjson"] = "cjson", luasocket = "socket mime" }

-- The tokens of Lua's text that can make up a require, one after the other.
local function tokens(text)
  local at, found = 1, {}
  while at <= #text do
    local level = text:match("^%-%-%[(=*)%[", at) or text:match("^%[(=*)%[", at)
    local word = text:match("^[%a_][%w_]*", at)
    local quote = text:match("^[\"']", at)
    local stop
    if level then
      stop = select(2, text:find("]" .. level .. "]", at, true))
    elseif text:find("^%-%-", at) then
      stop = text:find("\n", at, true)
    elseif quote then
      stop = at
      repeat
        stop = stop + 1
        if text:sub(stop, stop) == "\\" then stop = stop + 2 end
      until stop > #text or text:sub(stop, stop) == quote
      found[#found + 1] = text:sub(at, stop)
    else
      stop = at + #(word or " ") - 1
      found[#found + 1] = text:match("^%S+", at) and text:sub(at, stop)
    end
    at = (stop or #text) + 1
  end
  return found
end

-- The modules that a file requires, wherever in it.
local function requires(path)
  local all, found = tokens(read(path)), {}
  for i, token in ipairs(all) do
    if token == "require" then
      local next_one = all[i + 1]
      if next_one == "(" or next_one == "," then next_one = all[i + 2] end
      local name = next_one and next_one:match "^[\"'](.*)[\"']$"
      if name then
        found[#found + 1] = name
      else
        fault("%s requires a module whose name does not stand there", path)
      end
    end
  end
  return found
end

-- By path: the rock that a file is of, its modules and what it may require
-- besides.
local rock_of = {}
for _, path in ipairs(lines "ls *.rockspec") do
  local rock = { modules = {}, besides = {} }
  assert(loadfile(path, "t", rock))()
  for module, where in pairs(rock.build.modules) do
    rock.modules[module] = true
    if type(where) == "string" then rock_of[where] = rock end
  end
  for _, dependency in ipairs(rock.dependencies) do
    for name in (MODULES[dependency:match "^%S+"] or ""):gmatch "%S+" do
      rock.besides[name] = true
    end
  end
end

local function check_lua(path)
  local rock = rock_of[path]
  local is_loop = path:find "^lua/close/loop/"
  if not rock then return fault("%s stands in no rockspec", path) end
  if is_loop and read(path):gsub("%-%-[^\n]*", ""):lower():find "sms" then
    fault("%s must know nothing of SMS", path)
  end
  for _, name in ipairs(requires(path)) do
    local is_ours = name == "close" or name:find "^close%."
    local is_fine
    if is_loop then -- and what its host has
      is_fine = name:find "^close%.loop%." or not is_ours
    else
      is_fine = rock.modules[name] or rock.besides[name:match "^[^.]+"]
    end
    if not is_fine then fault("%s must not require %s", path, name) end
    note_use(path, "lua/" .. name:gsub("%.", "/") .. ".lua")
  end
end

-- What the glue hands to Lua is there to be called by it.
local function check_glue(called)
  for _, path in ipairs(sources) do
    for name in (rank[path:sub(1, -3)] == 3 and read(path) or "")
      :gmatch '{"(%l[%w_]+)", ' do
      checked = checked + 1
      if not called:find("[.:]" .. name .. "%f[^%w_]") then
        fault("%s hands %s to Lua, where nothing calls it", path, name)
      end
    end
  end
end

local called = {}
for _, path in ipairs(sources) do check_source(path) end
check_symbols()
for _, path in ipairs(lines "find lua -name '*.lua' | sort") do
  check_lua(path)
  called[#called + 1] = read(path)
end
check_glue(table.concat(called))
check_circles()

for _, line in ipairs(faults) do print("layers: " .. line) end
print(("layers: %d references checked, %d faults"):format(checked, #faults))
os.exit(#faults == 0 and checked > 500)
