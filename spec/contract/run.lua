-- Runs one case of the contract inside of a host.
--   run(name, url, loop) -> true | false, why
local cases = require "spec.contract.cases"
local close = require "close"

local PATIENCE, STEP = 20, 0.05 -- seconds

local function params(more)
  local made = { status = "outbox", text = "Hi!",
    local_phone = "+14154445555", remote_phone = "+18183334444" }
  for name, value in pairs(more or {}) do made[name] = value end
  return made
end

local function tools(url, loop)
  local t = { params = params, leaves_later = loop ~= "ngx" }
  local made = {}

  function t.client(options)
    local copy = { base_url = url, loop = loop, timeout = 10 }
    for name, value in pairs(options or {}) do copy[name] = value end
    if not copy.access_token then copy.api_key = "api_contract" end
    local client = assert(close.new(copy))
    made[#made + 1] = client
    return client
  end

  function t.until_done(client)
    local left = client:wait(PATIENCE)
    assert(not left or left == 0, "calls are still pending")
  end

  --- Waits until something holds, and then until a request has left: in short
  --- steps, so that a stall of the machine takes but one of them.
  function t.let_leave(client, holds)
    for _ = 1, PATIENCE / STEP do
      if not holds or holds() then break end
      client:wait(STEP)
    end
    for _ = 1, 4 do client:wait(STEP) end
  end

  --- Runs f where calls may wait: with the loop poll, in a coroutine.
  function t.within(client, f)
    if loop ~= "poll" then return f() end
    local thread = coroutine.create(f)
    local ok, why = coroutine.resume(thread)
    assert(ok, why)
    if coroutine.status(thread) ~= "dead" then t.until_done(client) end
    assert(coroutine.status(thread) == "dead", "it did not return")
  end

  -- What waits, the host's way.
  local function call(client, f, first, second, third)
    local value, err, response
    t.within(client, function()
      value, err, response = f(first, second, third)
    end)
    return value, err, response
  end

  --- A verb of the SMS resource, the host's way.
  function t.call(client, verb, ...)
    return call(client, client.sms[verb], ...)
  end

  function t.upload(client, ...)
    return call(client, client.files.upload, ...)
  end

  function t.request(client, method, path, options)
    return call(client, function()
      return client:request(method, path, options)
    end)
  end

  function t.create(client, ...) return t.call(client, "create", ...) end

  --- What send takes.
  function t.message(more)
    local message = params(more)
    message.status = nil
    return message
  end

  function t.close_all()
    for _, client in ipairs(made) do client:close() end
  end

  return t
end

return function(name, url, loop)
  for _, case in ipairs(cases) do
    if case.name == name then
      local t = tools(url, loop)
      local ok, why = pcall(case.run, t)
      t.close_all()
      return ok, why
    end
  end
  return false, "there is no such case"
end
