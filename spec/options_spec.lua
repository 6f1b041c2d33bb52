-- The options of close.new and close.configure: types, values, addresses.
-- Credentials, timeouts and the environment have specs of their own.
local close = require "close"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

-- Options that are right, with more or others; false takes one out.
local function options(more)
  local all = { api_key = support.KEY, base_url = server.url }
  for name, value in pairs(more or {}) do
    if value == false then value = nil end
    all[name] = value
  end
  return all
end

local function refuses(given)
  local client, err = support.calmly(close.new, given)
  assert.is_nil(client)
  assert.equal("config", err.kind)
  assert.equal("not_sent", err.outcome)
  return err.message
end

local function accepts(more)
  local client, err = close.new(options(more))
  assert(client, tostring(err))
  client:close()
end

describe("an option", function()
  local WRONG = {
    api_key = { 5, true, {}, io.stdout },
    base_url = { 5, true, {}, print, "", "x\ny" },
    timeout = { "5", true, {}, 0, -1, 0 / 0, math.huge, -math.huge },
    max_retries = { "5", true, {}, -1, 0.5, 0 / 0, math.huge },
    max_in_flight = { "5", true, {}, 0, -1, 1.5, 0 / 0, math.huge },
    max_response_bytes = { "5", true, {}, 0, -1, 1.5, 0 / 0 },
    ca_file = { 5, true, {}, print, "" },
    proxy = { 5, true, {}, print, "" },
    http2 = { 5, {}, print, "", "true", 1 },
    user_agent = { 5, true, {}, print, "", "a\r\nX-Evil: 1", "a\0b" },
    loop = { 5, true, {}, print, "", "sideways" },
    on_event = { 5, true, {}, "print" },
  }
  WRONG.access_token = WRONG.api_key
  WRONG.attempt_timeout, WRONG.connect_timeout = WRONG.timeout, WRONG.timeout

  it("of a wrong type or value is refused by name", function()
    for name, values in pairs(WRONG) do
      for _, value in ipairs(values) do
        local given = options{ [name] = value,
          api_key = name ~= "access_token" and name ~= "api_key"
            and support.KEY or false }
        given[name] = value
        assert.matches(name, refuses(given), 1, true)
      end
    end
  end)

  it("above its most is refused with that", function()
    for _, case in ipairs{ { "max_retries", 1e6 }, { "max_in_flight", 10000 },
      { "max_response_bytes", 2 ^ 40 } } do
      accepts{ [case[1]] = case[2] }
      assert.matches(("to %.0f$"):format(case[2]),
        refuses(options{ [case[1]] = case[2] + 1 }))
    end
  end)

  it("of more than 16 KiB is refused with that", function()
    local most = ("x"):rep(16384)
    accepts{ user_agent = most }
    assert.matches("of at most 16384 bytes$",
      refuses(options{ user_agent = most .. "x" }))
  end)

  it("with a character that cannot be seen says which and where", function()
    local NBSP, MARK = "\194\160", "\239\187\191"
    for _, case in ipairs{
      { "api_key", support.KEY .. "\n", "U+000A at byte " .. #support.KEY + 1 },
      { "api_key", MARK .. support.KEY, "U+FEFF at byte 1" },
      { "api_key", support.KEY .. " ", "U+0020 at byte " },
      { "base_url", "https://api.close.com/api/v1\r", "U+000D at byte 29" },
      { "base_url", "https://api.close.com/api/v1" .. NBSP,
        "U+00A0 at byte 29" },
      { "base_url", NBSP .. "https://api.close.com/", "U+00A0 at byte 1" },
      { "proxy", "http://127.0.0.1:1" .. NBSP, "U+00A0 at byte 19" },
      { "ca_file", "ca.pem\t", "U+0009 at byte 7" },
    } do
      local message = refuses(options{ [case[1]] = case[2] })
      assert.matches(case[1], message, 1, true)
      assert.matches("it has " .. case[3], message, 1, true)
    end
  end)

  it("of false is not taken for an absent one", function()
    for name in pairs(WRONG) do
      local given = options()
      given[name] = false
      if name ~= "http2" then refuses(given) end
    end
  end)

  it("is taken where it is right", function()
    for _, more in ipairs{
      { timeout = 0.001 }, { timeout = 1e9 }, { connect_timeout = 5 },
      { attempt_timeout = 0.5 }, { max_retries = 0 }, { max_retries = 100 },
      { max_in_flight = 1 }, { max_response_bytes = 1 },
      { max_response_bytes = 2 ^ 31 }, { user_agent = "mine/1.0 (x; y)" },
      { loop = "auto" }, { loop = "blocking" }, { on_event = function() end },
      { api_key = function() return "k" end },
      { api_key = false, access_token = function() return "t" end },
      { http2 = true }, { http2 = false },
      { proxy = "http://127.0.0.1:3128" }, { proxy = "127.0.0.1:3128" },
    } do
      accepts(more)
    end
  end)

  it("that does not exist is refused, with those that do", function()
    for _, name in ipairs{ "apikey", "retries", "Timeout", "verify" } do
      local said = refuses(options{ [name] = true })
      assert.matches('"' .. name .. '"', said, 1, true)
      assert.matches("api_key", said, 1, true)
      assert.matches("max_retries", said, 1, true)
    end
    for _, key in ipairs{ support.KEY, "api_4kQzTEST0", ("x"):rep(21), "a b",
      "\27[1m", "" } do
      local said = refuses(options{ [key] = true, api_key = "k" })
      assert.matches("unknown option (a string", said, 1, true)
      assert.is_true(key == "" or not said:find(key, 1, true))
    end
    for _, key in ipairs{ 1, true, print } do
      local given = options()
      given[key] = support.KEY
      assert.is_nil(refuses(given):find(support.KEY, 1, true))
    end
  end)

  it("is read once: the table may change afterwards", function()
    local given = options()
    local before = support.copy(given)
    local client = assert(close.new(given))
    assert.same(before, given)
    given.base_url, given.api_key = "http://127.0.0.1:1/", "other"
    assert(client.sms.create(support.params()))
    client:close()
  end)

  it("stands in a table, and nowhere else", function()
    for _, value in ipairs{ 5, "x", true, false, print } do
      assert.matches("table", refuses(value))
    end
  end)
end)

describe("base_url", function()
  -- Every address that is taken or refused is in spec/c/test_url.c.
  it("is https, or http to a loopback address", function()
    for _, url in ipairs{ "https://api.close.com/api/v1",
      "https://127.0.0.1:8443", "http://127.1.2.3", "HTTP://[::1]:1" } do
      accepts{ base_url = url }
    end
    for _, url in ipairs{ "http://api.close.com/api/v1",
      "http://127.0.0.1.example.com/", "api.close.com", "ftp://127.0.0.1/",
      "https://api.close.com/?a=b" } do
      assert.matches("base_url", refuses(options{ base_url = url }), 1, true)
    end
  end)

  it("has no room for credentials, and does not repeat them", function()
    for _, url in ipairs{ "https://s3cret@api.close.com/",
      "https://user:s3cret@api.close.com/", "http://s3cret@127.0.0.1/",
      "http://127.0.0.1@s3cret.example.com/" } do
      local _, err = close.new(options{ base_url = url })
      assert.equal("config", err.kind)
      assert.is_false(support.tells(err, "s3cret"))
    end
  end)
end)

it("a slash at the end of base_url changes nothing", function()
  assert(support.new(server.url .. "//").sms.create(support.params()))
  assert.equal("/api/v1/activity/sms/", server:ledger()[1].target)
end)

describe("a proxy", function()
  it("on loopback gets the whole URL", function()
    local client = support.new("http://127.0.0.1:9/api/v1", {
      proxy = "http://127.0.0.1:" .. server.port })
    assert(client.sms.create(support.params()))
    local request = server:ledger()[1]
    assert.equal("http://127.0.0.1:9/api/v1/activity/sms/", request.target)
    assert.equal("127.0.0.1:9", request.headers.host)
    assert(client:request("GET", "/me/", { query = { a = "b" } }))
    assert.equal("http://127.0.0.1:9/api/v1/me/?a=b", server:ledger()[2].target)
  end)

  it("elsewhere is refused for a base_url with http", function()
    for _, proxy in ipairs{ "http://proxy.example.com:3128",
      "socks5h://10.0.0.1:1080", "10.0.0.1" } do
      refuses(options{ proxy = proxy })
      accepts{ proxy = proxy, base_url = "https://api.close.com/api/v1" }
    end
  end)

  it("gets a tunnel to open for https, and no key or text", function()
    server:default{ status = 403 }
    local client = support.new(nil, { max_retries = 0,
      base_url = "https://api.close.com/api/v1",
      proxy = "http://127.0.0.1:" .. server.port })
    local _, err = client.sms.create(support.params{ text = "s3cret" })
    assert.equal("not_sent", err.outcome)
    local request = server:ledger()[1]
    assert.equal("CONNECT", request.method)
    assert.equal("api.close.com:443", request.target)
    assert.matches("close", request.headers["user-agent"])
    assert.is_nil(request.headers.authorization)
    assert.is_nil(request.headers["content-type"])
    assert.is_nil(request.raw:find("s3cret", 1, true))
  end)

  it("gets its own credentials, which nobody else hears of", function()
    local client = support.new(server, { max_retries = 0,
      proxy = "http://me:s3cret@127.0.0.1:" .. server.port })
    assert(client.sms.create(support.params()))
    assert.equal("Basic " .. support.base64("me:s3cret"),
      server:ledger()[1].headers["proxy-authorization"])
    assert.is_false(support.tells(client, "s3cret"))
    server:default{ close = true }
    local _, err = client.sms.create(support.params())
    assert.is_false(support.tells(err, "s3cret"))
  end)

  it("that is no URL is refused", function()
    for _, proxy in ipairs{ "ftp://127.0.0.1:1", "http://[::1" } do
      assert.matches("proxy", refuses(options{ proxy = proxy }), 1, true)
    end
  end)
end)

describe("ca_file", function()
  it("is refused where it cannot be read", function()
    for _, path in ipairs{ "/nonexistent/ca.pem", "/", "/dev/null" } do
      assert.matches(path, refuses(options{ ca_file = path }), 1, true)
    end
  end)
end)

describe("options of a call", function()
  it("are timeout and max_retries, by the same rules", function()
    local client = support.new(server)
    for _, given in ipairs{
      5, "x", true, false, print, { 1 }, { [true] = 1 }, { retries = 1 },
      { timeout = "5" }, { timeout = 0 }, { timeout = -1 },
      { timeout = 0 / 0 }, { timeout = math.huge }, { timeout = {} },
      { max_retries = -1 }, { max_retries = 1.5 }, { max_retries = "0" },
      { max_retries = 0 / 0 }, { api_key = "other" }, { base_url = "x" },
    } do
      local sms, err =
        support.calmly(client.sms.create, support.params(), given)
      assert.is_nil(sms)
      assert.equal("config", err.kind)
      assert.equal("not_sent", err.outcome)
    end
    assert.equal(0, server:connections())
    assert(client.sms.create(support.params(), {}))
    assert(client.sms.create(support.params(), { timeout = 20,
      max_retries = 0 }))
  end)
end)

describe("close.configure", function()
  it("makes the default client anew", function()
    assert(close.configure(options{ api_key = "first" }))
    assert(close.sms.create(support.params()))
    assert(close.configure(options{ api_key = "second" }))
    assert(close.sms.create(support.params()))
    local ledger = server:ledger()
    assert.equal("Basic " .. support.base64("first:"),
      ledger[1].headers.authorization)
    assert.equal("Basic " .. support.base64("second:"),
      ledger[2].headers.authorization)
  end)

  it("closes the one before", function()
    local before, got = assert(close.configure(options{})), nil
    close.sms.create_async(support.params(), function(_, err) got = err end)
    assert(close.configure(options{}))
    assert.equal("cancelled", got.kind)
    assert.matches("closed", tostring(before))
  end)

  it("keeps the one there is where the options are wrong", function()
    assert(close.configure(options{ api_key = "first" }))
    local client, err = close.configure(options{ timeout = "long" })
    assert.is_nil(client)
    assert.equal("config", err.kind)
    assert(close.sms.create(support.params()))
    assert.equal(1, #server:ledger())
  end)
end)

describe("a client", function()
  it("is made where unknown globals are an error and nothing more is found",
    function()
      local said = process.capture(process.lua([[
        local close = require "close"
        setmetatable(_G, { __index = function(_, name)
          error("no global " .. tostring(name), 2)
        end })
        package.path, package.cpath = "", ""
        for _, loop in ipairs{ "auto", "blocking", "poll" } do
          local client = assert(close.new{ api_key = "k", loop = loop })
          assert(client.sms.create_async({}, function() end))
          assert(client:wait(1) == 0)
        end
        print "fine"
      ]]))
      assert.equal("fine", said)
    end)
end)
