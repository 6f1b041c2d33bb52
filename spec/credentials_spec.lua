-- The key or the token: which values are accepted, and functions that return
-- one.
local close = require "close"
local process = require "spec.support.process"
local questions = require "close.question"
local raw = require "spec.support.raw_server"
local socket = require "socket"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function refuses(options)
  options.base_url = server.url
  local client, err = support.calmly(close.new, options)
  assert.is_nil(client)
  assert.equal("config", err.kind)
  return err
end

-- What the requests had as Authorization.
local function sent()
  local list = {}
  for i, request in ipairs(server:ledger()) do
    list[i] = request.headers.authorization
  end
  return list
end

local function basic(key) return "Basic " .. support.base64(key .. ":") end

describe("credentials", function()
  it("are a key or a token, not both", function()
    local err = refuses{ api_key = "a", access_token = "b" }
    assert.matches("api_key", err.message)
    assert.matches("access_token", err.message)
    refuses{ api_key = "a", access_token = function() return "b" end }
  end)

  it("are refused where they could not travel as they are", function()
    for _, name in ipairs{ "api_key", "access_token" } do
      for _, value in ipairs{ "", "s3cret\n", "s3cret\r\nX-Evil: 1",
        "s3cret\0", "s3c ret", " s3cret", "s3cret\t", "s3cret\195\164",
        "s3cret\255", "\127s3cret" } do
        local err = refuses{ [name] = value }
        assert.matches(name, err.message)
        assert.is_false(support.tells(err, "s3c"))
      end
    end
    assert.is_false(support.tells(refuses{ api_key = "s3c:ret" }, "s3c"))
    refuses{ api_key = ":" }
  end)

  it("as a token may have a colon", function()
    local client = support.new(server, { access_token = "a:b" })
    assert(client.sms.create(support.params()))
    assert.same({ "Bearer a:b" }, sent())
  end)

  it("of two clients do not mix", function()
    local one = support.new(server, { api_key = "one" })
    local two = support.new(server, { access_token = "two" })
    for _ = 1, 2 do
      assert(one.sms.create(support.params()))
      assert(two.sms.create(support.params()))
    end
    assert.same({ basic "one", "Bearer two", basic "one", "Bearer two" },
      sent())
  end)
end)

