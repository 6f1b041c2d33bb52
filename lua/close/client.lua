-- A client: its options, its engine and its loop, and what its user may do with
-- it. It knows nothing of SMS and files.

local calls = require "close.calls"
local core = require "close.core"
local credentials = require "close.credentials"
local errors = require "close.errors"
local files = require "close.files"
local loops = require "close.loop"
local memory = require "close.memory"
local options = require "close.options"
local sms = require "close.sms"

local Client = {}
Client.__index = Client
Client.__name = "close.Client"

-- Where a client or a request keeps a function that returns what is its own: it
-- must not show in the fields, credentials first of all. (A weak table beside
-- them would keep a client for good that its own on_event refers to: Lua 5.1
-- and LuaJIT have no ephemerons.)
local OWN = {}

-- A member that only a client or only a request has tells them apart.
local function own(self, member)
  local get = type(self) == "table" and rawget(self, OWN)
  local mine = get and get()
  return mine and mine[member or "settings"] and mine
end

local TICK = 0.0005 -- seconds that one poll may take, give or take a callback

function Client:__tostring()
  local state = own(self)
  if not state then return Client.__name end
  return ("close.Client: %s%s"):format(state.settings.base_url,
    state.closed and " (closed)" or "")
end

local function user_agent(settings)
  local jit = rawget(_G, "jit") -- raw: some hosts forbid unknown globals
  local lua = (type(jit) == "table" and jit.version or _VERSION):gsub(" ", "/",
    1)
  local ours = ("close-lua/%s (%s; libcurl/%s)"):format(
    core.version, lua, core.curl_version)
  return settings.user_agent and settings.user_agent .. " " .. ours or ours
end

local Request = {}
Request.__index = Request
Request.__name = "close.Request"

--- Ends the call; its callback gets an error of kind "cancelled", with the
--- outcome that is true by then. False where it was over already.
function Request:cancel()
  local mine = own(self, "call")
  if not mine then return nil, errors.config "call it as request:cancel()" end
  local was_pending = calls.cancel(mine.state, mine.call)
  if was_pending then mine.state.loop.kick() end
  return was_pending
end

local function new_request(state, call)
  local mine = { state = state, call = call }
  return setmetatable({ [OWN] = function() return mine end }, Request)
end

-- ---- a client ----

--- Does what can be done now, without waiting: a bounded amount of it.
---@return integer|nil pending calls that are not over, close.Error? err
function Client:poll()
  local state = own(self)
  if not state then return nil, errors.config "call it as client:poll()" end
  if state.closed and state.pending == 0 then
    return nil, errors.config "the client is closed"
  end
  state.driver.turn(TICK)
  if not state.closed then state.loop.kick() end
  return calls.pending(state)
end

--- How many calls are not over.
function Client:pending()
  local state = own(self)
  if not state then return nil, errors.config "call it as client:pending()" end
  return calls.pending(state)
end

--- Waits, in the host's way, until no call is pending or the time is over.
---@param seconds number|nil no limit unless told
---@return integer|nil pending, close.Error? err
function Client:wait(seconds)
  local state = own(self)
  if not state then return nil, errors.config "call it as client:wait()" end
  local why = state.closed and state.pending == 0 and
      "the client is closed" or
    seconds ~= nil and options.check_wait(seconds) or
    calls.is_deep(state) and "callbacks wait inside each other too deeply" or
    state.loop.hindrance("wait", "wait")
  if why then return nil, errors.config(why) end
  state.loop.wait(seconds and core.now() + seconds or math.huge)
  return calls.pending(state)
end

--- Closes the client: calls under way end as cancelled, with the outcome that
--- is true by then, and its connections end. May be called twice.
function Client:close()
  local state = own(self)
  if not state then return nil, errors.config "call it as client:close()" end
  state.closed = true
  credentials.close(state)
  local engine = state.engine
  for id in pairs(engine and state.calls or {}) do engine:cancel(id) end
  calls.drain(state)
  -- Who was told may have closed it again.
  if not engine or state.engine ~= engine then return end
  state.engine = nil
  state.loop.close() -- first: its handles watch the engine's sockets
  engine:close()
