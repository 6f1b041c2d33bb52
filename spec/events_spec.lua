-- on_event: one table for each attempt, whatever the function does.

local activity = require "spec.support.activity"
local core = require "close.core"
local drain = require "close.drain"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

-- A client whose events are collected, and what else to do with each.
local function listening(options, act)
  local events = {}
  options = options or {}
  options.on_event = function(event)
    events[#events + 1] = event
    if act then act(event, #events) end
  end
  return support.new(server, options), events
end

describe("an event", function()
  it("tells of an attempt that was answered", function()
    local client, events = listening()
    assert(client.sms.create(support.params()))
    assert.equal(1, #events)
    local event = events[1]
    assert.equal("POST", event.method)
    assert.equal("/activity/sms/", event.path)
    assert.equal(200, event.status)
    assert.equal(1, event.attempt)
    assert.is_true(event.seconds >= 0 and event.seconds < 10)
    assert.is_nil(event.outcome)
    assert.is_nil(event.kind)
    assert.is_nil(event.retry_in)
  end)

  it("tells of a failure what it was, and of the outcome", function()
    server:script{ { status = 500 } }
    local client, events = listening()
    client.sms.create(support.params())
    assert.equal(1, #events)
    assert.equal("server", events[1].kind)
    assert.equal("unknown", events[1].outcome)
    assert.is_nil(events[1].retry_in)
    assert.equal(500, events[1].status)
    assert.is_nil(events[1].code)
  end)

  it("has libcurl's code instead of a status without an answer", function()
    server:script{ { close = true } }
    local client, events = listening()
    local _, err = client.sms.create(support.params())
    assert.equal(1, #events)
    assert.equal("connection", events[1].kind)
    assert.is_nil(events[1].status)
    assert.is_true(events[1].code > 0)
    assert.equal(err.code, events[1].code)
  end)

  it("comes for each attempt, with the time to the next", function()
    server:script{ { status = 429, headers = { ["Retry-After"] = "0" } },
      { status = 429, headers = { ["Retry-After"] = "0" } } }
    local client, events = listening()
    local sms, _, response = client.sms.create(support.params())
    assert(sms)
    assert.equal(3, response.attempts)
    assert.equal(3, #events)
    for i = 1, 2 do
      assert.equal(i, events[i].attempt)
      assert.equal(429, events[i].status)
      assert.equal("rejected", events[i].outcome)
      assert.is_true(events[i].retry_in >= 0.125 * i)
    end
    assert.equal(3, events[3].attempt)
    assert.equal(200, events[3].status)
  end)

  it("has no more than it should", function()
    local known = { method = true, path = true, attempt = true, seconds = true,
      status = true, kind = true, outcome = true, code = true,
      retry_in = true }
    local client, events = listening()
    client.sms.create(support.params())
    server:script{ { at = "body", reset = true } }
    client.sms.create(support.params())
    assert.equal(2, #events)
    for _, event in ipairs(events) do
      for name in pairs(event) do assert.is_true(known[name], name) end
    end
  end)
end)

describe("a function for events", function()
  it("does not tell the query", function()
    local client, events = listening()
    assert(client:request("GET", "/lead/", { query = { query = "Jane" } }))
    assert.matches("?query=Jane", server:ledger()[1].target, 1, true)
    assert.same({ "/lead/", 1 }, { events[1].path, #events })
  end)

  it("comes for what a coroutine throws once its call is over", function()
    local client, events = listening{ loop = "poll" }
    coroutine.wrap(function()
      assert(client.sms.create(support.params()))
      error "a mistake in the coroutine"
    end)()
    assert.equal(0, client:wait(5))
    assert.equal(2, #events)
    assert.matches("a mistake in the coroutine", events[2].callback_error)
    assert.same({ "POST", "/activity/sms/" },
      { events[2].method, events[2].path })
  end)

  it("comes for what a callback throws, with its request", function()
    for _, loop in ipairs{ "blocking", "poll" } do -- poll: in a coroutine
      local client, events = listening{ loop = loop }
      client.sms.create_async(support.params(), function(sms, err, response)
        error(sms._type .. tostring(err) .. response.status, 0)
      end)
      assert.equal(0, client:wait(5))
      local told = events[2]
      assert.same({ 2, "SMSnil200", "POST", "/activity/sms/" },
        { #events, told.callback_error, told.method, told.path })
    end
  end)

  it("says that a callback threw what cannot be written", function()
    local thrown = setmetatable({}, { __tostring = function() error "no" end })
    local client, events = listening()
    client.sms.create_async(support.params(), function() error(thrown) end)
    assert.equal(0, client:wait(5))
    assert.equal("an error that is a table", events[2].callback_error)
  end)

  it("may throw", function()
    local client = listening(nil, function() error "oh" end)
    assert(client.sms.create(support.params()))
  end)

  it("may close the client: the answer that came is still told", function()
    local client
    client = listening(nil, function() client:close() end)
    assert(client.sms.create(support.params()))
    local _, err = client.sms.create(support.params())
    assert.equal("config", err.kind)
    assert.equal(1, #server:ledger())
  end)

  it("may close the client between two attempts", function()
    server:script{ { status = 429, headers = { ["Retry-After"] = "5" } } }
    local client
    client = listening(nil, function() client:close() end)
    local sms, err = client.sms.create(support.params())
    assert.is_nil(sms)
    assert.equal("cancelled", err.kind)
    assert.equal("rejected", err.outcome)
    assert.equal(1, #server:ledger())
  end)

  it("may make a call of its own", function()
    local client, inner
    client = listening(nil, function(_, n)
      if n == 1 then inner = client.sms.create(support.params()) end
    end)
    assert(client.sms.create(support.params()))
    assert(inner)
    assert.equal(2, #server:ledger())
  end)
end)

describe("an event", function()
  it("is told before its call's end, and names its path", function()
    local told, request
    local client = listening(nil, function(event)
      told[#told + 1] = event.path or "no path"
    end)
    assert.is_true(process.sometimes(function()
      server:reset()
      server:script{ { delay = 0.2 }, { delay = 20 } }
      told, request = {}, nil
      local was_early
      client.sms.create_async(support.params(), function()
        if request then request:cancel() else was_early = true end
      end)
      for _ = 1, 1000 do -- the first one is there first
        if #server:ledger() == 1 then break end
        client:wait(0.01)
      end
      if was_early then return false end
      request = client.sms.get_async("acti_x", function()
        told[#told + 1] = "end"
      end)
      assert.equal(0, client:wait(10))
      return true
    end))
    assert.same({ "/activity/sms/", "/activity/sms/acti_x/", "end" }, told)
  end)
end)

describe("calls beyond a used-up rate limit", function()
  it("wait for its reset", function()
    server:script{ { status = 200, body = activity, headers = {
      RateLimit = "limit=10, remaining=0, reset=0.3" } } }
    local client = support.new(server)
    assert(client.sms.create(support.params()))
    local _, _, response = assert(client.sms.create(support.params()))
    assert.is_true(response.elapsed >= 0.3)
    assert.equal(1, response.attempts)
  end)
end)

-- In nginx a call may be over as soon as it is begun, while on_event begins it.
it("on_event that causes an event each time does not block its host", function()
  local events = 0
  local state = {
    settings = { on_event = function() events = events + 1 end }, loop = {},
    engine = { event = function() return { id = 0 } end }, requests = {},
    questions = {}, deferred = {}, deferred_first = 1, deferred_last = 0,
    depth = 0, uncounted = 0, live = {}, pending = 0,
  }
  local till = core.now() + 0.01
  debug.sethook(function()
    if core.now() > till + 10 then error "it does not end" end
  end, "", 1e6)
  drain(state, till)
  debug.sethook()
  assert.is_true(events > 0)
end)
