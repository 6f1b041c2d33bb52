-- The key or the token: which are taken, where a function gives them, and that
-- they show nowhere.
local close = require "close"
local ports = require "spec.support.ports"
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
end)

describe("the key and the text", function()
  local KEY, TEXT, PHONE = "s3cretkey", "s3crettext", "+19998887777"

  local FAILURES = {
    { close = true }, { reset = true }, { at = "headers", reset = true },
    { at = "accept", reset = true }, { status = 302 }, { status = 400 },
    { status = 401 }, { status = 404 }, { status = 429 }, { status = 500 },
    { body = "{" }, { body = "<html>" }, { answer = "garbage\r\n\r\n" },
    { delay = 5 }, { endless = "body" }, { endless = "headers" },
    { status = 400, body = { error = "no" } },
  }

  local function keeps_them(...)
    for i = 1, select("#", ...) do
      for _, word in ipairs{ KEY, support.base64(KEY .. ":"), TEXT, PHONE } do
        assert.is_false(support.tells((select(i, ...)), word))
      end
    end
  end

  local function params()
    return support.params{ text = TEXT, local_phone = PHONE }
  end

  it("stand in no error, response or event, whatever fails", function()
    for _, name in ipairs{ "api_key", "access_token" } do
      local events = {}
      local client = support.new(server, { [name] = KEY, max_retries = 0,
        timeout = 0.2, max_response_bytes = 1e5,
        on_event = function(event) events[#events + 1] = event end })
      for _, step in ipairs(FAILURES) do
        server:script{ step }
        local sms, err, response = client.sms.create(params())
        assert.is_nil(sms)
        keeps_them(err, response, client)
      end
      assert.is_true(#events > 0)
      keeps_them(events)
    end
  end)

  it("stand in no error where nobody answers", function()
    local client = support.new("http://127.0.0.1:" .. ports.free(), {
      api_key = KEY, max_retries = 0 })
    keeps_them(select(2, client.sms.create(params())), client)
    client = support.new("https://127.0.0.1:" .. server.port, {
      api_key = KEY, max_retries = 0, connect_timeout = 0.2 })
    keeps_them(select(2, client.sms.create(params())), client)
  end)

  it("stand in no error of validation or of options", function()
    local client = support.new(server, { api_key = KEY })
    keeps_them(select(2, client.sms.create(support.params{ text = TEXT,
      template_id = "x", remote_phone = PHONE .. "x", send_in = 60 })))
    keeps_them(select(2, client.sms.create(params(), { timeout = 0 })))
    keeps_them(select(2, close.new{ api_key = KEY, timeout = 0 }))
    keeps_them(select(2, close.new{ api_key = KEY, access_token = KEY }))
    keeps_them(select(2, close.new{ KEY }))
  end)

  it("stand not in the client, nor in its line", function()
    local client = support.new(server, { api_key = KEY })
    keeps_them(client)
    assert.is_nil(tostring(client):find("\n"))
  end)

  it("stand not in the URL", function()
    assert(support.new(server, { api_key = KEY }).sms.create(params()))
    assert.is_nil(server:ledger()[1].target:find("s3cret", 1, true))
  end)
end)
