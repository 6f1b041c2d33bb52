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
    state.engine and "" or " (closed)")
end

local function user_agent(settings)
  -- luacheck: globals jit
  local lua = jit and jit.version:gsub(" ", "/", 1) or _VERSION:gsub(" ", "/")
  local ours = ("close-lua/%s (%s; libcurl/%s)"):format(
    core.version, lua, core.curl_version)
  return settings.user_agent and settings.user_agent .. " " .. ours or ours
end

-- ---- events and done calls ----

local function report(state, event)
  local slot = state.slots[event.id]
  event.path = slot and slot.path
  event.id = nil
  pcall(state.settings.on_event, event) -- a faulty logger stops no message
end

local function step(state, budget)
  local engine = state.engine
  engine:step(budget)
  if state.settings.on_event then
    local event = engine:event()
    while event do
      report(state, event)
      event = engine:event()
    end
  end
  local id, response, failure = engine:done()
  while id do
    local slot = state.slots[id]
    state.slots[id] = nil
    if slot then slot.finish(response, failure) end
    if not state.engine then return end -- closed by what just finished
    id, response, failure = engine:done()
  end
end

-- ---- credentials ----

-- The scheme and the secret, asked for once where they come from a function.
local function credentials(state, fresh)
  local settings = state.settings
  local scheme = settings.api_key and "basic" or "bearer"
  local source = settings.api_key or settings.access_token
  if type(source) ~= "function" then return scheme, source end
  if fresh or not state.secret then
    local ok, secret, why = pcall(source)
    if not ok then secret, why = nil, secret end
    local fault = secret == nil and "returned nothing" ..
      (type(why) == "string" and ": " .. why or "") or
      options.check_secret(settings, secret)
    if fault then return nil, fault end
    state.secret = secret
  end
  return scheme, state.secret
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

-- Adds what an earlier try of the same call cost.
local function add_up(response, failure, earlier)
  for _, part in ipairs { response or false, failure or false } do
    if part then part.attempts = part.attempts + earlier.attempts end
  end
  if response then response.elapsed = response.elapsed + earlier.elapsed end
end

-- Whether a refused call is worth one more try with fresh credentials.
local function may_be_stale(state, failure)
  local source = state.settings.api_key or state.settings.access_token
  return failure and failure.status == 401 and type(source) == "function"
end

local function submit(state, request, secret, timeout, finish)
  local id = state.engine:submit(request.method, request.url, request.body,
    secret.scheme, secret.value, timeout, request.max_retries)
  state.slots[id] = { path = request.path, finish = finish }
end

-- Starts a call; finish(response, failure) is called when it is done, which
-- may be before this returns.
local function start(state, request, finish)
  local scheme, value = credentials(state)
  if not scheme then return finish(nil, no_credentials(value)) end
  local function again(response, failure)
    local left = request.timeout - (response and response.elapsed or 0)
    if left <= 0 or not may_be_stale(state, failure) then
      return finish(response, failure)
    end
    scheme, value = credentials(state, true)
    if not scheme then return finish(response, failure) end
    local earlier = response
    submit(state, request, { scheme = scheme, value = value }, left,
      function(second, fault)
        add_up(second, fault, earlier)
        finish(second, fault)
      end)
  end
  submit(state, request, { scheme = scheme, value = value }, request.timeout,
    again)
end

-- What the resources call: perform(method, path, query, body, call_options)
-- -> response | nil, err, response|nil
local function perform(state, method, path, query, body, given)
  if not state.engine then return nil, errors.config "the client is closed" end
  local call, why = options.read_call(given)
  if not call then return nil, errors.config(why) end
  local slot = {}
  start(state, {
    method = method,
    path = path,
    url = state.settings.base_url .. path .. query,
    body = body,
    timeout = call.timeout or state.settings.timeout,
    max_retries = call.max_retries or state.settings.max_retries,
  }, function(response, failure)
    slot.done, slot.response, slot.failure = true, response, failure
  end)
  if not slot.done then state.loop.await(state.driver, slot) end
  if slot.failure then
    return nil, errors.from_call(slot.failure, slot.response), slot.response
  end
  return slot.response
end

-- ---- making and closing ----

--- Closes the client: its connections end, calls under way are dropped. May be
--- called twice.
function Client:close()
  local state = private[self]
  if not state then return nil, errors.config "call it as client:close()" end
  local engine = state.engine
  state.engine = nil
  if engine then engine:close() end
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
  local state = {
    settings = settings,
    engine = make_engine(settings),
    slots = {},
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
