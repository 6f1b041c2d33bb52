-- A client: options, credentials, one engine, and the calls that are under
-- way. It knows HTTP's verbs and nothing of SMS.

local core = require "close.core"
local errors = require "close.errors"
local loops = require "close.loop"
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

local function own(self)
  local get = type(self) == "table" and rawget(self, OWN)
  return get and get()
end

local DEEP = 30 -- callbacks that wait inside each other; Lua bears 200 C calls
local TICK = 0.0005 -- seconds that one poll may take, give or take a callback

function Client:__tostring()
  local state = own(self)
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

-- ---- calls that are done ----
-- A call is one table from its start to its end: what is asked (method, path,
-- group, query, body, then url, timeout, max_retries), later id and notify, at
-- the end done, response, failure; or refused: an error of ours.

local function tell(state, event)
  pcall(state.settings.on_event, event) -- a faulty logger stops no message
end

local function report(state, event)
  local call = state.calls[event.id]
  event.path = call and call.path
  event.id = nil
  tell(state, event)
end

-- Runs what waits for the call: a user's callback, or what lets go on whoever
-- waits. What it throws stops nobody else.
local function run(state, call, waiter)
  local nests = not state.loop.spawns
  if nests then state.depth = state.depth + 1 end
  local ok, why = pcall(waiter, call)
  if nests then state.depth = state.depth - 1 end
  if ok or not state.settings.on_event then return end
  local named, text = pcall(tostring, why)
  tell(state, { method = call.method, path = call.path,
    callback_error = named and text or "an error that is a " .. type(why) })
end

local function count(state, call)
  state.pending, call.is_counted = state.pending + 1, true
end

-- Keeps a call that is over for the next drain.
local function put_off(state, call)
  count(state, call)
  state.late_last = state.late_last + 1
  state.late[state.late_last] = call
end

local function has_late(state) return state.late_first <= state.late_last end

-- The end of a call for whoever waits. A loop may have a way of its own to run
-- a callback.
local function notify(state, call)
  if call.is_counted then
    state.pending, call.is_counted = state.pending - 1, nil
  end
  local waiter = call.notify
  if not waiter then return end
  if call.is_async and state.depth >= DEEP then return put_off(state, call) end
  call.notify = nil
  if call.is_async and state.loop.run then
    return state.loop.run(run, state, call, waiter)
  end
  run(state, call, waiter)
end

local function finish(state, call, response, failure)
  if call.resume then
    local resume = call.resume
    call.resume = nil
    return resume(state, call, response, failure)
  end
  call.response, call.failure, call.done = response, failure, true
  notify(state, call)
end

-- Hands on what was put off: calls that ended before they were begun, as their
-- callbacks must not run inside of the call that names them. What is put off
-- meanwhile has its turn in the next drain.
local function drain_late(state, till)
  local last = state.late_last
  while state.late_first <= last and state.depth < DEEP do
    local call = state.late[state.late_first]
    state.late[state.late_first] = nil
    state.late_first = state.late_first + 1
    notify(state, call)
    if till and core.now() >= till then return end
  end
end

-- Hands on what the engine has: events, then calls that are done; it ends early
-- once it is later than till. Whoever is told may close the client.
local function drain(state, till)
  drain_late(state, till)
  local engine = state.engine
  if not engine then return end
  local event = state.settings.on_event and engine:event()
  while event do
    report(state, event)
    if state.engine ~= engine then return end
    event = engine:event()
  end
  local id, response, failure = engine:done()
  while id do
    local call = state.calls[id]
    state.calls[id] = nil
    if call then finish(state, call, response, failure) end
    if state.engine ~= engine or till and core.now() >= till then return end
    id, response, failure = engine:done()
  end
end

-- ---- credentials ----

-- Asks the function that the credentials come from.
local function ask(state)
  local ok, secret, why = pcall(state.source)
  if not ok then
    return nil, "failed" .. (type(secret) == "string" and ": " .. secret or "")
  end
  if secret == nil then
    return nil, "returned nothing" ..
      (type(why) == "string" and ": " .. why or "")
  end
  local fault = options.check_secret(state.settings, secret) or
    state.closed and "it closed the client"
  if fault then return nil, fault end
  return secret
end

local function no_credentials(why)
  return {
    kind = "authentication",
    outcome = "not_sent",
    attempts = 0,
    message = "the function for the credentials: " .. why,
  }
