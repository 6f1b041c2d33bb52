-- The calls of a client, from their beginning to their end: credentials, the
-- engine's answer, who waits. All of it works on the client's state: its
-- settings, engine, loop, credentials, and the calls themselves.
-- A call is one table from its start to its end:
--   name                  such as "send"
--   method, path, group, query, body, url, due, max_retries   what is asked
--   id, is_submitted      of its last request; whether the engine has got it
--   ticket                the id of its first one, or of the work that it goes
--                         on with: see struct clo_request
--   callback, thread, notify   who waits: one of them, or nobody
--   done                  it is over; then response, failure, unsure (how many
--                         attempts Close may have acted on, unseen by us); or
--                         refused: an error of ours
--   stale                 the 401 that it has new credentials fetched for
--   spare                 its error if out of memory; is_out: it may have left
-- A call may be of several requests: its follow(call, response, failure) gets
-- the end of each, and returns the next one's part of the table; or nil and
-- what the call has come to. Where the call was cancelled, or the client
-- closed, the next one ends as cancelled before it has begun. Its started() is
-- told when it begins; its describe(err) fills in what spare is to say.
-- An error may come at any instruction: from a hook, or if out of memory. So
-- a call that is not over is always to be found: in the engine, among those
-- that wait for credentials, in state.late, or as state.current.

local core = require "close.core"
local credentials = require "close.credentials"
local errors = require "close.errors"
local memory = require "close.memory"
local options = require "close.options"
local protect = require "close.protect"

local calls = {}

local DEEP = 30 -- callbacks that wait inside each other; Lua bears 200 C calls

-- ---- users' functions ----

-- Calls a user's function, in a coroutine of its own where it might yield the
-- one that drives us; tells over() how it ended.
local function call_user(state, f, arg, over)
  local loop = state.loop
  if not loop.spawns and (loop.coroutines or protect.is_in_coroutine()) then
    protect.spawn(f, arg, over)
  else
    over(protect.call(f, arg))
  end
end

local function pass_interrupt(ok, value, is_interrupt)
  if not ok and is_interrupt then protect.raise(value) end
end

--- Gives an event to who asked for events.
function calls.tell(state, event)
  local on_event = state.settings.on_event
  if not on_event then return end
  local tell = state.loop.tell
  if tell and tell(on_event, event) then return end
  -- A faulty logger stops no message.
  call_user(state, on_event, event, pass_interrupt)
end

--- The same in the middle of a call, which does not count meanwhile: whoever is
--- told may wait for all that do.
function calls.tell_apart(state, event)
  local apart = state.apart
  state.apart = apart + 1
  calls.tell(state, event)
  state.apart = apart
end

local function report(state, event)
  local call = state.calls[event.id]
  event.path = call and call.path
  event.id = nil
  calls.tell(state, event)
end

-- What a user's function has thrown: an interrupt goes on, all else is told.
local function tell_thrown(state, call, value, is_interrupt)
  if is_interrupt then protect.raise(value) end
  local named, text = pcall(tostring, value)
  calls.tell(state, { method = call.method, path = call.path,
    callback_error = named and text or "an error that is a " .. type(value) })
end

--- Calls a user's function for a call. What it throws stops nobody else.
--- -> what it returned first; nothing where it has yielded
function calls.guard(state, call, f, arg)
  local value
  call_user(state, f, arg, function(ok, first, is_interrupt)
    if not ok then return tell_thrown(state, call, first, is_interrupt) end
    value = first
  end)
  return value
end

-- ---- calls that are done ----

-- A call counts as pending while it is in state.live; state.pending is how many
-- there are.
local function count(state, call)
  if state.live[call] then return end
  state.live[call] = true
  state.pending = state.pending + 1
end

local function uncount(state, call)
  if not state.live[call] then return end
  state.live[call] = nil
  state.pending = state.pending - 1
end

local function recount(state)
  local n = 0
  for _ in pairs(state.live) do n = n + 1 end
  state.pending = n
end

