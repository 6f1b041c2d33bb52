-- The process that a started sandbox runs in: how it is begun, how it says
-- where it listens, and when it ends. POSIX only.
--
-- Its standard input is a pipe from the caller. The options come through it
-- (they hold secrets, and a command line is public), and its end, by stop() or
-- by the caller's death, ends the child.

local json = require "close.sandbox.json"
local socket = require "socket"

local child = {}

local BOOTSTRAP = 'require("close.sandbox.child").main('
  .. 'require("close.sandbox").serve)'
local POLL = 0.002
local LAST_DESCRIPTOR = 1023

-- Would come before LUA_PATH and LUA_CPATH, or run before everything.
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

-- The interpreter that runs us, if it looks like a plain one: the first word
-- of the command line, which lua puts at the lowest index of `arg`.
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

-- The language that a command runs, as its _VERSION; nil: it runs none.
local function version_of(command)
  local script = quote(command) .. " -e " .. quote "io.write(_VERSION)"
  local pipe = io.popen("exec </dev/null 2>/dev/null; unset " .. UNSET .. "; "
    .. script)
  if not pipe then return nil end
  local answer = pipe:read "*a"
  pipe:close()
  return answer and answer:match "^Lua %d%.%d$"
end

-- The interpreter to use, and the language it runs.
local function choose(wanted)
  if wanted then
    local version = version_of(wanted)
    if version then return wanted, version end
    return nil, ("%s is no Lua interpreter that can be run"):format(wanted)
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

-- Where this very module was loaded from, for hosts that have their own way of
-- finding modules.
local function own_root()
  local source = debug.getinfo(1, "S").source
  return source:match "^@(.*)close[/\\]sandbox[/\\]child%.lua$"
end

-- The shell command that leaves its process id in a file and becomes the
-- child. Another Lua than ours finds our own files where we did, and all
-- others where it usually does.
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

-- Names of files that nobody else has; the caller removes them.
local function temporary_files(count)
  local names = {}
  for i = 1, count do
    local ok, name = pcall(os.tmpname)
    if not ok then return names, name end
    names[i] = name
  end
  return names
end

-- Waits until the child has said where it listens.
local function handshake(pipe, ready, timeout)
  local deadline = socket.gettime() + timeout
  repeat
    local text = read_file(ready)
    if text ~= "" then return json.plain(json.decode(text)) end
    socket.sleep(POLL)
    -- Read by nobody, but fails once there is nobody who could read it
    -- (LuaSocket has turned SIGPIPE into that failure).
    if not pipe:write "\n" then return nil, "it ended" end
  until socket.gettime() > deadline
  return nil, ("it was not ready after %g s"):format(timeout)
end

-- Closing the pipe waits for the child, which must not be for ever.
local function kill(scratch)
  local id = read_file(scratch):match "^%d+"
  if id then os.execute("kill -9 " .. id .. " 2>/dev/null") end
end

-- Starts the child between the temporary files of one start.
local function launch(interpreter, version, files, options, timeout)
  local ready, scratch, errors = files[1], files[2], files[3]
  local line = json.encode { options = options, ready = ready,
    scratch = scratch }
  local pipe, problem = io.popen(
    command(interpreter, version, scratch, errors), "w")
  if not pipe then return nil, problem end
  -- Each write fails for itself. (A flush that failed once may succeed when
  -- LuaJIT, leaving compiled code at the failure, repeats it.)
  pipe:setvbuf "no"
  pipe:write(line .. "\n")
  local info
  info, problem = handshake(pipe, ready, timeout)
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
  local chosen, version = choose(interpreter)
  if not chosen then return nil, version end
  local files, problem = temporary_files(3)
  local pipe, info = nil, problem
  if #files == 3 then
    pipe, info = launch(chosen, version, files, options, timeout)
  end
  for _, name in ipairs(files) do os.remove(name) end
  return pipe, info
end

-- Closes what came from the caller, whose sockets must not stay open because
-- a child has them too. LuaSocket is the only thing here that can close a
-- descriptor by its number.
local function close_inherited()
  for descriptor = 3, LAST_DESCRIPTOR do
    local sock = socket.tcp()
    sock:setfd(descriptor)
    sock:close()
  end
end

-- Says where the server listens: by a rename, so that nobody reads half of it.
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
