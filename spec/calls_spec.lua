-- Several pending calls: their order, what a callback may do to others, and
-- what remains of a call that could not begin.
local activity = require "close.activity"
local core = require "close.core"
local json = require "close.json"
local raw = require "spec.support.raw_server"
local socket = require "socket"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function message(i)
  return support.params{ status = false, text = "No. " .. i }
end

local function taken()
  local posts, puts = 0, 0
  for _, request in ipairs(server:ledger()) do
    if request.method == "POST" then posts = posts + 1 end
    if request.method == "PUT" then puts = puts + 1 end
  end
  return posts, puts
end

describe("the queue", function()
  it("gives sends that have begun their turn before those that have not",
    function()
      server:default{ delay = 0.5 }
      local client = support.new(server, { max_in_flight = 4, timeout = 6 })
      local sent, unsent, drafts = 0, 0, 0
      for i = 1, 60 do
        assert(client.sms.send_async(message(i), function(sms, err)
          if sms then
            sent = sent + 1
          else
            assert(err.outcome ~= "rejected", tostring(err))
            unsent = unsent + 1
            if err.draft_id then drafts = drafts + 1 end
          end
        end))
      end
      assert.equal(0, client:wait(20))
      assert.equal(60, sent + unsent)
      assert.is_true(sent >= 4)
      assert.is_true(drafts <= 8)
      local posts, puts = taken()
      assert.is_true(posts - puts < 16) -- begun, and then out of time
      assert.is_true(posts < 40)        -- the others have not begun
    end)

  it("goes on with the pages of a walk", function()
    local function page(has_more, id)
      return { status = 200, body = ('{"has_more":%s,"data":[{"id":"%s",' ..
        '"date_created":"2026-11-23T08:00:0%d+00:00"}]}')
        :format(tostring(has_more), "acti_" .. id, id) }
    end
    server:script{ page(true, 9), page(true, 8), page(false, 7) }
    local client = support.new(server, { max_in_flight = 1 })
    local ids = 0
    client.sms.each_async({ _limit = 1 }, function(sms)
      if sms then ids = ids + 1 end
    end)
    for _ = 1, 3 do client.sms.get_async("acti_x", function() end) end
    assert.equal(0, client:wait(5))
    local methods = {}
    for i, request in ipairs(server:ledger()) do
      methods[i] = request.target:find "acti_x" and "get" or "page"
    end
    assert.equal("get get get", table.concat(methods, " ", #methods - 2))
    assert.is_true(ids > 0)
  end)
end)

describe("a callback that yields", function()
  for _, loop in ipairs{ "blocking", "poll", "luv" } do
    it("stops nobody else with the loop " .. loop, function()
      local client = support.new(server, { loop = loop,
        on_event = function() coroutine.yield() end })
      local begun, ended, threads = 0, 0, {}
      for _ = 1, 40 do
        client.sms.create_async(support.params(), function()
          begun = begun + 1
          threads[begun] = coroutine.running()
          coroutine.yield()
          ended = ended + 1
        end)
      end
      local driver = coroutine.create(function() client:wait(5) end)
      assert(coroutine.resume(driver))
      assert.equal("dead", coroutine.status(driver))
      assert.equal(40, begun)
      assert.equal(0, client:pending())
      if loop ~= "luv" then -- which runs no callback in a coroutine
        coroutine.resume(threads[1])
        assert.equal(1, ended)
      end
      local last
      client.sms.create_async(support.params(), function() last = true end)
      assert.equal(0, client:wait(5)) -- not too deep
      assert.is_true(last)
    end)
  end

  for _, driver in ipairs{ "a coroutine", "the main thread" } do
    it("may be one that creates, with the loop poll in " .. driver, function()
      local client = support.new(server, { loop = "poll" })
      local first, second
      client.sms.create_async(support.params(), function(sms)
        first = sms
        second = client.sms.create(support.params())
      end)
      local tick = coroutine.create(function()
        while true do
          client:poll()
          coroutine.yield()
        end
      end)
      local till = core.now() + 5
      while not second and core.now() < till do
        if driver == "a coroutine" then
          assert(coroutine.resume(tick))
        else
          client:poll()
        end
      end
      assert(first and second)
      assert.equal(0, client:pending())
    end)
  end
end)

describe("the callback of a call that is refused", function()
  it("may make such a call each time, and wait still ends", function()
    local client, called = support.new(server), 0
    local function again()
      called = called + 1
      if called < 100000 then client.sms.create_async({}, again) end
    end
    again()
    assert.equal(1, client:wait(0.05))
    assert.is_true(called > 1 and called < 100000)
  end)

  it("is not called by a poll that has had its time", function()
    local client, called = support.new(server, { loop = "poll" }), 0
    for _ = 1, 50 do
      client.sms.create_async({}, function()
        called = called + 1
        local till = core.now() + 0.001 -- more than a poll's time
        repeat until core.now() > till
      end)
    end
    assert.equal(49, client:poll())
    assert.equal(1, called)
    assert.equal(0, client:wait(5))
    assert.equal(50, called)
  end)

  it("is not called before the function returns that was given it", function()
    for _, params in ipairs{ support.params(), {} } do
      local client
      client = support.new(server, { access_token = function()
        client:close()
        return "t"
      end })
      local told = 0
      client.sms.create_async(params, function(_, err)
        assert(err.outcome ~= "unknown")
        told = told + 1
      end)
      assert.equal(0, told)
      assert.equal(0, client:wait(5))
      assert.equal(1, told)
    end
  end)

  it("is collected after it was called, and so is its error", function()
    local client = support.new(server)
    local weak, called = setmetatable({}, { __mode = "k" }), 0
    for i = 1, 20 do
      local function callback(_, err)
        called = called + i
        weak[err] = true
      end
      weak[callback] = true
      client.sms.create_async({}, callback)
    end
    assert.equal(0, client:wait(5))
    assert.equal(210, called)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
    assert.equal(0, client:pending())
  end)
end)

describe("a handle that is kept", function()
  it("cannot cancel what is over", function()
    local client, ended = support.new(server), 0
    local function count() ended = ended + 1 end
    local handles = { client.sms.send_async(message(1), count),
      client.sms.create_async(support.params(), count),
      client.sms.create_async({}, count) }
    assert.equal(0, client:wait(5))
    for _, handle in ipairs(handles) do assert.is_false(handle:cancel()) end
    client:close()
    for _, handle in ipairs(handles) do assert.is_false(handle:cancel()) end
    assert.same({ 3, 3 }, { #handles, ended })
  end)

  it("does not keep the body of its call", function()
    local client, handles = support.new(server), {}
    local function kilobytes()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local function send(i)
      handles[i] = client:request_async("POST", "/x/", function() end,
        { body = { i = i, text = ("x"):rep(1e6) } })
      assert.equal(0, client:wait(5))
    end
    send(1)
    server:reset()
    local before = kilobytes()
    for i = 2, 6 do send(i) end
    server:reset() -- it forgets the requests
    assert.is_true(kilobytes() - before < 2000)
    assert.is_false(handles[6]:cancel())
  end)
end)

describe("a callback", function()
  for name, params in pairs{ refused = {}, answered = support.params() } do
    it("may wait and poll, however many do so: " .. name, function()
      local thrown
      local client = support.new(server, { on_event = function(event)
        thrown = thrown or event.callback_error
      end })
      local called = 0
      for _ = 1, 250 do -- Lua allows 200 nested C calls
        client.sms.create_async(params, function()
          called = called + 1
          client:wait(5)
          client:poll()
        end)
      end
      assert.equal(0, client:wait(10))
      assert.equal(250, called)
      assert.is_nil(thrown)
    end)
  end
end)

describe("client:wait", function()
  it("takes a number of seconds, at least 0, or none", function()
    local client = support.new(server)
    for _, seconds in ipairs{ -1, -0.001, -math.huge, 0 / 0, "5", true, {} } do
      local left, err = client:wait(seconds)
      assert.is_nil(left)
      assert.equal("config", err.kind)
      assert.matches("a number of seconds, at least 0", err.message, 1, true)
    end
    for _, seconds in ipairs{ 0, 0.001, math.huge } do
      assert.equal(0, client:wait(seconds))
    end
    assert.equal(0, client:wait())
  end)
end)

describe("a callback that is interrupted", function()
  it("leaves nothing, however often that happens", function()
    local client = support.new(server)
    local weak = setmetatable({}, { __mode = "k" })
    for _ = 1, 40 do -- callbacks may wait inside each other 30 times
      client.sms.create_async({}, function(_, err)
        weak[err] = true
        error("interrupted!", 0)
      end)
      assert.same({ false, "interrupted!" }, { pcall(client.wait, client, 5) })
      assert.equal(0, client:pending())
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
    local sent
    client.sms.create_async(support.params(), function(sms) sent = sms end)
    assert.equal(0, client:wait(5))
    assert.is_table(sent)
  end)
end)

describe("the callbacks of calls that ended at once", function()
  it("are not called by a poll that has had its time", function()
    local client, called = support.new(server, { loop = "poll" }), 0
    for _ = 1, 20 do
      client.sms.create_async(support.params(), function()
        called = called + 1
        local till = core.now() + 0.001 -- more than a poll's time
        repeat until core.now() > till
      end)
    end
    local most, limit = 0, core.now() + 10
    while called < 20 and core.now() < limit do
      socket.sleep(0.05) -- for all answers that are under way
      local before = called
      client:poll()
      most = math.max(most, called - before)
    end
    assert.same({ 20, 1 }, { called, most })
  end)
end)

describe("a coroutine that waits, with the loop poll,", function()
  it("goes on to wait where other code resumes it", function()
    local client = support.new(server, { loop = "poll" })
    local ended = {}
    local thread = coroutine.create(function()
      for i = 1, 2 do
        local sms, err = client.sms.create(support.params())
        ended[i] = sms and "sent" or tostring(err)
      end
    end)
    for _ = 1, 3 do assert(coroutine.resume(thread)) end
    assert.same({}, ended)
    assert.equal(0, client:wait(5))
    assert.same({ "sent", "sent" }, ended)
    assert.equal("dead", coroutine.status(thread))
    assert.equal(2, #server:ledger())
  end)

  it("leaves no call if it is interrupted after its call", function()
    local client = support.new(server, { loop = "poll" })
    local thread = coroutine.create(function()
      assert(client.sms.create(support.params()))
      error("interrupted!", 0)
    end)
    assert(coroutine.resume(thread))
    assert.same({ false, "interrupted!" }, { pcall(client.wait, client, 5) })
    assert.equal("dead", coroutine.status(thread))
    assert.equal(0, client:pending())
  end)
end)

describe("a call that the engine", function()
  local engine = core.engine

  after_each(function() core.engine = engine end)

  local VERBS = { "submit", "step", "cancel", "deadline", "ready",
    "descriptor", "done", "next_done", "event", "close" }

  local thrown -- what the engine throws

  before_each(function() thrown = "thrown by a finalizer" end)

  -- A client whose engine throws at one verb, once, after that many times; it
  -- may have done it.
  local function throwing(verb, after, does, options)
    core.engine = function(...)
      local real, proxy, n = engine(...), {}, 0
      for _, name in ipairs(VERBS) do
        proxy[name] = function(_, ...)
          n = n + (name == verb and 1 or 0)
          local throws = name == verb and n == after + 1
          if throws and does then real[name](real, ...) end
          if throws then error(thrown, 0) end
          return real[name](real, ...)
        end
      end
      return proxy
    end
    return support.new(server, options)
  end

  local function failing(after, options)
    return throwing("submit", after, false, options)
  end

  it("does not take counts nothing, and nothing of it is sent", function()
    local client = failing(0)
    local ok, why = pcall(client.sms.create, support.params())
    assert.is_false(ok)
    assert.equal(thrown, why)
    assert.equal(0, client:pending())
    assert.equal(0, client:wait(1))
    assert(client.sms.create(support.params()))
    assert.equal(1, #server:ledger())
  end)

  it("does not take calls no callback", function()
    local client, calls = failing(0), 0
    local ok = pcall(client.sms.create_async, support.params(), function()
      calls = calls + 1
    end)
    assert.is_false(ok)
    assert.equal(0, client:pending())
    assert.equal(0, client:wait(1))
    assert.equal(0, calls)
    assert.equal(0, #server:ledger())
  end)

  it("does not take ends in its callback where it had begun", function()
    local client, calls, failure = failing(1), 0, nil
    client.sms.send_async(message(1), function(_, err)
      calls, failure = calls + 1, err
    end)
    assert.is_false((pcall(client.wait, client, 5)))
    assert.equal(0, client:wait(5))
    assert.equal(1, calls)
    assert.equal("cancelled", failure.kind)
    assert.equal("not_sent", failure.outcome)
    assert.is_string(failure.draft_id)
    local _, puts = taken()
    assert.equal(0, puts)
  end)

  it("does not take may have waited for credentials", function()
    local calls = 0
    local client = failing(0, { access_token = function() return "t" end })
    assert(client.sms.create_async(support.params(), function(_, err)
      calls = calls + 1
      assert.equal("cancelled", err.kind)
    end))
    assert.is_false((pcall(client.wait, client, 5)))
    assert.equal(0, client:wait(5))
    assert.equal(1, calls)
    assert.equal(0, #server:ledger())
  end)

  it("does not take after a try that Close may know is unknown", function()
    server:script{ { reset = true }, { status = 401 } }
    local client, submits = nil, 0
    core.engine = function(...)
      local real, proxy = engine(...), {}
      for _, name in ipairs(VERBS) do
        proxy[name] = function(_, ...)
          submits = submits + (name == "submit" and 1 or 0)
          if name == "submit" and submits == 2 then return client:close() end
          return real[name](real, ...)
        end
      end
      return proxy
    end
    client = support.new(server, { access_token = function() return "t" end })
    local _, err = client.sms.update("acti_x", { text = "x" })
    assert.same({ "cancelled", "unknown", 2 },
      { err.kind, err.outcome, #server:ledger() })
  end)

  it("has taken, unseen, is not sent", function()
    local client = throwing("submit", 0, true)
    assert.is_false((pcall(client.sms.create, support.params())))
    assert.equal(0, client:pending())
    assert(client.sms.get "acti_x")
    assert.equal("GET", server:ledger()[1].method)
  end)

  it("has ended, unseen, is told as unknown", function()
    local client, calls, failure = throwing("done", 0, true), 0, nil
    client.sms.create_async(support.params(), function(_, err)
      calls, failure = calls + 1, err
    end)
    assert.is_false((pcall(client.wait, client, 5)))
    assert.equal(0, client:wait(5))
    assert.equal(1, calls)
    assert.equal("unknown", failure.outcome)
  end)

  it("has ended, untaken, goes no further where its caller was told",
    function()
      local client = throwing("done", 0, false)
      local ok, why = pcall(client.sms.send, message(1))
      assert.same({ false, thrown }, { ok, why })
      assert.equal(0, client:pending())
      for _ = 1, 3 do assert(client.sms.get "acti_x") end
      assert.same({ 1, 0 }, { taken() }) -- the draft, and no promotion
    end)

  it("does not take if out of memory ends so", function()
    thrown = "not enough memory"
    local client, calls = failing(0), 0
    local sms, err = client.sms.create(support.params())
    assert.is_nil(sms)
    assert.same({ "memory", "not_sent" }, { err.kind, err.outcome })
    assert.is_nil(support.fault_of(err))
    client = failing(0)
    local request, why = client.sms.create_async(support.params(), function()
      calls = calls + 1
    end)
    assert.is_nil(request)
    assert.same({ "memory", "not_sent" }, { why.kind, why.outcome })
    assert.equal(0, client:wait(5))
    assert.same({ 0, 0 }, { calls, #server:ledger() })
  end)

  it("does not take if out of memory has its draft's id", function()
    thrown = "not enough memory"
    local _, err = failing(1).sms.send(message(1))
    assert.same({ "memory", "not_sent", 1, "string" }, { err.kind, err.outcome,
      err.attempts, type(err.draft_id) })
    local _, again = failing(2).sms.send(message(2))
    assert.is_nil(again) -- there are two requests
  end)

  it("has ended, unseen, is out of memory, and nobody else", function()
    thrown = "not enough memory"
    local failure
    local client = throwing("done", 0, true, { max_in_flight = 1 })
    client.sms.create_async(support.params(), function(_, err)
      failure = err
    end)
    assert(client.sms.create(support.params()))
    assert.equal(0, client:wait(5))
    assert.same({ "memory", "unknown" }, { failure.kind, failure.outcome })
  end)
end)

describe("a client that is closed", function()
  it("tells all calls, though memory lacks for one of them", function()
    local requests, told = require "close.request", {}
    local take = requests.take
    local client = support.new(server)
    for i = 1, 3 do
      assert(client.sms.create_async(support.params(), function(_, err)
        told[i] = err and err.kind
      end))
    end
    requests.take = function()
      requests.take = take
      error("not enough memory", 0)
    end
    local ok, why = pcall(client.close, client)
    requests.take = take
    assert(ok, why)
    assert.same({ "memory", "cancelled", "cancelled" }, told)
    assert.equal(0, client:pending())
  end)

  it("tells in a poll what an interrupt kept from being told", function()
    local client, calls = support.new(server), 0
    for _ = 1, 3 do
      assert(client.sms.create_async(support.params(), function()
        calls = calls + 1
        if calls == 1 then error("interrupted!", 0) end
      end))
    end
    assert.same({ false, "interrupted!" }, { pcall(client.close, client) })
    assert.equal(1, calls)
    for _ = 1, 100 do
      if client:pending() == 0 then break end
      assert(client:poll())
    end
    assert.equal(3, calls)
    local pending, err = client:poll()
    assert.is_nil(pending)
    assert.matches("the client is closed", err.message)
  end)
end)

describe("an answer that there is no memory for", function()
  local decode = json.decode
  after_each(function() json.decode = decode end)

  -- At that many answers.
  local function fail_at(n)
    json.decode = function(text)
      n = n - 1
      if n == 0 then error("not enough memory", 0) end
      return decode(text)
    end
  end

  it("is told, with what is known", function()
    local client = support.new(server)
    fail_at(1)
    local _, err, response = client.sms.create(support.params())
    assert.same({ "memory", "unknown", 1 }, { err.kind, err.outcome,
      err.attempts })
    assert.is_nil(err.draft_id)
    assert.is_nil(err.stray_drafts)
    assert.equal(200, response.status)
    fail_at(2)
    _, err = client.sms.send(message(1))
    assert.same({ "memory", "unknown", "string", 0 }, { err.kind, err.outcome,
      type(err.draft_id), err.stray_drafts })
    fail_at(1)
    _, err = client.sms.send(message(2))
    assert.same({ "memory", "not_sent" }, { err.kind, err.outcome })
    assert.is_nil(err.draft_id)
    assert.equal(0, client:pending())
  end)

  it("leaves a refusal what it is", function()
    server:script{ { status = 400, body = { error = "no" } } }
    fail_at(1)
    local _, err = support.new(server).sms.create(support.params())
    assert.same({ "memory", "rejected", 1 }, { err.kind, err.outcome,
      err.attempts })
  end)

  it("is told in the callback, once", function()
    local client, calls, failure = support.new(server), 0, nil
    for _, name in ipairs{ "create_async", "send_async" } do
      fail_at(1)
      local given = name == "send_async" and message(1) or support.params()
      client.sms[name](given, function(_, err)
        calls, failure = calls + 1, err
      end)
      assert.equal(0, client:wait(5))
      assert.equal("memory", failure.kind)
    end
    assert.equal(2, calls)
  end)

  it("is told to each call in an error of its own", function()
    local client, told = support.new(server), {}
    json.decode = function() error("not enough memory", 0) end
    local given = { { draft_id = "acti_1" }, message(1),
      { draft_id = "acti_2" } }
    for i, params in ipairs(given) do
      client.sms.send_async(params, function(_, err) told[i] = err end)
    end
    assert.equal(0, client:wait(5))
    local facts = {}
    for i, err in ipairs(told) do -- once all have been told
      facts[i] = { err.kind, err.outcome, err.draft_id or "none" }
    end
    assert.same({ { "memory", "unknown", "acti_1" },
      { "memory", "not_sent", "none" }, { "memory", "unknown", "acti_2" } },
      facts)
  end)
end)

describe("a mistake of ours in the middle of a call", function()
  local decode = activity.decode
  after_each(function() activity.decode = decode end)

  it("leaves the outcome unknown, and harms no other call", function()
    local client, told = support.new(server), {}
    for at = 1, 2 do -- with the answer for the draft, or for its promotion
      local n = 0
      activity.decode = function(...)
        n = n + 1
        if n == at then error "a mistake" end
        return decode(...)
      end
      local sms, err = support.calmly(client.sms.send, message(at))
      assert.is_nil(sms)
      assert.same({ "protocol", "unknown", at }, { err.kind, err.outcome,
        err.attempts })
      assert.matches("could not be dealt with: .*a mistake", err.message)
    end
    client.sms.send_async(message(3), function(...) told = { ... } end)
    assert.equal(0, client:wait(5))
    assert(told[1], tostring(told[2]))
  end)
end)
