-- The SMS resource: descriptions of its verbs (resource.lua).
-- Source: developer.close.com/api/resources/activities/sms

local activity = require "close.activity"
local core = require "close.core"
local each = require "close.each"
local errors = require "close.errors"
local json = require "close.json"
local pages = require "close.pages"
local params = require "close.params"
local raw_pairs = require "close.raw_pairs"
local resource = require "close.resource"
local send = require "close.send"

local sms = {}

-- A request about one SMS.
local function of_one(method, id, body)
  local wrong = params.check_id(id, "id")
  if wrong then return nil, nil, errors.validation { wrong } end
  return activity.of_one(method, id, body)
end

local create = { name = "create", example = "create{...}", arguments = 1,
  read = activity.read }

function create.prepare(_, given)
  local text, err, query = params.write(given, "create")
  if not text then return nil, nil, err end
  return activity.of_all("POST", text, query)
end

local get = { name = "get", example = 'get("acti_...")', arguments = 2,
  may_omit = true }

local MAX_LISTED = 1000 -- violations, as in the core

local function not_taken(name)
  local shown = errors.shown(name)
  return { field = shown, code = "unknown_field",
    message = ('get does not take "%s": it takes fields alone; an option of ' ..
      "the call goes into the argument after it"):format(shown) }
end

-- A copy of the params that get takes: fields, as list does, and no other
-- filter. Adds what is wrong with the others.
-- -> table | nil, how many are not listed
local function take_fields(given, found)
  if given == nil then return nil, 0 end
  if type(given) ~= "table" then
    found[#found + 1] = { field = "params", code = "type", message = "params" ..
      ' must be a table such as {fields = {"id"}}, got ' ..
      core.type_name(given) }
    return nil, 0
  end
  local own, unlisted = {}, 0
  for name, value in raw_pairs(given) do
    if name == "fields" or name == "_fields" then
      own[name] = value
    elseif #found < MAX_LISTED then
      found[#found + 1] = not_taken(name)
    else
      unlisted = unlisted + 1
    end
  end
  return own, unlisted
end

function get.prepare(_, id, given)
  local found = { params.check_id(id, "id") }
  local own, unlisted = take_fields(given, found)
  local query, wrong = core.filters(own, json.host_null)
  for _, violation in ipairs(wrong or {}) do found[#found + 1] = violation end
  if found[1] then return nil, nil, errors.validation(found, unlisted) end
  return activity.of_one("GET", id, nil, pages.write(query)), query
end

function get.read(response, query)
  local reader = query._fields and activity.read_fields or activity.read
  return reader(response)
end

local update = { name = "update", example = 'update("acti_...", {...})',
  arguments = 2, read = activity.read }

function update.prepare(_, id, given)
  local text, err, query = params.write(given, "update",
    { params.check_id(id, "id") })
  if not text then return nil, nil, err end
  return activity.of_one("PUT", id, text, query)
end

--- Makes a message that was not sent yet a draft again.
local cancel = { name = "cancel", example = 'cancel("acti_...")',
  arguments = 1, read = activity.read }

function cancel.prepare(_, id)
  return of_one("PUT", id, '{"status":"draft"}')
end

local delete = { name = "delete", example = 'delete("acti_...")',
  arguments = 1 }

function delete.prepare(_, id) return of_one("DELETE", id) end

-- A 404 is a success if an earlier attempt may have deleted the SMS.
function delete.step(operation, response, failure)
  local is_gone = failure and failure.status == 404 and
    operation.request.unknown > 0
  return nil, response, not is_gone and failure or nil
end

function delete.read(response)
  if response.body == "" or json.decode_object(response.body) then
    return true
  end
  return nil, errors.unreadable(response, "an answer to a deletion")
end

local VERBS = { create, get, update, delete, cancel, send, pages.list, each }

--- The names of the resource's functions.
sms.NAMES = resource.names(VERBS)
table.insert(sms.NAMES, "validate")

--- Checks what create takes, without any network.
---@param given close.CreateParams
---@return true|nil ok, close.Error? err with all violations in err.errors
sms.validate = params.validate

--- The resource of one client.
---@param state table the client's
---@return close.SMS
function sms.new(state)
  local self = resource.new(state, "sms", VERBS)

  function self.validate(given)
    local wrong = resource.check_dot(given, self, "sms", "validate{...}")
    if wrong then return nil, wrong end
    return sms.validate(given)
  end

  return self
end

return sms