end

local function too_late()
  return {
    kind = "timeout",
    outcome = "not_sent",
    attempts = 0,
    message = "the call's timeout passed in the function for the credentials",
  }
end

-- ---- a call ----

local function submit(state, call, timeout)
  if not state.engine then
    return finish(state, call, nil, {
      kind = "cancelled", outcome = "not_sent", attempts = 0,
      message = "the client was closed",
    })
  end
  local id = state.engine:submit(call.method, call.url, call.group,
    call.body, state.scheme, state.secret, timeout, call.max_retries)
  state.calls[id], call.id = call, id
  call.secret = state.secret -- which one it goes with
end

-- Adds what the refused try cost to the one after it.
local function add_up(call, earlier)
  call.resume = function(state, _, response, failure)
    if response then
      response.attempts = response.attempts + earlier.attempts
      response.elapsed = response.elapsed + earlier.elapsed
    end
    if failure then failure.attempts = failure.attempts + earlier.attempts end
    finish(state, call, response, failure)
  end
end

-- Fresh credentials after a 401: what another call has got meanwhile, or what
-- the function says now. The call does not count while that runs, as whoever
-- drives us may be ended in it.
local function renew(state)
  if state.secret then return state.secret end
  state.pending = state.pending - 1
  local fresh = ask(state)
  state.pending = state.pending + 1
  return fresh
end

-- The credentials come from a function: a 401 may mean that they are stale, and
-- is worth one more try with fresh ones.
local function refresh(state, call, response, failure)
  local refused = failure and failure.status == 401
  -- Whatever comes of this call, the next one asks anew.
  if refused and state.secret == call.secret then state.secret = nil end
  if refused and not state.closed and not call.is_cancelled then
    local retries = call.max_retries - failure.attempts
    local fresh = core.now() < call.due and retries >= 0 and renew(state)
    local left = call.due - core.now()
    if fresh and left > 0 and not call.is_cancelled then
      state.secret, call.max_retries = fresh, retries
      add_up(call, response)
      return submit(state, call, left)
    end
  end
  finish(state, call, response, failure)
end

-- Starts a call; call.done turns true when it ends, which may be at once.
local function start(state, call)
  local left = call.timeout
  if state.source then
    call.due = core.now() + left
    if not state.secret then
      local secret, why = ask(state)
      if not secret then
        return finish(state, call, nil, no_credentials(why))
      end
      state.secret = secret
      left = call.due - core.now()
      if left <= 0 then return finish(state, call, nil, too_late()) end
    end
    call.resume = refresh
  end
  count(state, call)
  submit(state, call, left)
end

-- Where its attempt is over, but not yet the call, it is not tried again.
local function cancel(state, call)
  if call.done or not call.id or not state.engine then return false end
  call.is_cancelled = true
  return state.engine:cancel(call.id)
end

-- What hinders a call: a closed client, the host, an option. Fills the call in.
local function hindrance(state, call, given)
  local settings = state.settings
  call.url = settings.base_url .. call.path .. call.query
  call.timeout, call.max_retries = settings.timeout, settings.max_retries
  call.done = false
  if given ~= nil then
    local settings_of_call, why = options.read_call(given)
    if not settings_of_call then return why end
    call.timeout = settings_of_call.timeout or call.timeout
    call.max_retries = settings_of_call.max_retries or call.max_retries
  end
end

local function result(call)
  if call.refused then return nil, call.refused end
  if call.failure then
    return nil, errors.from_call(call.failure, call.response), call.response
  end
  return call.response
end

-- What the resources call: begins a call, waits for it in the host's way.
-- call.group names the endpoint group, method and path without ids, that Close
-- counts a rate limit for.
-- -> response | nil, err, response|nil
local function perform(state, call, given)
  local why = state.closed and "the client is closed" or
    state.loop.hindrance "create" or hindrance(state, call, given)
  if why then return nil, errors.config(why) end
  start(state, call)
  if not call.done then
    state.loop.kick()
    if not call.done then state.loop.await(call) end
  end
  return result(call)
end

local Request = {}
Request.__index = Request
Request.__name = "close.Request"

--- Ends the call; its callback gets an error of kind "cancelled", with the
--- outcome that is true by then. False where it was over already.
function Request:cancel()
  local mine = own(self)
  if not mine then return nil, errors.config "call it as request:cancel()" end
  local was_pending = cancel(mine.state, mine.call)
  if was_pending then mine.state.loop.kick() end
  return was_pending
