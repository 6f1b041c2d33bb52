-- A sandbox for the specs of the verbs: clients of it, and what it was asked,
-- holds and delivered, in a few words; and what a send of it has come to.
local assert = require "luassert"
local json = require("cjson").new()
local process = require "spec.support.process"
local sandbox = require "close.sandbox"
local support = require "spec.support.client"

local messages = {}

--- The lead of a message that has one.
messages.LEAD = "lead_5vNcXzLkJhGfDsAqWeRtYuIoP1mB2nV3cX4zL6kJ8hG"

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
  return process.eventually(function()
    if client then client:poll() end
    return holds()
  end)
end

--- A draft in the sandbox, with more fields; clears the faults.
function messages.draft(more)
  local sms = messages.client().sms.create(messages.params{ status = "draft",
    lead_id = more and more.lead_id })
  for name, value in pairs(more or {}) do
    if name ~= "lead_id" then
      assert(messages.client().sms.update(sms.id, { [name] = value }))
    end
  end
  server:clear_faults()
  return sms
end

--- Asserts that a send has delivered its message, and that alone.
function messages.is_delivered(sms, err, response)
  assert(sms, tostring(err))
  assert.is_nil(err)
  assert.equal(200, response.status)
  local held = messages.find(sms.id)
  assert.is_true(held.status == "sent" or held.status == "scheduled" or
    held.status == "outbox")
  assert.equal(1, (messages.count()))
  assert.is_true(response.elapsed > 0 and response.elapsed < 20)
end

--- Asserts that a send has failed like this, and returns its error.
function messages.has_failed(kind, outcome, sms, err)
  assert.is_nil(sms)
  assert.is_nil(support.fault_of(err))
  assert.equal(kind, err.kind)
  assert.equal(outcome, err.outcome)
  assert.equal("number", type(err.stray_drafts))
  return err
end

return messages
