-- The fields of the bodies that the sandbox takes, and the check of a body
-- against them. What follows from the fields of an SMS together, or from its
-- state, stands in sms.lua.

local dates = require "close.sandbox.dates"
local json = require "close.sandbox.json"
local phones = require "close.sandbox.phones"

local fields = {}

local REQUIRED = "This field is required."
local NOT_NULL = "This field may not be null."
local NO_CHOICE = "Not a valid choice."
local NO_FILE = "There is no file at this URL: it was not uploaded, or more "
  .. "than 24 hours ago."

local function set(text)
  local members = {}
  for word in text:gmatch "%S+" do members[word] = true end
  return members
end

local STATUSES = set "inbox draft scheduled outbox sent error"
local DIRECTIONS = set "inbound outbound"
local SOURCES = set "Close.io External"
local CONTENT_TYPES = set [[
  application/pdf application/vcard
  audio/3gpp audio/3gpp2 audio/L24 audio/ac3 audio/amr audio/amr-nb
  audio/basic audio/mp4 audio/mpeg audio/ogg audio/vnd.rn-realaudio
  audio/vnd.wave audio/webm
  image/bmp image/gif image/jpeg image/jpg image/png image/tiff
  text/calendar text/csv text/directory text/richtext text/rtf text/vcard
  text/x-vcard
  video/3gpp video/3gpp-tt video/3gpp2 video/H261 video/H263 video/H263-1998
  video/H263-2000 video/H264 video/mp4 video/mpeg video/quicktime video/webm
]]

local function string_problem(value)
  return type(value) ~= "string" and "Value must be of str type." or nil
end

local function date_problem(value)
  if type(value) ~= "string" then return string_problem(value) end
  return not dates.parse(value) and "Invalid ISO 8601 datetime." or nil
end

local function phone_problem(value)
  if type(value) ~= "string" then return string_problem(value) end
  return not phones.is_e164(value) and "Invalid phone number." or nil
end

local function choice_problem(choices)
  return function(value)
    return not choices[value] and NO_CHOICE or nil
  end
end

local function delay_problem(value)
  if type(value) ~= "number" then return "Value must be of float type." end
  if value < 0 then return "The value must be at least 0." end
  return value >= 60 and "The value must be less than 60." or nil
end

---@class close.sandbox.Field
---@field problem fun(value: any): any nil: none
---@field nullable boolean
---@field update boolean whether an update may name it
---@field required boolean? whether it must be there, but for an update
---@field null string? the problem of a null, where it is not the usual one

local function field(problem, nullable, update)
  return { problem = problem, nullable = nullable, update = update }
end

local function required(problem)
  return { problem = problem, required = true, null = REQUIRED }
end

local function item_problem(item, schema)
  if type(item) ~= "table" then return "Value must be of dict type." end
  local _, problems = fields.check(schema, item)
  return next(problems) and fields.problem(problems) or nil
end

-- Checks a list. Close nests: a list's errors by index from 0, an item's like
-- a body's.
local function list_of(schema)
  return function(value)
    if type(value) ~= "table" then return "Value must be of list type." end
    local problems, count = {}, 0
    for key in pairs(value) do
      if type(key) ~= "number" then return "Value must be of list type." end
      count = count + 1
    end
    for i = 1, count do
      problems[tostring(i - 1)] = item_problem(value[i], schema)
    end
    return next(problems) and { errors = problems } or nil
  end
end

--- Of the body that asks for an upload.
fields.upload = {
  content_type = required(string_problem),
  filename = required(string_problem),
}

local ATTACHMENT = {
  content_type = required(function(value)
    return string_problem(value) or choice_problem(CONTENT_TYPES)(value)
  end),
  filename = required(string_problem),
  url = required(string_problem),
}

local TEXT = field(string_problem, true)
local CONTACT = {
  name = TEXT, title = TEXT,
  phones = field(list_of { phone = required(phone_problem), type = TEXT },
    true),
  emails = field(list_of { email = required(string_problem), type = TEXT },
    true),
}

--- Of a lead.
fields.lead = {
  name = TEXT, description = TEXT, url = TEXT, status_id = TEXT,
  contacts = field(list_of(CONTACT), true),
}

--- Of a contact that is not nested in a lead.
fields.contact = { lead_id = TEXT }
for name, known in pairs(CONTACT) do fields.contact[name] = known end

--- Of an SMS.
---@type table<string, close.sandbox.Field>
fields.sms = {
  activity_at = field(date_problem, true, true),
  attachments = field(list_of(ATTACHMENT), true, true),
  contact_id = field(string_problem, true, true),
  created_by_id = field(string_problem, true, false),
  date_created = field(date_problem, true, false),
  date_scheduled = field(date_problem, true, true),
  direction = field(choice_problem(DIRECTIONS), false, false),
  lead_id = field(string_problem, true, true),
  local_phone = field(phone_problem, true, true),
  organization_id = field(string_problem, true, false),
  remote_phone = field(phone_problem, true, true),
  send_in = field(delay_problem, true, true),
  source = field(choice_problem(SOURCES), false, false),
  status = field(choice_problem(STATUSES), false, true),
  template_id = field(string_problem, true, true),
  text = field(string_problem, true, true),
  user_id = field(string_problem, true, true),
}
fields.sms.status.required = true

--- The body of a 400, in Close's shape.
---@param problems table<string, any> by field
---@param message string? of the request as a whole
---@return table
function fields.problem(problems, message)
  return { errors = json.array { message }, ["field-errors"] = problems }
end

--- What is wrong with attachments whose urls are of no use.
---@param attachments table checked
---@param is_usable fun(item: table): boolean
---@return table? problem of the field
function fields.urls_problem(attachments, is_usable)
  local problems = {}
  for i, item in ipairs(attachments) do
    if not is_usable(item) then
      problems[tostring(i - 1)] = fields.problem { url = NO_FILE }
    end
  end
  return next(problems) and { errors = problems } or nil
end

local function problem_of(known, value)
  if value ~= json.null then return known.problem(value) end
  return not known.nullable and (known.null or NOT_NULL) or nil
end

--- Checks each field of a body for itself; unknown ones are ignored, as Close
--- ignores them.
---@param schema table<string, close.sandbox.Field>
---@param body table decoded, nulls as json.null
---@param update boolean?
---@return table values what the body says, nulls included
---@return table<string, any> problems by field
function fields.check(schema, body, update)
  local values, problems = {}, {}
  for name, known in pairs(schema) do
    local value = body[name]
    if value == nil then
      problems[name] = known.required and not update and REQUIRED or nil
    elseif known.update or not update then
      values[name] = value
      problems[name] = problem_of(known, value)
    end
  end
  return values, problems
end

return fields