--- How many calls are not over: of them, those that may end before the caller
--- goes on.
function calls.pending(state)
  local n = state.pending - state.apart
  if not credentials.is_inside(state) then return n end
  local starting = state.starting
  return n - credentials.count(state) -
    (starting and starting.done and state.live[starting] and 1 or 0)
end

-- Has act(state, call, ...) done in the next drain.
local function put_off(state, act, call, response, failure, unsure)
  count(state, call)
  state.late[state.late_last + 1] = { act = act, call = call,
    response = response, failure = failure, unsure = unsure }
  state.late_last = state.late_last + 1
end

--- Whether something was put off.
function calls.has_late(state) return state.late_first <= state.late_last end

--- Whether callbacks wait inside each other so deeply that no more may.
function calls.is_deep(state) return state.depth >= DEEP end

-- The error of a call that ran out of memory; making it needs none.
local function out_of_memory(call)
  local err, failure = call.spare, call.failure
  err.outcome = failure and failure.outcome or
    call.is_out and call.is_submitted and "unknown" or "not_sent"
  err.attempts = call.tries or 0
  err.draft_id, err.stray_drafts = nil, nil
  if call.describe then call.describe(err) end
  return err
end

-- Out of memory in the midst of a call: that is its end.
local function refuse(call)
  call.refused = out_of_memory(call)
  call.done = true
end

local function read(call)
  local response, failure = call.response, call.failure
  if not failure then return call.read(response) end
  return call.read(nil, errors.from_call(failure, response), response)
end

local function choose(call, ok, value, ...)
  if ok then return value, ... end
  if not memory.is_lacking(value) then error(value, 0) end
  return nil, out_of_memory(call), call.response
end

-- What the caller or the callback of a call gets.
local function result(call)
  if call.refused then return nil, call.refused end
  return choose(call, protect.catch(read, call))
end

-- Runs a call's callback.
local function run(state, call)
  if not call.callback then return end
  local value, err, response = result(call)
  local depth = state.depth
  if not state.loop.spawns then state.depth = depth + 1 end
  uncount(state, call)
  calls.guard(state, call, function()
    local callback = call.callback
    call.callback = nil
    return callback(value, err, response)
  end)
  state.depth = depth
end

-- Resumes the coroutine that waits for a call. It takes itself out of the call:
-- until then it still waits, whatever is thrown here.
local function resume(state, call)
  local thread = call.thread
  uncount(state, call)
  if coroutine.status(thread) ~= "suspended" then
    call.thread = nil
    return
  end
  local ok, value, is_interrupt = protect.resume(thread)
  if not ok then tell_thrown(state, call, value, is_interrupt) end
end

-- Tells the end of a call to what waits: a coroutine, a function of the loop's,
-- or a callback. A loop may have a way of its own to run that.
local function notify(state, call)
  if call.thread then return resume(state, call) end
  if not call.callback then
    uncount(state, call)
    return call.notify and call.notify()
  end
  if calls.is_deep(state) or state.starting == call then
    return put_off(state, notify, call)
  end
  if state.loop.run then return state.loop.run(run, state, call) end
  run(state, call)
end

--- Runs f in the next drain, as the callback of such a call is run.
function calls.later(state, call, f)
  put_off(state, notify, { method = call.method, path = call.path,
    done = true, read = function() end, callback = f })
  state.loop.kick()
end

local go_on, refresh

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
    local apart = state.apart
    local ok, request, now_response, now_failure =
      protect.call(call.follow, call, response, failure)
    if not ok then -- a mistake of ours, which must not stop the host
      state.apart = apart
      if now_response then protect.raise(request) end -- an interrupt
      if memory.is_lacking(request) then error(request, 0) end
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
  call.response, call.failure = response, failure
  call.done = true -- once nothing of it can be missing
  notify(state, call)
end

-- The end of a try, as the engine or we ourselves found it.
local function end_try(state, call, response, failure, unsure)
  if call.done then return end
  add_up(call, response, failure, unsure or 0)
  local may_be_stale = failure and failure.status == 401 and state.source and
    not call.anonymous and not call.is_refreshed
  if may_be_stale then
    return refresh(state, call, response, failure)
  end
  finish(state, call, response, failure)
