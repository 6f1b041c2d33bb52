-- The SMS activity: what a caller's table may hold, how it travels, and what
-- comes back. Source: developer.close.com/api/resources/activities/sms

local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"
local pages = require "close.pages"

local PATH = "/activity/sms/"
local CREATE = "POST " .. PATH -- the group that a rate limit holds for
local WANTED = "an SMS activity"
local MAX_BODY = 16 * 1024 * 1024 -- bytes; far above what any SMS needs

local sms = {}

local function too_large(bytes)
  return errors.validation { {
    field = "params", code = "range",
    message = ("params make a request of at least %.0f bytes: shorten text " ..
      "or attachments, %d bytes is the most"):format(bytes, MAX_BODY),
  } }
end

local function wrong_extra(why)
  return errors.validation { {
    field = "extra", code = "type",
    message = "extra cannot be written as JSON: " .. why,
  } }
end

-- Checks params and makes of them the body and the query.
local function prepare(params, resource)
  if resource and rawequal(params, resource) then
    return nil, errors.validation { {
      field = "params", code = "type",
      message = "params must be a table such as {status = \"outbox\", ...}: " ..
        "call with a dot, as in sms.create{...}, not with a colon",
    } }
  end
  local body, inbox, bytes = core.validate(params, json.host_null())
  if not body then return nil, errors.validation(inbox, bytes) end
  local extra = rawget(params, "extra")
  if extra ~= nil then
    local more, why = json.weigh(extra)
    if not more then return nil, wrong_extra(why) end
    bytes = bytes + more
  end
  if bytes > MAX_BODY then return nil, too_large(bytes) end
  return body, inbox and "?send_to_inbox=true" or ""
end

local function encode(body)
  local text, why = json.encode_body(body)
  if not text then return nil, wrong_extra(tostring(why)) end
  if #text > MAX_BODY then return nil, too_large(#text) end
  return text
end

local function validate(params, resource)
  local body, why = prepare(params, resource)
  if not body then return nil, why end
  local text, err = encode(body)
  if not text then return nil, err end
  return true
end

--- Checks params without any network.
---@param params close.CreateParams
---@return true|nil ok, close.Error? err with all violations in err.errors
function sms.validate(params)
  return validate(params)
end

-- The call that create makes of its params, or nil and an error.
local function to_create(params, resource)
  local body, query = prepare(params, resource)
  if not body then return nil, query end
  local text, why = encode(body)
  if not text then return nil, why end
  return { method = "POST", path = PATH, group = CREATE, query = query,
    body = text }
end

-- What a call came to, as its caller wants it.
local function read_activity(response, err, answer)
  if not response then return nil, err, answer end
  local activity = json.decode_object(response.body)
  if not activity or type(activity.id) ~= "string" then
    return nil, errors.unreadable(response, WANTED), response
  end
  return activity, nil, response
end

--- The resource for one client.
---@param transport table the client's perform and launch
---@return close.SMS
function sms.new(transport)
  local resource = {}

  function resource.validate(params) return validate(params, resource) end

  --- Creates an SMS activity: status "outbox" sends it, "scheduled" sends it
  --- later, the others keep a record.
  ---@param params close.CreateParams
  ---@param call_options close.CallOptions|nil
  ---@return close.SMSActivity|nil activity
  ---@return close.Error|nil err err.outcome says whether Close has it
  ---@return close.Response|nil response
  function resource.create(params, call_options)
    local call, why = to_create(params, resource)
    if not call then return nil, why end
    return read_activity(transport.perform(call, call_options))
  end

  --- The same without waiting: the callback gets what create would return,
  --- exactly once and never before this function has returned.
  ---@param params close.CreateParams
  ---@param callback fun(sms, err, response)
  ---@param call_options close.CallOptions|nil
  ---@return close.Request|nil request
  ---@return close.Error|nil err the callback will not be called
  function resource.create_async(params, callback, call_options)
    local call, why = to_create(params, resource)
    return transport.launch(call, why, read_activity, callback, call_options)
  end

  for name, list in pairs(pages.new(transport, resource)) do
    resource[name] = list
  end
  return resource
end

return sms
