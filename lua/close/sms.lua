-- The SMS resource: what may be done with an SMS activity, each verb as a call
-- that waits, and as one that has a callback.
-- Source: developer.close.com/api/resources/activities/sms

local activity = require "close.activity"
local errors = require "close.errors"
local json = require "close.json"
local pages = require "close.pages"
local params = require "close.params"
local send = require "close.send"

local sms = {}

-- A call with a body, of what a verb was given.
local function with_body(method, id, given, verb, found)
  local body, inbox = params.check(given, verb, found)
  if not body then return nil, inbox end
  local text, why = params.encode(body)
  if not text then return nil, why end
  local call = activity.request(method, id, text)
  if inbox then call.query = "?send_to_inbox=true" end
  call.read = activity.read
  return call
end

-- A call about one SMS.
local function with_id(method, id, body)
  local wrong = params.check_id(id, "id")
  if wrong then return nil, errors.validation { wrong } end
  local call = activity.request(method, id, body)
  call.read = activity.read
  return call
end

-- Each makes a call of a verb's arguments, or returns nil and an error.
local make = {}

function make.create(given) return with_body("POST", nil, given, "create") end

function make.update(id, given)
  return with_body("PUT", id, given, "update", { params.check_id(id, "id") })
end

local MAX_FIELDS = 8000 -- bytes of get's query

-- An unknown name, where it can be shown.
local function shown(name)
  local is_name = type(name) == "string" and #name <= 60 and
    name:find "^[A-Za-z0-9_.-]+$"
  return is_name and name or "[a key that is not a name]"
end

-- The names of a list as one string, or nil where it is none; read raw.
local function join(fields)
  if type(fields) == "string" then return fields end
  if type(fields) ~= "table" then return nil end
  local names, count, bytes = {}, 0, 0
  for _ in next, fields do count = count + 1 end
  for i = 1, count do
    local name = rawget(fields, i)
    if type(name) ~= "string" then return nil end
    names[i], bytes = name, bytes + #name + 1
    if bytes > MAX_FIELDS + 1 then return nil end
  end
  return table.concat(names, ",")
end

-- The fields that an answer is to have, as get's query; what is wrong goes to
-- found.
local function fields_query(given, found)
  local function add(field, code, message)
    found[#found + 1] = { field = field, code = code, message = message }
  end
  if type(given) ~= "table" then
    return add("params", "type",
      "params must be a table such as {fields = {\"id\", \"status\"}}, got " ..
        type(given))
  end
  for name in next, given do
    if name ~= "fields" then
      add(shown(name), "unknown_field",
        "get takes no " .. shown(name) .. ", only fields; what concerns " ..
          "the call, such as timeout, is one argument further")
    end
  end
  local fields = rawget(given, "fields")
  if fields == nil then return "" end
  local list = join(fields) or ""
  if #list > MAX_FIELDS or not list:find "^[A-Za-z0-9_.,]+$" or
     ("," .. list .. ","):find(",,", 1, true) then
    return add("fields", "format",
      "fields must be a list of names, such as {\"id\", \"status\"}")
  end
  return "?_fields=" .. list
end

function make.get(id, given)
  local found = { params.check_id(id, "id") }
  local query = given ~= nil and fields_query(given, found) or ""
  if found[1] then return nil, errors.validation(found) end
  local call = with_id("GET", id)
  call.query = query
  if query ~= "" then call.read = activity.read_fields end
  return call
end

function make.send(given, _, transport)
  return send.to_call(given, transport)
end

--- Back to a draft, for one that was not sent yet.
function make.cancel(id) return with_id("PUT", id, '{"status":"draft"}') end

function make.delete(id)
  local call, why = with_id("DELETE", id)
  if not call then return nil, why end
  function call.read(response, err, answer)
    -- Where an earlier try may have deleted it, nobody is there to be found.
    local is_gone = err and err.status == 404 and call.unsure > 0
    if not response and not is_gone then return nil, err, answer end
    if response and response.body ~= "" and
       not json.decode_object(response.body) then
      return nil, errors.unreadable(response, "what Close says of a deletion"),
        response
    end
    return true, nil, answer or response
  end
  return call
end

-- ---- the resource ----

-- How a verb is called: what comes before the callback and the options, and an
-- example of it.
local VERBS = {
  create = { example = "create{...}" },
  get = { takes_id = true, may_omit = true, example = 'get("acti_...")' },
  update = { takes_id = true, example = 'update("acti_...", {...})' },
  delete = { example = 'delete("acti_...")' },
  cancel = { example = 'cancel("acti_...")' },
  send = { example = "send{...}" },
}

-- The two functions of a verb. Each verb takes one argument, or an id and one
-- more.
local function add_verb(resource, transport, name, verb)
  local function prepare(first, second)
    local wrong = params.check_dot(first, resource, verb.example)
    if wrong then return nil, wrong end
    local call, why = make[name](first, second, transport)
    if not call then return nil, why end
    call.name = name
    return call
  end

  resource[name] = function(first, second, options)
    if not verb.takes_id then second, options = nil, second end
    local call, why = prepare(first, second)
    return transport.perform(call, why, options)
  end

  resource[name .. "_async"] = function(first, second, callback, options)
    local shifts = not verb.takes_id or
      verb.may_omit and type(second) == "function"
    if shifts then second, callback, options = nil, second, callback end
    local call, why = prepare(first, second)
    return transport.launch(call, why, callback, options)
  end
end

--- The names of a resource's functions.
sms.NAMES = { "validate" }
for name in pairs(VERBS) do
  table.insert(sms.NAMES, name)
  table.insert(sms.NAMES, name .. "_async")
end
for _, name in ipairs(pages.NAMES) do table.insert(sms.NAMES, name) end

--- Checks what create takes, without any network.
---@param given close.CreateParams
---@return true|nil ok, close.Error? err with all violations in err.errors
function sms.validate(given)
  local call, why = make.create(given)
  if not call then return nil, why end
  return true
end

--- The resource for one client.
---@param transport table the client's perform, launch and tell
---@return close.SMS
function sms.new(transport)
  local resource = {}

  function resource.validate(given)
    local wrong = params.check_dot(given, resource, "validate{...}")
    if wrong then return nil, wrong end
    return sms.validate(given)
  end

  for name, verb in pairs(VERBS) do
    add_verb(resource, transport, name, verb)
  end
  pages.add(resource, transport)
  return resource
end

return sms
