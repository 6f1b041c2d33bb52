-- The SMS activity over the wire: its requests and answers.
-- Source: developer.close.com/api/resources/activities/sms

local errors = require "close.errors"
local json = require "close.json"
local requests = require "close.request"

local PATH = "/activity/sms/"
local WANTED = "an SMS activity"

local function endpoint(method, path, repeatable)
  return { method = method, group = method .. " " .. path,
    repeatable = repeatable }
end

local OF_ALL = { GET = endpoint("GET", PATH), POST = endpoint("POST", PATH) }
local OF_ONE = {
  GET = endpoint("GET", PATH .. "{id}/"),
  PUT = endpoint("PUT", PATH .. "{id}/"),
  DELETE = endpoint("DELETE", PATH .. "{id}/"),
}
local DRAFT = endpoint("POST", PATH, true) -- a second draft sends nothing
local PROMOTION = endpoint("PUT", PATH .. "{id}/", false) -- a look comes first

local activity = {}

--- A request about all SMS.
---@param method string "GET" or "POST"
---@param body string|nil JSON
---@param query string|nil such as "?_limit=10"
---@return table request see request.lua
function activity.of_all(method, body, query)
  return requests.new(OF_ALL[method], query and PATH .. query or PATH, body)
end

--- A request about one SMS.
---@param method string "GET", "PUT" or "DELETE"
---@param id string
---@param body string|nil JSON
---@param query string|nil
---@return table request
function activity.of_one(method, id, body, query)
  return requests.new(OF_ONE[method], PATH .. id .. "/" .. (query or ""), body)
end

--- The request that makes a draft.
function activity.draft(body)
  return requests.new(DRAFT, PATH, body)
end

--- The request that has a draft sent, or scheduled.
function activity.promotion(id, body)
  return requests.new(PROMOTION, PATH .. id .. "/", body)
end

--- The SMS in an answer, or nil.
---@param response close.Response
---@return close.SMSActivity|nil
function activity.decode(response)
  local found, is_object = json.decode(response.body)
  if found and is_object and type(found.id) == "string" and found.id ~= "" then
    return found
  end
end

--- The result for an answer with an SMS.
function activity.read(response)
  local found = activity.decode(response)
  if found then return found end
  return nil, errors.unreadable(response, WANTED)
end

--- The same if the caller chose the fields: the id may be missing.
function activity.read_fields(response)
  local found = json.decode_object(response.body)
  if found then return found end
  return nil, errors.unreadable(response, WANTED)
end

return activity
