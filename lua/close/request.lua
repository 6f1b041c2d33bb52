-- One request of an operation: the credentials that it needs, the engine's
-- tries of it, and what they come to. All of it works on the client's state,
-- see client.lua. A request is one table:
--   set by the step that makes it
--     endpoint      {method = , group = }: Close counts a rate limit for a
--                   group, method and path without ids
--     path          below base_url, with the query
--     body          its bytes, or nil
--     form          for a storage, which gets no credentials of ours:
--                   {url = , fields = , filename = , content_type = }
--     repeatable    whether another copy of it does no harm; nil: its method
--                   says (struct clo_request)
--     delay         seconds before its first try, or nil
--     question      one that it asks, instead of being sent
--   set here
--     operation     whose request it is
--     line, place   where it waits, see question.lua
--     id            the engine's number for its last try
--     is_submitted  whether the engine has got that try
--     secret        the credentials that it went with
--     unknown       how many of its attempts Close may have acted on
--     stale         after a 401, while new credentials are fetched:
--                   {response = , failure = }; false once they were

local core = require "close.core"
local options = require "close.options"
local questions = require "close.question"

local requests = {}

--- An end of our own: nothing of the request has left.
function requests.failure(kind, message)
  return { kind = kind, outcome = "not_sent", attempts = 0, message = message }
end

local function cancelled(why) return requests.failure("cancelled", why) end

--- How a request ends where the client is closed.
function requests.closed() return cancelled "the client was closed" end

-- ---- credentials ----

-- What is wrong with the credentials that the function has returned, or nil.
local function check(state, ok, secret, why)
  local said = ok and why or not ok and secret
  said = type(said) == "string" and ": " .. said or ""
  if not ok then return "failed" .. said end
  if secret == nil then return "returned nothing" .. said end
  return options.check_secret(state.settings, secret) or
    state.closed and "it closed the client" or nil
end

-- The end of the function for the credentials.
local function take_secret(state, ok, secret, more)
  local why = check(state, ok, secret, more)
  if not why then state.secret = state.secret or secret end
  return why
end

local function no_credentials(why)
  return requests.failure("authentication",
    "the function for the credentials: " .. why)
end

local function needs_credentials(state, request)
  return state.source and not state.secret and not request.form
end

--- Why the operation that is to begin cannot wait for the credentials that it
--- needs: it is the function for them that waits for it.
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

-- ---- a try ----

-- Gives the engine a request. Its number is known before that: whatever is
-- thrown meanwhile, the request can be found and ended.
local function submit(state, request)
  if state.closed or not state.engine then return requests.closed() end
  local operation, endpoint = request.operation, request.endpoint
  local form, delay, stale = request.form, request.delay, request.stale
  local retries = operation.retries
  if stale then
    retries = retries - stale.failure.attempts
    request.stale = false
  end
  request.delay = nil -- of the first try only
  local id = state.last_id + 1
  local ticket = operation.ticket or id
  state.last_id, request.id = id, id
  state.requests[id] = request
  request.secret, operation.ticket = state.secret, ticket
  request.is_submitted = false
  local taken = state.engine:submit(endpoint.method,
    form and form.url or state.settings.base_url .. request.path,
    endpoint.group, request.body, not form and state.scheme or nil,
    not form and state.secret or nil, operation.due - core.now(), retries,
    request.repeatable, delay, form, id, ticket)
  request.is_submitted = taken ~= nil
  if taken then return nil end
  state.requests[id] = nil -- a finalizer closed the client meanwhile
  return requests.closed()
end

--- Begins a request, as soon as there are credentials.
---@return table|nil failure where it is over already
function requests.begin(state, request)
  local question = request.question
  if not question and needs_credentials(state, request) then
    question = questions.open(state, take_secret) or
      questions.new(state.source, nil, take_secret, state.settings.timeout)
  end
  if not question then return submit(state, request) end
  questions.join(state, question, request)
end

-- Adds what the tries of a request came to: the one place for it. A refusal
-- says nothing of those that Close may have acted on before it.
local function add_up(request, response, failure, unknown)
  local operation = request.operation
  operation.attempts = operation.attempts + (response or failure).attempts
  request.unknown = request.unknown + unknown
  if failure and request.unknown > 0 then failure.outcome = "unknown" end
end

--- Whether nobody waits for an operation any more: it was cancelled, or its
--- coroutine was ended from outside.
function requests.is_given_up(operation)
  local waiter = operation.waiter
  return operation.is_cancelled or
    type(waiter) == "thread" and coroutine.status(waiter) == "dead"
end

-- Whether a 401 is worth one more try with new credentials: those that it went
-- with come from a function, and may be out of date.
local function is_refreshable(state, request, failure)
  local operation = request.operation
  if failure.status ~= 401 or not state.source or request.form or
     request.stale ~= nil then
    return false
  end
  -- Whatever comes of this request, the next one asks for new ones.
  if state.secret == request.secret then state.secret = nil end
  return operation.retries >= failure.attempts and
    core.now() < operation.due and not state.closed and
    not requests.is_given_up(operation)
end

--- Takes the end of what the engine made of a request.
--- -> whether the request is over; if so response, failure
function requests.take(state, request, response, failure, unknown)
  add_up(request, response, failure, unknown)
  if failure and is_refreshable(state, request, failure) then
    request.stale = { response = response, failure = failure }
    local why = requests.begin(state, request)
    if not why then return false end
  end
  return true, response, failure
end

-- ---- the end of a wait ----

-- How a request ends that has waited and does not go on: with what Close said
-- of the old credentials, if it was asked.
-- -> response, failure
local function end_wait(request, failure)
  local stale = request.stale
  if not stale then return nil, failure end
  request.stale = false
  return stale.response, stale.failure
end

--- How one ends that was cancelled while it waited.
--- -> response, failure
function requests.cancel_wait(request)
  return end_wait(request, cancelled "the call was cancelled")
end

-- Why a request that has waited does not go on, as a failure; or nil.
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

--- Goes on with a request that waits no more: it has left its line.
--- -> whether the request is over; if so response, failure
function requests.resume(state, request, question)
  local failure = why_not(state, request, question)
  if failure then return true, end_wait(request, failure) end
  if request.question then return true, { attempts = 0 } end
  failure = requests.begin(state, request)
  if not failure then return false end
  return true, nil, failure
end

return requests
