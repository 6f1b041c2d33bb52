-- The process of a started sandbox: how it is started, how it tells where it
-- listens, and when it ends. POSIX only.
--
-- Its standard input is a pipe from the caller. It reads the options from there
-- (they hold secrets, and a command line is public), and ends when the pipe
-- does: at stop(), or when the caller ends.

local json = require "close.sandbox.json"
local socket = require "socket"

local child = {}

local BOOTSTRAP = 'require("close.sandbox.child").main('
  .. 'require("close.sandbox").serve)'
local POLL_S = 0.002
local MAX_DESCRIPTOR = 1023

-- Variables that override LUA_PATH and LUA_CPATH, or run code at the start.
local UNSET = "LUA_INIT LUA_INIT_5_2 LUA_INIT_5_3 LUA_INIT_5_4 LUA_INIT_5_5 "
  .. "LUA_PATH LUA_PATH_5_2 LUA_PATH_5_3 LUA_PATH_5_4 LUA_PATH_5_5 "
  .. "LUA_CPATH LUA_CPATH_5_2 LUA_CPATH_5_3 LUA_CPATH_5_4 LUA_CPATH_5_5"

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read_file(name)
  local file = io.open(name, "rb")
  if not file then return "" end
  local text = file:read "*a"
  file:close()
  return text or ""
end

-- The interpreter of this process, if its name is that of a standard one: the
-- first word of the command line, which lua puts at the lowest index of `arg`.
local function running_interpreter()
  local words = rawget(_G, "arg")
  if type(words) ~= "table" then return nil end
  local lowest = 0
  while words[lowest - 1] do lowest = lowest - 1 end
  local word = words[lowest]
  local name = type(word) == "string" and word:match "[^/]*$" or ""
  return (name:find "^lua[%d.%-]*$" or name:find "^luajit[%d.%-]*$")
    and word or nil
end

local versions = {} -- of the commands that have told theirs

-- The _VERSION of the Lua that a command runs; nil: it is no Lua.
local function version_of(command)
  if versions[command] then return versions[command] end
  local script = quote(command) .. " -e " .. quote "io.write(_VERSION)"
  local pipe = io.popen("exec </dev/null 2>/dev/null; unset " .. UNSET .. "; "
    .. script)
  if not pipe then return nil end
  local answer = pipe:read "*a"
  pipe:close()
  versions[command] = answer and answer:match "^Lua %d%.%d$"
  return versions[command]
end

