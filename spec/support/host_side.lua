-- What the tests' Lua uses inside of any host: clients, what they are asked to
-- send, what a call came to in a form that JSON can have.
local close = require "close"

local side = {}

local made = {}

function side.client(url, options)
  local copy = { base_url = url, api_key = "api_hosts", timeout = 5 }
  for name, value in pairs(options or {}) do copy[name] = value end
  local client = assert(close.new(copy))
  made[#made + 1] = client
  return client
end

-- Closes all clients that were made here.
function side.close_all()
  for _, client in ipairs(made) do client:close() end
  made = {}
end

function side.params(text)
  return { status = "outbox", local_phone = "+14154445555",
    remote_phone = "+18183334444", text = text or "Hi!" }
end

-- What a call came to, as JSON can have it.
function side.facts(sms, err, response)
  return {
    id = sms and sms.id,
    kind = err and err.kind,
    outcome = err and err.outcome,
    message = err and err.message,
    line = err and tostring(err),
    status = response and response.status,
  }
end

-- Begins n calls; returns a table: done (how many ended), calls (how often each
-- callback ran), results.
function side.begin(client, n, options)
  local got = { done = 0, calls = {}, results = {} }
  for i = 1, n do
    got.calls[i] = 0
    local request, err = client.sms.create_async(side.params("call " .. i),
      function(...)
        got.calls[i] = got.calls[i] + 1
        got.done = got.done + 1
        got.results[i] = side.facts(...)
      end, options)
    assert(request, err)
  end
  return got
end

return side
