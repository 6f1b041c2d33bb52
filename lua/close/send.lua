-- The verb send, which delivers a message exactly once. It makes three kinds of
-- requests, each of which can be repeated without harm:
--   the draft (POST): a second draft sends nothing;
--   its promotion to "outbox" or "scheduled" (PUT): Close changes drafts only;
--   a look (GET), if it is not known whether the promotion was carried out.
-- on_draft, if there is one, is called before the first promotion. Drafts that
-- a repeated POST may have left in Close are counted. Source:
-- developer.close.com/api/resources/activities/sms/create, "Only drafts can be
-- modified"; docs/reliability.md has the reasons.

local activity = require "close.activity"
local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"
local params = require "close.params"
local questions = require "close.question"
local raw_pairs = require "close.raw_pairs"
local user = require "close.user"

local UNLIMITED = 1000000 -- retries by default: the timeout is the limit

local send = { name = "send", example = "send{...}", arguments = 1,
  retries = UNLIMITED, uses_on_draft = true, goes_on = true }

-- ---- the params ----

local fixed -- the fields that only create takes
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

-- What is wrong with the params beyond the core's rules.
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
local function to_draft_body(body)
  local draft = {}
  for name, value in raw_pairs(body) do draft[name] = value end
  draft.status, draft.send_in = "draft", nil
  return draft
end

local HOW = { date_scheduled = true, send_in = true } -- when it is sent

-- The body of the promotion.
local function to_promotion(body)
  local promotion = { status = "outbox" }
  for name in raw_pairs(HOW) do
    local value = body[name]
    if is_given(value) and type(value) ~= "table" then
      promotion[name] = value
    end
  end
  if promotion.date_scheduled then promotion.status = "scheduled" end
  return promotion
end

-- Fields that the promotion of an earlier draft changes as well.
local function to_changes(body)
  local changes = {}
  for name, value in raw_pairs(body) do
    if not is_fixed(name) and not HOW[name] then changes[name] = value end
  end
  return changes
end

-- ---- the steps ----
-- The task of a send is one table:
--   draft            the body of the draft as JSON; nil if it exists already
--   promotion        the body that promotes it
--   changes          what else the promotion changes, as JSON, or nil
--   may_be_scheduled whether the draft's date_scheduled counts
--   on_draft         the option, or nil
--   step             the function that gets the end of the current request
--   id               of the draft, once known
--   repeats          how often steps have repeated a request
--   strays           drafts that repeated requests may have left in Close
--   is_promotion_sent   whether a promotion may have left
--   is_in_doubt      whether Close may have carried one out
--   why, why_response   how the last promotion failed, and its answer
--   shown            the SMS in the last answer, at the end
-- A step gets the operation and the end of a request, and returns the next
-- request; or nil and the result of the send.

local function ask(task, request, step)
  task.step = step
  return request
end

-- A request once more, after a pause; nil if time or retries are used up.
local function ask_again(operation, request, step, failure)
  local task = operation.task
  task.repeats = task.repeats + 1
  request.delay = core.pause(task.repeats, operation.retries,
    operation.due - core.now(), failure and failure.retry_after)
  return request.delay and ask(task, request, step)
end

-- The result of the send.
local function conclude(task, response, failure, outcome)
  if response then response.stray_drafts = task.strays end
  if failure then
    failure.outcome, failure.draft_id = outcome, task.id
    failure.stray_drafts = task.strays
  end
  return nil, response, failure
end

-- The SMS in an answer; nil if there is none, its id cannot be used in a path,
-- or it is another one.
local function read(task, response, failure)
  local shown = response and not failure and activity.decode(response)
  if not shown or params.check_id(shown.id, "id") then return nil end
  return (not task.id or shown.id == task.id) and shown or nil
end

-- The failure for a 2xx that cannot be read.
local function unreadable(response)
  return { kind = "protocol", status = response.status,
    message = ("Close answered %d with a body that is not an SMS activity")
      :format(response.status) }
end

local after_look, after_promotion, after_question

local function to_draft(task) return activity.draft(task.draft) end

local function to_look(task) return activity.of_one("GET", task.id) end

-- The SMS in the answer to a look; or nil and the next request, if a second
-- look may help; or nil, nil and the failure.
local function read_look(operation, response, failure)
  local task = operation.task
  local shown = read(task, response, failure)
  if shown then return shown end
  if failure then return nil, nil, failure end
  return nil, ask_again(operation, to_look(task), task.step),
    unreadable(response)
end

-- The changes are JSON already, as the caller may have changed the tables.
local function to_promote(task)
  local text = json.encode_body(task.promotion)
  if task.changes then text = text:sub(1, -2) .. "," .. task.changes:sub(2) end
  task.is_promotion_sent = true
  return activity.promotion(task.id, text)
end

-- Why the draft must not be promoted, by what on_draft returned or threw; or
-- nil.
local function refusal(_, ok, value, more)
  local refused = not ok or value == false or value == nil and more ~= nil
  if not refused then return nil end
  if ok then return "on_draft refused the draft" .. errors.reason(more) end
  return "on_draft failed" .. errors.reason(value)
end

-- The draft exists: calls on_draft, if there is one, or promotes the draft.
local function to_question(task)
  if not task.on_draft then
    return ask(task, to_promote(task), after_promotion)
  end
  local request = activity.of_one("PUT", task.id)
  request.question = questions.new(task.on_draft, task.id, refusal)
  return ask(task, request, after_question)
