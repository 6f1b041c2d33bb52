-- The second yardstick: the same call by a bare binding of libcurl and
-- lua-cjson, table to table, without checks, outcomes, retries or time budgets.
--   LUA bench/binding.lua URL CAFILE N BODYFILE [WARMUP]
-- Prints the wall, CPU and user CPU seconds of the N calls; nothing if this Lua
-- has no binding. Which one: Lua-cURLv3 (module "cURL", of LuaRocks), if it is
-- in LUA_PATH and LUA_CPATH; or Debian's lua-curl (module "curl", for Lua 5.1,
-- LuaJIT and 5.2), whose libcurl has GnuTLS.

local json = require "cjson"
local socket = require "socket"

local URL, CA_FILE, N, BODY, WARMUP = arg[1], arg[2], tonumber(arg[3]), arg[4],
  tonumber(arg[5] or 100)
local HEADERS = { "Content-Type: application/json", "Accept: application/json" }

local parts
local function keep(data)
  parts[#parts + 1] = data
  return #data
end

local bindings = {}

function bindings.cURL(curl)
  local easy = curl.easy { url = URL, cainfo = CA_FILE, noproxy = "*",
    nosignal = true, timeout = 60, useragent = "close-bench",
    userpwd = "api_bench:", httpheader = HEADERS, post = true,
    writefunction = keep }
  return function(body)
    easy:setopt_postfields(body)
    easy:perform()
    return easy:getinfo_response_code()
  end
end

function bindings.curl(curl)
  local easy = curl.easy_init()
  local function set(name, value) easy:setopt(curl["OPT_" .. name], value) end
  set("URL", URL)
  set("CAINFO", CA_FILE)
  set("NOSIGNAL", 1)
  set("TIMEOUT", 60)
  set("USERAGENT", "close-bench")
  set("USERPWD", "api_bench:")
  set("HTTPHEADER", HEADERS)
  set("POST", 1)
  set("WRITEFUNCTION", keep)
  return function(body)
    set("POSTFIELDS", body)
    set("POSTFIELDSIZE", #body)
    return assert(easy:perform()) and 200 -- it tells no status
  end
end

local function find()
  for _, name in ipairs { "cURL", "curl" } do
    local found, curl = pcall(require, name)
    if found then return bindings[name](curl) end
  end
  os.exit(0)
end

local post = find()
local file = assert(io.open(BODY))
local params = json.decode(file:read "*a")
file:close()

local function calls(n)
  for _ = 1, n do
    parts = {}
    assert(post(json.encode(params)) == 200)
    assert(json.decode(table.concat(parts)).id)
  end
end

local function user_time() -- as in create.lua
  local stat = assert(io.open "/proc/self/stat")
  local ticks = stat:read "*a":match("%) " .. ("%S+ "):rep(11) .. "(%d+)")
  stat:close()
  return ticks / 100
end

calls(WARMUP)
local user, cpu, wall = user_time(), os.clock(), socket.gettime()
calls(N)
print(("%.6f %.6f %.2f"):format(socket.gettime() - wall, os.clock() - cpu,
  user_time() - user))
