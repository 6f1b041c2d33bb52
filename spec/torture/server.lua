-- A small Close for the torture tests: one thread, a ledger by text. Ends with
-- its standard input. Prints a line of words: its URL; and where it is told
-- "tls", the URLs of an nginx before it, which speaks HTTP/1.1 and HTTP/2 over
-- TLS, and the file of the authority.
local json = require("cjson").new()
local socket = require "socket"

local listener = assert(socket.bind("127.0.0.1", 0, 64))
local port = select(2, listener:getsockname())
local base = ("http://127.0.0.1:%d"):format(port)
local messages, sent, last_id = {}, {}, 0

local function count(text) sent[text] = (sent[text] or 0) + 1 end

local function note(message)
  if message.status == "outbox" then count(message.text) end
  return message
end

local routes = {}

function routes.POST(path, body)
  if path:find "^/storage" then
    count "file"
    return nil
  elseif path:find "/files/upload/$" then
    return { upload = { url = base .. "/storage", fields = { key = "a" } },
      download = { url = base .. "/file" } }
  end
  last_id = last_id + 1
  body.id = "acti_" .. last_id
  body.date_created = os.date("!%Y-%m-%dT%H:%M:%SZ")
  messages[body.id] = body
  return note(body)
end

function routes.PUT(path, body)
  local message = assert(messages[path:match "(acti_%d+)/$"])
  local was_draft = message.status == "draft"
  for name, value in pairs(body) do message[name] = value end
  return was_draft and note(message) or message
end

-- Five SMS, in two pages where so many are asked for.
function routes.GET(path, _, query)
  local text = path:match "^/ledger/(.*)$"
  if text then return { count = sent[text] or 0 } end
  local id = path:match "(acti_%d+)/$"
  if id then return messages[id] end
  local data = {}
  local first = query:find "date_created__lte" and 3 or 1
  for i = first, first + 2 do
    data[#data + 1] = { id = "acti_" .. i,
      date_created = ("2026-11-0%dT12:00:00Z"):format(6 - i) }
  end
  return { data = data,
    has_more = first == 1 and query:find "pages" ~= nil }
end

function routes.DELETE() return {} end

local function respond(client, head, body)
  local method, path, query = head:match "^(%u+) ([^ ?]*)([^ ]*)"
  local fine, value = pcall(json.decode, body)
  value = routes[method](path, fine and value or {}, query)
  local text = value and json.encode(value) or ""
  client:send(("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s"):format(
    value and "200 OK" or "201 Created", #text, text))
end

-- Takes the whole requests off a connection's buffer.
local function take(client, buffer)
  while true do
    local head, rest = buffer:match "^(.-\r\n\r\n)(.*)$"
    local length = head and tonumber(head:lower():match(
      "content%-length: *(%d+)") or 0)
    if not head or #rest < length then return buffer end
    respond(client, head, rest:sub(1, length))
    buffer = rest:sub(length + 1)
  end
end

local addresses = { base }
if arg[1] == "tls" then
  package.path = "./?.lua;" .. package.path
  local front = require("spec.support.nginx").start{ upstream = base }
  for i, url in ipairs{ front.https, front.h2 } do
    addresses[i + 1] = url:match "^https://[^/]+"
  end
  addresses[4] = front.ca_file
end
print(table.concat(addresses, " "))
io.stdout:flush()

local parent = { getfd = function() return 0 end, dirty = function() end }
local buffers = {}
while true do
  local watched = { listener, parent }
  for client in pairs(buffers) do watched[#watched + 1] = client end
  for _, ready in ipairs((socket.select(watched))) do
    if ready == parent then
      os.exit(0)
    elseif ready == listener then
      local client = listener:accept()
      client:settimeout(0)
      client:setoption("tcp-nodelay", true)
      buffers[client] = ""
    else
      local all, why, part = ready:receive(65536)
      buffers[ready] = take(ready, buffers[ready] .. (all or part))
      if why == "closed" then
        ready:close()
        buffers[ready] = nil
      end
    end
  end
end
