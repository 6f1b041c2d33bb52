-- One request of an operation: its credentials, its submissions to the engine
-- (a second one after a 401), and their result. All functions work on the
-- client's state, see client.lua. A request is one table:
--   set by the step that makes it, the first three by requests.new()
--     endpoint      {method = , group = , repeatable = }: the group, for which
--                   Close counts a rate limit, is method and path without ids;
--                   repeatable: a second copy does no harm; nil: by its method
--     path          below base_url, with the query
--     body          its bytes, or nil
--     form          for a storage, which gets no credentials of ours:
--                   {url = , fields = , filename = , content_type = }
--     delay         seconds before it is sent first, or nil
--     question      one that it asks, instead of being sent
--   set here
--     operation     whose request it is
--     line, place   where it waits, see question.lua
--     id            the engine's number for its last submission
--     is_submitted  whether the engine has accepted that
--     secret        the credentials of that
--     unknown       how many of its attempts Close may have acted on
--     stale         after a 401, while new credentials are fetched:
--                   {response = , failure = }; false once they were

local core = require "close.core"
local errors = require "close.errors"
local memory = require "close.memory"
local options = require "close.options"
local questions = require "close.question"

local requests = {}

--- Makes a request, with room for what is set here.
---@param endpoint table
---@param path string
---@param body string|nil
---@return table
function requests.new(endpoint, path, body)
  return { endpoint = endpoint, path = path, body = body, operation = false,
    unknown = 0, id = false, is_submitted = false, secret = false }
end

--- A failure before anything was sent.
function requests.failure(kind, message)
  return { kind = kind, outcome = "not_sent", attempts = 0, message = message }
end

local function cancelled(why) return requests.failure("cancelled", why) end

--- The failure of a request whose client is closed.
function requests.closed() return cancelled "the client was closed" end

-- ---- credentials ----

-- What is wrong with the credentials that the function returned, or nil.
local function check(state, ok, secret, why)
  if not ok and memory.is_out_of_memory(secret) then return secret end
  if not ok then return "failed" .. errors.reason(secret) end
  if secret == nil then return "returned nothing" .. errors.reason(why) end
  return options.check_secret(state.settings, secret) or
    state.closed and "it closed the client" or nil
end

-- Takes the result of the function for the credentials.
local function take_secret(state, ok, secret, more)
  local why = check(state, ok, secret, more)
  if not why then state.secret = state.secret or secret end
  return why
end

local function no_credentials(why)
  if memory.is_out_of_memory(why) then
    return requests.failure("memory", why)
  end
  return requests.failure("authentication",
    "the function for the credentials: " .. why)
end

local function needs_credentials(state, request)
  return not state.secret and not request.form
end

--- Why an operation cannot wait for its credentials: the function for the
--- credentials has called it, and so waits for it.
---@return table|nil failure
function requests.why_not(state, request)
  local question = needs_credentials(state, request) and
    questions.open(state, take_secret)
  if not (question and questions.is_inside(state, question)) then
    return nil
  end
  return no_credentials("waits for a call that needs the credentials: make " ..
    "that one with another client")
end

-- ---- submitting ----

-- Gives the engine a request. Its number is stored before that, so that the
-- request can be found and ended if an error comes in between.
local function submit(state, request)
  local engine = state.engine
  if state.closed or not engine then return requests.closed() end
  local operation, endpoint = request.operation, request.endpoint
  local form, delay, stale = request.form, request.delay, request.stale
  local retries = operation.retries
  if stale then
    retries = retries - stale.failure.attempts
    request.stale = false
  end
  if delay then request.delay = nil end -- of the first try only
  local id = state.last_id + 1
  local ticket = operation.ticket or id
  state.last_id, request.id = id, id
  state.requests[id] = request
  request.secret, operation.ticket = state.secret, ticket
  request.is_submitted = false
  local taken = engine:submit(endpoint.method,
    form and form.url or state.settings.base_url .. request.path,
    endpoint.group, request.body, not form and state.scheme or nil,
    not form and state.secret or nil, operation.due, retries,
    endpoint.repeatable, delay, form, id, ticket)
  request.is_submitted = taken ~= nil
  if taken then return nil end
  state.requests[id] = nil -- a finalizer closed the client meanwhile
  return requests.closed()
