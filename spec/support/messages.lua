-- A sandbox for the specs of the verbs: clients of it, and what it was asked,
-- holds and delivered, in a few words.
local json = require("cjson").new()
local sandbox = require "close.sandbox"
local support = require "spec.support.client"

local messages = {}

local server

--- For setup, teardown and before_each.
function messages.start()
  server = assert(sandbox.start())
  return server
end

function messages.stop() server:stop() end

function messages.reset() assert(server:reset()) end

--- A client of the sandbox, which knows its credentials.
function messages.client(options)
  local copy = { timeout = 10 }
  for name, value in pairs(options or {}) do copy[name] = value end
  if not copy.access_token then copy.api_key = server.api_key end
  return support.new(server, copy)
end

--- What is sent, with more fields or other values; false takes a field out.
function messages.params(more)
  local params = support.params(more)
  if not (more and more.status) then params.status = nil end
  return params
end

function messages.fault(fault) assert(server:fault(fault)) end

--- The requests as words: "POST PUT GET LIST DELETE".
function messages.wire()
  local words = {}
  for i, request in ipairs(server:requests()) do
    local is_list = request.method == "GET" and request.path:find "/sms/$"
    words[i] = is_list and "LIST" or request.method
  end
  return table.concat(words, " ")
end

--- The requests of one method, their bodies decoded.
function messages.requests(method)
  local list = {}
  for _, request in ipairs(server:requests()) do
    if not method or request.method == method then
      request.json = request.body ~= "" and json.decode(request.body) or nil
      list[#list + 1] = request
    end
  end
  return list
end

local SENDING = { outbox = true, scheduled = true, sent = true }

--- How many messages were delivered, or will be; and how many drafts there are.
function messages.count()
  local delivered, drafts = 0, 0
  for _, message in ipairs(server:messages()) do
    if SENDING[message.status] then delivered = delivered + 1 end
    if message.status == "draft" then drafts = drafts + 1 end
  end
  return delivered, drafts
end

--- The SMS with this id, or nil.
function messages.find(id)
  for _, message in ipairs(server:messages()) do
    if message.id == id then return message end
  end
end

--- A callback that counts, and keeps what it got.
function messages.collector()
  local got = { calls = 0 }
  return got, function(...)
    got.calls = got.calls + 1
    got.value, got.err, got.response = ...
  end
end

--- Until something holds; false where it never does. Polls the client, if any.
function messages.eventually(holds, client)
  local socket = require "socket"
  local deadline = socket.gettime() + 10
  repeat
    if client then client:poll() end
    if holds() then return true end
    socket.sleep(0.002)
  until socket.gettime() > deadline
  return false
end

return messages
