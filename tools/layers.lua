-- The layer check: arrows point one way, core <- http <- src/lua <- lua/close.
-- Reads includes, symbols and requires; prints each that points the wrong way.
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

-- ---- includes: which folders a folder may look into, and which headers of the
-- system it may use (a pattern; nil: any) ----

local INCLUDES = {
  ["src/core"] = {
    folders = { "src/core" },
    system = set [[stddef.h stdint.h stdlib.h stdio.h stdarg.h string.h
                   limits.h float.h math.h]],
  },
  ["src/http"] = { folders = { "src/core", "src/http" }, no = "^lua" },
  ["src/lua"] = { folders = { "src/core", "src/http", "src/lua" } },
}

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function check_include(path, rule, kind, name)
  checked = checked + 1
  if kind == "<" then
    if rule.system and not rule.system[name] or
       rule.no and name:find(rule.no) or
       name:find "^l[au][ux]" and not path:find "lclo_compat%.h$" then
      fault("%s must not include <%s>", path, name)
    end
    return
  end
  for _, folder in ipairs(rule.folders) do
    if exists(folder .. "/" .. name) then return end
  end
  fault("%s must not include \"%s\"", path, name)
end

for folder, rule in pairs(INCLUDES) do
  for _, path in ipairs(lines("ls " .. folder .. "/*.[ch]")) do
    local text = read(path)
    for kind, name in text:gmatch '#%s*include%s*([<"])([^>"]+)' do
      check_include(path, rule, kind, name)
    end
    if text:find "LUA_VERSION_NUM" and not path:find "lclo_compat%.h$" then
      fault("%s must not ask for LUA_VERSION_NUM", path)
    end
  end
end

-- ---- symbols: what the objects of a folder need from outside ----

local SYSTEM = set [[malloc calloc realloc free memcpy memmove memset memcmp
  memchr strlen strcmp strncmp snprintf vsnprintf _GLOBAL_OFFSET_TABLE_]]

local function symbols(command)
  local found = {}
  for _, line in ipairs(lines(command)) do
    local name = line:match "^%s*U%s+([%w_]+)" or
      line:match "^%x+%s+[TDBRVWi]%s+([%w_]+)"
    if name then found[#found + 1] = name end
  end
  return found
end

local own = {}
for _, name in ipairs(symbols("nm --defined-only " .. tree ..
  "/obj/core/*.o")) do
  own[name] = true
end
for _, name in ipairs(symbols("nm -u " .. tree .. "/obj/core/*.o")) do
  checked = checked + 1
  if not own[name] and not SYSTEM[name] then
    fault("src/core uses %s, which is not the core's to use", name)
  end
end
for _, name in ipairs(symbols("nm -u " .. tree .. "/obj/http/*.o")) do
  checked = checked + 1
  if name:find "^lua" then fault("src/http uses %s", name) end
end
for _, name in ipairs(symbols("nm -D --defined-only " .. tree .. "/" .. lua ..
  "/close/core.so")) do
  checked = checked + 1
  if name ~= "luaopen_close_core" then fault("core.so exports %s", name) end
end

-- ---- requires: which modules a Lua file may use ----

local REQUIRES = {
  ["close.lua"] = set [[close.client close.core close.errors close.files
    close.json close.sms]],
  ["close/activity.lua"] = set "close.errors close.json",
  ["close/calls.lua"] = set [[close.core close.credentials close.errors
    close.memory close.options close.protect]],
  ["close/client.lua"] = set [[close.calls close.core close.credentials
    close.errors close.files close.memory close.options close.sms
    close.loop]],
  ["close/credentials.lua"] = set "close.core close.options close.protect",
  ["close/errors.lua"] = set "close.json",
  ["close/files.lua"] = set "close.core close.errors close.json close.memory",
  ["close/json.lua"] = set "close.core close.memory cjson",
  ["close/loop.lua"] = set [[close.loop.blocking close.loop.luv
    close.loop.ngx close.loop.poll]],
  ["close/memory.lua"] = {},
  ["close/options.lua"] = set "close.core",
  ["close/pages.lua"] = set [[close.activity close.core close.errors
    close.json close.params close.protect close.walk]],
  ["close/params.lua"] = set "close.core close.errors close.json",
  ["close/protect.lua"] = {},
  ["close/send.lua"] = set [[close.activity close.core close.json
    close.params]],
  ["close/sms.lua"] = set [[close.activity close.errors close.json close.pages
    close.params close.send]],
  ["close/types.lua"] = {},
  ["close/walk.lua"] = set "close.core",
}

for _, path in ipairs(lines "find lua -name '*.lua' | sort") do
  local file, text = path:gsub("^lua/", ""), read(path):gsub("%-%-[^\n]*", "")
  local loop = file:find "^close/loop/"
  local sandbox = file:find "^close/sandbox"
  if loop and text:lower():find "sms" then
    fault("%s must know nothing of SMS", path)
  end
  if not (loop or sandbox or REQUIRES[file]) then
    fault("%s has no place in the layers: add it to tools/layers.lua", path)
  end
  for name in text:gmatch 'require%s*%(?%s*"([^"]+)"' do
    checked = checked + 1
    local fine
    if loop then
      fine = name:find "^close%.loop%." or not name:find "^close"
    elseif sandbox then
      fine = name:find "^close%.sandbox" or not name:find "^close"
    else
      fine = (REQUIRES[file] or {})[name]
    end
    if not fine then fault("%s must not require %s", path, name) end
  end
end

for _, line in ipairs(faults) do print("layers: " .. line) end
print(("layers: %d references checked, %d faults"):format(checked, #faults))
os.exit(#faults == 0 and checked > 100)
