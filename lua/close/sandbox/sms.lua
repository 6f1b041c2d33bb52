-- The SMS that a sandbox holds, and the rules of their states: what may be
-- created, what an update may change, and when an SMS becomes "sent". Takes
-- and returns Lua values, the time included; knows nothing of HTTP.

local account = require "close.sandbox.account"
local activity = require "close.sandbox.activity"
local dates = require "close.sandbox.dates"
local fields = require "close.sandbox.fields"
local json = require "close.sandbox.json"
local pages = require "close.sandbox.pages"

local USER = account.USER
local DATES = { activity_at = true, date_created = true, date_scheduled = true }
local FILTERS = {
  equal = { id__in = "id", lead_id = "lead_id", contact_id = "contact_id",
    user_id = "user_id", organization_id = "organization_id" },
  dates = { activity_at = true, date_created = true },
}

---@class close.sandbox.Store
---@field private storage close.sandbox.Storage
---@field private list table[] in the order of their creation
---@field private by_date table[] oldest first; of one date, as created
---@field private by_id table<string, table>
local Store = {}
Store.__index = Store

local sms = {}

---@param storage close.sandbox.Storage
---@return close.sandbox.Store
function sms.new(storage)
  return setmetatable({ list = {}, by_date = {}, by_id = {},
    storage = storage }, Store)
end

-- Sends an SMS that is due, with the time at which it was due: it may be looked
-- at much later.
local function send_if_due(message, now)
  if not message.due or message.due > now then return end
  message.status, message.date_sent = "sent", dates.format(message.due)
  message.date_updated = message.date_sent
  message.activity_at = message.activity_at or message.date_sent
  message.due = nil
end

local function with_ids(attachments)
  local items = {}
  for i, item in ipairs(attachments) do
    items[i] = {
      content_type = item.content_type, filename = item.filename,
      url = item.url, size = item.size or 1024,
      media_id = account.new_id "media_",
    }
  end
  return items
end

-- Puts checked values into a message; null unsets.
local function assign(message, values)
  for name, value in pairs(values) do
    if value == json.null then
      message[name] = nil
    elseif DATES[name] then
      message[name] = dates.format(dates.parse(value))
    elseif name == "attachments" then
      message[name] = with_ids(value)
    elseif name ~= "status" and name ~= "send_in" then
      message[name] = value
    end
  end
  if type(values.template_id) == "string" and values.text == nil then
    message.text = "Rendered from the template " .. values.template_id
  end
end

-- What a status needs, given the values of a request over those that the
-- message has already.
local function check_status(status, values, message, problems)
  local function missing(name)
    local value = values[name]
    if value == nil then value = message[name] end
    return (value == nil or value == json.null) and not problems[name]
  end
  if status ~= "outbox" and status ~= "scheduled" then return end
  for _, name in ipairs { "local_phone", "date_scheduled" } do
    if missing(name) and (name == "local_phone" or status == "scheduled") then
      problems[name] = "This field is required."
    end
  end
  if missing "remote_phone" and missing "contact_id" and missing "lead_id" then
    problems.remote_phone = "This field is required."
  end
end

-- An attachment in our storage must have been uploaded. Sets its size, too:
-- that of a file elsewhere is not known.
local function check_files(storage, values, problems, now)
  local list = values.attachments
  if problems.attachments or type(list) ~= "table" then return end
  problems.attachments = fields.urls_problem(list, function(item)
    local usable
    usable, item.size = storage:look_up(item.url, now)
    return usable
  end)
end

-- Sets a message's status, and when it will be sent.
local function set_status(message, status, values, now)
  local was = message.status
  message.status, message.due = status, nil
  if status == "outbox" then
    local delay = values.send_in
    message.due = now + (type(delay) == "number" and delay or 0)
  elseif status == "scheduled" then
    message.due = dates.parse(message.date_scheduled)
  elseif status == "sent" then
    message.date_sent = message.activity_at or message.date_created
  end
  -- Cancelling forgets the date; a draft may have one from the start.
  local kept = status == "scheduled" or status == "draft"
    and (was == "draft" or values.date_scheduled ~= nil)
  if not kept then message.date_scheduled = nil end