end

-- ---- handing on ----

local function cancelled(why)
  return { kind = "cancelled", outcome = "not_sent", attempts = 0,
    message = why }
end

-- Whether the engine has the end of a call, which nobody has read yet.
local function is_unread(state, call)
  return call.id and state.calls[call.id] == call and state.engine and
    state.engine:next_done() == call.id
end

-- The next drain tells the end of a call to what waits for it.
local function tell_later(state, call)
  if call.callback or call.thread or call.notify then
    return put_off(state, notify, call)
  end
  uncount(state, call)
end

-- Ends a call in whose midst something was thrown. What the engine knows of it
-- is true; what was taken from it is lost.
local function break_off(state, call, thrown)
  if call.done then return tell_later(state, call) end
  local id, lacks = call.id, memory.is_lacking(thrown)
  if not lacks and is_unread(state, call) then return end
  call.is_cancelled = true
  credentials.leave(call)
  local is_ending = id and state.engine and state.engine:cancel(id)
  if lacks then
    if id then state.calls[id] = nil end
    refuse(call)
    return tell_later(state, call)
  end
  if is_ending then return end
  local failure = cancelled "an error was thrown in the midst of the call"
  failure.attempts = call.tries or 0
  put_off(state, end_try, call, nil, failure, call.is_submitted and 1 or 0)
  if id then state.calls[id] = nil end
end

-- Hands on what was put off: calls that ended before they were begun, as their
-- callbacks must not run inside of the call that names them. What is put off
-- meanwhile has its turn in the next drain.
local function drain_late(state, till)
  local last = state.late_last
  while state.late_first <= last and not calls.is_deep(state) do
    local late = state.late[state.late_first]
    state.current = late and late.call
    state.late[state.late_first] = nil
    state.late_first = state.late_first + 1
    if late then
      late.act(state, late.call, late.response, late.failure, late.unsure)
    end
    state.current = nil
    if till and core.now() >= till then return end
  end
end

local after_wait

-- Calls that have waited for credentials go on, or end.
local function drain_waiting(state)
  local call, why = credentials.next(state)
  while call do
    state.current = call
    credentials.leave(call)
    after_wait(state, call, why)
    state.current = nil
    call, why = credentials.next(state)
  end
  credentials.ask(state)
end

local function drain_events(state, engine)
  local event = state.settings.on_event and engine:event()
  while event do
    report(state, event)
    if state.engine ~= engine then return end
    event = engine:event()
  end
end

local function drain_done(state, engine, till)
  local id = engine:next_done()
  while id do
    state.current = state.calls[id] -- before it is taken from the engine
    local done, response, failure, unsure = engine:done()
    local call = done and state.calls[done]
    state.current = call
    if call then
      state.calls[done] = nil
      if response or failure then
        end_try(state, call, response, failure, unsure)
      else -- there was no memory for it
        refuse(call)
        notify(state, call)
      end
    end
    state.current = nil
    if state.engine ~= engine or till and core.now() >= till then return end
    id = engine:next_done()
  end
end

local function hand_on(state, till)
  drain_waiting(state)
  drain_late(state, till)
  local engine = state.engine
  if engine then drain_events(state, engine) end
  if engine and state.engine == engine then drain_done(state, engine, till) end
end

-- After an error in a drain: the call that it was at is not lost.
local function repair(state, thrown, current, depth, apart)
  local broken = state.current
  if broken and broken ~= current then break_off(state, broken, thrown) end
  state.current, state.depth, state.apart = current, depth, apart
  recount(state)
end

