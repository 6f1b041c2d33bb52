-- The calls of a client, from their beginning to their end: credentials, the
-- engine's answer, whoever waits. All of it works on the client's state: its
-- settings, engine, loop, credentials, and the calls themselves.
-- A call is one table from its start to its end: its name, such as "send"; what
-- is asked (method, path, group, query, body, then url, due, max_retries); then
-- id and notify; at the end done, response, failure, unsure (how many attempts
-- Close may have acted on, unknown to us); or refused: an error of ours.
-- A call may be of several requests: its follow(call, response, failure) gets
-- the end of each, and returns the next one's part of the table; or nil and
-- what the call has come to. Where the call was cancelled, or the client
-- closed, the next one ends as cancelled before it has begun. Its started() is
-- told when it begins.

local core = require "close.core"
local errors = require "close.errors"
local options = require "close.options"

local calls = {}

local DEEP = 30 -- callbacks that wait inside each other; Lua bears 200 C calls

-- ---- calls that are done ----

--- Gives an event to who asked for events.
function calls.tell(state, event)
  local on_event = state.settings.on_event
  if not on_event then return end
  local tell = state.loop.tell
  if tell and tell(on_event, event) then return end
  pcall(on_event, event) -- a faulty logger stops no message
end

--- The same in the middle of a call, which does not count meanwhile: whoever is
--- told may wait for all that do.
function calls.tell_apart(state, event)
  state.pending = state.pending - 1
  calls.tell(state, event)
  state.pending = state.pending + 1
end

local function report(state, event)
  local call = state.calls[event.id]
  event.path = call and call.path
  event.id = nil
  calls.tell(state, event)
end

--- Calls a user's function for a call. What it throws stops nobody else.
--- -> what it returned first
function calls.guard(state, call, f, ...)
  local ok, value = pcall(f, ...)
  if ok then return value end
  local named, text = pcall(tostring, value)
  calls.tell(state, { method = call.method, path = call.path,
    callback_error = named and text or "an error that is a " .. type(value) })
end

local function count(state, call)
  if call.is_counted then return end
  state.pending, call.is_counted = state.pending + 1, true
end

local function uncount(state, call)
  if not call.is_counted then return end
  state.pending, call.is_counted = state.pending - 1, nil
end

-- Runs what waits for the call: a user's callback, or what lets go on whoever
-- waits. The call counts as pending until then.
local function run(state, call, waiter)
  uncount(state, call)
  local nests = not state.loop.spawns
  if nests then state.depth = state.depth + 1 end
  calls.guard(state, call, waiter, call)
  if nests then state.depth = state.depth - 1 end
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
  local waiter = call.notify
  if not waiter then return uncount(state, call) end
  if call.is_async and calls.is_deep(state) then
    return put_off(state, call)
  end
  call.notify = nil
  if call.is_async and state.loop.run then
    return state.loop.run(run, state, call, waiter)
  end
  run(state, call, waiter)
end

local go_on

-- Adds what the tries before this one cost. A refusal says nothing of those
-- that Close may have acted on before it.
local function add_up(call, response, failure, unsure)
  local spent = call.spent
  call.tries = (response or failure).attempts
  if spent then
    unsure = unsure + spent.unsure
    if response then
      response.attempts = response.attempts + spent.attempts
      response.elapsed = response.elapsed + spent.elapsed
    end
    if failure then failure.attempts = failure.attempts + spent.attempts end
  end
  if failure and unsure > 0 then failure.outcome = "unknown" end
  call.unsure = unsure
  if failure and failure.is_parents then
    failure.is_parents, call.is_parents = nil, true
  end
end

-- What has been spent goes on to the next try.
local function carry_over(call, response, failure, unsure)
  local spent = call.spent
  call.spent = {
    attempts = (response or failure).attempts,
    elapsed = response and response.elapsed or spent and spent.elapsed or 0,
    unsure = unsure,
  }
end

-- The end of a request, of the call unless another one follows.
local function finish(state, call, response, failure)
  if call.follow then
    local ok, request, now_response, now_failure =
      pcall(call.follow, call, response, failure)
    if not ok then -- a mistake of ours, which must not stop the host
      now_response, now_failure = response, { kind = "protocol",
        outcome = "unknown", attempts = (response or failure).attempts,
        message = "an answer could not be dealt with: " .. tostring(request) }
      request = nil
    end
    if request then
      carry_over(call, response, failure, 0)
      return go_on(state, call, request)
    end
    response, failure = now_response, now_failure
  end
  call.response, call.failure, call.done = response, failure, true
  notify(state, call)
end

-- The end of a try, as the engine or we ourselves found it.
local function end_try(state, call, response, failure, unsure)
  add_up(call, response, failure, unsure or 0)
  local resume = call.resume
  call.resume = nil
  return (resume or finish)(state, call, response, failure)
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
  local id, response, failure, unsure = engine:done()
  while id do
    local call = state.calls[id]
    state.calls[id] = nil
    if call then
      end_try(state, call, response, failure, unsure)
    end
    if state.engine ~= engine or till and core.now() >= till then return end
    id, response, failure, unsure = engine:done()
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

local function cancelled(why)
  return { kind = "cancelled", outcome = "not_sent", attempts = 0,
    message = why }
end

