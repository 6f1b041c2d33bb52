-- What callers_spec.lua plays, in a child: callers that do anything at random.
-- It prints a line when a round begins, and one at the end: "ok" and how many
-- callbacks there were, or what was wrong in which round.
local close = require "close"
local json = require("cjson").new()
local sandbox = require "close.sandbox"
local socket = require "socket"
local support = require "spec.support.client"

local callers = {}

local CALLS = 25    -- calls in a round
local DEEP = 4      -- callers inside each other
local TIMEOUT_S = 20 -- of a call; the server answers at once
local PATIENCE_S = 30 -- for the calls of a round to end
local WAIT_S = 0.002
local REFUSED = 0.1 -- share of the requests that have a 401
local ALL_GHOSTS = 200 -- in a round
local CLOSES = 20   -- close() may throw so many times
-- The collector is always at work, in small steps. With a smaller pause Lua 5.2
-- and 5.3 go through all of the memory at each allocation.
local HEAP = { setpause = 100, setstepmul = 800 }

-- Lua 5.2 may run a finalizer wherever a function is called. One that throws
-- may take the place of the first instruction of a callback.
local FINALIZERS_THROW = _VERSION ~= "Lua 5.2"

local server
local round -- { clients, records, threads, calls_left, ghosts_left, depth,
            -- is_inside }
local loop, ghosts

-- ---- chance ----

local state = 1

