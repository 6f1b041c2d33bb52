-- A message that is delivered exactly once, also over a bad network. It takes
-- three kinds of requests, each of which may be repeated without harm:
--   the draft: a second draft sends nothing;
--   its promotion to "outbox" or "scheduled": Close changes drafts only;
--   a look at it, where the promotion's end is not known.
-- Drafts that a repeated first request may have left behind are counted.
-- Source: developer.close.com/api/resources/activities/sms/create, "Only drafts
-- can be modified"; docs/reliability.md has the reasons.

local activity = require "close.activity"
local core = require "close.core"
local json = require "close.json"
local params = require "close.params"

local PATIENT = 1000000 -- retries where nobody says: the timeout is the bound

local send = {}

-- ---- what the caller gave ----

local fixed -- the fields that only a creation takes
local function is_fixed(name)
  if not fixed then
    fixed = {}
    for _, field in ipairs((core.fields())) do
      fixed[field.name] = not field.update
    end
  end
  return fixed[name]
end

local function is_given(value) return value ~= nil and value ~= json.null end

-- What is wrong with a send beyond what the core's tables know.
local function check_own(given, id)
  local found = {}
  if id ~= nil then found[1] = params.check_id(id, "draft_id") end
  local extra = rawget(given, "extra")
  if type(extra) == "table" and rawget(extra, "status") ~= nil then
    found[#found + 1] = { field = "extra.status", code = "conflict",
      message = "extra.status would take the place of the status that send " ..
        "sets: leave it out" }
  end
  return found
end

-- The body of the draft.
local function to_draft(body)
  local draft = {}
  for name, value in pairs(body) do draft[name] = value end
  draft.status, draft.send_in = "draft", nil
  return draft
end

local HOW = { date_scheduled = true, send_in = true } -- and when it is sent

-- The body of the promotion.
local function to_promotion(body)
  local promotion = { status = "outbox" }
  for name in pairs(HOW) do
    local value = body[name]
    if is_given(value) and type(value) ~= "table" then
      promotion[name] = value
    end
  end
  if promotion.date_scheduled then promotion.status = "scheduled" end
  return promotion
end

-- What the promotion of a draft that exists is to change, too.
local function to_changes(body)
  local changes = {}
  for name, value in pairs(body) do
    if not is_fixed(name) and not HOW[name] then changes[name] = value end
  end
  return changes
end

-- ---- the steps ----
-- A task is one send from its start to its end. Each step gets the end of a
-- request (response, failure; call.unsure as there), and returns the next
-- request; or nil and what the send has come to.

local function ask(task, request, step)
  task.step = step
  return request
end

-- The same request once more, a while later; nil where there is no more time,
-- or leave, for it.
local function ask_again(task, call, request, step, failure)
  task.repeats = task.repeats + 1
  request.delay = core.pause(task.repeats, call.retries,
    call.due - core.now(), failure and failure.retry_after)
  return request.delay and ask(task, request, step)
end

-- What the send has come to.
local function conclude(task, response, failure, outcome)
  if response then
    response.attempts = task.attempts
    response.elapsed = core.now() - task.began
    response.stray_drafts = task.strays
  end
  if failure then
    failure.outcome, failure.draft_id = outcome, task.id
    failure.attempts, failure.stray_drafts = task.attempts, task.strays
  end
  return nil, response, failure
end

-- The SMS in an answer, where it has one that requests can be made about, and
-- it is ours.
local function read(task, response, failure)
  local shown = response and not failure and activity.decode(response)
  if not shown or params.check_id(shown.id, "id") then return nil end
  return (not task.id or shown.id == task.id) and shown or nil
end

-- An answer of 2xx that cannot be read, as a failure.
local function unreadable(response)
  return { kind = "protocol", attempts = response.attempts,
    status = response.status, message = ("Close answered %d with a body " ..
      "that is not an SMS activity"):format(response.status) }
end

local after_look, after_promotion

local function to_look(task) return activity.request("GET", task.id) end

-- What a look has shown; or nil and the next request, where one is worth its
-- while; or nil, nil and the failure.
local function read_look(task, call, response, failure)
  local shown = read(task, response, failure)
  if shown then return shown end
  if failure then return nil, nil, failure end
  return nil, ask_again(task, call, to_look(task), task.step),
    unreadable(response)
end

-- The changes are text already: the caller's tables may be others by now.
local function to_promote(task)
  local text = json.encode_body(task.promotion)
  if task.changes then text = text:sub(1, -2) .. "," .. task.changes:sub(2) end
  local request = activity.request("PUT", task.id, text)
  request.repeatable = false -- a look is better than a second try
  task.may_be_promoted = true
  return request
end

-- Whether an SMS has left the state of a draft for good, or until somebody
-- cancels it.
local function is_promoted(shown)
  return type(shown.status) == "string" and shown.status ~= "draft" and
    shown.status ~= "inbox"
end

local function delivered(task, shown, response)
  task.shown = shown
  return conclude(task, response, nil)
end