end

--- Begins a request: submits it, or lets it wait for credentials.
---@return table|nil failure if it is over already
function requests.begin(state, request)
  local question = request.question
  if not question and state.source and needs_credentials(state, request) then
    question = questions.open(state, take_secret)
    if not question then
      local made = questions.new(state.source, nil, take_secret,
        state.settings.timeout)
      -- Meanwhile a finalizer may have asked, or brought them.
      question = needs_credentials(state, request) and
        (questions.open(state, take_secret) or made)
    end
  end
  if not question then return submit(state, request) end
  questions.join(state, question, request)
end

--- Whether an operation was cancelled, or its coroutine has ended: by an error
--- from outside, such as an interrupt.
function requests.is_given_up(operation)
  local waiter = operation.waiter
  return operation.is_cancelled or waiter and
    type(waiter) == "thread" and coroutine.status(waiter) == "dead"
end

-- Whether to send a request once more, with new credentials, after a 401: if
-- they came from a function, they may have expired.
local function is_refreshable(state, request, failure)
  local operation = request.operation
  if failure.status ~= 401 or not state.source or request.form or
     request.stale ~= nil then
    return false
  end
  -- Even if this request ends here, the next one gets new ones.
  if state.secret == request.secret then state.secret = nil end
  return operation.retries >= failure.attempts and
    core.now() < operation.due and not state.closed and
    not requests.is_given_up(operation)
end

--- Takes the engine's result of a request.
--- -> whether the request is over; if so response, failure
function requests.take(state, request, response, failure, unknown)
  local operation = request.operation
  operation.attempts = operation.attempts + (response or failure).attempts
  unknown = request.unknown + unknown
  request.unknown = unknown
  if not failure then return true, response end
  -- A refusal does not tell whether Close acted on an earlier attempt.
  if unknown > 0 then failure.outcome = "unknown" end
  if is_refreshable(state, request, failure) then
    request.stale = { response = response, failure = failure }
    local why = requests.begin(state, request)
    if not why then return false end
  end
  return true, response, failure
end

-- ---- the end of a wait ----

-- The end of a request that waited and does not continue: with Close's answer
-- to the old credentials, if there was one.
-- -> response, failure
local function end_wait(request, failure)
  local stale = request.stale
  if not stale then return nil, failure end
  request.stale = false
  return stale.response, stale.failure
end

--- The end of one that was cancelled while it waited.
--- -> response, failure
function requests.cancel_wait(request)
  return end_wait(request, cancelled "the call was cancelled")
end

-- Why a request that has waited does not continue, as a failure; or nil.
local function why_not(state, request, question)
  local asks = request.question ~= nil
  local why = question.is_over and question.why
  if why then return asks and cancelled(why) or no_credentials(why) end
  if state.closed then return requests.closed() end
  if requests.is_given_up(request.operation) then
    return cancelled "the call was cancelled"
  end
  if core.now() >= request.operation.due then
    return requests.failure("timeout", "the call's timeout passed in " ..
      (asks and "on_draft" or "the function for the credentials"))
  end
end

--- Continues a request that has left its line.
--- -> whether the request is over; if so response, failure
function requests.resume(state, request, question)
  local failure = why_not(state, request, question)
  if failure then return true, end_wait(request, failure) end
  if request.question then return true, { attempts = 0 } end
  failure = requests.begin(state, request)
  if not failure then return false end
  -- A finalizer closed the client; an earlier try may have been taken.
  if request.unknown > 0 then failure.outcome = "unknown" end
  return true, nil, failure
end

return requests
