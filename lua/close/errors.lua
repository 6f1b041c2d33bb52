-- Errors as tables: what went wrong (kind), whether Close has the message
-- (outcome), and what to do. Every error of the library is made here.

local json = require "close.json"

local MAX_ERRORS = 1000
local MAX_DEPTH = 20
local MAX_LINE = 500 -- characters of an error's message

local errors = {}

local Error = {}
Error.__index = Error
Error.__name = "close.Error"

--- One readable line: kind, message, and whether Close has the message.
function Error:__tostring()
  local facts = { "outcome: " .. self.outcome }
  if self.status then facts[#facts + 1] = "status " .. self.status end
  if (self.attempts or 0) > 1 then
    facts[#facts + 1] = self.attempts .. " attempts"
  end
  return ("close: %s: %s (%s)"):format(self.kind, self.message,
    table.concat(facts, ", "))
end

-- One line, without control bytes, of a length that fits a log.
local function one_line(text)
  text = text:gsub("[%c%s]+", " "):gsub("^ ", ""):gsub(" $", "")
  if #text > MAX_LINE then
    -- Never cut inside of a UTF-8 character.
    text = text:sub(1, MAX_LINE):gsub("[\192-\255][\128-\191]*$", "") .. "..."
  end
  return text
end

--- Makes an error.
---@param fields table kind, outcome, message and what else is known
---@return close.Error
function errors.new(fields)
  fields.message = one_line(fields.message)
  fields.errors = fields.errors or {}
  return setmetatable(fields, Error)
end

--- A mistake in options, or a client that is closed: nothing was sent.
function errors.config(message)
  return errors.new { kind = "config", outcome = "not_sent", message = message }
end

--- What validation refused: Close was not asked.
---@param list table of {field, code, message}
---@param unlisted integer|nil how many more there are
function errors.validation(list, unlisted)
  local parts = {}
  for i = 1, math.min(#list, 10) do parts[i] = list[i].message end
  local more = #list - #parts + (unlisted or 0)
  if more > 0 then parts[#parts + 1] = more .. " more in err.errors" end
  return errors.new {
    kind = "validation",
    outcome = "rejected",
    message = table.concat(parts, "; "),
    errors = list,
  }
end

-- ---- what Close says of an error ----

local function is_list(value)
  return #value > 0
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  return keys
end

local function as_string(value)
  return type(value) == "string" and value or nil
end

-- Adds every message below value; path is the field it belongs to, or nil.
-- "errors" and "field-errors" may come again at any depth: they name no field.
local function collect(value, path, list, depth)
  if #list >= MAX_ERRORS or depth > MAX_DEPTH then return end
  if type(value) ~= "table" then
    list[#list + 1] = { field = path, message = tostring(value) }
  elseif is_list(value) then
    for i, item in ipairs(value) do
      local place = type(item) == "table" and path and
        ("%s[%d]"):format(path, i) or path
      collect(item, place, list, depth + 1)
    end
  elseif type(value.message) == "string" and path == nil then
    list[#list + 1] = {
      field = as_string(value.field), code = as_string(value.code),
      message = value.message,
    }
  else
    for _, key in ipairs(sorted_keys(value)) do
      local place = path and path .. "." .. key or key
      if key == "errors" or key == "field-errors" then place = path end
      collect(value[key], place, list, depth + 1)
    end
  end
end

-- Reads the bodies Close is known to answer with: {"errors": [...],
-- "field-errors": {...}} and {"error": "..."}.
local function read_body(body)
  local list = {}
  local object = body and json.decode_object(body)
  if not object then return list end
  for _, name in ipairs { "error", "errors", "field-errors" } do
    if object[name] ~= nil then collect(object[name], nil, list, 1) end
  end
  return list
end

local function summary(list)
  local parts = {}
  for i = 1, math.min(#list, 10) do
    local item = list[i]
    parts[i] = item.field and item.field .. ": " .. item.message or item.message
  end
  return table.concat(parts, "; ")
end

local function describe_answer(response, list)
  local text = "Close answered " .. response.status
  if #list > 0 then return text .. ": " .. summary(list) end
  if response.status >= 300 and response.status < 400 then
    return text .. ", a redirect, which is never followed: check base_url"
  end
  if response.body == "" then return text .. " with an empty body" end
  local kind = response.headers["content-type"]
  return text .. " with " .. (kind and kind .. ", without" or "") ..
    " a reason that can be read; see err.body"
end

--- A call that did not end in a 2xx.
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

--- A 2xx whose body is not what was asked for: Close may well have acted.
---@param response table
---@param wanted string such as "an SMS activity"
function errors.unreadable(response, wanted)
  local what = response.body == "" and "an empty body" or
    "a body that is not " .. wanted
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