--- Hands on what the engine has: events, then calls that are done; it ends
--- early once it is later than till. Whoever is told may close the client. An
--- error that comes meanwhile, at any place, loses no call.
function calls.drain(state, till)
  local current, depth, apart = state.current, state.depth, state.apart
  local ok, why = protect.catch(hand_on, state, till)
  if ok then
    state.current = current
    return
  end
  local broken = state.current
  local has_ended = not broken or broken == current or broken.done
  protect.insist(repair, state, why, current, depth, apart)
  -- A call that ran out of memory says so itself.
  if has_ended or not memory.is_lacking(why) then error(why, 0) end
end

-- ---- a call ----

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

-- Gives the engine a request of a call. Its number is known before that:
-- whatever is thrown meanwhile, the request can be found and ended.
local function submit(state, call)
  if state.closed or not state.engine then
    return end_try(state, call, nil, cancelled "the client was closed")
  end
  local anonymous, delay = call.anonymous, call.delay
  call.delay = nil -- of the first try only
  local id, ticket = state.last_id + 1, call.ticket
  state.last_id, call.id = id, id
  state.calls[id] = call
  call.secret = state.secret -- which one it goes with
  call.ticket = ticket or id
  local taken = state.engine:submit(call.method, call.url, call.group,
    call.body, not anonymous and state.scheme or nil,
    not anonymous and state.secret or nil, call.due - core.now(),
    call.max_retries, call.repeatable, delay, call.form, id, ticket)
  call.is_submitted = taken ~= nil
  if taken then return end
  state.calls[id] = nil -- a finalizer closed the client meanwhile
  end_try(state, call, nil, cancelled "the client was closed")
end

-- Once more, with fresh credentials.
local function try_anew(state, call)
  local stale = call.stale
  call.stale, call.is_refreshed = nil, true
  call.max_retries = stale.retries
  carry_over(call, stale.response, stale.failure, call.unsure)
  submit(state, call)
end

-- Begins a request, as soon as there are credentials.
local function begin(state, call)
  if state.source and not state.secret and not call.anonymous then
    credentials.join(state, call)
  elseif call.stale then
    try_anew(state, call)
  else
    submit(state, call)
  end
end

-- Whether nobody waits for a call any more: it was cancelled, or its coroutine
-- was ended from outside.
local function is_given_up(call)
  return call.is_cancelled or
    call.thread ~= nil and coroutine.status(call.thread) == "dead"
end

-- The credentials come from a function: a 401 may mean that they are stale, and
-- is worth one more try with fresh ones.
function refresh(state, call, response, failure)
  -- Whatever comes of this call, the next one asks anew.
  if state.secret == call.secret then state.secret = nil end
  local retries = call.max_retries - call.tries
  if retries < 0 or core.now() >= call.due or state.closed or
     is_given_up(call) then
    return finish(state, call, response, failure)
  end
  call.stale = { response = response, failure = failure, retries = retries }
  begin(state, call)
end

-- The end of a call that has waited for credentials in vain: what Close said of
-- the old ones, if it was asked.
local function end_wait(state, call, _, failure)
  local stale = call.stale
  if not stale then return end_try(state, call, nil, failure) end
  call.stale = nil
  finish(state, call, stale.response, stale.failure)
end

function after_wait(state, call, why)
  local failure
  if why then
    failure = no_credentials(why)
  elseif state.closed then
    failure = cancelled "the client was closed"
  elseif core.now() >= call.due then
    failure = too_late()
  end
  if failure then return end_wait(state, call, nil, failure) end
  begin(state, call)
end

local function address(state, call)
  call.url = state.settings.base_url .. call.path .. call.query
end

-- A call of several requests goes on with its next one, unless nobody waits for
-- it any more.
function go_on(state, call, request)
  call.method, call.path, call.group = request.method, request.path,
    request.group
  call.query, call.body, call.form = request.query or "", request.body,
    request.form
  call.repeatable, call.delay = request.repeatable, request.delay
  call.anonymous, call.is_refreshed = request.anonymous, nil
  call.max_retries = call.retries
  call.is_submitted = nil
  address(state, call)
  if request.url then call.url = request.url end
  if is_given_up(call) or state.closed then
    return end_try(state, call, nil, cancelled(state.closed and
      "the client was closed" or "the call was cancelled"))
  end
  begin(state, call)
