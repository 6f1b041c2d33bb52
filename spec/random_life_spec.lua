-- Calls at random, whose callbacks and other functions of the user's throw,
-- close the client, cancel, wait and begin further calls at random, while the
-- server fails at random: each callback comes once and never early, each call
-- that waits returns once, and nothing stays pending. CLOSE_SPEC_SEED is the
-- first seed.
local close = require "close"
local sandbox = require "close.sandbox"
local socket = require "socket"
local uv = require "luv"

local SCENES = 15 -- with each loop
local CALLS = 12 -- at most, of a scene
local DEPTH = 6 -- of the user's functions inside each other
local PATIENCE = 20 -- seconds

local FAULTS = {
  { kind = "status", status = 503, share = 0.1 },
  { kind = "status", status = 401, share = 0.05 },
  { kind = "close", place = "read", share = 0.1 },
  { kind = "reset", acted = true, share = 0.1 },
  { kind = "stall", seconds = 0.3, share = 0.05 },
  { kind = "delay", seconds = 0.01, share = 0.3 },
}

local MESSAGE = { text = "Hi!", local_phone = "+14155550100",
  remote_phone = "+14155550123" }
local SMS = { status = "outbox" }
for name, value in pairs(MESSAGE) do SMS[name] = value end

local server

setup(function()
  server = assert(sandbox.start{ interpreter = "luajit" })
  for _, fault in ipairs(FAULTS) do assert(server:fault(fault)) end
end)
teardown(function() server:stop() end)

local function any(list) return list[math.random(#list)] end

-- ---- calls ----

-- Each begins a call with a callback.
local VERBS = {
  function(client, back) return client.sms.create_async(SMS, back) end,
  function(client, back)
    return client.sms.create_async(SMS, back, { timeout = 0.05 })
  end,
  function(client, back) return client.sms.send_async(MESSAGE, back) end,
  function(client, back) return client.sms.list_async({}, back) end,
  function(client, back) return client.sms.get_async("acti_0", back) end,
  function(client, back) return client:request_async("GET", "/me/", back) end,
}

-- Each makes a call that waits.
local WAITS = {
  function(client) client.sms.create(SMS) end,
  function(client) client.sms.send(MESSAGE, { timeout = 0.5 }) end,
  function(client)
    local step = client.sms.each{}
    while step and step() do end
  end,
}

-- Counts a call: what it is called, and how often it came to its end.
local function count(scene, name)
  if #scene.calls == CALLS then return nil end
  local call = { name = name, ends = 0 }
  scene.calls[#scene.calls + 1] = call
  return call
end

local act

-- Begins a call with a callback, which does something.
local function begin(scene, client)
  local call = count(scene, "a callback")
  if not call then return end
  local walks = math.random(6) == 1
  local function callback(value)
    if call.is_starting then call.name = "an early callback" end
    if not (walks and value) then call.ends = call.ends + 1 end
    act(scene)
  end
  call.is_starting = true
  local ok, handle = pcall(function()
    if walks then return client.sms.each_async({}, callback) end
    return any(VERBS)(client, callback)
  end)
  call.is_starting = false
  if ok and handle then
    scene.handles[#scene.handles + 1] = handle
  else
    call.name, call.ends = call.name .. " that was refused", call.ends + 1
  end
end

local function wait_for_call(scene)
  local call = count(scene, "a call that waits")
  if not call then return end
  any(WAITS)(scene.client)
  call.ends = call.ends + 1
end

-- ---- what the user's functions do ----

local ACTIONS = {
  function() error("the user's", 0) end,
  function(scene) scene.client:close() end,
  function(scene)
    if scene.handles[1] then any(scene.handles):cancel() end
  end,
  function(scene) begin(scene, scene.client) end,
  function(scene)
    begin(scene, scene.client)
    begin(scene, scene.client)
  end,
  function(scene) begin(scene, scene.other) end,
  function(scene) scene.client:poll() end,
  function(scene) scene.client:wait(0.01) end,
  wait_for_call,
  function(scene) coroutine.wrap(wait_for_call)(scene) end,
  function() collectgarbage() end,
}

function act(scene)
  if scene.depth == DEPTH or math.random(3) == 1 then return end
  scene.depth = scene.depth + 1
  local ok, why = pcall(any(ACTIONS), scene)
  scene.depth = scene.depth - 1
  if not ok then error(why, 0) end
end

-- A function for the token, which may fail, or yield until a timer resumes it.
local function token_function(scene, loop)
  return function()
    act(scene)
    local kind = math.random(6)
    if kind == 1 then return nil, "there is none" end
    if kind == 2 and loop ~= "blocking" then
      local thread, timer = coroutine.running(), uv.new_timer()
      timer:start(10, 0, function()
        timer:close()
        coroutine.resume(thread)
      end)
      coroutine.yield()
    end
    return "token_sandbox"
  end
end

-- ---- scenes ----

local function new_scene(loop)
  local scene = { calls = {}, handles = {}, depth = 0 }
  local function maybe(f) return math.random(2) == 1 and f or nil end
  local function does() act(scene) end
  local common = { loop = loop, base_url = server.url, timeout = 2,
    attempt_timeout = 0.1, api_key = server.api_key }
  scene.other = assert(close.new(common))
  common.on_event, common.on_draft = maybe(does), maybe(does)
  common.max_in_flight = any{ 1, 2, 64 }
  if maybe(true) then
    common.api_key, common.access_token = nil, token_function(scene, loop)
  end
  scene.client = assert(close.new(common))
  return scene
end

local function pending(scene)
  return scene.client:pending() + scene.other:pending()
end

-- Lets the loop run until nothing is pending, for so many seconds.
local LOOPS = {}

function LOOPS.luv()
  local guard = uv.new_timer()
  guard:start(PATIENCE * 1000, 0, function() uv.stop() end)
  guard:unref()
  uv.run() -- until nothing is left in it
  guard:close()
end

function LOOPS.poll(scene)
  local till = socket.gettime() + PATIENCE
  while pending(scene) > 0 and socket.gettime() < till do
    pcall(scene.client.poll, scene.client)
    scene.other:poll()
    uv.run "nowait"
    socket.sleep(0.001)
  end
end

LOOPS.blocking = LOOPS.poll

local function play(loop)
  local scene = new_scene(loop)
  for _ = 1, math.random(4) do begin(scene, scene.client) end
  LOOPS[loop](scene)
  local wrong = {}
  for _, call in ipairs(scene.calls) do
    if call.ends ~= 1 or call.name:find "early" then
      wrong[#wrong + 1] = call.name .. ": " .. call.ends .. " ends"
    end
  end
  if pending(scene) > 0 then wrong[#wrong + 1] = "calls are pending" end
  scene.client:close()
  scene.other:close()
  uv.run "nowait"
  return wrong, #scene.calls
end

describe("whatever the user's functions do", function()
  local first = tonumber(os.getenv "CLOSE_SPEC_SEED") or os.time()

  for _, loop in ipairs{ "luv", "poll", "blocking" } do
    it("each call ends once with the loop " .. loop, function()
      local total = 0
      for seed = first, first + SCENES - 1 do
        math.randomseed(seed)
        local wrong, n = play(loop)
        assert(#wrong == 0, ("seed %d: %s"):format(seed,
          table.concat(wrong, "; ")))
        total = total + n
      end
      assert.is_true(total > 2 * SCENES)
    end)
  end
end)
