-- A real Luanti server without a player, in a world of its own with nothing in
-- it, and what a test asks of it: to run Lua between two steps.
-- Its Lua is LuaJIT, whichever Lua drives it from here.
local json = require("cjson").new()
local socket = require "socket"
local files = require "spec.support.files"
local ports = require "spec.support.ports"
local process = require "spec.support.process"

local luanti = {}
local Server = {}
Server.__index = Server

local START_SECONDS, ATTEMPTS = 30, 3

local WORLD = [[
gameid = bare
backend = dummy
player_backend = sqlite3
auth_backend = sqlite3
mod_storage_backend = sqlite3
]]

local CONFIG = [[
mg_name = singlenode
bind_address = 127.0.0.1
secure.trusted_mods = %s
dedicated_server_step = 0.02
prometheus_listener_address = 127.0.0.1:0
close_sms.local_phone = +14154445555
close_sms.remote_phone = +18183334444
]]

-- It was called Minetest before. Debian's own directories come first, as the
-- scripts on its path add the machine's settings.
local PROGRAM = [[
PATH="/usr/libexec/luanti:/usr/lib/minetest:$PATH:/usr/games"
program=$(command -v luantiserver || command -v minetestserver) || exit 127
exec "$program" "$@"
]]

local root

-- A world with the tests' mod, which may require C modules where it is trusted.
local function make_world(trusted)
  local dir = process.tempdir()
  local mod = dir .. "/worldmods/driver"
  local game = dir .. "/home/.minetest/games/bare"
  assert(process.run { "mkdir", "-p", mod, game })
  files.write(game .. "/game.conf", "title = Bare\n")
  files.write(dir .. "/world.mt", WORLD)
  files.write(dir .. "/minetest.conf", CONFIG:format(trusted))
  files.write(mod .. "/mod.conf",
    "name = driver\noptional_depends = close_sms\n")
  files.write(mod .. "/init.lua",
    files.read(root .. "/spec/support/luanti_side.lua"))
  return dir
end

local function launch(options, dir)
  local words = { "env", "-u", "LD_PRELOAD", "-u", "CLOSE_API_KEY",
    "-u", "CLOSE_BASE_URL", "-u", "CLOSE_ACCESS_TOKEN",
    "HOME=" .. dir .. "/home" }
  if options.run then
    words[#words + 1] = options.run
    words[#words + 1] = dir
  else
    for _, word in ipairs {
      ("LUA_PATH=%s/?.lua;%s/lua/?.lua;;"):format(root, root),
      ("LUA_CPATH=%s/build/luajit/?.so;;"):format(root),
      "sh", "-c", PROGRAM, "sh", "--world", dir,
      "--config", dir .. "/minetest.conf",
      "--logfile", dir .. "/debug.txt" } do
      words[#words + 1] = word
    end
  end
  words[#words + 1] = "--port"
  words[#words + 1] = tostring((ports.free())) -- its own is one of UDP
  return process.start(words, { stdout = dir .. "/stdout",
    stderr = dir .. "/stderr" })
end

-- Starts one. Options: run (a script in place of the server, which gets the
-- world and --port), trusted (the mods that may require C modules).
function luanti.start(options)
  options = options or {}
  root = root or process.capture "pwd"
  local self = setmetatable({ asked = 0 }, Server)
  for _ = 1, ATTEMPTS do -- the port may be taken
    self.dir = make_world(options.trusted or "driver")
    self.child = launch(options, self.dir)
    self.asked = 0
    if pcall(self.lua, self, "return 1") then return self end
    self.failure = self:log()
    self:stop()
  end
  error("the server did not start: " .. self.failure, 2)
end

-- What a file of the world holds, once it is written whole.
function Server:wait_for_file(name, seconds)
  local deadline = socket.gettime() + (seconds or START_SECONDS)
  repeat
    local text = files.read(self.dir .. "/" .. name)
    if text:find "\n$" then return json.decode(text) end
    socket.sleep(0.002)
  until socket.gettime() > deadline or not self.child:alive()
  error("no file " .. name .. ": " .. self:log(), 2)
end

-- Runs Lua in the next step, as the body of a function that has host
-- (luanti_side.lua). Returns what it returns, as JSON knows it; its errors are
-- thrown here.
function Server:lua(code)
  self.asked = self.asked + 1
  local base = ("%s/%d"):format(self.dir, self.asked)
  files.write(base .. ".new", code)
  assert(os.rename(base .. ".new", base .. ".lua"))
  local answer = self:wait_for_file(self.asked .. ".json")
  if not answer.ok then error("in Luanti: " .. tostring(answer.value), 2) end
  return answer.value ~= json.null and answer.value or nil
end

-- Asks again and again until the code returns something true; returns that.
function Server:wait_for(code, seconds)
  local deadline = socket.gettime() + (seconds or 10)
  repeat
    local value = self:lua(code)
    if value then return value end
  until socket.gettime() > deadline
  error("in vain: " .. code, 2)
end

-- The server's log, and what it wrote besides.
function Server:log()
  return self.dir and files.read(self.dir .. "/debug.txt") ..
    files.read(self.dir .. "/stderr") or ""
end

-- The lines of the log that tell of something wrong.
function Server:complaints()
  local lines = {}
  for line in self:log():gmatch "[^\n]+" do
    if line:find "WARNING" or line:find "ERROR" or line:find "[Ss]tack" then
      lines[#lines + 1] = line
    end
  end
  return lines
end

-- May be called again.
function Server:stop()
  local status = self.child:stop()
  if self.dir then process.remove(self.dir) end
  self.dir = nil
  return status
end

return luanti