end

-- The index at which to insert an SMS in a list that is sorted by date_created.
local function insert_index(list, message)
  local low, high = 1, #list + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if list[middle].date_created <= message.date_created then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

--- Creates an SMS.
---@param body table decoded
---@param query table<string, string>
---@param now number
---@return table? shown the activity
---@return table? problem the body of a 400
function Store:create(body, query, now)
  local values, problems = fields.check(fields.sms, body, false)
  check_status(values.status, values, {}, problems)
  check_files(self.storage, values, problems, now)
  if next(problems) then return nil, fields.problem(problems) end
  local message = {
    id = account.new_id "acti_", date_created = dates.format(now),
    organization_id = account.ORGANIZATION, user_id = USER,
    direction = values.status == "inbox" and "inbound" or "outbound",
    source = "Close.io",
    send_to_inbox = values.status == "inbox" and query.send_to_inbox == "true",
  }
  if values.date_created == json.null then values.date_created = nil end
  if values.organization_id == json.null then values.organization_id = nil end
  assign(message, values)
  message.created_by = message.created_by_id or USER
  message.updated_by = message.created_by
  for _, role in ipairs { "user", "created_by", "updated_by" } do
    local id = message[role .. "_id"] or message[role]
    message[role .. "_name"] = id == USER and account.USER_NAME or nil
  end
  message.date_updated = message.date_created
  set_status(message, values.status, values, now)
  self.list[#self.list + 1] = message
  table.insert(self.by_date, insert_index(self.by_date, message), message)
  self.by_id[message.id] = message
  return activity.show(message)
end

--- Finds an SMS, as it is now.
---@param id string
---@param now number
---@return table? message
function Store:find(id, now)
  local message = self.by_id[id]
  if message then send_if_due(message, now) end
  return message
end

-- Why a message cannot be updated in its status; nil: it can.
local function check_state(message, status)
  if message.status == "draft" then
    if not status or status == "draft" or status == "scheduled"
      or status == "outbox"
    then
      return nil
    end
    return "A draft can only become scheduled or outbox."
  end
  if message.due and status == "draft" then return nil end
  return "Only drafts can be modified."
end

--- Updates an SMS.
---@param message table as find() returned it
---@param body table decoded
---@param now number
---@return table? shown the activity
---@return table? problem the body of a 400
function Store:update(message, body, now)
  local values, problems = fields.check(fields.sms, body, true)
  local status = values.status
  if not problems.status then
    local refusal = check_state(message, status)
    if refusal then return nil, fields.problem(problems, refusal) end
    check_status(status, values, message, problems)
  end
  check_files(self.storage, values, problems, now)
  if next(problems) then return nil, fields.problem(problems) end
  assign(message, values)
  message.date_updated, message.updated_by = dates.format(now), USER
  message.updated_by_name = account.USER_NAME
  message.user_name = message.user_id == USER and account.USER_NAME or nil
  if status then set_status(message, status, values, now) end
  return activity.show(message)
end

local function remove(list, message)
  for i, other in ipairs(list) do
    if other == message then return table.remove(list, i) end
  end
end

---@param id string
function Store:delete(id)
  local message = self.by_id[id]
  self.by_id[id] = nil
  remove(self.list, message)
  remove(self.by_date, message)
end

function Store:send_due(now)
  for _, message in ipairs(self.list) do send_if_due(message, now) end
end

--- One page of the SMS that a query asks for: newest first, of one date those
--- that were created last.
---@param query table<string, string>
---@param now number
---@return table? page
---@return table? problem the body of a 400
function Store:page(query, now)
  self:send_due(now)
  return pages.page(self.by_date, query, FILTERS, activity.show)
end

--- All SMS, in the order of their creation, for the control endpoint.
---@param now number
---@return table[] shown
function Store:all(now)
  self:send_due(now)
  local shown = json.array {}
  for i, message in ipairs(self.list) do
    shown[i] = activity.show(message)
    shown[i].send_to_inbox = message.send_to_inbox
  end
  return shown
end

return sms
