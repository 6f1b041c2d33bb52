-- One call of the user's, from its start to its end: its requests, one after
-- the other, and what waits for it. All functions work on the client's state,
-- see client.lua. An operation is one table:
--   set by operations.new()
--     verb          its description, see resource.lua
--     task          what the verb's functions keep of it, or nil
--   set here
--     request       its last request, see request.lua
--     began, due    moments of core.now(): its start, and the end of its time
--     retries       how often each of its requests may be retried
--     ticket        its place in the engine's queue: the number of its first
--                   request, or for a page of each, of the first page's
--     waiter        what waits for it: a callback, a coroutine, or a loop's
--                   own, a table with the method post(); nil: nothing does
--     attempts      of all its requests so far
--     is_cancelled  by its handle, or by an error in the call that waits
--     is_starting   the _async function that begins it has not returned
--     done          "over"; "read" once its verb reads, or has read
--     response, failure   its result; a failure may be an error already
--   set in live.lua
--     next_untold   while it is in the list state.untold: the next one, or
--                   false at the end
-- An error may come at any instruction: from a hook, or if out of memory. So an
-- operation that is not over is always in one of five places: the engine, the
-- line of a question, state.deferred, state.current, or state.untold, where
-- memory lacked for its end.

local core = require "close.core"
local errors = require "close.errors"
local handle = require "close.handle"
local live = require "close.live"
local memory = require "close.memory"
local options = require "close.options"
local protect = require "close.protect"
local questions = require "close.question"
local requests = require "close.request"
local user = require "close.user"

local operations = {}

local MAX_DEPTH = 30 -- of callbacks that wait; Lua allows 200 nested C calls

local count, uncount = live.count, live.uncount
local settle, defer = live.settle, live.defer

--- Whether callbacks that wait are nested too deeply for another one.
function operations.is_too_deep(state) return state.depth >= MAX_DEPTH end

-- ---- results ----

-- Makes errors for lack of memory in advance: one for each operation that is
-- pending, this one, and one that a finalizer may begin meanwhile.
local function prepare_memory_error(state)
  local list = state.memory_errors
  if #list < state.pending + 2 then list[#list + 1] = errors.memory() end
end

