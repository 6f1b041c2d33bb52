-- luacheck: globals minetest
-- A mod for the tests: runs in the server, between its steps, what a test asks
-- for, and polls the clients that were made. It takes 1.lua, 2.lua and so on
-- from the world's directory, and writes what they return to 1.json, 2.json.
local host = { dtime = 0, gap = 0, poll = 0, work = 0, steps = 0 }
local world = minetest.get_worldpath()
local asked, last = 1, minetest.get_us_time()
local clients = {}

local insecure = minetest.request_insecure_environment()
if insecure then
  local forbidden = rawget(_G, "require")
  rawset(_G, "require", insecure.require)
  local side = insecure.require "spec.support.host_side"
  rawset(_G, "require", forbidden)
  for name, value in pairs(side) do host[name] = value end
  function host.client(url, options)
    local client = side.client(url, options or { loop = "poll" })
    clients[#clients + 1] = client
    return client
  end
end

--- Forgets what was measured: the longest step, the longest time between two,
--- how long a poll took, and how much of that it worked, which does not grow
--- where others use the machine; and the number of steps.
function host.measure()
  host.dtime, host.gap, host.poll, host.work, host.steps = 0, 0, 0, 0, 0
end

local function poll(client)
  local begun, worked = minetest.get_us_time(), os.clock()
  client:poll()
  host.work = math.max(host.work, os.clock() - worked)
  host.poll = math.max(host.poll, (minetest.get_us_time() - begun) / 1e6)
end

local function write(name, value)
  local file = assert(io.open(world .. "/" .. name, "w"))
  file:write(minetest.write_json(value), "\n")
  file:close()
end

host.write = write

local function answer(code)
  local ok, value = pcall(function()
    local run = assert(loadstring("local host = ...\n" .. code))
    return run(host)
  end)
  if not ok then value = tostring(value) end
  write(asked .. ".json", { ok = ok, value = value })
end

minetest.register_globalstep(function(dtime)
  local now = minetest.get_us_time()
  host.steps = host.steps + 1
  host.dtime = math.max(host.dtime, dtime)
  host.gap, last = math.max(host.gap, (now - last) / 1e6), now
  for _, client in ipairs(clients) do poll(client) end
  local file = io.open(("%s/%d.lua"):format(world, asked))
  if not file then return end
  local code = file:read "*a"
  file:close()
  answer(code)
  asked = asked + 1
end)

minetest.register_on_shutdown(function()
  if host.at_end then host.at_end() end
end)
