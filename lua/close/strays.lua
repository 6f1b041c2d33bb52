-- The drafts that a send has left behind: a request whose answer was lost may
-- have made one, and then another was made in its place. They are looked for
-- among the lead's, by what they are and when they were made, and deleted.
-- Somebody else's draft must never be one of them: so they are compared with
-- Close's own answer to ours, were made since the send began and before ours
-- was, and are no more than requests that may have made one. Otherwise they are
-- left, and counted.

local activity = require "close.activity"
local core = require "close.core"
local pages = require "close.pages"
local params = require "close.params"

local BUDGET = 5 -- seconds that a delivered message may wait for this
local PAUSE = 0.25 -- seconds between tries
local SLACK = 0.1 -- seconds by which Close's clocks may differ
local APART = 1 -- seconds by which two dates differ that are not the same
local MOST_LISTED = 1000 -- SMS of one lead that are looked at

local strays = {}

-- The members of an SMS that tell it from another.
local TOLD = { "lead_id", "contact_id", "local_phone", "remote_phone",
  "template_id", "text" }

-- Seconds since 1970 of what should be a date, or nil.
local function seconds(date)
  return type(date) == "string" and core.seconds(date) or nil
end

-- The names of an SMS's attachments.
local function names_of(sms)
  local names = {}
  for i, item in ipairs(type(sms.attachments) == "table" and
                        sms.attachments or {}) do
    names[i] = type(item) == "table" and tostring(item.filename) or ""
  end
  table.sort(names)
  return table.concat(names, "\0")
end

-- Whether an SMS is a draft like ours, made while ours was; and nobody's whose
-- send is under way, or failed and may be gone on with.
local function is_twin(task, item)
  if params.check_id(item.id, "id") or item.id == task.id or
     task.sending[item.id] or item.status ~= "draft" or
     item.direction == "inbound" then
    return false
  end
  local made = seconds(item.date_created)
  if not made or made < task.since or made > task.till then return false end
  for _, name in ipairs(TOLD) do
    if item[name] ~= task.draft[name] then return false end
  end
  return names_of(item) == names_of(task.draft)
end

-- The end of a request that failed: the same once more, or all is over.
local function try_again(task, call, request, failure)
  local is_final = failure and (failure.kind == "cancelled" or
    failure.kind == "authentication" or
    failure.outcome == "rejected" and failure.status ~= 429)
  if is_final then return task.over(task) end
  local pause = PAUSE * (0.5 + core.now() * 1000 % 1 / 2)
  pause = math.max(pause, failure and failure.retry_after or 0)
  task.tries = task.tries - 1
  if task.tries < 0 or core.now() + pause >= call.due then
    return task.over(task)
  end
  request.delay = pause
  return request
end

local function ask(task, request, step)
  task.step = step
  return request
end

local look_at_next

local function after_deletion(task, call, _, failure)
  if failure and failure.status ~= 404 then
    return try_again(task, call, activity.request("DELETE", task.twin), failure)
  end
  task.strays = task.strays - 1
  return look_at_next(task)
end

-- It may have become another's meanwhile.
local function after_look(task, call, response, failure)
  local is_gone = failure and failure.status == 404
  local shown = not failure and activity.decode(response)
  if not is_gone and (not shown or shown.id ~= task.twin) then
    return try_again(task, call, activity.request("GET", task.twin), failure)
  end
  if shown and is_twin(task, shown) then
    return ask(task, activity.request("DELETE", task.twin), after_deletion)
  end
  task.strays = task.strays - 1 -- it was none
  return look_at_next(task)
end

function look_at_next(task)
  task.twin = table.remove(task.twins)
  if not task.twin then return task.over(task) end
  return ask(task, activity.request("GET", task.twin), after_look)
end

local function to_list(task)
  local request = activity.request("GET")
  request.query = pages.to_query { lead_id = task.draft.lead_id,
    date_created__gte = task.since, date_created__lte = task.till,
    _skip = task.listed }
  return request
end

local function after_list(task, call, response, failure)
  local page = not failure and pages.decode(response)
  if not page or type(page.has_more) ~= "boolean" then
    return try_again(task, call, to_list(task), failure)
  end
  for _, item in ipairs(page.data) do
    if is_twin(task, item) and not task.is_known[item.id] then
      task.is_known[item.id] = true
      table.insert(task.twins, item.id)
    end
  end
  if page.has_more and #page.data > 0 and task.listed < MOST_LISTED then
    task.listed = task.listed + #page.data
    return to_list(task)
  end
  -- Where there are more than ours can be, somebody else's are among them.
  if page.has_more or #task.twins > task.strays then return task.over(task) end
  task.strays = #task.twins
  return look_at_next(task)
end

--- Begins to look for a send's strays; task.over(task) ends it.
---@param task table with draft (Close's answer), id, seconds (from the send's
---  beginning to that of the request which made the draft), is_dated, strays,
---  sending, over
---@param call table its due and retries change
---@return table|nil request nil where they cannot be found
function strays.clean(task, call)
  local made = seconds(task.draft.date_created)
  if params.check_id(task.draft.lead_id, "lead_id") or not made or
     task.sending[task.key] or core.now() >= call.due then
    return nil
  end
  task.since, task.till = made - task.seconds - SLACK, made + SLACK
  if task.is_dated then -- with a date of the caller's, which they all have
    task.since, task.till = made - APART, made + APART
  end
  if not pages.to_query { date_created__gte = task.since,
    date_created__lte = task.till } then return nil end
  call.due = math.min(call.due, core.now() + BUDGET)
  task.tries, call.retries = call.retries, 0
  task.twins, task.is_known, task.listed = {}, {}, 0
  return ask(task, to_list(task), after_list)
end

return strays