-- A generator of whole numbers from 1 to n (Park and Miller's), not Lua's:
-- the same numbers in every Lua.
local function random(n)
  state = state * 16807 % 2147483647
  return state % n + 1
end

local function any(list) return list[random(#list)] end

local THROWN = { "a string", "interrupted!", "not enough memory", 5, {}, false,
  setmetatable({}, { __tostring = function() error "tostring" end }) }

local function throw()
  local n = random(#THROWN + 1) -- one too many: nil is thrown as well
  error(THROWN[n], 0)
end

-- ---- what a caller may do ----

local act

local texts = 0 -- all of them differ, also from those of earlier rounds

local function params(status)
  local n = texts + 1 -- a finalizer may come in between
  texts = n
  return support.params{ text = "No. " .. n, status = status }
end

-- The callback of a call. The record is filled in before anything that might
-- throw, or run a finalizer.
local function note(record)
  return function(value, err)
    if not record.is_returned then record.is_early = true end
    if record.is_walk and value then
      if record.is_stopped then record.goes_on = true end
      if random(4) == 1 then
        record.is_stopped = true
        return false
      end
      if random(4) == 1 then act() end
      return
    end
    record.calls = record.calls + 1
    record.value, record.err = value, err
    act()
    if random(4) == 1 then throw() end
  end
end

-- Each begins a call: begin.x(client, record, callback).
local begin = {}

function begin.create(client, record, callback)
  local given = params "outbox"
  record.text = given.text
  return client.sms.create_async(given, callback)
end

-- In a function whose end calls wait for.
local function act_asked()
  round.asked = round.asked + 1
  local ok, why = pcall(act)
  round.asked = round.asked - 1
  if not ok then error(why, 0) end
end

-- Where it does not come to its end, it has refused.
local function on_draft(record)
  return function()
    record.is_refused = true
    act_asked()
    local n = random(8)
    if n == 1 then return false end
    if n == 2 then throw() end
    record.is_refused = false
  end
end

function begin.send(client, record, callback)
  local given = params(false)
  record.text = given.text
  return client.sms.send_async(given, callback,
    { on_draft = random(2) == 1 and on_draft(record) or nil })
end

function begin.request(client, record, callback)
  local given = params "outbox"
  record.text = given.text
  return client:request_async("POST", "/activity/sms/", callback,
    { body = given })
end

function begin.get(client, _, callback)
  return client.sms.get_async("acti_none", {}, callback)
end

function begin.delete(client, _, callback)
  return client.sms.delete_async("acti_none", callback)
end

function begin.list(client, _, callback)
  return client.sms.list_async({}, callback)
end

function begin.each(client, record, callback)
  record.is_walk = true
  return client.sms.each_async({ _limit = 3 }, callback)
end

function begin.upload(client, _, callback)
  return client.files.upload_async({ data = "abc" }, { filename = "a.png" },
    callback)
end

-- Wrong params; the callback is told.
function begin.wrong(client, _, callback)
  return client.sms.create_async({ status = 5 }, callback)
end

local BEGIN = { "create", "create", "create", "send", "send", "request", "get",
  "delete", "list", "each", "upload", "wrong" }

-- Each waits for a call.
local wait_for = {}

function wait_for.create(client) client.sms.create(params "outbox") end

function wait_for.send(client)
  client.sms.send(params(false), { on_draft = on_draft{} })
end

function wait_for.request(client) client:request("GET", "/me/") end

function wait_for.get(client) client.sms.get "acti_none" end

function wait_for.each(client)
  local step = client.sms.each{ _limit = 3 }
  for _ = 1, step and random(5) or 0 do
    if not step() then return end
  end
end

local WAIT_FOR = { "create", "send", "request", "get", "each" }

local function may_begin()
  round.calls_left = round.calls_left - 1
  return round.calls_left >= 0
end

local acts = {}

function acts.begin()
  if not may_begin() then return end
  local kind = any(BEGIN)
  local record = { kind = kind, calls = 0, is_returned = false,
    is_begun = false, request = false, is_stopped = false, text = false,
    is_walk = false, is_early = false, value = false, err = false,
    goes_on = false, is_refused = false }
  round.records[#round.records + 1] = record
  local callback, client = note(record), any(round.clients)
  local request = begin[kind](client, record, callback)
  -- Nothing asks for memory between the end of the call and this.
  record.is_returned = true
  record.is_begun = request ~= nil
  record.request = request
end

-- Two functions for credentials, or on_draft, that wait for a call of each
-- other's client would wait for ever.
function acts.wait_here()
  if round.asked < 2 and may_begin() then
    wait_for[any(WAIT_FOR)](any(round.clients))
  end
end

function acts.wait_in_coroutine()
  if not may_begin() then return end
  local thread
  thread = coroutine.create(function()
    round.threads[#round.threads + 1] = thread
    wait_for[any(WAIT_FOR)](any(round.clients))
    act()
  end)
  local ok, why = coroutine.resume(thread)
  if not ok then error(why, 0) end
end

function acts.cancel()
  local record = round.records[random(#round.records + 1)]
  if record and record.request then record.request:cancel() end
end

function acts.poll() any(round.clients):poll() end

function acts.wait() any(round.clients):wait(random(3) / 1000) end

function acts.look()
  local client = any(round.clients)
  client:pending()
  tostring(client)
  close.sms.validate(params "outbox")
  close.segments "Hi!"
end

function acts.collect()
  collectgarbage(random(20) == 1 and "collect" or "step")
end

function acts.close()
  if random(10) == 1 then any(round.clients):close() end
end

local function finalize()
  if not (round and round.is_inside) then return end
  if FINALIZERS_THROW then return act() end
  pcall(act)
end

-- Not without end: they make others.
function acts.haunt()
  -- luacheck: globals newproxy
  for _ = 1, math.min(ghosts, round.ghosts_left) do
    round.ghosts_left = round.ghosts_left - 1
    if newproxy then
      getmetatable(newproxy(true)).__gc = finalize
    else
      setmetatable({}, { __gc = finalize })
    end
  end
end

function acts.throw()
  if random(3) == 1 then throw() end
end

local ACTS = { "begin", "begin", "begin", "wait_here", "wait_in_coroutine",
  "cancel", "poll", "wait", "look", "collect", "close", "haunt", "haunt",
  "haunt", "throw" }

-- Some of it. What is thrown in it goes on.
function act()
  if round.depth >= DEEP then return end
  round.depth = round.depth + 1
  local ok, why = pcall(function()
    for _ = 1, random(3) do acts[any(ACTS)]() end
  end)
  round.depth = round.depth - 1
  if not ok then error(why, 0) end
end

-- ---- a round ----

local function token()
  act_asked()
  local n = random(12)
  if n == 1 then return nil end
  if n == 2 then throw() end
  return server.access_token
end

local function on_event()
  if random(3) == 1 then act() end
end

-- What is thrown to the outermost caller is nothing to us.
local function inside(f, ...)
  round.is_inside = true
  pcall(f, ...)
  round.is_inside = false
end

local function count_pending()
  local sum = 0
  for _, client in ipairs(round.clients) do
    sum = sum + math.abs(client:pending())
  end
  return sum
end

local function drive()
  local deadline = socket.gettime() + PATIENCE_S
  while count_pending() > 0 and socket.gettime() < deadline do
    for _, client in ipairs(round.clients) do
      inside(client.wait, client, WAIT_S)
    end
  end
end

-- How many messages of each text went out.
local function count_sent()
  local sent = {}
  for _, sms in ipairs(assert(server:messages())) do
    if sms.status ~= "draft" then
      sent[sms.text] = (sent[sms.text] or 0) + 1
    end
  end
  return sent
end

local function wrong_outcome(record, sent)
  local err, n = record.err, sent[record.text] or 0
  if record.is_refused and n > 0 then return "on_draft had refused it" end
  if record.value then return n ~= 1 and n .. " messages of one SMS" end
  local fault = support.fault_of(err)
  if fault then return fault end
  if n > 0 and err.outcome ~= "unknown" then
    return err.kind .. ", " .. err.outcome .. ", and the message was sent"
  end
end

local function wrong_record(record, sent)
  local due = record.is_begun and not record.is_stopped and 1 or 0
  if record.calls ~= due then
    return ("%d callbacks instead of %d"):format(record.calls, due)
  end
  if record.is_early then return "a callback before the call returned" end
  if record.goes_on then return "an SMS after the end of the walk" end
  if not record.value and due == 1 then
    if not record.err and not record.is_walk then return "neither" end
    if record.err and record.err.kind == "timeout" then return "a timeout" end
  end
  if record.text and due == 1 then return wrong_outcome(record, sent) end
end

-- What is wrong at the end of a round, or nil.
local function wrong_round()
  for _, client in ipairs(round.clients) do
    local pending = client:pending()
    if pending ~= 0 then return "pending is " .. tostring(pending) end
  end
  local sent = count_sent()
  for text, n in pairs(sent) do
    if n > 1 then return ("%s left %d times"):format(text, n) end
  end
  for _, record in ipairs(round.records) do
    local wrong = wrong_record(record, sent)
    if wrong then
      return ("%s: %s (%s)"):format(record.kind, wrong, tostring(record.err))
    end
  end
  for _, thread in ipairs(round.threads) do
    if coroutine.status(thread) == "suspended" then
      return "a coroutine that waits for ever"
    end
  end
end

local function new_client()
  local options = { loop = loop, on_event = on_event, max_in_flight = 3,
    timeout = TIMEOUT_S }
  if random(3) == 1 then
    options.api_key = server.api_key
  else
    options.access_token = token
  end
  return support.new(server, options)
end

-- An interrupt goes on through close().
local function close_client(client)
  local ok, thrown
  for _ = 1, CLOSES do
    ok, thrown = pcall(client.close, client)
    if ok then return end
  end
  return "close: " .. tostring(thrown)
end

local function play()
  assert(server:reset())
  assert(server:fault{ kind = "status", status = 401, share = REFUSED })
  round = { clients = {}, records = {}, threads = {}, calls_left = CALLS,
    ghosts_left = ALL_GHOSTS, depth = 0, asked = 0, is_inside = false }
  for i = 1, 2 do round.clients[i] = new_client() end
  for _ = 1, 6 do inside(act) end
  drive()
  local wrong = wrong_round()
  for _, client in ipairs(round.clients) do
    wrong = wrong or close_client(client)
  end
  return wrong or wrong_round()
end

local function say(...)
  io.stdout:write(table.concat({ ... }, " "), "\n")
  io.stdout:flush()
end

-- settings, in JSON: loop, seed, rounds; ghosts: how many finalizers are made
-- in one go. Each round has a seed of its own.
function callers.main(settings)
  settings = json.decode(settings)
  loop, ghosts = settings.loop, settings.ghosts
  local jit = rawget(_G, "jit")
  if jit then jit.off() end
  for name, value in pairs(HEAP) do collectgarbage(name, value) end
  server = assert(sandbox.start())
  local callbacks = 0
  for i = 0, settings.rounds - 1 do
    local seed = settings.seed + i
    say("seed", ("%.0f"):format(seed))
    state = seed % 2147483646 + 1
    for _ = 1, 10 do random(1) end -- seeds that are alike begin alike
    local wrong = play()
    if wrong then return say(wrong) end
    for _, record in ipairs(round.records) do
      callbacks = callbacks + record.calls
    end
    support.close_all()
    round = nil
  end
  server:stop()
  say("ok", callbacks)
end

return callers
