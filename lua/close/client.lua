-- A client: options, credentials, one engine, and the calls that are under
-- way. It knows HTTP's verbs and nothing of SMS.

local core = require "close.core"
local errors = require "close.errors"
local options = require "close.options"
local sms = require "close.sms"

local Client = {}
Client.__index = Client
Client.__name = "close.Client"

-- What must not show in a client's own fields, credentials first of all.
local private = setmetatable({}, { __mode = "k" })

local LOOPS = { auto = "blocking", blocking = "blocking" }

function Client:__tostring()
  local state = private[self]
  return ("close.Client: %s%s"):format(state.settings.base_url,
    state.closed and " (closed)" or "")
end

local function user_agent(settings)
  -- luacheck: globals jit
  local lua = jit and jit.version:gsub(" ", "/", 1) or _VERSION:gsub(" ", "/")
  local ours = ("close-lua/%s (%s; libcurl/%s)"):format(
    core.version, lua, core.curl_version)
  return settings.user_agent and settings.user_agent .. " " .. ours or ours
end

-- ---- calls that are done ----
-- A call is one table from its start to its end: what is asked (method, path,
-- url, body, timeout, max_retries), then done, response, failure.

local function report(state, event)
  local call = state.calls[event.id]
  event.path = call and call.path
  event.id = nil
  pcall(state.settings.on_event, event) -- a faulty logger stops no message
end

local function finish(state, call, response, failure)
  if call.resume then
    local resume = call.resume
    call.resume = nil
    return resume(state, call, response, failure)
  end
  call.response, call.failure, call.done = response, failure, true
end

-- Hands on what the engine has: events, then calls that are done. Whoever is
-- told may close the client.
local function drain(state)
  local engine = state.engine
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
    if state.engine ~= engine then return end
    id, response, failure = engine:done()
  end
end

local function step(state, budget)
  state.engine:step(budget)
  drain(state)
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

-- ---- a call ----

local function submit(state, call, timeout)
  local id = state.engine:submit(call.method, call.url, call.group,
    call.body, state.scheme, state.secret, timeout, call.max_retries)
  state.calls[id] = call
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

-- The credentials come from a function: a 401 may mean that they are stale, and
-- is worth one more try with fresh ones.
local function refresh(state, call, response, failure)
  if failure and failure.status == 401 and not state.closed then
    state.secret = nil -- whatever comes of this call, the next one asks anew
    local left = call.timeout - response.elapsed
    local retries = call.max_retries - failure.attempts
    local fresh = left > 0 and retries >= 0 and ask(state)
    if fresh then
      state.secret, call.max_retries = fresh, retries
      add_up(call, response)
      return submit(state, call, left)
    end
  end
  finish(state, call, response, failure)
end

-- Starts a call; call.done turns true when it ends, which may be at once.
local function start(state, call)
  if state.source then
    if not state.secret then
      local secret, why = ask(state)
      if not secret then
        return finish(state, call, nil, no_credentials(why))
      end
      state.secret = secret
    end
    call.resume = refresh
  end
  submit(state, call, call.timeout)
end

-- What the resources call. group names the endpoint group, method and path
-- without ids, that Close counts a rate limit for.
-- -> response | nil, err, response|nil
local function perform(state, method, path, group, query, body, given)
  if state.closed then return nil, errors.config "the client is closed" end
  local settings = state.settings
  local call = {
    method = method,
    path = path,
    group = group,
    url = settings.base_url .. path .. query,
    body = body,
    timeout = settings.timeout,
    max_retries = settings.max_retries,
    done = false,
  }
  if given ~= nil then
    local own, why = options.read_call(given)
    if not own then return nil, errors.config(why) end
    call.timeout = own.timeout or call.timeout
    call.max_retries = own.max_retries or call.max_retries
  end
  start(state, call)
  if not call.done then state.loop.await(state.driver, call) end
  if call.failure then
    return nil, errors.from_call(call.failure, call.response), call.response
  end
  return call.response
end

-- ---- making and closing ----

--- Closes the client: calls under way end as cancelled, with the outcome that
--- is true by then, and its connections end. May be called twice.
function Client:close()
  local state = private[self]
  if not state then return nil, errors.config "call it as client:close()" end
  state.closed = true
  local engine = state.engine
  if not engine then return end
  for id in pairs(state.calls) do engine:cancel(id) end
  drain(state)
  if state.engine ~= engine then return end -- who was told closed it again
  state.engine = nil
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
    engine = make_engine(settings),
    calls = {},
    loop = require("close.loop." .. LOOPS[settings.loop]),
  }
  state.driver = {
    step = function(budget) step(state, budget) end,
    wait = function(seconds) state.engine:wait(seconds) end,
  }
  local self = setmetatable({}, Client)
  private[self] = state
  self.sms = sms.new(function(...) return perform(state, ...) end)
  return self
end

return client