end

function after_question(operation, response, failure)
  local task = operation.task
  if failure then return conclude(task, response, failure, "not_sent") end
  return ask(task, to_promote(task), after_promotion)
end

-- Whether an SMS was promoted.
local function is_promoted(shown)
  return type(shown.status) == "string" and shown.status ~= "draft" and
    shown.status ~= "inbox"
end

local function delivered(task, shown, response)
  task.shown = shown
  return conclude(task, response, nil)
end

local function after_draft(operation, response, failure, state)
  local task, request = operation.task, operation.request
  task.strays = task.strays + request.unknown
  local shown = read(task, response, failure)
  if shown then
    task.id = shown.id
    user.emit_uncounted(state, { method = "POST", path = request.path,
      draft_id = shown.id })
    return to_question(task)
  end
  if not failure then
    task.strays = task.strays + 1 -- it probably exists
    failure = unreadable(response)
    request = ask_again(operation, to_draft(task), after_draft)
    if request then return request end
  end
  -- There is a draft at most, so nothing was sent.
  local is_refused = failure.status and failure.status >= 400 and
    failure.status < 500
  return conclude(task, response, failure,
    is_refused and "rejected" or "not_sent")
end

-- A refusal may mean that the draft is promoted already, by an earlier send or
-- by another process. These statuses do not: they say nothing of the draft.
local UNRELATED = { [401] = true, [404] = true, [407] = true, [429] = true }
local function is_uncertain(task)
  return task.is_in_doubt or
    task.why.outcome == "rejected" and not UNRELATED[task.why.status]
end

function after_promotion(operation, response, failure)
  local task = operation.task
  local shown = read(task, response, failure)
  if shown and is_promoted(shown) then
    return delivered(task, shown, response)
  end
  failure = failure or unreadable(response)
  task.why, task.why_response = failure, response
  if operation.request.unknown > 0 or not failure.outcome then
    task.is_in_doubt = true
  end
  local is_clear = failure.outcome == "rejected" and not is_uncertain(task)
  if failure.kind == "cancelled" or is_clear then
    return conclude(task, response, failure,
      task.is_in_doubt and "unknown" or failure.outcome)
  end
  return ask(task, to_look(task), after_look)
end

function after_look(operation, response, failure)
  local task = operation.task
  local shown, request, why = read_look(operation, response, failure)
  if request then return request end
  if not shown then
    -- Of a look that had no time left, keep the error of the last attempt.
    if why.kind == "timeout" and why.attempts == 0 then
      response, why = task.why_response, task.why
    end
    return conclude(task, response, why,
      is_uncertain(task) and "unknown" or "not_sent")
  end
  if is_promoted(shown) then return delivered(task, shown, response) end
  request = task.why.outcome ~= "rejected" and
    ask_again(operation, to_promote(task), after_promotion, task.why)
  if request then return request end
  return conclude(task, task.why_response, task.why,
    task.is_in_doubt and "unknown" or task.why.outcome)
end

-- The first look at a draft of an earlier send, which may have promoted it. The
-- draft itself says whether it is to be scheduled.
local function after_first_look(operation, response, failure)
  local task = operation.task
  local shown, request, why = read_look(operation, response, failure)
  if request then return request end
  if not shown then return conclude(task, response, why, "unknown") end
  if is_promoted(shown) then return delivered(task, shown, response) end
  task.is_in_doubt = false
  local date = task.may_be_scheduled and shown.date_scheduled
  if type(date) == "string" and core.seconds(date) then
    task.promotion = { status = "scheduled", date_scheduled = date }
  end
  return to_question(task)
end

-- ---- the verb, see resource.lua ----

local function begin_draft(task, body)
  local text, err = params.encode(to_draft_body(body))
  if not text then return nil, nil, err end
  task.draft = text
  return ask(task, to_draft(task), after_draft), task
end

-- Continues with a draft of an earlier send, in any state.
local function begin_look(task, body, id)
  local changes = to_changes(body)
  local text, err = params.encode(changes)
  if not text then return nil, nil, err end
  task.changes = next(changes) ~= nil and text or nil
  task.id, task.is_in_doubt = id, true
  task.may_be_scheduled = body.date_scheduled == nil and body.send_in == nil
  return ask(task, to_look(task), after_first_look), task
end

function send.prepare(_, given)
  local id, found
  if type(given) == "table" then
    id = rawget(given, "draft_id")
    found = check_own(given, id)
  end
  local body, err = params.check(given, id == nil and "send" or "send_draft",
    found)
  if not body then return nil, nil, err end
  local task = { promotion = to_promotion(body), strays = 0, repeats = 0 }
  if id ~= nil then return begin_look(task, body, id) end
  return begin_draft(task, body)
end

function send.step(operation, response, failure, state)
  local task = operation.task
  if failure and failure.is_from_parent then -- which continues it
    return conclude(task, response, failure, "unknown")
  end
  return task.step(operation, response, failure, state)
end

function send.read(_, task) return task.shown end

function send.describe(task, err)
  if not (task.is_in_doubt or task.is_promotion_sent) then
    err.outcome = "not_sent"
  end
  err.draft_id, err.stray_drafts = task.id, task.strays
end

return send