end

-- The same without waiting: read makes of a result what the callback gets. What
-- is wrong with the call (refused, or found here) goes to the callback, too.
-- -> request | nil, err where the callback will not be called
local function launch(state, call, refused, read, callback, given)
  local why = state.closed and "the client is closed" or
    type(callback) ~= "function" and
      "callback must be a function (sms, err, response)" or
    state.loop.hindrance "begin"
  if why then return nil, errors.config(why) end
  call = call or { refused = refused }
  call.is_async = true
  if not refused then
    why = hindrance(state, call, given)
    if why then call.refused = errors.config(why) end
  end
  call.done = call.refused ~= nil
  if not call.done then start(state, call) end
  function call.notify() callback(read(result(call))) end
  if call.done then put_off(state, call) end
  state.loop.kick()
  local mine = { state = state, call = call }
  return setmetatable({ [OWN] = function() return mine end }, Request)
end

-- ---- making and closing ----

--- Does what can be done now, without waiting: a bounded amount of it.
---@return integer|nil pending calls that are not over, close.Error? err
function Client:poll()
  local state = own(self)
  if not state then return nil, errors.config "call it as client:poll()" end
  if state.closed and not has_late(state) then
    return nil, errors.config "the client is closed"
  end
  state.driver.turn(TICK)
  if not state.closed then state.loop.kick() end
  return state.pending
end

--- How many calls are not over.
function Client:pending()
  local state = own(self)
  if not state then return nil, errors.config "call it as client:pending()" end
  return state.pending
end

--- Waits, in the host's way, until no call is pending or the time is over.
---@param seconds number|nil no limit unless told
---@return integer|nil pending, close.Error? err
function Client:wait(seconds)
  local state = own(self)
  if not state then return nil, errors.config "call it as client:wait()" end
  local why = state.closed and not has_late(state) and
      "the client is closed" or
    seconds ~= nil and options.check_wait(seconds) or
    state.depth >= DEEP and "callbacks wait inside each other too deeply" or
    state.loop.hindrance "wait"
  if why then return nil, errors.config(why) end
  state.loop.wait(seconds and core.now() + seconds or math.huge)
  return state.pending
end

--- Closes the client: calls under way end as cancelled, with the outcome that
--- is true by then, and its connections end. May be called twice.
function Client:close()
  local state = own(self)
  if not state then return nil, errors.config "call it as client:close()" end
  state.closed = true
  local engine = state.engine
  if not engine then return drain_late(state) end
  for id in pairs(state.calls) do engine:cancel(id) end
  drain(state)
  if state.engine ~= engine then return end -- who was told closed it again
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
    drain(state, budget and core.now() + budget)
  end

  function driver.turn(budget)
    local till = budget and core.now() + budget
    driver.step(budget or math.huge)
    drain(state, till)
  end

  --- Whether there is something to drain.
  function driver.ready()
    return has_late(state) or state.engine ~= nil and state.engine:ready()
  end

  --- Seconds to the next turn, nil where only a socket can bring something.
  function driver.deadline()
    if driver.ready() then return 0 end
    return state.engine and state.engine:deadline()
  end

  --- Waits for a socket or the deadline, at most so many seconds.
  function driver.wait(seconds)
    if state.engine and not driver.ready() then state.engine:wait(seconds) end
  end

  --- One descriptor that is readable while a step has work, or nil.
  function driver.descriptor()
    return state.engine and state.engine:descriptor()
  end

  function driver.pending() return state.pending end

  function driver.cancel(call) return cancel(state, call) end

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
    calls = {},
    late = {},
    late_first = 1,
    late_last = 0,
    pending = 0,
    depth = 0,
  }
  state.driver = make_driver(state)
  state.loop, why = loops.new(settings.loop, state.driver)
  if not state.loop then return nil, errors.config(why) end
  local made, engine = pcall(make_engine, settings)
  if not made then return nil, errors.config(tostring(engine)) end
  state.engine = engine
  local self = setmetatable({ [OWN] = function() return state end }, Client)
  self.sms = sms.new {
    perform = function(...) return perform(state, ...) end,
    launch = function(...) return launch(state, ...) end,
  }
  return self
end

return client
