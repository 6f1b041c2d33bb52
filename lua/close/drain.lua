-- A drain, which follows each step of the engine: takes events and finished
-- requests from it, and continues or ends their operations. All functions work
-- on the client's state, see client.lua.

local core = require "close.core"
local live = require "close.live"
local memory = require "close.memory"
local operations = require "close.operation"
local protect = require "close.protect"
local questions = require "close.question"
local requests = require "close.request"
local user = require "close.user"

-- Continues or ends requests that waited for a function of the user's.
local function drain_questions(state)
  local outer = state.current
  local request, question = questions.next(state)
  while request do
    local operation = request.operation
    state.current = operation
    if questions.leave(request) then
      local is_over, response, failure =
        requests.resume(state, request, question)
      if is_over then operations.go_on(state, operation, response, failure) end
    end
    state.current = outer
    request, question = questions.next(state)
  end
  questions.ask(state)
end

-- Does what was deferred, such as the callback of an operation that ended at
-- once: it must not run inside the function that was given it. What is deferred
-- meanwhile waits for the next drain.
local function drain_deferred(state, till)
  local outer, last = state.current, state.deferred_last
  while state.deferred_first <= last and not operations.is_too_deep(state) do
    local entry = state.deferred[state.deferred_first]
    state.current = entry and entry.operation
    state.deferred[state.deferred_first] = nil
    state.deferred_first = state.deferred_first + 1
    if entry then
      entry.act(state, entry.operation, entry.response, entry.failure)
    end
    state.current = outer
    if till and core.now() >= till then return end
  end
end

-- Tells operations whose end an error kept from being told. If one is put
-- back, the next drain goes on, as what keeps it may last.
local function drain_untold(state)
  local outer = state.current
  local operation = state.untold
  while operation and not operations.is_too_deep(state) do
    local was_over = operation.done
    state.current = operation
    operations.notify_untold(state, operation)
    state.current = outer
    if was_over and state.untold == operation then return end
    operation = state.untold
  end
end

local function report(state, event)
  local request = state.requests[event.id]
  event.path = request and request.path:match "^[^?]*"
  event.id = nil
  user.emit(state, event)
end

-- on_event may begin a request that has ended by the time it returns, and so
-- on: this must not block the host.
-- -> whether all were emitted, and the engine is still the client's
local function drain_events(state, engine, till)
  local event = engine:event()
  while event do
    report(state, event)
    if state.engine ~= engine or till and core.now() >= till then
      return false
    end
    event = engine:event()
  end
  return true
end

-- Takes the engine's result of a request.
local function take(state, request, response, failure, unknown)
  local operation = request.operation
  if operation.done then return end
  if not response and not failure then -- there was no memory for it
    operations.end_without_memory(state, operation)
    return operations.notify(state, operation)
  end
  local is_over
  is_over, response, failure =
    requests.take(state, request, response, failure, unknown)
  if is_over then operations.go_on(state, operation, response, failure) end
end

-- Handles finished requests; the events of each come first.
local function drain_done(state, engine, till)
  local outer = state.current
  local has_events = state.settings.on_event ~= nil
  repeat
    if has_events and not drain_events(state, engine, till) then return end
    local id = engine:next_done()
    if not id then return end
    local request = state.requests[id] -- before it is taken from the engine
    state.current = request and request.operation
    local done, response, failure, unknown = engine:done()
    request = done and state.requests[done]
    state.current = request and request.operation
    if request then
      state.requests[done] = nil
      take(state, request, response, failure, unknown)
    end
    state.current = outer
  until state.engine ~= engine or till and core.now() >= till
end

local function drain_all(state, till)
  if state.untold then drain_untold(state) end
  if state.questions[1] then drain_questions(state) end
  if state.deferred_first <= state.deferred_last then
    drain_deferred(state, till)
  end
  if state.engine then drain_done(state, state.engine, till) end
end

-- After an error in a drain: ends the operation that it was handling.
local function repair(state, thrown, current, depth, uncounted)
  local broken = state.current
  state.depth, state.uncounted = depth, uncounted
  if broken and broken ~= current then
    operations.abort(state, broken, thrown)
  end
  state.current = current
  live.recount(state)
end

--- Handles events, then finished requests; stops early after the moment till. A
--- callback may close the client. An error at any instruction loses no
--- operation.
---@param till number|nil a moment of core.now()
local function drain(state, till)
  local current, depth, uncounted = state.current, state.depth, state.uncounted
  local called, ok, why = true
  if protect.is_hooked() then -- an error may come inside protect.catch, too
    called, ok, why = pcall(protect.catch, drain_all, state, till)
  else
    ok, why = pcall(drain_all, state, till)
  end
  if called and ok then return end
  if not called then why = protect.note(ok) end
  local broken = state.current
  local has_ended = not broken or broken == current or broken.done
  if not protect.ensure(repair, state, why, current, depth, uncounted) then
    -- There is no memory, not even for a call: a later drain ends it.
    if broken and broken ~= current then live.put_off(state, broken) end
    state.current, state.depth, state.uncounted = current, depth, uncounted
  end
  -- An operation that ran out of memory reports it by its own error.
  if has_ended or not memory.is_out_of_memory(why) then error(why, 0) end
end

return drain
