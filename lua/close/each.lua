-- The verb each and each_async (resource.lua): all SMS of a list, page
-- after page. Each page is an operation of its own.

local core = require "close.core"
local errors = require "close.errors"
local handle = require "close.handle"
local memory = require "close.memory"
local operations = require "close.operation"
local options = require "close.options"
local pages = require "close.pages"
local protect = require "close.protect"
local user = require "close.user"
local walk = require "close.walk"

local SLICE_S = 0.001 -- for which callbacks run in one turn

-- request is the request for a page: the verb has it beside what all have.
local each = { name = "each", example = "each{...}", arguments = 1,
  read = pages.read, request = pages.request }

-- The task is the walk.
function each.prepare(_, filters)
  local query, err = pages.read_filters(filters)
  if not query then return nil, nil, err end
  local walker = walk.new(query)
  return each.request(walker:ask()), walker
end

-- The operation for the next page; it keeps the walk's place in the queue.
local function next_page(operation)
  local walker, verb = operation.task, operation.verb
  local made = operations.new(verb, verb.request(walker:ask()), walker)
  made.ticket = operation.ticket
  return made
end

-- Gives a page to a walk: returns its new items, or nil, an error, the
-- response.
local function take(walker, page, err, response)
  if not page then return nil, err, response end
  local fresh, why = walker:take(page)
  if not fresh then return nil, errors.bad_answer(response, why), response end
  return fresh, nil, response
end

-- A copy of the options, which hold for each page.
local function copy_options(state, given, verb)
  if state.closed then return nil, errors.config "the client is closed" end
  local copy, why = options.read_call(given, verb)
  if not copy then return nil, errors.config(why) end
  return copy
end

--- Steps through a list, for a caller that can wait:
---     for sms, err in assert(client.sms.each { lead_id = id }) do
---       if not sms then error(tostring(err)) end
function each.perform(state, operation, refused, given)
  if not operation then return nil, refused end
  local copy, err = copy_options(state, given, operation.verb)
  if not copy then return nil, err end
  local walker, items, at = operation.task, {}, 0
  local busy, failure = false, nil
  local is_first = true

  local function fail(why, response)
    failure, items, at = why, {}, 0
    walker.over = true
    return false, why, response
  end

  local function fetch()
    busy = true
    operation = is_first and operation or next_page(operation)
    is_first = false
    local fresh, why, response = take(walker,
      operations.perform(state, operation, nil, copy))
    busy = false
    if failure then return nil, failure end -- of another step meanwhile
    if fresh then items, at = fresh, 0 end
    return fresh, why, response
  end

  return function()
    if busy then
      return fail(errors.config("the iterator waits in another coroutine " ..
        "already, or was interrupted: step it in one, or begin again"))
    end
    while at == #items do
      if walker.over then return nil end
      local fresh, why, response = fetch()
      if not fresh then return fail(why, response) end
    end
    at = at + 1
    return items[at]
  end
end

local function cancelled(state)
  return errors.new { kind = "cancelled", outcome = "not_sent",
    message = state.closed and "the client was closed" or
      "the walk was cancelled" }
end

-- The error of a walk that ran out of memory between two pages.
local function out_of_memory()
  local err = errors.memory()
  err.outcome, err.draft_id, err.stray_drafts = "unknown", nil, nil
  return err
end

--- The same without waiting: the callback gets one SMS after the other, and at
--- the end nil, with an error if there was one. The walk ends if the callback
--- returns false.
function each.launch(state, operation, refused, callback, given, name)
  if type(callback) ~= "function" then
    return nil, errors.config "callback must be a function (sms, err)"
  end
  local walker = operation and operation.task
  local request = operation and operation.request
  local items, at, last = {}, 0, nil -- of the current page
  local over, ended = false, false -- the end was told; it was asked for
  local page_handle -- of the page that is being fetched
  local spare = out_of_memory()
  local take_page

  local copy
  if operation then
    copy, refused = copy_options(state, given, operation.verb)
    if not copy then operation = nil end
  end

  local function ask()
    local err
    page_handle, err =
      operations.launch(state, operation, refused, take_page, copy, name)
    return page_handle, err
  end

  -- Allocates nothing.
  local function tell_end(err, response)
    if over then return end
    over = true
    callback(nil, err, response)
  end

  local function finish(err, response)
    operations.settle_memory()
    tell_end(err, response)
  end

  local function later(f) operations.later(state, request, f) end

  -- Ends the walk; the callback is called in the next turn. There an error
  -- before the call would lose it, so its arguments are made here.
  local function abort()
    ended = true
    if page_handle then page_handle:cancel() end
    local err = cancelled(state)
    later(function() tell_end(err, last) end)
  end

  -- An error in the middle of a walk ends it; it may come before f is called,
  -- too. Lack of memory is reported at once, as that allocates nothing.
  local function guard(f, ...)
    local called, ok, why, is_interrupt = pcall(protect.call, f, ...)
    if called and ok then return end
    if not called then why = protect.note(ok) end
    if memory.is_out_of_memory(why) and not over then
      ended = true
      return tell_end(spare, last)
    end
    if not over then protect.ensure(abort) end
    if is_interrupt then protect.raise(why) end
    error(why, 0)
  end

  -- Calls the callback for new items, for a while; for the others later.
  local function deliver()
    local till = core.now() + SLICE_S
    while at < #items and not ended and not state.closed do
      if core.now() > till then
        return later(function() guard(deliver) end)
      end
      at = at + 1
      if user.call(state, request, callback, items[at]) == false then
        over = true
        return
      end
    end
    if ended or state.closed then return finish(cancelled(state), last) end
    if walker.over then return finish(nil, last) end
    operation = next_page(operation)
    local begun, err = ask()
    if not begun then finish(err, last) end
  end

  local function take_in(page, err, response)
    page_handle = nil
    local fresh
    fresh, err, response = take(walker, page, err, response)
    if not fresh then return finish(err, response) end
    items, at, last = fresh, 0, response
    deliver()
  end

  function take_page(...) guard(take_in, ...) end

  local whole = handle.new(function()
    if over or ended then return false end
    ended = true
    if page_handle then page_handle:cancel() end
    state.loop.kick()
    return true
  end)
  -- Last of all: once it has returned, callbacks may come at any allocation.
  local begun, why = ask()
  if not begun then return nil, why end
  return whole
end

return each
