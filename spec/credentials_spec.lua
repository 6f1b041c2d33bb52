-- The key or the token: which are taken, and where a function gives them.
local close = require "close"
local raw = require "spec.support.raw_server"
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

  it("is part of the call's timeout", function()
    server:script{ { status = 401 } }
    local calls = 0
    local client = support.new(server, { access_token = function()
      calls = calls + 1
      if calls == 2 then require "socket".sleep(0.3) end
      return "t" .. calls
    end })
    local _, err = client.sms.create(support.params(), { timeout = 0.2 })
    assert.equal("rejected", err.outcome)
    assert.equal(1, #server:ledger())
    client = support.new(server, { access_token = function()
      require "socket".sleep(0.3)
      return "t"
    end })
    _, err = client.sms.create(support.params(), { timeout = 0.2 })
    assert.equal("timeout", err.kind)
    assert.equal("not_sent", err.outcome)
    assert(client.sms.create(support.params())) -- it is known by now
    assert.equal(2, #server:ledger())
  end)

  it("may never come back: nothing is pending for good", function()
    local client = support.new(server, { loop = "poll",
      access_token = function()
        coroutine.yield()
        return "t"
      end })
    local thread = coroutine.create(function()
      client.sms.create(support.params())
    end)
    coroutine.resume(thread) -- and nobody ever resumes it again
    assert.equal(0, client:pending())
    assert.equal(0, client:wait(1))
  end)
end)
