-- From a caller's table to a request's body: the core's rules, and limits for
-- the JSON writer.

local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"

local MAX_BODY = core.max_body -- bytes

local params = {}

local function too_large(bytes)
  return {
    field = "params", code = "range",
    message = ("params make a request of at least %.0f bytes: shorten text " ..
      "or attachments, %d bytes is the most"):format(bytes, MAX_BODY),
  }
end

local function wrong_extra(why)
  return {
    field = "extra", code = "type",
    message = "extra cannot be written as JSON: " .. why,
  }
end

--- What is wrong with an id, as one of an error's errors; or nil.
---@return close.Violation|nil
function params.check_id(id, field)
  if type(id) ~= "string" then
    return { field = field, code = id == nil and "required" or "type",
      message = ("%s must be a string such as \"acti_...\", got %s"):format(
        field, core.type_name(id)) }
  end
  if #id <= 200 and id:find "^[A-Za-z0-9_%-]+$" then return nil end
  return { field = field, code = "format",
    message = field .. " must be the id of an SMS, such as \"acti_...\": " ..
      "letters, digits, _ and - only" .. core.describe_odd(id) }
end

-- Checks what the core does not: extra, and the total size.
local function check_rest(given, bytes)
  local extra = rawget(given, "extra")
  if extra ~= nil then
    local more, why = json.min_size(extra)
    if not more then return wrong_extra(why) end
    bytes = bytes + more
  end
  if bytes > MAX_BODY then return too_large(bytes) end
end

-- Checks the rest of what core.validate returned.
-- -> body | nil, err
local function judge(given, found, body, query, bytes)
  local wrong = body and check_rest(given, bytes)
  if body and not wrong and not (found and found[1]) then return body end
  local list, unlisted = found or {}, nil
  if body then
    list[#list + 1] = wrong
  else
    for _, violation in ipairs(query) do list[#list + 1] = violation end
    unlisted = bytes
  end
  return nil, errors.validation(list, unlisted)
end

--- Checks a caller's table by a verb's rules, and makes the body, as a table.
---@param verb string "create", "update", "send" or "send_draft"
---@param found close.Violation[]|nil what was found to be wrong already
---@return table|nil body
---@return close.Error|nil err
function params.check(given, verb, found)
  return judge(given, found, core.validate(given, json.host_null, verb))
end

--- A body as JSON.
---@return string|nil text, close.Error? err
function params.encode(body)
  local text, why = json.encode_body(body)
  if not text then
    return nil, errors.validation { wrong_extra(tostring(why)) }
  end
  if #text <= MAX_BODY then return text end
  return nil, errors.validation { too_large(#text) }
end

-- From what core.validate returned to the text of a body.
-- -> text | nil, err
local function write_judged(given, found, body, query, bytes)
  local judged, err = judge(given, found, body, query, bytes)
  if not judged then return nil, err end
  return params.encode(judged)
end

--- Both: from a caller's table to the text of a body.
---@return string|nil text
---@return close.Error|nil err
---@return string|nil query
function params.write(given, verb, found)
  local body, query, bytes, is_plain =
    core.validate(given, json.host_null, verb)
  if is_plain and not (found and found[1]) then
    return json.encode_strings(body), nil, query
  end
  local text, err = write_judged(given, found, body, query, bytes)
  return text, err, query
end

--- Checks all that write does for create. Strings alone can always be written,
--- so that is not tried.
---@return true|nil ok, close.Error? err
function params.validate(given)
  local body, query, bytes, is_plain =
    core.validate(given, json.host_null, "create")
  if is_plain then return true end
  local text, err = write_judged(given, nil, body, query, bytes)
  if not text then return nil, err end
  return true
end

return params
