-- client:request: any request of Close's API, as an operation.
-- Source: developer.close.com, "API clients", "Making requests"

local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"
local operations = require "close.operation"
local raw_pairs = require "close.raw_pairs"
local requests = require "close.request"

local MAX_PATH, MAX_QUERY = 8000, 64 * 1024 -- bytes, before they are escaped
local METHODS = { GET = true, POST = true, PUT = true, PATCH = true,
  DELETE = true }
local OWN = { query = true, body = true, repeatable = true }

local raw = {}

local function read(response)
  if response.body == "" then return true end
  local value = json.decode(response.body)
  if value ~= nil then return value end
  return nil, errors.unreadable(response, "JSON")
end

local VERB = { name = "request", read = read,
  own_options = "query, body, repeatable" }

-- ---- the params ----

local function add(list, field, code, message)
  list[#list + 1] = { field = field, code = code, message = message }
end

local function check_method(method, list)
  if METHODS[method] then return end
  add(list, "method", type(method) == "string" and "enum" or "type",
    'method must be "GET", "POST", "PUT", "PATCH" or "DELETE"')
end

-- What is wrong with a path's form, or nil. A part that is dots only would
-- change the address: curl resolves it (RFC 3986, 5.2.4).
local function why_not_path(path)
  if path:sub(1, 1) ~= "/" then
    return 'must begin with "/", as in "/lead/": it goes after base_url'
  elseif path:find "^[^?#]*%?" then
    return "must have no query: give that as options.query, as in " ..
      "{query = {_limit = 10}}"
  elseif (path .. "/"):find "/%.%.?/" or path:lower():find("%2e", 1, true) then
    return 'must have no part "." or "..", and no dot as "%2E"'
  end
  local at = path:find "[^%w%-._~!$&'()*+,;=:@/%%]"
  return at and ("must have the character at byte %d escaped, as \"%%20\" " ..
    "is for a space"):format(at)
end

local function check_path(path, list)
  if type(path) ~= "string" then
    return add(list, "path", "type",
      'path must be a string such as "/lead/", got ' .. core.type_name(path))
  end
  if #path > MAX_PATH then
    return add(list, "path", "range",
      ("path must have at most %d bytes"):format(MAX_PATH))
  end
  local why = why_not_path(path)
  if why then add(list, "path", "format", "path " .. why) end
end

-- What a query says of a string, a number or a boolean; nil for all else.
local function value_of(item)
  if type(item) == "number" then return json.number(item) end
  if type(item) == "boolean" then return tostring(item) end
  return type(item) == "string" and item or nil
end

local function wrong_item(name, item)
  if type(name) ~= "string" then
    return "query must have names, as in {_limit = 10}"
  end
  return ("query.%s must be a string, a finite number or a boolean, got %s")
    :format(errors.shown(name), type(item) == "number" and tostring(item) or
      core.type_name(item))
end

-- The size of a query, or nil and what is wrong with it.
local function measure(query)
  local bytes = 0
  for name, item in raw_pairs(query) do
    local text = type(name) == "string" and value_of(item)
    if not text then return nil, "type", wrong_item(name, item) end
    bytes = bytes + #name + #text + #"=&"
  end
  if bytes <= MAX_QUERY then return bytes end
  return nil, "range", ("query must have at most %d bytes"):format(MAX_QUERY)
end

-- Writes strings, numbers and booleans by name, sorted.
local function write_query(query, list)
  if query == nil then return "" end
  if type(query) ~= "table" then
    add(list, "query", "type",
      "query must be a table such as {_limit = 10}, got " ..
      core.type_name(query))
    return ""
  end
  local bytes, code, why = measure(query)
  if not bytes then
    add(list, "query", code, why)
    return ""
  end
  local parts = {}
  for name, item in raw_pairs(query) do
    parts[#parts + 1] = core.escape(name) .. "=" .. core.escape(value_of(item))
  end
  table.sort(parts)
  return parts[1] and "?" .. table.concat(parts, "&") or ""
end

local function write_body(body, list)
  if body == nil then return nil end
  if type(body) ~= "table" then
    return add(list, "body", "type",
      "body must be a table, which is sent as JSON, got " ..
      core.type_name(body))
  end
  local bytes, why = json.min_size(body)
  local text
  if bytes and bytes <= core.max_body then
    text, why = json.encode(body)
    bytes = text and #text
  end
  if not bytes then
    return add(list, "body", "type", "body cannot be written as JSON: " .. why)
  end
  if bytes <= core.max_body then return text end
  add(list, "body", "range",
    ("body must have at most %d bytes of JSON"):format(core.max_body))
end

-- Splits the options: those of the request, those of the call.
local function split(given)
  if type(given) ~= "table" then return {}, given end
  local own, call_options = {}, {}
  for name, value in raw_pairs(given) do
    local half = OWN[name] and own or call_options
    half[name] = value
  end
  return own, call_options
end

--- Makes the operation for a request.
---@param method string
---@param path string
---@param given table|nil
---@return table|nil operation
---@return close.Error|nil err
---@return table|nil call_options
function raw.prepare(method, path, given)
  local own, call_options = split(given)
  local list = {}
  check_method(method, list)
  check_path(path, list)
  local query, body = write_query(own.query, list), write_body(own.body, list)
  if own.repeatable ~= nil and type(own.repeatable) ~= "boolean" then
    add(list, "repeatable", "type", "repeatable must be true or false")
  end
  if list[1] then return nil, errors.validation(list) end
  local endpoint = { method = method, group = method .. " " .. path,
    repeatable = own.repeatable }
  return operations.new(VERB, requests.new(endpoint, path .. query, body)),
    nil, call_options
end

return raw