local function submit(state, call)
  if state.closed or not state.engine then
    return end_try(state, call, nil, cancelled "the client was closed")
  end
  local anonymous, delay = call.anonymous, call.delay
  call.delay = nil -- of the first try only
  local id = state.engine:submit(call.method, call.url, call.group, call.body,
    not anonymous and state.scheme or nil, not anonymous and state.secret or
    nil, call.due - core.now(), call.max_retries, call.repeatable, delay,
    call.form)
  if not id then -- a finalizer closed the client meanwhile
    return end_try(state, call, nil, cancelled "the client was closed")
  end
  state.calls[id], call.id = call, id
  call.secret = state.secret -- which one it goes with
end

-- Asks for credentials where there are none now. A call that is counted does
-- not count while that runs, as whoever drives us may be ended in it.
local function get_secret(state, call)
  if state.secret then return state.secret end
  local counts = call.is_counted and 1 or 0
  state.pending = state.pending - counts
  local secret, why = ask(state)
  state.pending = state.pending + counts
  return secret, why
end

-- The credentials come from a function: a 401 may mean that they are stale, and
-- is worth one more try with fresh ones.
local function refresh(state, call, response, failure)
  local refused = failure and failure.status == 401
  -- Whatever comes of this call, the next one asks anew.
  if refused and state.secret == call.secret then state.secret = nil end
  if refused and not state.closed and not call.is_cancelled then
    local retries = call.max_retries - call.tries
    local fresh = core.now() < call.due and retries >= 0 and
      get_secret(state, call)
    if fresh and core.now() < call.due and not call.is_cancelled then
      state.secret, call.max_retries = fresh, retries
      carry_over(call, response, failure, call.unsure)
      return submit(state, call)
    end
  end
  finish(state, call, response, failure)
end

-- Begins one request of a call, with credentials.
local function begin(state, call)
  if state.source and not call.anonymous then
    local secret, why = get_secret(state, call)
    state.secret = secret or state.secret
    if call.is_cancelled then
      return end_try(state, call, nil, cancelled "the call was cancelled")
    end
    if not secret then
      return end_try(state, call, nil, no_credentials(why))
    end
    if core.now() >= call.due then
      return end_try(state, call, nil, too_late())
    end
    call.resume = refresh
  end
  submit(state, call)
end

local function address(state, call)
  call.url = state.settings.base_url .. call.path .. call.query
end

-- A call of several requests goes on with its next one.
function go_on(state, call, request)
  call.method, call.path, call.group = request.method, request.path,
    request.group
  call.query, call.body, call.form = request.query or "", request.body,
    request.form
  call.repeatable, call.delay = request.repeatable, request.delay
  call.anonymous = request.anonymous
  call.max_retries = call.retries
  address(state, call)
  if request.url then call.url = request.url end
  if call.is_cancelled or state.closed then
    return end_try(state, call, nil, cancelled(state.closed and
      "the client was closed" or "the call was cancelled"))
  end
  begin(state, call)
end

-- Starts a call; call.done turns true when it ends, which may be at once.
local function start(state, call)
  call.due = core.now() + call.timeout
  if call.started then call.started() end
  if state.source and not state.secret then
    begin(state, call)
    if not call.done then count(state, call) end
  else
    count(state, call)
    begin(state, call)
  end
end

--- Ends a call, and says whether it was still pending. Where its attempt is
--- over, but not yet the call, it is not tried again.
function calls.cancel(state, call)
  if call.cancel then return call.cancel() end -- several calls in a row
  if call.done or not call.id or not state.engine then return false end
  call.is_cancelled = true
  return state.engine:cancel(call.id) or call.follow ~= nil
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
  address(state, call)
  call.timeout = settings.timeout
  call.retries = settings.max_retries or call.retries or options.MAX_RETRIES
  call.done = false
  if given ~= nil then
    local settings_of_call, why = options.read_call(given)
    if not settings_of_call then return why end
    call.timeout = settings_of_call.timeout or call.timeout
    call.retries = settings_of_call.max_retries or call.retries
  end
  call.max_retries = call.retries
end

local function result(call)
  if call.refused then return nil, call.refused end
  if call.failure then
    return nil, errors.from_call(call.failure, call.response), call.response
  end
  return call.response
end

--- What the resources call: begins a call, waits for it in the host's way, and
--- returns what call.read makes of its result. call.group names the endpoint
--- group, method and path without ids, that Close counts a rate limit for.
--- refused says why there is no call.
function calls.perform(state, call, refused, given)
  if not call then return nil, refused end
  local why = state.closed and "the client is closed" or
    state.loop.hindrance("await", call.name) or hindrance(state, call, given)
  if why then return nil, errors.config(why) end
  start(state, call)
  if not call.done then
    state.loop.kick()
    if not call.done then state.loop.await(call) end
  end
  return call.read(result(call))
end

local function pass(...) return ... end

--- The same without waiting: the callback gets it, also what is wrong with the
--- call (refused, or found here).
--- -> call | nil, err where the callback will not be called
function calls.launch(state, call, refused, callback, given)
  local why = state.closed and "the client is closed" or
    type(callback) ~= "function" and
      "callback must be a function (result, err, response)" or
    state.loop.hindrance("begin", call and call.name or "create")
  if why then return nil, errors.config(why) end
  call = call or { refused = refused }
  call.is_async = true
  if not refused then
    why = hindrance(state, call, given)
    if why then call.refused = errors.config(why) end
  end
  call.done = call.refused ~= nil
  if not call.done then start(state, call) end
  local read = call.refused and pass or call.read
  function call.notify() callback(read(result(call))) end
  if call.done then put_off(state, call) end
  state.loop.kick()
  return call
end

return calls
