-- A client: its options, engine and loop, and its methods. Its state, which the
-- files below it work on, is one table:
--   settings            its options, see options.lua
--   scheme, secret      "basic" or "bearer", and the credentials, once known
--   source              the function for the credentials, or nil
--   engine, loop, driver   see lclo_engine.c, loop.lua and driver.lua
--   closed              whether it was closed
--   requests, last_id   those in the engine, by number; the last number
--   questions           those of question.lua that are open
--   live, pending       the operations that are not over; how many
--   deferred, deferred_first, deferred_last   what the next drain does
--   untold              the operations whose end an error kept from being told
--   current             the operation that a drain is handling
--   starting            how many _async functions are beginning one (nested)
--   depth               of nested callbacks
--   uncounted           operations that wait while on_event runs for them
--   memory_errors       made in advance, see operation.lua

local core = require "close.core"
local drain = require "close.drain"
local drivers = require "close.driver"
local errors = require "close.errors"
local files = require "close.files"
local live = require "close.live"
local loops = require "close.loop"
local memory = require "close.memory"
local operations = require "close.operation"
local options = require "close.options"
local questions = require "close.question"
local raw = require "close.raw"
local raw_pairs = require "close.raw_pairs"
local sms = require "close.sms"

local Client = {}
Client.__index = Client
Client.__name = "close.Client"

-- The key of a function that returns the state, so that the state and its
-- credentials are no fields of the client. (With a weak table instead, a client
-- to which its own on_event refers would never be collected: Lua 5.1 and LuaJIT
-- have no ephemerons.)
local OWN = {}

-- The state, or nil and an error for a call without the client.
local function own(self, name)
  local get = type(self) == "table" and rawget(self, OWN)
  if get then return get() end
  return nil, errors.config("call it as client:" .. name .. "()")
end

local POLL_BUDGET_S = 0.0005 -- that one poll may take, besides a callback

function Client:__tostring()
  local state = own(self, "__tostring")
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

-- ---- methods ----

--- Does work that is ready, without waiting, for about POLL_BUDGET_S.
---@return integer|nil pending calls that are not over, close.Error? err
function Client:poll()
  local state, wrong = own(self, "poll")
  if not state then return nil, wrong end
  if state.closed and state.pending == 0 then
    return nil, errors.config "the client is closed"
  end
  state.driver.turn(POLL_BUDGET_S)
  if not state.closed then state.loop.kick() end
  return live.pending(state)
end

--- How many calls are not over.
function Client:pending()
  local state, wrong = own(self, "pending")
  if not state then return nil, wrong end
  return live.pending(state)
end

--- Waits, in the host's way, until no call is pending or the time is over.
---@param seconds number|nil no limit by default
---@return integer|nil pending, close.Error? err
function Client:wait(seconds)
  local state, wrong = own(self, "wait")
  if not state then return nil, wrong end
  local why = state.closed and state.pending == 0 and
      "the client is closed" or
    seconds ~= nil and options.check_wait(seconds) or
    operations.is_too_deep(state) and
      "callbacks wait inside each other too deeply" or
    state.loop.why_not("wait", "wait")
  if why then return nil, errors.config(why) end
  state.loop.wait(seconds and core.now() + seconds or math.huge)
  return live.pending(state)
end

--- Closes the client and its connections; pending calls end as cancelled, each
--- with its outcome so far. May be called twice.
function Client:close()
  local state, wrong = own(self, "close")
  if not state then return nil, wrong end
  state.closed = true
  questions.close(state)
  local engine = state.engine
  for id, request in raw_pairs(engine and state.requests or {}) do
    if request then engine:cancel(id) end
  end
  repeat -- a drain that runs out of memory leaves some of them
    drain(state)
    -- A callback may have closed it again.
    if not engine or state.engine ~= engine then return end
  until not engine:next_done()
  state.engine = nil
  state.loop.close() -- first: its handles watch the engine's sockets
  engine:close()
end

--- Any request of Close's API, for what this library has no verb for.
---@param method string "GET", "POST", "PUT", "PATCH" or "DELETE"
---@param path string below base_url, such as "/lead/"
---@param given close.RequestOptions|nil
---@return any value the decoded JSON; true for an empty body
---@return close.Error|nil err
---@return close.Response|nil response
function Client:request(method, path, given)
  local state, wrong = own(self, "request")
  if not state then return nil, wrong end
  local operation, err, call_options = raw.prepare(method, path, given)
  return operations.perform(state, operation, err, call_options)
end

--- The same without waiting: the callback gets what request would return.
---@param method string
---@param path string
---@param callback fun(value: any, err: close.Error?, response: close.Response?)
---@param given close.RequestOptions|nil
---@return close.Request|nil request
---@return close.Error|nil err the callback will not be called
function Client:request_async(method, path, callback, given)
  local state, wrong = own(self, "request_async")
  if not state then return nil, wrong end
  local operation, err, call_options = raw.prepare(method, path, given)
  return operations.launch(state, operation, err, callback, call_options,
    "request")
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
    last_id = 0,
    questions = {},
    pending = 0,
    deferred = {},
    deferred_first = 1,
    deferred_last = 0,
    untold = false,
    starting = 0,
    depth = 0,
    uncounted = 0,
    memory_errors = { errors.memory(), errors.memory() },
  }
  state.live, state.requests = live.new()
  state.driver = drivers.new(state)
  state.loop, why = loops.new(settings.loop, state.driver)
  if not state.loop then return nil, errors.config(why) end
  local made, engine = memory.try(make_engine, settings)
  if not made then return nil, errors.config(tostring(engine)) end
  state.engine = engine
  local self = setmetatable({ [OWN] = function() return state end }, Client)
  self.sms, self.files = sms.new(state), files.new(state)
  return self
end

return client
