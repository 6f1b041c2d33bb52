-- The SMS activity over the wire: the requests that Close takes for it, and
-- what it answers. Source: developer.close.com/api/resources/activities/sms

local errors = require "close.errors"
local json = require "close.json"

local PATH = "/activity/sms/"
local WANTED = "an SMS activity"

local activity = {}

--- A request about one SMS, or with no id about all of them.
---@param method string
---@param id string|nil
---@param body string|nil JSON
---@return table request group is the endpoint group that a rate limit holds for
function activity.request(method, id, body)
  return {
    method = method,
    path = id and PATH .. id .. "/" or PATH,
    group = method .. " " .. PATH .. (id and "{id}/" or ""),
    query = "",
    body = body,
  }
end

--- The SMS in an answer, or nil where there is none that can be read.
---@param response close.Response
---@return close.SMSActivity|nil
function activity.decode(response)
  local found = json.decode_object(response.body)
  local has_id = found and type(found.id) == "string" and found.id ~= ""
  return has_id and found or nil
end

-- A reader makes of what a call came to what its caller wants.
local function reader(decode, wanted)
  return function(response, err, answer)
    if not response then return nil, err, answer end
    local value = decode(response)
    if not value then return nil, errors.unreadable(response, wanted), response
    end
    return value, nil, response
  end
end

activity.read = reader(activity.decode, WANTED)

--- The same where the caller chose the fields, and may have left out the id.
activity.read_fields = reader(function(response)
  return json.decode_object(response.body)
end, WANTED)

return activity
