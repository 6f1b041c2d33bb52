-- Lists of SMS: one page, or all of them one after the other.
-- Source: developer.close.com/api/resources/activities/sms/list

local activity = require "close.activity"
local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"
local params = require "close.params"
local protect = require "close.protect"
local walk = require "close.walk"

local WANTED = "a page of SMS"
local EVENT = activity.request "GET" -- whose callback has thrown
local SLICE = 0.001 -- seconds that callbacks are run for in one go

local pages = { NAMES = { "list", "list_async", "each", "each_async" } }

-- ---- a page ----

-- Checks filters and makes of them the query, not yet escaped.
local function read_filters(filters, resource, example)
  local wrong = params.check_dot(filters, resource, example)
  if wrong then return nil, wrong end
  local query, list, unlisted = core.filters(filters, json.host_null())
  if not query then return nil, errors.validation(list, unlisted) end
  return query
end

-- The names in a query, always in the same order.
local names = {}
for _, filter in ipairs(core.filter_fields()) do
  if not filter.plain then names[#names + 1] = filter.name end
end

local function written(query)
  local parts = {}
  for _, name in ipairs(names) do
    local value = query[name]
    if type(value) == "number" then value = ("%.0f"):format(value) end
    if value then parts[#parts + 1] = name .. "=" .. core.escape(value) end
  end
  return parts[1] and "?" .. table.concat(parts, "&") or ""
end

--- The query of filters, or nil where they are wrong.
---@param filters close.Filters
---@return string|nil
function pages.to_query(filters)
  local query = core.filters(filters)
  return query and written(query)
end

-- Whether a decoded value is a list of tables.
local function is_list(value)
  if type(value) ~= "table" then return false end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  for i = 1, count do
    if type(value[i]) ~= "table" then return false end
  end
  return true
end

--- The page in an answer, or nil where there is none that can be read.
---@param response close.Response
---@return close.Page|nil
function pages.decode(response)
  local page = json.decode_object(response.body)
  return page and is_list(page.data) and page or nil
end

-- What a call came to, as its caller wants it.
local function read_page(response, err, answer)
  if not response then return nil, err, answer end
  local page = pages.decode(response)
  if not page then
    return nil, errors.unreadable(response, WANTED), response
  end
  return page, nil, response
end

-- before is the call for the page before, or nil: the walk keeps its place in
-- the queue.
local function to_list(query, name, before)
  local call = activity.request("GET")
  call.name = name
  call.query, call.read = written(query), read_page
  call.ticket = before and before.ticket
  return call
end

-- ---- all pages ----

-- Takes a page into a walk: what is new of it, or nil, an error, the response.
local function take(walker, page, err, response)
  if not page then return nil, err, response end
  local fresh, why = walker:take(page, response.body)
  if not fresh then return nil, errors.astray(response, why), response end
  return fresh, nil, response
end

-- A step through a walk, for a caller that can wait.
local function stepper(transport, walker, given)
  local items, at = {}, 0
  local busy, failure = false, nil
  local call -- for the last page

  local function fail(err, response)
    failure, items, at = err, {}, 0
    walker.over = true
    return false, err, response
  end

  local function fetch()
    busy = true
    call = to_list(walker:ask(), "each", call)
    local fresh, err, response = take(walker,
      transport.perform(call, nil, given))
    busy = false
    if failure then return nil, failure end -- of who stepped in meanwhile
    if fresh then items, at = fresh, 0 end
    return fresh, err, response
  end

  return function()
    if busy then
      return fail(errors.config("the iterator waits in another coroutine " ..
        "already, or was interrupted: step it in one, or begin anew"))
    end
    while at == #items do
      if walker.over then return nil end
      local fresh, err, response = fetch()
      if not fresh then return fail(err, response) end
    end
    at = at + 1
    return items[at]
  end
end

local function cancelled(transport)
  return errors.new { kind = "cancelled", outcome = "not_sent",
    message = transport.is_closed() and "the client was closed" or
      "the walk was cancelled" }
end

-- A walk that tells a callback. Returns a function that ends it early; or nil
-- and an error where it cannot begin. What is refused, the callback is told.
local function tell(transport, walker, refused, callback, given)
  local items, at, last = {}, 0, nil -- of the page that is handed on
  local over, ended = false, false -- told its end; asked to end
  local call    -- for the last page
  local request -- and its request, while it is under way
  local take_page

  local function ask()
    call = not refused and to_list(walker:ask(), "each", call) or nil
    local err
    request, err = transport.launch(call, refused, take_page, given)
    return request, err
  end

  local function finish(err, response)
    if over then return end
    over = true
    callback(nil, err, response)
  end

  -- Ends the walk; the callback is told in the next turn.
  local function break_off()
    ended = true
    if request then request:cancel() end
    transport.later(EVENT, function() finish(cancelled(transport), last) end)
  end

  -- What is thrown in the midst of a walk, an interrupt, ends it.
  local function guard(f, ...)
    local ok, why, is_interrupt = protect.call(f, ...)
    if ok then return end
    if not over then protect.insist(break_off) end
    if is_interrupt then protect.raise(why) end
    error(why, 0)
  end

  -- Hands on what is new, for a while; the rest has its turn later.
  local function hand_on()
    local till = core.now() + SLICE
    while at < #items and not ended and not transport.is_closed() do
      if core.now() > till then
        return transport.later(EVENT, function() guard(hand_on) end)
      end
      at = at + 1
      if transport.guard(EVENT, callback, items[at]) == false then
        over = true
        return
      end
    end
    if ended or transport.is_closed() then
      return finish(cancelled(transport), last)
    end
    if walker.over then return finish(nil, last) end
    local begun, err = ask()
    if not begun then finish(err, last) end
  end

  local function take_in(page, err, response)
    request = nil
    local fresh
    fresh, err, response = take(walker, page, err, response)
    if not fresh then return finish(err, response) end
    items, at, last = fresh, 0, response
    hand_on()
  end

  function take_page(...) guard(take_in, ...) end

  local begun, why = ask()
  if not begun then return nil, why end
  return function()
    if over or ended then return false end
    ended = true
    if request then request:cancel() end
    return true
  end
end

-- ---- the four functions ----

--- Adds list and each to a resource, and their twins.
---@param resource table
---@param transport table the client's
function pages.add(resource, transport)
  --- One page of SMS, newest first.
  ---@param filters close.Filters|nil
  ---@param call_options close.CallOptions|nil
  ---@return close.Page|nil page
  ---@return close.Error|nil err
  ---@return close.Response|nil response
  function resource.list(filters, call_options)
    local query, why = read_filters(filters, resource, "list{...}")
    return transport.perform(query and to_list(query, "list"), why,
      call_options)
  end

  --- The same without waiting.
  ---@param filters close.Filters|nil
  ---@param callback fun(page, err, response)
  ---@param call_options close.CallOptions|nil
  ---@return close.Request|nil request
  ---@return close.Error|nil err the callback will not be called
  function resource.list_async(filters, callback, call_options)
    local query, why = read_filters(filters, resource, "list_async(...)")
    return transport.launch(query and to_list(query, "list"), why, callback,
      call_options)
  end

  --- All SMS, newest first, page after page as they are needed:
  ---     for sms, err in assert(client.sms.each { lead_id = id }) do
  ---       if not sms then error(tostring(err)) end
  ---@param filters close.Filters|nil
  ---@param call_options close.CallOptions|nil for each page
  ---@return (fun(): close.SMSActivity|false|nil, close.Error|nil)|nil step
  ---@return close.Error|nil err
  function resource.each(filters, call_options)
    local query, why = read_filters(filters, resource, "each{...}")
    if not query then return nil, why end
    local given, err = transport.read_options(call_options)
    if not given then return nil, err end
    return stepper(transport, walk.new(query), given)
  end

  --- The same without waiting: the callback gets one SMS after the other, and
  --- at the end nil, and an error unless that was all. Where it returns false
  --- the walk ends.
  ---@param filters close.Filters|nil
  ---@param callback fun(sms, err, response): boolean|nil
  ---@param call_options close.CallOptions|nil for each page
  ---@return close.Request|nil request
  ---@return close.Error|nil err the callback will not be called
  function resource.each_async(filters, callback, call_options)
    if type(callback) ~= "function" then
      return nil, errors.config "callback must be a function (sms, err)"
    end
    local query, why = read_filters(filters, resource, "each_async(...)")
    local given
    if query then given, why = transport.read_options(call_options) end
    local cancel, err = tell(transport, walk.new(query or {}), why, callback,
      given)
    if not cancel then return nil, err end
    return transport.request(cancel)
  end
end

return pages