describe("a function for the credentials", function()
  -- A client whose function returns t1, t2, ...; and how often it was called.
  local function counting(options)
    local calls = 0
    options = options or {}
    options.access_token = function()
      calls = calls + 1
      return "t" .. calls
    end
    return support.new(server, options), function() return calls end
  end

  it("is not called before it is needed, and then once", function()
    local client, calls = counting()
    assert.equal(0, calls())
    client.sms.validate(support.params())
    client.sms.create{}
    assert.equal(0, calls())
    for _ = 1, 3 do assert(client.sms.create(support.params())) end
    assert.equal(1, calls())
    assert.same({ "Bearer t1", "Bearer t1", "Bearer t1" }, sent())
  end)

  it("may give an API key", function()
    local client = support.new(server, { api_key = function() return "k" end })
    assert(client.sms.create(support.params()))
    assert.same({ basic "k" }, sent())
  end)

  it("is asked again after a 401, and the call goes on", function()
    server:script{ { status = 401, body = { error = "stale" } } }
    local client, calls = counting()
    local sms, err, response = client.sms.create(support.params())
    assert(sms, tostring(err))
    assert.equal(2, response.attempts)
    assert(client.sms.create(support.params()))
    assert.equal(2, calls())
    assert.same({ "Bearer t1", "Bearer t2", "Bearer t2" }, sent())
  end)

  it("is asked once for each call, however often that fails", function()
    server:default{ status = 401, body = { error = "no" } }
    local client, calls = counting()
    local _, err = client.sms.create(support.params())
    assert.equal("authentication", err.kind)
    assert.equal("rejected", err.outcome)
    assert.equal(401, err.status)
    assert.equal(2, err.attempts)
    assert.equal(2, calls())
    assert.equal(2, #server:ledger())
  end)

  it("is asked by the next call where max_retries is 0", function()
    server:script{ { status = 401 } }
    local client = counting{ max_retries = 0 }
    local _, err = client.sms.create(support.params())
    assert.equal("authentication", err.kind)
    assert.equal(1, err.attempts)
    assert(client.sms.create(support.params()))
    assert.same({ "Bearer t1", "Bearer t2" }, sent())
  end)

  it("counts the 401 among the retries of the request", function()
    server:script{ { status = 401 } }
    server:default{ status = 503 }
    local client, calls = counting{ max_retries = 1 }
    local _, err = client.sms.get "acti_1"
    assert.same({ "server", 2, 2 }, { err.kind, err.attempts, calls() })
  end)

  it("is asked once where two calls meet a 401", function()
    assert.is_true(process.sometimes(function() -- the second may come late
      server:reset()
      server:script{ { status = 401, delay = 0.1 },
        { status = 401, delay = 0.3 } }
      local client, calls = counting()
      local got = 0
      for _ = 1, 2 do
        assert(client.sms.get_async("acti_1", function(sms)
          if sms then got = got + 1 end
        end))
      end
      assert.equal(0, client:wait(5))
      if sent()[2] ~= "Bearer t1" then return false end
      assert.same({ 2, 2 }, { got, calls() })
      return true
    end))
    assert.same({ "Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2" }, sent())
  end)

  it("leaves the 401 where it fails the second time", function()
    server:default{ status = 401, body = { error = "stale" } }
    local calls = 0
    local client = support.new(server, { access_token = function()
      calls = calls + 1
      return calls == 1 and "t1" or nil
    end })
    local _, err, response = client.sms.create(support.params())
    assert.equal("authentication", err.kind)
    assert.equal("rejected", err.outcome)
    assert.equal("stale", err.errors[1].message)
    assert.equal(401, response.status)
    assert.equal(1, #server:ledger())
  end)

  for name, act in pairs{
    ["is cancelled"] = function(_, request) request:cancel() end,
    ["ends with its client"] = function(client) client:close() end,
  } do
    it("is not asked about a 401 whose call " .. name, function()
      server:default{ status = 401 }
      local client, request
      local asked, told, err = 0, 0, nil
      client = support.new(server, {
        access_token = function()
          asked = asked + 1
          return "t" .. asked
        end,
        on_event = function(event)
          if event.status == 401 then act(client, request) end
        end,
      })
      request = client.sms.create_async(support.params(), function(_, why)
        told, err = told + 1, why
      end)
      client:wait(5)
      assert.equal(0, client:pending())
      assert.same({ 1, 1, 1 }, { asked, told, #server:ledger() })
      assert.equal(401, err.status)
      assert.equal("rejected", err.outcome)
    end)
  end

  it("is not asked about a 401 that a constant key got", function()
    server:default{ status = 401, body = { error = "no" } }
    local _, err = support.new(server).sms.create(support.params())
    assert.equal(1, err.attempts)
    assert.equal(1, #server:ledger())
  end)

  it("that fails ends the call before anything is sent", function()
    local hostile = setmetatable({}, { __tostring = function() error "x" end })
    local client
    for _, source in ipairs{
      function() end, function() return nil, "no network" end,
      function() return nil, hostile end, function() return false end,
      function() error "boom" end, function() error(hostile) end,
      function() error() end, function() return 5 end,
      function() return {} end, function() return hostile end,
      function() return "" end, function() return "s3c ret" end,
      function() return "s3cret\n" end, function() return ("x"):rep(1e6) end,
      function() return print end, function() client:close() return "t" end,
    } do
      for _, name in ipairs{ "api_key", "access_token" } do
        client = support.new(server, { [name] = source })
        local sms, err = support.calmly(client.sms.create, support.params())
        assert.is_nil(sms)
        assert.equal("authentication", err.kind)
        assert.equal("not_sent", err.outcome)
        assert.equal(0, err.attempts)
        assert.is_false(support.tells(err, "s3c"))
      end
    end
    assert.equal(0, server:connections())
  end)

  it("that fails as another call did says why that failed", function()
    local other = support.new(server)
    for _, source in ipairs{
      function() return other:request("GET", 5) end,
      function() error((select(2, other:request("GET", 5)))) end } do
      local _, err = support.new(server, { access_token = source })
        .sms.create(support.params())
      assert.equal("authentication", err.kind)
      assert.matches(': path must be a string such as "/lead/", got a number$',
        err.message)
    end
  end)

  it("that failed is asked again by the next call", function()
    local answers, calls = { nil, "t2" }, 0
    local client = support.new(server, { access_token = function()
      calls = calls + 1
      return answers[calls], "not yet"
    end })
    local _, err = client.sms.create(support.params())
    assert.matches("not yet", err.message)
    assert(client.sms.create(support.params()))
    assert.same({ "Bearer t2" }, sent())
  end)

  it("that ran out of memory ends the call as any lack of it", function()
    local client = support.new(server, { access_token = function()
      error("not enough memory", 0) -- Lua's own words
    end })
    local sms, err = client.sms.create(support.params())
    assert.is_nil(sms)
    assert.equal("memory", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.same({}, sent())
  end)

  it("is part of the call's timeout", function()
    local client, err, _
    assert.is_true(process.sometimes(function() -- the 401 may come too late
      server:reset()
      server:script{ { status = 401 } }
      local calls = 0
      client = support.new(server, { access_token = function()
        calls = calls + 1
        if calls == 2 then require "socket".sleep(0.3) end
        return "t" .. calls
      end })
      _, err = client.sms.create(support.params(), { timeout = 0.2 })
      return calls == 2
    end))
    assert.equal("rejected", err.outcome)
    assert.equal(1, #server:ledger())
    client = support.new(server, { access_token = function()
      require "socket".sleep(0.3)
      return "t"
    end })
    _, err = client.sms.create(support.params(), { timeout = 0.2 })
    assert.equal("timeout", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.matches("passed in the function for the credentials", err.message)
    assert(client.sms.create(support.params())) -- it is known by now
    assert.equal(2, #server:ledger())
  end)

  it("that waits for its own client's calls fails", function()
    local client, err
    client = support.new(server, { access_token = function()
      local _
      _, err = client.sms.create(support.params())
      return "t"
    end })
    assert(client.sms.create(support.params()))
    assert.equal("authentication", err.kind)
    assert.matches("another client", err.message)
    assert.equal(1, #server:ledger())
  end)

  it("is not asked where a finalizer's call has brought them", function()
    local new = questions.new
    local client, calls = counting()
    questions.new = function(...)
      questions.new = new
      assert(client.sms.create(support.params()))
      return new(...)
    end
    local ok, sms, err = pcall(client.sms.create, support.params())
    questions.new = new
    assert(ok and sms, tostring(err or sms))
    assert.equal(1, calls())
    assert.same({ "Bearer t1", "Bearer t1" }, sent())
  end)

  it("is asked once where a finalizer's call waits for it already", function()
    local new, client = questions.new, nil
    local calls, told = 0, 0
    local function tell() told = told + 1 end
    client = support.new(server, { access_token = function()
      calls = calls + 1
      if calls == 1 then
        assert(client.sms.create_async(support.params(), tell))
        error("interrupted!", 0)
      end
      return "t" .. calls
    end })
    questions.new = function(...)
      questions.new = new
      pcall(client.sms.create_async, support.params(), tell)
      return new(...)
    end
    local ok, sms, err = pcall(client.sms.create, support.params())
    questions.new = new
    assert(ok and sms, tostring(err or sms))
    assert.equal(0, client:wait(5))
    assert.same({ 2, 1 }, { calls, told })
    assert.same({ "Bearer t2", "Bearer t2" }, sent())
  end)

  for _, loop in ipairs{ "blocking", "poll", "luv" } do
    it("that was interrupted is called again, in the loop " .. loop, function()
      server:script{ { status = 401 } }
      local calls, told = 0, 0
      local client = support.new(server, { loop = loop,
        access_token = function()
          calls = calls + 1
          if calls == 2 then error("interrupted!", 0) end
          return "t" .. calls
        end })
      client.sms.create_async(support.params(), function(sms)
        assert(sms)
        told = told + 1
      end)
      assert.same({ false, "interrupted!" }, { pcall(client.wait, client, 5) })
      assert.equal(0, client:wait(5))
      assert.equal(1, told)
      assert.same({ "Bearer t1", "Bearer t3" }, sent())
    end)
  end

  it("lets a call go once, though a finalizer polls as it goes", function()
    local leave = questions.leave
    local client = counting()
    local told = 0
    client.sms.create_async(support.params(), function() told = told + 1 end)
    questions.leave = function(request)
      questions.leave = leave
      client:poll()
      return leave(request)
    end
    local ok, left = pcall(client.wait, client, 5)
    questions.leave = leave
    assert.same({ true, 0 }, { ok, left })
    assert.equal(1, told)
    assert.same({ "Bearer t1" }, sent())
  end)

  it("keeps no call past its timeout", function()
    local client, told, within
    client = support.new(server, { access_token = function()
      assert(client.sms.create_async(support.params(), function(_, err)
        told = err
      end, { timeout = 0.05 }))
      for _ = 1, 500 do
        if told then break end
        socket.sleep(0.01)
        client:poll()
      end
      within = told
      return "t"
    end })
    assert(client.sms.create(support.params()))
    assert.is_truthy(within)
    assert.same({ "timeout", "not_sent" }, { within.kind, within.outcome })
    assert.equal(1, #server:ledger())
  end)

  it("may cancel a call that waits for it, and wait for that", function()
    server:script{ { status = 401 } } -- so that it is called in a drain
    local client, request
    local calls, told, counts = 0, 0, {}
    client = support.new(server, { access_token = function()
      calls = calls + 1
      if calls == 2 then
        counts[1] = client:pending()
        request:cancel()
        counts[2] = client:pending()
        client:wait(5)
        counts[3], counts[4] = client:pending(), told
      end
      return "t"
    end })
    request = client.sms.create_async(support.params(), function(_, err)
      told = told + 1
      assert(err.status == 401)
    end)
    assert.equal(0, client:wait(5))
    assert.same({ 0, 1, 0, 1 }, counts)
    assert.equal(1, told)
  end)

  it("may wait for all other calls", function()
    server:default{ delay = 0.05 }
    local client
    local left, got = nil, 0
    client = support.new(server, { access_token = function()
      left = client:wait(5)
      return "t"
    end })
    for _ = 1, 2 do
      assert(client.sms.create_async(support.params(), function(sms)
        if sms then got = got + 1 end
      end))
    end
    assert.equal(0, client:wait(5))
    assert.equal(0, left)
    assert.equal(2, got)
  end)
end)

describe("a function for the credentials that yields", function()
  local asked, threads, got

  before_each(function() asked, threads, got = 0, {}, {} end)

  -- A client whose function yields, and returns what it is resumed with.
  local function yielding(options)
    options = options or {}
    options.loop = options.loop or "poll"
    function options.access_token()
      asked = asked + 1
      threads[asked] = coroutine.running()
      return coroutine.yield()
    end
    return support.new(server, options)
  end

  -- Begins n creates, in coroutines; the results come into got.
  local function begin(client, n, options)
    for _ = 1, n do
      local i = #got + 1
      got[i] = {}
      coroutine.wrap(function()
        got[i].sms, got[i].err = client.sms.create(support.params(), options)
        got[i].ended = true
      end)()
    end
  end

  it("is called once for all calls that wait", function()
    local client = yielding()
    begin(client, 5)
    client.sms.create_async(support.params(), function(sms, err)
      got[6] = { sms = sms, err = err }
    end)
    client:poll()
    assert.equal(1, asked)
    assert.equal(6, client:pending())
    assert.equal(0, server:connections())
    coroutine.resume(threads[1], "t1")
    assert.equal(0, client:wait(5))
    for i = 1, 6 do assert(got[i].sms, tostring(got[i].err)) end
    assert.equal(1, asked)
  end)

  it("holds up no call that has credentials, after a 401", function()
    server:script{ {}, { status = 401 }, {} }
    local client = yielding()
    begin(client, 1)
    coroutine.resume(threads[1], "t1")
    client:wait(5)
    begin(client, 1) -- its answer is the 401
    for _ = 1, 1000 do
      if asked == 2 then break end
      client:wait(0.005)
    end
    assert.equal(2, asked)
    begin(client, 1) -- needs fresh ones as well
    assert.is_nil(got[2].ended)
    assert.equal(2, asked)
    coroutine.resume(threads[2], "t2")
    assert.equal(0, client:wait(5))
    for i = 1, 3 do assert(got[i].sms, tostring(got[i].err)) end
    assert.same({ "Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2" }, sent())
  end)

  it("lets calls end alone, out of time or cancelled", function()
    local client = yielding()
    begin(client, 1, { timeout = 0.05 })
    begin(client, 1)
    local request = client.sms.create_async(support.params(),
      function(_, err) got[3] = { err = err } end)
    assert.is_true(request:cancel())
    assert.is_false(request:cancel())
    for _ = 1, 1000 do
      if got[1].ended then break end
      client:wait(0.005)
    end
    assert.equal("timeout", got[1].err.kind)
    assert.equal("not_sent", got[1].err.outcome)
    assert.equal("cancelled", got[3].err.kind)
    assert.equal("not_sent", got[3].err.outcome)
    assert.is_nil(got[2].ended)
    assert.equal(1, client:pending())
    coroutine.resume(threads[1], "t1")
    assert.equal(0, client:wait(5))
    assert(got[2].sms)
    assert.equal(1, asked)
  end)

  it("keeps what Close said for those that end meanwhile", function()
    server:default{ status = 401, body = { error = "stale" } }
    assert.is_true(process.sometimes(function() -- the 401 may come too late
      asked, got = 0, {}
      local client = yielding()
      begin(client, 1, { timeout = 0.3 })
      coroutine.resume(threads[1], "t1")
      assert.equal(0, client:wait(5))
      return asked == 2
    end))
    assert.equal("rejected", got[1].err.outcome)
    assert.equal("stale", got[1].err.errors[1].message)
  end)

  it("ends all that wait, with one reason", function()
    local client = yielding()
    begin(client, 3)
    coroutine.resume(threads[1], nil, "no network")
    assert.equal(0, client:wait(5))
    for i = 1, 3 do
      assert.equal("authentication", got[i].err.kind)
      assert.equal("not_sent", got[i].err.outcome)
      assert.matches("no network", got[i].err.message)
    end
    begin(client, 1)
    assert.equal(2, asked) -- anew
  end)

  local close_coroutine = coroutine.close -- Lua 5.4's
  if close_coroutine then
    it("sends nothing for a coroutine that was closed", function()
      local client = yielding()
      local thread = coroutine.create(function()
        client.sms.create(support.params())
      end)
      assert(coroutine.resume(thread))
      assert.is_true(close_coroutine(thread))
      begin(client, 1)
      assert(coroutine.resume(threads[1], "t1"))
      assert.equal(0, client:wait(5))
      assert(got[1].sms, tostring(got[1].err))
      assert.equal(1, #server:ledger())
    end)
  end

  it("may throw after that", function()
    local client = support.new(server, { loop = "poll",
      access_token = function()
        threads[1] = coroutine.running()
        coroutine.yield()
        error "boom"
      end })
    begin(client, 2)
    coroutine.resume(threads[1])
    assert.equal(0, client:wait(5))
    for i = 1, 2 do
      assert.equal("authentication", got[i].err.kind)
      assert.matches("failed", got[i].err.message)
    end
  end)

  it("may never come back", function()
    local client = support.new(server, { loop = "poll", timeout = 0.1,
      access_token = function()
        asked = asked + 1
        return asked == 1 and coroutine.yield() or "t2"
      end })
    begin(client, 1)
    assert.equal(1, client:pending())
    assert.equal(0, client:wait(5))
    assert.equal("timeout", got[1].err.kind)
    assert.equal("not_sent", got[1].err.outcome)
    -- It has had the time of a call, or will in a moment: it is called again.
    begin(client, 1, { timeout = 5 })
    assert.equal(0, client:wait(10))
    assert.equal(2, asked)
    assert(got[2].sms)
    assert.same({ "Bearer t2" }, sent())
  end)

  it("may wait for all other calls once it is resumed", function()
    local client, left
    local function wait() left = client:wait(5) end
    for _, way in ipairs{ wait, function() coroutine.wrap(wait)() end } do
      left, got = nil, {}
      client = support.new(server, { loop = "poll", access_token = function()
        threads[1] = coroutine.running()
        coroutine.yield()
        way()
        return "t"
      end })
      begin(client, 2)
      assert(coroutine.resume(threads[1]))
      assert.equal(0, left)
      assert.equal(0, client:wait(5))
      for i = 1, 2 do assert(got[i].sms, tostring(got[i].err)) end
    end
  end)

  it("holds up no call's timeout, however often it is called", function()
    local client = support.new(server, { loop = "poll", timeout = 0.1,
      access_token = function()
        asked = asked + 1
        coroutine.yield()
      end })
    begin(client, 1, { timeout = 0.05 })
    begin(client, 1, { timeout = 0.08 })
    begin(client, 1, { timeout = 0.4 })
    assert.equal(0, client:wait(5))
    for i = 1, 3 do assert.equal("timeout", got[i].err.kind) end
    assert.is_true(asked > 1)
  end)

  it("is not waited for once the client is closed", function()
    local client = yielding()
    begin(client, 2)
    client:close()
    for i = 1, 2 do
      assert.equal("cancelled", got[i].err.kind)
      assert.equal("not_sent", got[i].err.outcome)
    end
    assert.equal(0, client:pending())
    assert(coroutine.resume(threads[1], "t1"))
  end)

  it("fails where nothing can resume it", function()
    local client = yielding{ loop = "blocking" }
    begin(client, 1)
    assert.equal("authentication", got[1].err.kind)
    assert.matches("yielded", got[1].err.message)
    local _, err = client.sms.create(support.params())
    assert.equal("authentication", err.kind)
    assert.equal("not_sent", err.outcome)
  end)

  it("may be resumed by libuv", function()
    local uv = require "luv"
    local client = support.new(server, { loop = "luv",
      access_token = function()
        asked = asked + 1
        local thread = coroutine.running()
        local timer = uv.new_timer()
        timer:start(20, 0, function()
          timer:close()
          coroutine.resume(thread)
        end)
        coroutine.yield()
        return "t" .. asked
      end })
    server:script{ { status = 401 } }
    for i = 1, 3 do
      client.sms.create_async(support.params(), function(sms) got[i] = sms end)
    end
    assert(client.sms.create(support.params()))
    assert.equal(0, client:wait(5))
    assert.equal(3, #got)
    assert.equal(2, asked)
  end)

  it("is given up in time in libuv's loop", function()
    for _, case in ipairs{ { timeout = 60, of_call = 0.1, kind = "timeout" },
      { timeout = 0.1, of_call = 60 } } do
      asked, got = 0, {}
      local client = support.new(server, { loop = "luv",
        timeout = case.timeout, access_token = function()
          asked = asked + 1
          if asked == 1 then coroutine.yield() end
          return "t"
        end })
      local began = socket.gettime()
      client.sms.create_async(support.params(), function(sms, err)
        got = { sms = sms, kind = err and err.kind }
      end, { timeout = case.of_call })
      assert.equal(0, client:wait(10))
      assert.is_true(socket.gettime() - began < 5)
      assert.same({ case.kind, case.kind == nil }, { got.kind, got.sms ~= nil })
    end
  end)
end)