local function after_draft(task, call, response, failure)
  task.strays = task.strays + call.unsure
  local shown = read(task, response, failure)
  if shown then
    task.id = shown.id
    task.tell { method = "POST", path = call.path, draft_id = shown.id }
    return ask(task, to_promote(task), after_promotion)
  end
  if not failure then
    task.strays = task.strays + 1 -- it may well be there
    failure = unreadable(response)
    local request = ask_again(task, call, task.create(), after_draft)
    if request then return request end
  end
  -- A draft at most: whatever became of it, nothing was sent.
  local is_refused = failure.status and failure.status >= 400 and
    failure.status < 500
  return conclude(task, response, failure,
    is_refused and "rejected" or "not_sent")
end

-- In doubt is a task whose promotion Close may have carried out. Somebody else
-- may have promoted the draft a moment ago, an earlier send or a forked
-- process: then it is this which a refusal means, but for those that looked at
-- no draft.
local BLIND = { [401] = true, [404] = true, [407] = true, [429] = true }
local function is_uncertain(task)
  return task.doubt or task.is_refused and not BLIND[task.why.status]
end

function after_promotion(task, call, response, failure)
  local shown = read(task, response, failure)
  if shown and is_promoted(shown) then
    return delivered(task, shown, response)
  end
  failure = failure or unreadable(response)
  task.why, task.why_response = failure, response
  task.is_refused = failure.outcome == "rejected"
  if call.unsure > 0 or not failure.outcome then task.doubt = true end
  local is_clear = task.is_refused and not is_uncertain(task)
  if failure.kind == "cancelled" or is_clear then
    return conclude(task, response, failure,
      task.doubt and "unknown" or failure.outcome)
  end
  return ask(task, to_look(task), after_look)
end

function after_look(task, call, response, failure)
  local shown, request, why = read_look(task, call, response, failure)
  if request then return request end
  if not shown then
    return conclude(task, response, why,
      is_uncertain(task) and "unknown" or "not_sent")
  end
  if is_promoted(shown) then return delivered(task, shown, response) end
  request = not task.is_refused and
    ask_again(task, call, to_promote(task), after_promotion, task.why)
  if request then return request end
  return conclude(task, task.why_response, task.why,
    task.doubt and "unknown" or task.why.outcome)
end

-- The first look at a draft of an earlier send. That may have promoted it; and
-- whether it is to be scheduled is written in it.
local function after_first_look(task, call, response, failure)
  local shown, request, why = read_look(task, call, response, failure)
  if request then return request end
  if not shown then return conclude(task, response, why, "unknown") end
  if is_promoted(shown) then return delivered(task, shown, response) end
  task.doubt = false
  local date = task.may_be_scheduled and shown.date_scheduled
  if type(date) == "string" and core.seconds(date) then
    task.promotion = { status = "scheduled",
      date_scheduled = date }
  end
  return ask(task, to_promote(task), after_promotion)
end

-- ---- the call ----

local function begin_draft(task, body)
  local text, why = params.encode(to_draft(body))
  if not text then return nil, why end
  function task.create()
    local request = activity.request("POST", nil, text)
    request.repeatable = true -- a second draft sends nothing
    return request
  end
  return ask(task, task.create(), after_draft)
end

-- A draft of an earlier send, of which nobody knows how far it came.
local function begin_look(task, body, id)
  local changes = to_changes(body)
  local text, why = params.encode(changes)
  if not text then return nil, why end
  task.changes = next(changes) ~= nil and text or nil
  task.id, task.doubt = id, true
  task.may_be_scheduled = body.date_scheduled == nil and body.send_in == nil
  return ask(task, to_look(task), after_first_look)
end

--- The call that sends.
---@param given close.SendParams
---@param transport table the client's, with tell
---@return table|nil call, close.Error? err
function send.to_call(given, transport)
  local id, found
  if type(given) == "table" then
    id = rawget(given, "draft_id")
    found = check_own(given, id)
  end
  local body, why = params.check(given, id == nil and "send" or "send_draft",
    found)
  if not body then return nil, why end
  local task = {
    promotion = to_promotion(body), tell = transport.tell,
    strays = 0, repeats = 0, attempts = 0,
  }
  local call, wrong
  if id ~= nil then
    call, wrong = begin_look(task, body, id)
  else
    call, wrong = begin_draft(task, body)
  end
  if not call then return nil, wrong end
  call.retries = PATIENT
  function call.started() task.began = core.now() end
  function call.follow(_, response, failure)
    task.attempts = (response or failure).attempts
    if call.is_parents then -- who goes on with it
      return conclude(task, response, failure, "unknown")
    end
    return task.step(task, call, response, failure)
  end
  function call.describe(err)
    if not task.doubt and not task.may_be_promoted then
      err.outcome = "not_sent"
    end
    err.attempts, err.draft_id = task.attempts, task.id
    err.stray_drafts = task.strays
  end
  function call.read(response, err, answer)
    if not response then return nil, err, answer end
    return task.shown, nil, response
  end
  return call
end

return send