end

-- Starts a call; call.done turns true when it ends, which may be at once.
local function start(state, call)
  call.due = core.now() + call.timeout
  count(state, call)
  if call.started then call.started() end
  begin(state, call)
  credentials.ask(state)
end

--- Ends a call, and says whether it was still pending. Where its attempt is
--- over, but not yet the call, it is not tried again.
function calls.cancel(state, call)
  if call.cancel then return call.cancel() end -- several calls in a row
  if call.done then return false end
  if credentials.leave(call) then
    call.is_cancelled = true
    put_off(state, end_wait, call, nil, cancelled "the call was cancelled")
    return true
  end
  if not call.id or not state.engine then return false end
  call.is_cancelled = true
  return state.engine:cancel(call.id) or call.follow ~= nil
end

-- Something was thrown through the function that began a call: it ends, and
-- nobody is told.
local function abandon(state, call, thrown)
  call.callback, call.notify, call.thread = nil, nil, nil
  call.is_cancelled = true -- also where the engine has its end already
  break_off(state, call, thrown)
  uncount(state, call)
  recount(state)
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
  call.spare = errors.memory()
  call.refused, call.is_cancelled = false, false -- setting them needs no memory
end

-- Starts a call, which may leave at once.
local function start_and_kick(state, call)
  start(state, call)
  call.is_out = true
  if not call.done then state.loop.kick() end
end

local function begin_and_wait(state, call)
  start_and_kick(state, call)
  if not call.done then state.loop.await(call) end
end

-- Where await yields, Lua 5.1 cannot catch what is thrown through it: go_on()
-- finds the coroutine dead.
local function begin_and_yield(state, call)
  call.thread = coroutine.running()
  local ok, why = protect.catch(start_and_kick, state, call)
  if ok and not call.done then state.loop.await(call) end
  return ok, why
end

-- Why a call cannot wait for credentials.
local function needs_itself(state, call)
  local can_have_them = state.secret or call.anonymous or
    not credentials.is_inside(state)
  if can_have_them then return nil end
  return errors.from_call(no_credentials("waits for a call that needs the " ..
    "credentials: make that one with another client"))
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
  local err = needs_itself(state, call)
  if err then return nil, err end
  local catches = protect.yields or not state.loop.yields()
  local ok, thrown
  if catches then
    ok, thrown = protect.catch(begin_and_wait, state, call)
  else
    ok, thrown = begin_and_yield(state, call)
  end
  if not ok then
    protect.insist(abandon, state, call, thrown)
    if not memory.is_lacking(thrown) then error(thrown, 0) end
    if not call.done then refuse(call) end
  end
  return result(call)
end

-- Begins a call, whose callback is not called before this has returned.
local function begin_async(state, call)
  local starting = state.starting
  state.starting = call
  if call.done then
    put_off(state, notify, call)
    state.loop.kick()
  else
    start_and_kick(state, call)
  end
  state.starting = starting
end

--- The same without waiting: the callback gets it, also what is wrong with the
--- call (refused, or found here).
--- -> what state.wrap makes of the call | nil, err where the callback will not
--- be called
function calls.launch(state, call, refused, callback, given)
  local why = state.closed and "the client is closed" or
    type(callback) ~= "function" and
      "callback must be a function (result, err, response)" or
    state.loop.hindrance("begin", call and call.name or "create")
  if why then return nil, errors.config(why) end
  call = call or { refused = refused }
  call.callback = callback
  if not refused then
    why = hindrance(state, call, given)
    if why then call.refused = errors.config(why) end
  end
  call.done = call.refused and true or false
  local request, starting = state.wrap(call), state.starting
  local ok, thrown = protect.catch(begin_async, state, call)
  if not ok then
    state.starting = starting
    protect.insist(abandon, state, call, thrown)
    if not memory.is_lacking(thrown) then error(thrown, 0) end
    if not call.done then refuse(call) end
    return nil, call.refused
  end
  return request
end

return calls
