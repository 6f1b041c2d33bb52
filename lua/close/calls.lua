-- The calls of a client, from their beginning to their end: credentials, the
-- engine's answer, whoever waits. All of it works on the client's state: its
-- settings, engine, loop, credentials, and the calls themselves.
-- A call is one table from its start to its end: what is asked (method, path,
-- group, query, body, then url, timeout, max_retries), later id and notify, at
-- the end done, response, failure; or refused: an error of ours.

local core = require "close.core"
local errors = require "close.errors"
local options = require "close.options"

local calls = {}

local DEEP = 30 -- callbacks that wait inside each other; Lua bears 200 C calls

-- ---- calls that are done ----

local function tell(state, event)
  pcall(state.settings.on_event, event) -- a faulty logger stops no message
end

local function report(state, event)
  local call = state.calls[event.id]
  event.path = call and call.path
  event.id = nil
  tell(state, event)
end

--- Calls a user's function for a call. What it throws stops nobody else.
--- -> what it returned first
function calls.guard(state, call, f, ...)
  local ok, value = pcall(f, ...)
  if ok then return value end
  if not state.settings.on_event then return nil end
  local named, text = pcall(tostring, value)
  tell(state, { method = call.method, path = call.path,
    callback_error = named and text or "an error that is a " .. type(value) })
end

-- Runs what waits for the call: a user's callback, or what lets go on whoever
-- waits.
local function run(state, call, waiter)
  local nests = not state.loop.spawns
  if nests then state.depth = state.depth + 1 end
  calls.guard(state, call, waiter, call)
  if nests then state.depth = state.depth - 1 end
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

--- Runs f in the next drain, as the callback of such a call is run.
function calls.later(state, call, f)
  put_off(state, { method = call.method, path = call.path, is_async = true,
    done = true, notify = f })
  state.loop.kick()
end

--- Whether a call was put off.
function calls.has_late(state) return state.late_first <= state.late_last end

--- Whether callbacks wait inside each other so deeply that no more may.
function calls.is_deep(state) return state.depth >= DEEP end

-- The end of a call for whoever waits. A loop may have a way of its own to run
-- a callback.
local function notify(state, call)
  if call.is_counted then
    state.pending, call.is_counted = state.pending - 1, nil
  end
  local waiter = call.notify
  if not waiter then return end
  if call.is_async and calls.is_deep(state) then
    return put_off(state, call)
  end
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

--- Hands on what was put off: calls that ended before they were begun, as their
--- callbacks must not run inside of the call that names them. What is put off
--- meanwhile has its turn in the next drain.
function calls.drain_late(state, till)
  local last = state.late_last
  while state.late_first <= last and not calls.is_deep(state) do
    local call = state.late[state.late_first]
    state.late[state.late_first] = nil
    state.late_first = state.late_first + 1
    notify(state, call)
    if till and core.now() >= till then return end
  end
end

--- Hands on what the engine has: events, then calls that are done; it ends
--- early once it is later than till. Whoever is told may close the client.
function calls.drain(state, till)
  calls.drain_late(state, till)
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

--- Ends a call, and says whether its attempt was still pending. Where that is
--- over, but not yet the call, it is not tried again.
function calls.cancel(state, call)
  if call.cancel then return call.cancel() end -- several calls in a row
  if call.done or not call.id or not state.engine then return false end
  call.is_cancelled = true
  return state.engine:cancel(call.id)
end

--- A copy of the options of calls to come.
--- -> given | nil, err
function calls.read_options(state, given)
  if state.closed then return nil, errors.config "the client is closed" end
  local copy, why = options.read_call(given)
  if not copy then return nil, errors.config(why) end
  return copy
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

--- What the resources call: begins a call, waits for it in the host's way.
--- call.group names the endpoint group, method and path without ids, that Close
--- counts a rate limit for.
--- -> response | nil, err, response|nil
function calls.perform(state, call, given)
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

--- The same without waiting: read makes of a result what the callback gets.
--- What is wrong with the call (refused, or found here) goes to the callback,
--- too.
--- -> call | nil, err where the callback will not be called
function calls.launch(state, call, refused, read, callback, given)
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
  return call
end

return calls