end

local function make_engine(settings)
  return core.engine {
    user_agent = user_agent(settings),
    ca_file = settings.ca_file,
    proxy = settings.proxy,
    plain = settings.plain,
    http2 = settings.http2,
    connect_timeout = settings.connect_timeout,
    attempt_timeout = settings.attempt_timeout,
    max_response_bytes = settings.max_response_bytes,
    max_in_flight = settings.max_in_flight,
    events = settings.on_event ~= nil,
  }
end

-- The engine's verbs as a loop sees them. Once the client is closed there is
-- nothing to do any more.
local function make_driver(state)
  local driver = { now = core.now }

  function driver.step(budget)
    if state.engine then state.engine:step(budget) end
  end

  --- Hands on what is done; runs users' functions.
  function driver.drain(budget)
    calls.drain(state, budget and core.now() + budget)
  end

  function driver.turn(budget)
    local till = budget and core.now() + budget
    driver.step(budget or math.huge)
    calls.drain(state, till)
  end

  --- Whether there is something to drain.
  function driver.ready()
    return calls.has_late(state) or credentials.deadline(state) == 0 or
      state.engine ~= nil and state.engine:ready()
  end

  --- Seconds to the next turn, nil where only a socket can bring something.
  function driver.deadline()
    if driver.ready() then return 0 end
    local waiting = credentials.deadline(state)
    local due = state.engine and state.engine:deadline() or waiting
    return waiting and math.min(waiting, due) or due
  end

  --- Waits for a socket or the deadline, at most so many seconds.
  function driver.wait(seconds)
    if not state.engine or driver.ready() then return end
    local waiting = credentials.deadline(state)
    if waiting and (seconds < 0 or waiting < seconds) then seconds = waiting end
    state.engine:wait(seconds)
  end

  --- One descriptor that is readable while a step has work, or nil.
  function driver.descriptor()
    return state.engine and state.engine:descriptor()
  end

  function driver.pending() return calls.pending(state) end

  function driver.cancel(call) return calls.cancel(state, call) end

  return driver
end

local client = {}

--- Makes a client.
---@param given close.Options|nil
---@return close.Client|nil client, close.Error? err of kind "config"
function client.new(given)
  local settings, why = options.read_client(given)
  if not settings then return nil, errors.config(why) end
  local secret = settings.api_key or settings.access_token
  local from_function = type(secret) == "function"
  local state = {
    settings = settings,
    scheme = settings.api_key and "basic" or "bearer",
    secret = not from_function and secret or nil,
    source = from_function and secret or nil,
    refreshes = {},
    calls = {}, -- those of the engine, by their ids
    last_id = 0,
    live = {},
    pending = 0,
    late = {},
    late_first = 1,
    late_last = 0,
    depth = 0, -- of callbacks that wait inside each other
    apart = 0, -- calls in whose midst a function of the user's runs
  }
  function state.wrap(call) return new_request(state, call) end
  state.driver = make_driver(state)
  state.loop, why = loops.new(settings.loop, state.driver)
  if not state.loop then return nil, errors.config(why) end
  local made, engine = memory.try(make_engine, settings)
  if not made then return nil, errors.config(tostring(engine)) end
  state.engine = engine
  local self = setmetatable({ [OWN] = function() return state end }, Client)
  local transport = {
    plain = settings.plain,
    perform = function(...) return calls.perform(state, ...) end,
    launch = function(...) return calls.launch(state, ...) end,
    tell = function(event) calls.tell_apart(state, event) end,
    -- What a row of calls is made of.
    request = function(cancel)
      return new_request(state, { cancel = cancel })
    end,
    later = function(...) calls.later(state, ...) end,
    guard = function(...) return calls.guard(state, ...) end,
    read_options = function(...) return calls.read_options(state, ...) end,
    is_closed = function() return state.closed end,
  }
  self.sms, self.files = sms.new(transport), files.new(transport)
  return self
end

return client
