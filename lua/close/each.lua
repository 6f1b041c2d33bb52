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

-- ---- with a callback ----

-- The delivery of a walk's items to a callback is one table:
--   state, walker, callback
--   name       the verb's, see operations.launch
--   options    the caller's, which hold for each page
--   operation  of the current page; nil if the call was refused
--   request    of the first page, for events
--   page       the handle of the page that is being fetched, or false
--   take_page  the callback of each page
--   items, at  those of the current page; how many the callback has got
--   response   of the last page, or nil
--   is_ended   the end was asked for
--   is_over    the end was told, or the callback has refused more
--   spare      the error for lack of memory between two pages

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

-- Allocates nothing.
local function tell_end(self, err, response)
  if self.is_over then return end
  self.is_over = true
  self.callback(nil, err, response)
end

local function finish(self, err, response)
  operations.settle_memory()
  tell_end(self, err, response)
end

local function later(self, f) operations.later(self.state, self.request, f) end

-- Ends the walk; the callback is called in the next turn. There an error before
-- the call would lose it, so its arguments are made here.
local function abort(self)
  self.is_ended = true
  if self.page then self.page:cancel() end
  local err = cancelled(self.state)
  later(self, function() tell_end(self, err, self.response) end)
end

-- Calls f(self, ...). An error in the middle of a walk ends it; it may come
-- before f is called, too. Lack of memory is reported at once, as that
-- allocates nothing.
local function guard(self, f, ...)
  local called, ok, why, is_interrupt = pcall(protect.call, f, self, ...)
  if called and ok then return end
  if not called then why = protect.note(ok) end
  if memory.is_out_of_memory(why) and not self.is_over then
    self.is_ended = true
    return tell_end(self, self.spare, self.response)
  end
  if not self.is_over then protect.ensure(abort, self) end
  if is_interrupt then protect.raise(why) end
  error(why, 0)
end

-- Begins to fetch the page of the operation. Once a page was begun, callbacks
-- may come at any allocation.
-- -> its handle | nil, err if there will be no page
local function fetch_page(self, refused)
  local err
  self.page, err = operations.launch(self.state, self.operation, refused,
    self.take_page, self.options, self.name)
  return self.page, err
end

-- After the last item of a page: ends the walk, or fetches the next one.
local function go_on(self)
  if self.is_ended or self.state.closed then
    return finish(self, cancelled(self.state), self.response)
  end
  if self.walker.over then return finish(self, nil, self.response) end
  self.operation = next_page(self.operation)
  local begun, err = fetch_page(self)
  if not begun then finish(self, err, self.response) end
end

-- Calls the callback for new items, for a while; for the others later.
local function deliver(self)
  local state, items, till = self.state, self.items, core.now() + SLICE_S
  while self.at < #items and not self.is_ended and not state.closed do
    if core.now() > till then
      return later(self, function() guard(self, deliver) end)
    end
    self.at = self.at + 1
    local answer = user.call(state, self.request, self.callback, items[self.at])
    if answer == false then
      self.is_over = true
      return
    end
  end
  go_on(self)
end

-- Takes what the operation of a page came to.
local function take_result(self, page, err, response)
  self.page = false
  local fresh
  fresh, err, response = take(self.walker, page, err, response)
  if not fresh then return finish(self, err, response) end
  self.items, self.at, self.response = fresh, 0, response
  deliver(self)
end

local function new_delivery(state, operation, callback, name)
  -- With room for all fields, so that none is set by allocating.
  local self = {
    state = state, walker = operation and operation.task, callback = callback,
    name = name, options = nil, operation = operation,
    request = operation and operation.request, page = false, take_page = nil,
    items = {}, at = 0, response = nil, is_ended = false, is_over = false,
    spare = out_of_memory(),
  }
  function self.take_page(...) guard(self, take_result, ...) end
  return self
end

-- Makes the handle that ends the whole walk.
local function new_handle(self)
  return handle.new(function()
    if self.is_over or self.is_ended then return false end
    self.is_ended = true
    if self.page then self.page:cancel() end
    self.state.loop.kick()
    return true
  end)
end

--- The same without waiting: the callback gets one SMS after the other, and at
--- the end nil, with an error if there was one. The walk ends if the callback
--- returns false.
function each.launch(state, operation, refused, callback, given, name)
  if type(callback) ~= "function" then
    return nil, errors.config "callback must be a function (sms, err)"
  end
  local delivery = new_delivery(state, operation, callback, name)
  if operation then
    delivery.options, refused = copy_options(state, given, operation.verb)
  end
  local whole = new_handle(delivery)
  local begun, why = fetch_page(delivery, refused) -- last: see there
  if not begun then return nil, why end
  return whole
end

return each