-- Takes one. There is always the first, which is used again.
local function take_memory_error(state, operation)
  local failure, list = operation.failure, state.memory_errors
  if errors.is_error(failure) and failure.kind == "memory" then
    return failure -- it has taken one already
  end
  local err = list[#list]
  if #list > 1 then list[#list] = nil end
  return err
end

-- The error of an operation that ran out of memory. Allocates nothing.
local function out_of_memory(state, operation)
  local err, failure, request = take_memory_error(state, operation),
    operation.failure, operation.request
  err.outcome = failure and failure.outcome or
    request and request.is_submitted and "unknown" or "not_sent"
  err.attempts = operation.attempts
  err.draft_id, err.stray_drafts = nil, nil
  local describe = operation.verb.describe
  if describe then describe(operation.task, err) end
  return err
end

--- Ends an operation that ran out of memory.
function operations.end_without_memory(state, operation)
  operation.failure = out_of_memory(state, operation)
  operation.response, operation.done = nil, "over"
end

-- -> value, err, response as the caller gets them
local function read(operation)
  local verb, task = operation.verb, operation.task
  local response, failure = operation.response, operation.failure
  operation.done = "read"
  if not failure then
    local value, err = verb.read(response, task)
    return value, err, response
  end
  if errors.is_error(failure) then return nil, failure, response end
  local err = errors.from_call(failure, response)
  if verb.explain then verb.explain(err, response, task) end
  return nil, err, response
end

local function choose(state, operation, ok, value, ...)
  if ok then return value, ... end
  if not memory.is_out_of_memory(value) then error(value, 0) end
  return nil, out_of_memory(state, operation), operation.response
end

-- What the caller or the callback of an operation gets.
local function result(state, operation)
  return choose(state, operation, protect.catch(read, operation))
end

-- ---- telling what waits ----

--- Has the collector do what is due. In Lua 5.2 and 5.3 it may run where a
--- function is called, and a finalizer may throw there: a callback would be
--- lost before its first instruction.
function operations.settle_memory() return { 1, 2, 3, 4, 5, 6, 7, 8 } end

-- Without a tail call: protect.lua looks for this function on the stack.
local function take_callback(operation, value, err, response)
  operations.settle_memory()
  local callback = operation.waiter
  operation.waiter = nil
  callback(value, err, response)
end

-- Runs an operation's callback.
local function call_back(state, operation)
  if not operation.waiter then return end
  local value, err, response = result(state, operation)
  local depth = state.depth
  if not state.loop.spawns then state.depth = depth + 1 end
  uncount(state, operation)
  user.run(state, operation.request, take_callback, operation, value, err,
    response)
  state.depth = depth
  -- A finalizer threw before the callback was taken: it is still to be called.
  if operation.waiter then return live.put_back(state, operation) end
end

-- The same where a loop calls it outside of a drain, which would repair what an
-- error leaves.
local function run(state, operation)
  local depth = state.depth
  local called, ok, why = pcall(protect.catch, call_back, state, operation)
  if called and ok then return end
  if not called then why = protect.note(ok) end
  state.depth = depth
  protect.ensure(live.put_back, state, operation)
  state.loop.kick()
  error(why, 0)
end

-- Resumes the coroutine that waits. It removes itself from the operation, so an
-- error here leaves it waiting.
local function resume(state, operation)
  local thread = operation.waiter
  uncount(state, operation)
  if coroutine.status(thread) ~= "suspended" then
    operation.waiter = nil
    return
  end
  local ok, value, is_interrupt = protect.resume(thread)
  if not ok then
    user.report_thrown(state, operation.request, value, is_interrupt)
  end
end

--- Tells what waits for an operation that it is over. A loop may run callbacks
--- in its own way.
local function notify(state, operation)
  local waiter = operation.waiter
  local kind = waiter and type(waiter)
  if kind == "thread" then return resume(state, operation) end
  if kind ~= "function" then
    uncount(state, operation)
    return waiter and waiter:post()
  end
  if operations.is_too_deep(state) or operation.is_starting then
    return defer(state, notify, operation)
  end
  if state.loop.run then return state.loop.run(run, state, operation) end
  call_back(state, operation)
end

operations.notify = notify

--- Tells what waits for one of these operations; one that is not over was left
--- so for lack of memory, and is ended. The caller has made it state.current.
function operations.notify_untold(state, operation)
  live.take_untold(state, operation)
  if operation.done then return notify(state, operation) end
  operations.abort(state, operation, memory.MESSAGE)
end

-- ---- requests, one after the other ----

-- Ends an operation.
local function finish(state, operation, response, failure)
  if response then
    response.attempts = operation.attempts
    response.elapsed = core.now() - operation.began
  end
  if failure then
    failure.attempts, failure.is_from_parent = operation.attempts, nil
  end
  local request = operation.request
  request.body = nil -- who keeps the handle keeps no file
  if request.form then request.form = nil end
  operation.response, operation.failure = response, failure
  operation.done = "over" -- once nothing of it can be missing
  notify(state, operation)
end

-- Gives the end of a request to the verb's step.
-- -> the next request | nil, response, failure
local function step(state, operation, response, failure)
  local uncounted = state.uncounted
  local ok, request, now_response, now_failure =
    protect.call(operation.verb.step, operation, response, failure, state)
  if ok then return request, now_response, now_failure end
  state.uncounted = uncounted -- a mistake of ours, which must not stop the host
  if now_response then protect.raise(request) end -- an interrupt
  if memory.is_out_of_memory(request) then error(request, 0) end
  return nil, response, { kind = "protocol", outcome = "unknown",
    message = "an answer could not be dealt with: " .. tostring(request) }
end

-- Begins a further request of an operation, unless that was given up.
-- -> a failure if the request is over already
local function begin(state, operation)
  if state.closed then return requests.closed() end
  if requests.is_given_up(operation) then
    return requests.failure("cancelled", "the call was cancelled")
  end
  return requests.begin(state, operation.request)
end

--- Continues an operation whose request is over.
function operations.go_on(state, operation, response, failure)
  if operation.done then return settle(state, operation) end
  repeat
    local request
    if operation.verb.step then
      request, response, failure = step(state, operation, response, failure)
    end
    if not request then return finish(state, operation, response, failure) end
    request.operation = operation
    operation.request = request
    response, failure = nil, begin(state, operation)
  until not failure
end

-- ---- beginning and ending ----

--- Makes an operation from its first request.
---@param verb table see resource.lua
---@param request table see request.lua
---@param task table|nil what the verb's functions keep
function operations.new(verb, request, task)
  -- With room for the other fields.
  local operation = { verb = verb, task = task, request = request, began = 0,
    due = 0, retries = 0, attempts = 0, is_cancelled = false,
    is_starting = false, done = false }
  if request then request.operation = operation end
  return operation
end

local NO_OPTIONS = {} -- of a call; only read

-- Sets the fields that come from options.
-- -> nil, or what is wrong with the options
local function set_options(state, operation, given)
  local settings, verb, of_call = state.settings, operation.verb, NO_OPTIONS
  if given ~= nil then
    local why
    of_call, why = options.read_call(given, verb)
    if not of_call then return why end
  end
  if verb.uses_on_draft then
    operation.task.on_draft = of_call.on_draft or settings.on_draft
  end
  operation.began = core.now()
  operation.due = operation.began + (of_call.timeout or settings.timeout)
  operation.retries = of_call.max_retries or settings.max_retries or
    verb.retries or options.MAX_RETRIES
end

-- Starts an operation; its request may leave at once.
local function start(state, operation)
  count(state, operation)
  local failure = requests.begin(state, operation.request)
  if failure then operations.go_on(state, operation, nil, failure) end
  if state.questions[1] then questions.ask(state) end
  -- Also if it is over: a function that closed the client has ended the loop's
  -- watch, and its callback is still to be called.
  state.loop.kick()
end

-- Ends an operation that was cancelled while it waited.
local function end_wait(state, operation)
  if operation.done then return settle(state, operation) end
  local response, failure = requests.cancel_wait(operation.request)
  operations.go_on(state, operation, response, failure)
end

--- Cancels an operation; returns whether it was still pending. If its request
--- is over but not yet handled, the operation makes no further one.
function operations.cancel(state, operation)
  if operation.done then return false end
  local request = operation.request
  if questions.waits(request) then
    operation.is_cancelled = true
    defer(state, end_wait, operation)
    questions.leave(request)
    return true
  end
  if not request.id or not state.engine then return false end
  operation.is_cancelled = true
  return state.engine:cancel(request.id) or operation.verb.goes_on == true
end

-- Whether the engine still has the result of a request.
local function is_unread(state, id)
  return state.requests[id] and state.engine and
    state.engine:next_done() == id
end

--- Ends an operation after an error in the middle of it. A result that the
--- engine still has is used; one that was taken from it is lost.
function operations.abort(state, operation, thrown)
  if operation.done then return live.put_back(state, operation) end
  local request, lacks = operation.request, memory.is_out_of_memory(thrown)
  local id = request.id
  if not lacks and id and is_unread(state, id) then return end
  operation.is_cancelled = true
  questions.leave(request)
  local is_ending = id and state.engine and state.engine:cancel(id)
  if lacks then
    if id then state.requests[id] = nil end
    operations.end_without_memory(state, operation)
    return live.put_back(state, operation)
  end
  if is_ending then return end
  local failure = requests.failure("cancelled",
    "an error was thrown during the call")
  if request.is_submitted then request.unknown = request.unknown + 1 end
  if request.unknown > 0 then failure.outcome = "unknown" end
  defer(state, operations.go_on, operation, nil, failure)
  if id then state.requests[id] = nil end
end

-- An error goes through the function that began an operation: ends it, without
-- telling anything that waits.
local function abandon(state, operation, thrown)
  operation.waiter = nil
  operation.is_cancelled = true -- also where the engine has its end already
  operations.abort(state, operation, thrown)
  uncount(state, operation)
  live.recount(state)
end

local function give_up(state, operation, thrown)
  if protect.ensure(abandon, state, operation, thrown) then return end
  -- There is no memory, not even for a call: a later drain ends the operation.
  operation.waiter, operation.is_cancelled = nil, true
  live.put_off(state, operation)
end

local function start_and_wait(state, operation)
  start(state, operation)
  if not operation.done then state.loop.await(operation) end
  return read(operation)
end

-- Lua 5.1 cannot catch an error through an await that yields: a later step
-- finds the coroutine dead.
local function start_and_yield(state, operation)
  operation.waiter = coroutine.running()
  local called, ok, why = pcall(protect.catch, start, state, operation)
  if not called then return false, protect.note(ok) end
  if not ok then return false, why end
  if not operation.done then state.loop.await(operation) end
  return protect.catch(read, operation)
end

-- What the caller gets of what protect.catch returned.
local function conclude(state, operation, ok, value, err, response)
  if ok then return value, err, response end
  give_up(state, operation, value)
  if not memory.is_out_of_memory(value) then error(value, 0) end
  if operation.done == "read" then
    return nil, out_of_memory(state, operation), operation.response
  end
  if not operation.done then operations.end_without_memory(state, operation) end
  return result(state, operation)
end

--- Begins an operation, waits for it in the host's way, and returns its result.
---@param operation table|nil
---@param refused close.Error|nil why there is no operation
---@param given table|nil the caller's options
function operations.perform(state, operation, refused, given)
  if not operation then return nil, refused end
  local why = state.closed and "the client is closed" or
    state.loop.why_not("await", operation.verb.name) or
    set_options(state, operation, given)
  if why then return nil, errors.config(why) end
  local failure = state.source and requests.why_not(state, operation.request)
  if failure then return nil, errors.from_call(failure) end
  prepare_memory_error(state)
  if protect.yields or not state.loop.yields() then
    return conclude(state, operation,
      protect.catch(start_and_wait, state, operation))
  end
  return conclude(state, operation, start_and_yield(state, operation))
end

-- Begins an operation; its callback is not called before this has returned.
local function start_async(state, operation)
  operation.is_starting, state.starting = true, state.starting + 1
  if operation.done then
    defer(state, notify, operation)
    state.loop.kick()
  else
    start(state, operation)
  end
end

local REFUSED = {} -- the verb of an operation that was refused

--- The same without waiting: the callback gets the result, errors in the params
--- and options included. name is the verb's.
--- -> a handle | nil, err if the callback will not be called
function operations.launch(state, operation, refused, callback, given, name)
  local why = state.closed and "the client is closed" or
    type(callback) ~= "function" and
      "callback must be a function (result, err, response)" or
    state.loop.why_not("begin", name)
  if why then return nil, errors.config(why) end
  operation = operation or operations.new(REFUSED)
  prepare_memory_error(state)
  operation.waiter = callback
  why = not refused and set_options(state, operation, given)
  operation.failure = refused or why and errors.config(why) or nil
  operation.done = operation.failure and "over"
  local cancellable = handle.new(function()
    local was_pending = operations.cancel(state, operation)
    if was_pending then state.loop.kick() end
    return was_pending
  end)
  local starting = state.starting
  -- An error may come inside protect.catch, too.
  local called, ok, thrown = pcall(protect.catch, start_async, state, operation)
  operation.is_starting = false -- first: what is left of it must not hang
  state.starting = starting
  if called and ok then return cancellable end
  if not called then thrown = protect.note(ok) end
  give_up(state, operation, thrown)
  if not memory.is_out_of_memory(thrown) then error(thrown, 0) end
  if not operation.done then operations.end_without_memory(state, operation) end
  return nil, operation.failure
end

local LATER = { read = function() end }

--- Calls f in the next drain, like the callback of an operation.
---@param request table for events, if f throws
function operations.later(state, request, f)
  local made = operations.new(LATER)
  made.request, made.waiter, made.done = request, f, "over"
  prepare_memory_error(state)
  defer(state, notify, made)
  state.loop.kick()
end

return operations
