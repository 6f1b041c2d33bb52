-- Errors as tables: what went wrong (kind), whether Close has the message
-- (outcome), and a message. All errors of the library are made here.

local json = require "close.json"
local raw_pairs = require "close.raw_pairs"

local MAX_ERRORS = 1000
local MAX_LOOKS = 4 * MAX_ERRORS -- values that are searched for them
local MAX_DEPTH = 20
local MAX_SHOWN = 10 -- of a list's messages in one message
local MAX_LINE = 500 -- bytes of an error's message
local MAX_RAW = 4 * MAX_LINE -- bytes that it is made from
local MAX_PATH = 200 -- bytes of a field's path

local errors = {}

local Error = {}
Error.__index = Error
Error.__name = "close.Error"

--- One readable line: kind, message, and whether Close has the message.
function Error:__tostring()
  if type(self) ~= "table" then return Error.__name end
  local facts = { "outcome: " .. tostring(self.outcome) }
  if self.status then facts[#facts + 1] = "status " .. self.status end
  if (self.attempts or 0) > 1 then
    facts[#facts + 1] = self.attempts .. " attempts"
  end
  if self.retry_after then -- after unknown it must not ask for a repeat
    facts[#facts + 1] = ("Close asks to wait %.0f s"):format(
      math.ceil(self.retry_after))
  end
  if self.draft_id then facts[#facts + 1] = "draft " .. self.draft_id end
  return ("close: %s: %s (%s)"):format(tostring(self.kind),
    tostring(self.message), table.concat(facts, ", "))
end

-- The first bytes of a text, without a part of a UTF-8 character.
local function cut(text, bytes)
  return text:sub(1, bytes):gsub("[\192-\255][\128-\191]*$", "") .. "..."
end

-- The bytes of a character by RFC 3629, 4; continuation bytes are checked
-- already.
local UTF8 = {
  "^[\194-\223].$", "^\224[\160-\191].$", "^[\225-\236\238\239]..$",
  "^\237[\128-\159].$", "^\240[\144-\191]..$", "^[\241-\243]...$",
  "^\244[\128-\143]..$",
}

-- Characters that are invisible or change the line's direction.
local HIDDEN = {
  "^\194[\128-\159\173]$",             -- U+0080 to U+009F, U+00AD
  "^\216\156$", "^\225\160\142$",      -- U+061C, U+180E
  "^\226\128[\139-\143\168-\174]$",   -- U+200B to U+200F, U+2028 to U+202E
  "^\226\129[\160-\175]$",             -- U+2060 to U+206F
  "^\239\187\191$", "^\239\191[\185-\187]$", -- U+FEFF, U+FFF9 to U+FFFB
  "^\243\160[\128\129].$",             -- U+E0000 to U+E007F
}

local function matches(text, patterns)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

-- A character beyond ASCII, or a space if it cannot be shown.
local function visible(bytes)
  return matches(bytes, UTF8) and not matches(bytes, HIDDEN) and bytes or " "
end

--- One line of limited length, without control characters and invalid UTF-8.
---@param most integer|nil bytes
function errors.one_line(text, most)
  if #text > MAX_RAW then text = cut(text, MAX_RAW) end
  text = text:gsub("[\128-\255][\128-\191]*", visible)
  text = text:gsub("[%c%s]+", " "):gsub("^ ", ""):gsub(" $", "")
  most = most or MAX_LINE
  return #text > most and cut(text, most) or text
end

--- Makes an error.
---@param fields table kind, outcome, message and what else is known
---@return close.Error
function errors.new(fields)
  fields.message = errors.one_line(fields.message)
  fields.errors = fields.errors or {}
  return setmetatable(fields, Error)
end

--- Whether a value is an error that was made here.
function errors.is_error(value)
  return rawequal(getmetatable(value), Error)
end

--- The reason that a function of the caller's gave, to put after a message: a
--- string, or an error that was made here, as of another call; "" for all else.
function errors.reason(value)
  if errors.is_error(value) then value = value.message end
  return type(value) == "string" and ": " .. value or ""
end

--- A name that the caller gave to something, as a message can show it.
function errors.shown(name)
  return type(name) == "string" and name:match "^[%w_]+$" and name:sub(1, 40)
    or "?"
end

--- An error for wrong options or a closed client: nothing was sent.
function errors.config(message)
  return errors.new { kind = "config", outcome = "not_sent", message = message }
end

--- The error of a call that runs out of memory. It is made before the call
--- begins, with all fields, so that filling them in allocates nothing.
function errors.memory()
  return setmetatable({ kind = "memory", outcome = "not_sent",
    message = "not enough memory", errors = {}, attempts = 0, draft_id = "",
    stray_drafts = 0 }, Error)
end

--- An error of validation: nothing was sent.
---@param list table of {field, code, message}
---@param unlisted integer|nil how many more there are
function errors.validation(list, unlisted)
  local parts = {}
  for i = 1, math.min(#list, MAX_SHOWN) do parts[i] = list[i].message end
  local more = #list - #parts + (unlisted or 0)
  if more > 0 then parts[#parts + 1] = more .. " more" end
  return errors.new {
    kind = "validation",
    outcome = "rejected",
    message = table.concat(parts, "; "),
    errors = list,
  }
end

-- ---- Close's own reasons ----

-- The order of keys: list indices first, also those that are strings, then
-- names.
local function rank(key)
  if type(key) == "number" then return key end
  return key:find "^%d+$" and tonumber(key) or math.huge
end

-- The keys in order: a list's by number, a map's by name. Of a large table only
-- as many as can be listed, and looks.left at most.
local function sorted_keys(value, looks)
  local keys, most = {}, math.min(MAX_ERRORS, looks.left)
  for key in raw_pairs(value) do
    if #keys == most then break end
    keys[#keys + 1] = key
  end
  looks.left = looks.left - #keys
  table.sort(keys, function(a, b)
    local m, n = rank(a), rank(b)
    if m ~= n then return m < n end
    return tostring(a) < tostring(b)
  end)
  return keys
end

-- A path with name added, unless it was cut already.
local function longer(path, name)
  if #path > MAX_PATH - 8 and path:sub(-3) == "..." then return path end
  path = path .. name
  return #path > MAX_PATH and cut(path, MAX_PATH - 3) or path
end

-- The path of the item at key. "errors" and "field-errors" occur at any depth
-- and name no field. An item of a list has its index; Close also writes lists
-- as maps with keys from "0". A list of sentences is about one field.
local function place_of(path, key, item)
  if key == "errors" or key == "field-errors" then return path end
  local index = key
  if type(key) == "string" then
    if not key:find "^%d+$" then
      return longer(path or "", path and "." .. key or key)
    end
    index = tonumber(key) + 1
  elseif type(item) ~= "table" then
    return path
  end
  return path and longer(path, ("[%.0f]"):format(index))
end

-- Adds every message below value; path is its field, or nil. A record has a
-- message, and may have a field and a code.
local function collect(value, path, list, looks, depth, may_be_record)
  if #list >= MAX_ERRORS or depth > MAX_DEPTH then return end
  if type(value) ~= "table" then
    list[#list + 1] = { field = path, message = tostring(value) }
  elseif type(value.message) == "string" and may_be_record and
         not path then
    list[#list + 1] = {
      field = type(value.field) == "string" and value.field or nil,
      code = type(value.code) == "string" and value.code or nil,
      message = value.message,
    }
  else
    for _, key in ipairs(sorted_keys(value, looks)) do
      local item = value[key]
      collect(item, place_of(path, key, item), list, looks, depth + 1,
        type(key) == "number")
    end
  end
end

-- Reads the bodies that Close answers with: {"errors": [...], "field-errors":
-- {...}} and {"error": "..."}.
local function read_body(body)
  local list, looks = {}, { left = MAX_LOOKS }
  local object = body and json.decode_object(body)
  if not object then return list end
  for _, name in ipairs { "error", "errors", "field-errors" } do
    if object[name] ~= nil then
      collect(object[name], nil, list, looks, 1, name ~= "field-errors")
    end
  end
  return list
end

--- The first messages of a list of errors.
function errors.summary(list)
  local parts = {}
  for i = 1, math.min(#list, MAX_SHOWN) do
    local item, text = list[i], list[i].message
    if #text > MAX_LINE then text = cut(text, MAX_LINE) end
    parts[i] = item.field and item.field .. ": " .. text or text
  end
  return table.concat(parts, "; ")
end

local function describe_answer(response, list)
  local text = "Close answered " .. response.status
  if #list > 0 then return text .. ": " .. errors.summary(list) end
  if response.status >= 300 and response.status < 400 then
    return text .. ", a redirect, which is never followed: check base_url"
  end
  if response.body == "" then return text .. " with an empty body" end
  local kind = response.headers["content-type"]
  return text .. (kind and " with " .. kind .. "," or "") .. " without" ..
    " a reason that can be read; see err.body"
end

--- The error of a call that did not end in a 2xx.
---@param failure table kind, outcome, message, attempts, ... from the engine
---@param response table|nil what was answered
function errors.from_call(failure, response)
  if response then
    failure.body = response.body
    failure.errors = read_body(response.body)
    if failure.message == "" then
      failure.message = describe_answer(response, failure.errors)
    end
  end
  return errors.new(failure)
end

--- The error for a 2xx whose body is not the expected one: Close may have
--- acted.
---@param response table
---@param wanted string such as "an SMS activity"
function errors.unreadable(response, wanted)
  return errors.bad_answer(response, response.body == "" and "an empty body" or
    "a body that is not " .. wanted)
end

--- The error for a 2xx that cannot be used.
---@param response table
---@param what string such as "an empty body"
function errors.bad_answer(response, what)
  return errors.new {
    kind = "protocol",
    outcome = "unknown",
    message = ("Close answered %d with %s"):format(response.status, what),
    status = response.status,
    body = response.body,
    attempts = response.attempts,
  }
end

return errors
