-- Clients of the tests, what they are asked to send, and what the tests ask of
-- an answer or an error.
local close = require "close"

local support = {}

support.KEY = "api_4kQz.tEsT-only"
support.RFC3339 = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.?%d*Z$"

support.KINDS = {
  validation = true, config = true, connection = true, tls = true,
  timeout = true, rate_limited = true, authentication = true,
  not_found = true, api = true, server = true, protocol = true,
  cancelled = true, memory = true,
}

support.OUTCOMES = { not_sent = true, rejected = true, unknown = true }

local made = {} -- clients that are to be closed

-- A client of a server (a table with url, or a base URL), with a key unless
-- the options have a credential of their own.
function support.new(server, options)
  local copy = {}
  for name, value in pairs(options or {}) do copy[name] = value end
  copy.base_url = type(server) == "table" and server.url or server
  if copy.api_key == nil and copy.access_token == nil then
    copy.api_key = support.KEY
  end
  local client = assert(close.new(copy))
  made[#made + 1] = client
  return client
end

-- Closes all clients that new made; for after_each.
function support.close_all()
  for _, client in ipairs(made) do client:close() end
  made = {}
end

-- Parameters of an SMS to send, with more fields or other values; false takes
-- a field out.
function support.params(more)
  local params = {
    status = "outbox", local_phone = "+14154445555",
    remote_phone = "+18183334444", text = "Hi!",
  }
  for name, value in pairs(more or {}) do
    if value == false then value = nil end
    params[name] = value
  end
  return params
end

function support.attachment(more)
  local item = {
    content_type = "image/png", filename = "a.png",
    url = "https://example.com/a.png",
  }
  for name, value in pairs(more or {}) do
    if value == false then value = nil end
    item[name] = value
  end
  return item
end

-- A copy of a value, tables in it too; metatables stay behind.
function support.copy(value, seen)
  if type(value) ~= "table" then return value end
  seen = seen or {}
  if seen[value] then return seen[value] end
  local copy = {}
  seen[value] = copy
  for key, item in pairs(value) do copy[key] = support.copy(item, seen) end
  return copy
end

-- err.errors as a sorted list of "field: code".
function support.faults(err)
  local list = {}
  for i, item in ipairs(err.errors) do
    list[i] = item.field .. ": " .. item.code
  end
  table.sort(list)
  return list
end

-- What has to be true of any error of the library. Says what is wrong, or nil.
function support.fault_of(err)
  if type(err) ~= "table" then return "the error is a " .. type(err) end
  if not support.KINDS[err.kind] then return "kind " .. tostring(err.kind) end
  if not support.OUTCOMES[err.outcome] then
    return "outcome " .. tostring(err.outcome)
  end
  if type(err.message) ~= "string" or err.message == "" then
    return "message " .. tostring(err.message)
  end
  if type(err.errors) ~= "table" then return "no list of errors" end
  local line = tostring(err)
  if line:find("[%c]") or #line > 1000 then return "line " .. line end
  if not line:find(err.kind, 1, true) then return "line " .. line end
end

-- Calls f and returns what it returns. Fails where it throws, or where it
-- returns neither a value nor nil and a whole error.
function support.calmly(f, ...)
  local results = { pcall(f, ...) }
  if not results[1] then
    error("it threw: " .. tostring(results[2]), 2)
  end
  if results[2] == nil then
    local fault = support.fault_of(results[3])
    if fault then error(fault, 2) end
  end
  return results[2], results[3], results[4]
end

local function visit(value, seen, see)
  if type(value) ~= "table" then return see(tostring(value)) end
  if seen[value] then return end
  seen[value] = true
  for key, item in next, value do
    visit(key, seen, see)
    visit(item, seen, see)
  end
  visit(getmetatable(value), seen, see)
end

-- Whether words occur anywhere in a value: its line, its fields, theirs.
function support.tells(value, word)
  local found = tostring(value):find(word, 1, true) ~= nil
  visit(value, {}, function(text)
    found = found or text:find(word, 1, true) ~= nil
  end)
  return found
end

-- Base64 (RFC 4648, 4), bit by bit.
function support.base64(bytes)
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    .. "abcdefghijklmnopqrstuvwxyz0123456789+/"
  local bits = bytes:gsub(".", function(c)
    local text, byte = "", c:byte()
    for i = 7, 0, -1 do
      text = text .. (math.floor(byte / 2 ^ i) % 2 == 1 and "1" or "0")
    end
    return text
  end)
  bits = bits .. ("0"):rep(-#bits % 6)
  local text = bits:gsub("%d%d%d%d%d%d", function(six)
    local at = tonumber(six, 2) + 1
    return alphabet:sub(at, at)
  end)
  return text .. ("="):rep(-#text % 4)
end

return support
