-- A Close server on loopback, for demos and for users' own tests: start() runs
-- it in a process of its own, serve() in this one. Needs LuaSocket and
-- lua-cjson, and nothing else of this library.
--
--   local server = assert(require("close.sandbox").start())
--   local client = assert(close.new {
--     base_url = server.url, api_key = server.api_key,
--   })

local function need(module, package, rock, found, problem)
  if not found then
    error(("close.sandbox needs the module %q: install the Debian package "
      .. "%s, or the rock %s\n%s"):format(module, package, rock, problem), 0)
  end
end
need("cjson", "lua-cjson", "lua-cjson", pcall(require, "cjson"))
need("socket", "lua-socket", "luasocket", pcall(require, "socket"))

local sandbox = {}

---@class close.sandbox.RateLimit
---@field limit integer how many requests one window takes
---@field window number the window's length in seconds

--- What start() and serve() take; everything has a default.
---@class close.sandbox.Options
---@field port integer? 0, the default, is a free one
---@field host string? a loopback address: "127.0.0.1"
---@field api_key string? the key it accepts: "api_sandbox"
---@field access_token string? the token it accepts: "token_sandbox"
---@field rate_limit close.sandbox.RateLimit|false|nil per endpoint group and
---  key: 100000 a second; false: no RateLimit header either
---@field max_body_bytes integer? the largest body it takes: 1 MiB
---@field receive_buffer integer? the kernel's receive buffer in bytes; if it is
---  small, a client cannot send its whole body while the server pauses
---@field seed integer? of the faults with a share: 1
---@field interpreter string? start() only: the Lua that runs it
---@field timeout number? start() only: how long it may take to be ready: 10
---@field watch_stdin boolean? serve() only: end at the end of standard input
---@field log fun(line: string)? serve() only: told one line per request
---@field on_ready fun(info: { url: string, port: integer })? serve() only:
---  called when it accepts connections

local DEFAULTS = {
  port = 0, host = "127.0.0.1", api_key = "api_sandbox",
  access_token = "token_sandbox", max_body_bytes = 1048576,
  rate_limit = { limit = 100000, window = 1 }, seed = 1,
}

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function is_integer(value, least, most)
  return type(value) == "number" and value % 1 == 0 and value >= least
    and value <= most
end

-- Only loopback: other addresses can be reached from the network.
local function is_loopback(value)
  return value == "localhost" or value == "::1"
    or type(value) == "string" and value:find "^127%.%d+%.%d+%.%d+$" ~= nil
end

local function is_rate_limit(value)
  if value == false then return true end
  if type(value) ~= "table" then return false end
  for name in pairs(value) do
    if name ~= "limit" and name ~= "window" then return false end
  end
  return is_integer(value.limit, 1, 1e9) and type(value.window) == "number"
    and value.window > 0 and value.window <= 86400
end

local function is_duration(value)
  return type(value) == "number" and value > 0 and value <= 86400
end

local function is_function(value)
  return type(value) == "function"
end

-- Each option: what it must be, in words and as a check; "start" or "serve" if
-- only that function takes it.
local OPTIONS = {
  port = { "a port number", function(v) return is_integer(v, 0, 65535) end },
  host = { "a loopback address", is_loopback },
  api_key = { "a non-empty string", is_text },
  access_token = { "a non-empty string", is_text },
  rate_limit = { "{ limit = n, window = seconds }, or false", is_rate_limit },
  max_body_bytes = { "a number of bytes",
    function(v) return is_integer(v, 1, 2 ^ 30) end },
  receive_buffer = { "a number of bytes",
    function(v) return is_integer(v, 1, 2 ^ 30) end },
  seed = { "a whole number", function(v) return is_integer(v, 0, 2 ^ 53) end },
  interpreter = { "the name of an interpreter", is_text, "start" },
  timeout = { "a number of seconds", is_duration, "start" },
  watch_stdin = { "a boolean",
    function(v) return type(v) == "boolean" end, "serve" },
  log = { "a function", is_function, "serve" },
  on_ready = { "a function", is_function, "serve" },
}

-- The options with the defaults filled in, or what is wrong with them.
local function complete(options, who)
  if options ~= nil and type(options) ~= "table" then
    return nil, "close.sandbox: the options must be a table"
  end
  local all = {}
  for name, value in pairs(DEFAULTS) do all[name] = value end
  for name, value in pairs(options or {}) do
    local option = OPTIONS[name]
    if not option or option[3] and option[3] ~= who then
      return nil, ("close.sandbox: unknown option %q"):format(tostring(name))
    end
    if not option[2](value) then
      return nil, ("close.sandbox: option %q must be %s"):format(
        name, option[1])
    end
    all[name] = value
  end
  return all
end

--- Starts a sandbox in a process of its own, so that a client that blocks this
--- process can talk to it. It ends by stop(), or with this process.
---@param options close.sandbox.Options?
---@return close.sandbox.Handle? server
---@return string? problem
function sandbox.start(options)
  local all, problem = complete(options, "start")
  if not all then return nil, problem end
  local child = require "close.sandbox.child"
  local handle = require "close.sandbox.handle"
  local interpreter, timeout = all.interpreter, all.timeout or 10
  all.interpreter, all.timeout = nil, nil
  local pipe, info = child.spawn(all, interpreter, timeout)
  if not pipe then
    return nil, "close.sandbox: the server did not start: " .. tostring(info)
  end
  return handle.new(pipe, info, all)
end

-- Ends the loop when standard input ends.
local function watch_stdin(loop)
  -- select takes any object with these methods.
  local stdin = {
    getfd = function() return 0 end,
    dirty = function() return false end,
  }
  repeat loop:wait(stdin, "read") until not io.read(1)
  loop:stop()
end

local function parent_id()
  local file = io.open("/proc/self/stat", "rb")
  if not file then return nil end
  local id = file:read("*a"):match "%) %S (%d+)"
  file:close()
  return id
end

-- Ends the loop when the parent process has ended, on systems with /proc.
-- Standard input does not end if another child of the parent has inherited the
-- pipe.
local function watch_parent(loop)
  local first = parent_id()
  while first and parent_id() == first do loop:wait(nil, nil, 0.5) end
  if first then loop:stop() end
end

local function run(server, options)
  local loop = server.loop
  local function rethrow(problem)
    if problem then error(problem, 0) end
  end
  if options.watch_stdin then
    loop:spawn(function() watch_stdin(loop) end, rethrow)
    loop:spawn(function() watch_parent(loop) end, rethrow)
  end
  if options.on_ready then
    options.on_ready { url = server.url, port = server.port }
  end
  server:run()
end

--- Runs a sandbox in this process, until Ctrl-C, or until standard input ends
--- where that is watched.
---@param options close.sandbox.Options?
---@return true? ended
---@return string? problem
function sandbox.serve(options)
  local all, problem = complete(options, "serve")
  if not all then return nil, problem end
  local server
  server, problem = require("close.sandbox.server").new(all)
  if not server then return nil, "close.sandbox: " .. problem end
  local ok
  ok, problem = pcall(run, server, all)
  server:close()
  -- The standard interpreters raise this at Ctrl-C.
  if not ok and not tostring(problem):find("interrupted!", 1, true) then
    return nil, "close.sandbox: " .. tostring(problem)
  end
  return true
end

return sandbox