-- The interpreter to use, and its _VERSION.
local function choose_interpreter(wanted)
  if wanted then
    local version = version_of(wanted)
    if version then return wanted, version end
    return nil, ("%s cannot be run as a Lua interpreter"):format(wanted)
  end
  local number = _VERSION:match "%d%.%d"
  local names = { running_interpreter() }
  if rawget(_G, "jit") then names[#names + 1] = "luajit" end
  for _, name in ipairs { "lua" .. number, "lua-" .. number, "lua" } do
    names[#names + 1] = name
  end
  for _, name in ipairs(names) do
    if version_of(name) == _VERSION then return name, _VERSION end
  end
  return nil, "no interpreter of " .. _VERSION .. " found (tried "
    .. table.concat(names, ", ") .. "): give the option interpreter"
end

-- The directory that this module was loaded from: some hosts find modules in
-- other ways than package.path.
local function own_root()
  local source = debug.getinfo(1, "S").source
  return source:match "^@(.*)close[/\\]sandbox[/\\]child%.lua$"
end

-- The shell command that writes its process id into a file and becomes the
-- child. A child of another Lua version gets this library's path and its own
-- default paths.
local function command(interpreter, version, scratch, errors)
  local root = own_root()
  local path = root and root .. "?.lua;" or ""
  local environment = "unset " .. UNSET .. "; "
  if version == _VERSION then
    path = path .. package.path
    environment = environment .. "export LUA_CPATH=" .. quote(package.cpath)
      .. "; "
  else
    path = path .. ";"
  end
  return environment .. "export LUA_PATH=" .. quote(path)
    .. "; echo $$ >" .. quote(scratch)
    .. "; exec " .. quote(interpreter) .. " -e " .. quote(BOOTSTRAP)
    .. " >/dev/null 2>" .. quote(errors)
end

-- New temporary files; the caller removes them.
local function temporary_files(count)
  local names = {}
  for i = 1, count do
    local ok, name = pcall(os.tmpname)
    if not ok then return names, name end
    names[i] = name
  end
  return names
end

-- Waits until the child has written where it listens.
local function wait_until_ready(pipe, ready, timeout)
  local deadline = socket.gettime() + timeout
  repeat
    local text = read_file(ready)
    if text ~= "" then return json.plain(json.decode(text)) end
    socket.sleep(POLL_S)
    -- Fails once the child has ended. (LuaSocket ignores SIGPIPE.)
    if not pipe:write "\n" then return nil, "it ended" end
  until socket.gettime() > deadline
  return nil, ("it was not ready after %g s"):format(timeout)
end

-- Closing the pipe waits until the child ends, so it must end.
local function kill(scratch)
  local id = read_file(scratch):match "^%d+"
  if id then os.execute("kill -9 " .. id .. " 2>/dev/null") end
end

-- Starts the child, with temporary files for what it writes.
local function launch(interpreter, version, files, options, timeout)
  local ready, scratch, errors = files[1], files[2], files[3]
  local line = json.encode { options = options, ready = ready,
    scratch = scratch }
  local pipe, problem = io.popen(
    command(interpreter, version, scratch, errors), "w")
  if not pipe then return nil, problem end
  -- Unbuffered, so that each write fails by itself. (LuaJIT may repeat a flush
  -- that failed, and the second one may succeed.)
  pipe:setvbuf "no"
  pipe:write(line .. "\n")
  local info
  info, problem = wait_until_ready(pipe, ready, timeout)
  if info then return pipe, info end
  kill(scratch)
  pipe:close()
  local said = read_file(errors):gsub("%s+$", "")
  return nil, said ~= "" and problem .. ": " .. said or problem
end

--- Starts a sandbox in a process of its own.
---@param options table what serve() takes, of JSON's types
---@param interpreter string?
---@param timeout number seconds
---@return file*? pipe closing it ends the child, and waits for that
---@return table|string info url and port, or why it did not start
function child.spawn(options, interpreter, timeout)
  if package.config:sub(1, 1) ~= "/" then
    return nil, "only POSIX systems can start a sandbox from Lua"
  end
  local chosen, version = choose_interpreter(interpreter)
  if not chosen then return nil, version end
  local files, problem = temporary_files(3)
  local pipe, info = nil, problem
  if #files == 3 then
    pipe, info = launch(chosen, version, files, options, timeout)
  end
  for _, name in ipairs(files) do os.remove(name) end
  return pipe, info
end

-- Closes the inherited descriptors: a socket of the caller would stay open as
-- long as this process has it. Only LuaSocket can close one by its number.
local function close_inherited()
  for descriptor = 3, MAX_DESCRIPTOR do
    local sock = socket.tcp()
    sock:setfd(descriptor)
    sock:close()
  end
end

-- Writes where the server listens. A rename, so that it is never read half.
local function announce(order, info)
  local file, problem = io.open(order.scratch, "wb")
  if not file then return nil, problem end
  file:write(json.encode(info))
  file:close()
  return os.rename(order.scratch, order.ready)
end

--- What the child runs.
---@param serve function close.sandbox.serve
function child.main(serve)
  local line = io.read "*l"
  if not line then return end
  close_inherited()
  local order = json.decode(line)
  local options = order.options
  options.watch_stdin = true
  options.on_ready = function(info) assert(announce(order, info)) end
  local ok, problem = serve(options)
  if not ok then
    io.stderr:write(problem, "\n")
    os.exit(1)
  end
end

return child
