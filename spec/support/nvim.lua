-- A real Neovim without a screen, and what a test asks of it: to run Lua as a
-- plugin would, keys, its messages. Its Lua is LuaJIT, whichever Lua drives it
-- from here. Each question goes through a second nvim, to the first's socket.
local json = require("cjson").new()
local socket = require "socket"
local files = require "spec.support.files"
local process = require "spec.support.process"

local nvim = {}
local Nvim = {}
Nvim.__index = Nvim

local START_SECONDS = 30
local ASK = "exec timeout -k 1 20 nvim" -- an editor that is stuck never answers

-- In the editor: writes what a chunk returns, or its error, as JSON (to a file:
-- the second nvim breaks long lines). Before the chunk come its own locals:
-- host (nvim_side.lua) and arg.
local CHUNK = [[
local ok, value = pcall(function()
  local host = require "spec.support.nvim_side"
  local arg = vim.fn.json_decode(%q)
  do local _ = host, arg end
  %s
end)
if not ok then value = tostring(value) end
local file = assert(io.open(%q, "w"))
file:write(vim.fn.json_encode { ok = ok, value = value })
file:close()
]]

local root

-- The editor's environment: the checkout for LuaJIT, no sanitizer's runtime,
-- nobody's settings.
local function environment(dir, more)
  root = root or process.capture "pwd"
  local words = { "env", "-u", "LD_PRELOAD", "-u", "VIMINIT",
    "-u", "CLOSE_API_KEY", "-u", "CLOSE_BASE_URL", "-u", "CLOSE_ACCESS_TOKEN",
    ("LUA_PATH=%s/?.lua;%s/lua/?.lua;;"):format(root, root),
    ("LUA_CPATH=%s/build/luajit/?.so;;"):format(root) }
  for _, name in ipairs { "CONFIG", "DATA", "STATE", "CACHE" } do
    words[#words + 1] = ("XDG_%s_HOME=%s"):format(name, dir)
  end
  for name, value in pairs(more or {}) do
    words[#words + 1] = name .. "=" .. value
  end
  return words
end

-- Starts one. Options: args (a list of nvim's arguments), env, program (a list
-- of words in place of "nvim"; it gets the arguments).
function nvim.start(options)
  options = options or {}
  local dir = process.tempdir()
  local self = setmetatable({ dir = dir, address = dir .. "/socket",
    asked = 0 }, Nvim)
  local words = environment(dir, options.env)
  for _, word in ipairs(options.program or { "nvim" }) do
    words[#words + 1] = word
  end
  for _, word in ipairs { "--headless", "--clean", "-n", "-i", "NONE",
    "--listen", self.address } do
    words[#words + 1] = word
  end
  for _, word in ipairs(options.args or {}) do words[#words + 1] = word end
  self.child = process.start(words, { stdout = dir .. "/stdout",
    stderr = dir .. "/stderr" })
  if not self:eventually(START_SECONDS, function()
    return process.run { "test", "-S", self.address }
  end) then
    local said = self:said()
    self:stop()
    error("nvim did not start: " .. said, 2)
  end
  return self
end

-- Whether f() came true within so many seconds.
function Nvim:eventually(seconds, f)
  local deadline = socket.gettime() + seconds
  while socket.gettime() < deadline do
    if not self.child:alive() then return false end
    if f() then return true end
    socket.sleep(0.005)
  end
  return false
end

-- Runs Lua on the editor's main thread, as the body of a function that has host
-- (nvim_side.lua) and arg (a value that JSON knows). Returns what it returns,
-- as JSON knows it; its errors are thrown here.
function Nvim:lua(code, arg)
  self.asked = self.asked + 1
  local base = ("%s/%d"):format(self.dir, self.asked)
  files.write(base .. ".lua", CHUNK:format(json.encode(arg == nil and json.null
    or arg), code, base .. ".json"))
  local command = ("%s --server %s --remote-expr %s >%s.out 2>&1"):format(ASK,
    process.quote(self.address), process.quote(
      ("luaeval('dofile(_A)', '%s.lua')"):format(base)), base)
  self:eventually(START_SECONDS, function()
    process.run(command)
    -- The socket is there before the editor listens on it.
    return not files.read(base .. ".out"):find "[Cc]onnection refused"
  end)
  local answer = files.read(base .. ".json")
  if answer == "" then error("nvim: " .. files.read(base .. ".out"), 2) end
  answer = json.decode(answer)
  if not answer.ok then error("in nvim: " .. tostring(answer.value), 2) end
  return answer.value ~= json.null and answer.value or nil
end

-- Asks again and again until the code returns something true; returns that.
function Nvim:wait_for(code, arg, seconds)
  local value
  if self:eventually(seconds or 10, function()
    value = self:lua(code, arg)
    return value
  end) then return value end
  error("in vain: " .. code, 2)
end

-- The same for a file that the editor writes JSON to, below its own directory:
-- where a question would disturb, as Ctrl-C interrupts whatever runs.
function Nvim:wait_for_file(name, seconds)
  local text
  if self:eventually(seconds or 10, function()
    text = files.read(self.dir .. "/" .. name)
    return text:find "\n$"
  end) then return json.decode(text) end
  error("no file " .. name .. ": " .. self:said(), 2)
end

-- Types keys, as :help key-notation writes them; does not wait.
function Nvim:keys(keys)
  assert(process.run(("%s --server %s --remote-send %s 2>>%s"):format(ASK,
    process.quote(self.address), process.quote(keys), self.dir .. "/keys")))
end

-- What :messages holds.
function Nvim:messages()
  return self:lua "return vim.api.nvim_exec('messages', true)"
end

-- What the process wrote: nothing, where all is well, but for quit's echo.
function Nvim:said()
  local text = files.read(self.dir .. "/stdout") ..
    files.read(self.dir .. "/stderr")
  return (text:gsub("^:qa!?%s*", ""))
end

-- Leaves by :qa, or :qa! where told so, right after other keys where there are
-- some. Returns the exit status, or nil where it takes about a call's timeout
-- (host_side.lua).
function Nvim:quit(bang, keys)
  -- It may be gone before it answers.
  pcall(self.keys, self, ("%s:qa%s<CR>"):format(keys or "", bang or ""))
  return self.child:wait(4)
end

-- May be called again.
function Nvim:stop()
  local status = self.child:stop()
  if self.dir then process.remove(self.dir) end
  self.dir = nil
  return status
end

return nvim
