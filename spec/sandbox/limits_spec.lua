-- The sandbox's limits: on the rate of requests, shown in the answers and reset
-- in time, and on the size of heads and bodies.

local cjson = require "cjson"
local socket = require "socket"
local support = require "spec.support.sandbox_client"

local SMS, PATH, DRAFT = support.SMS, support.PATH, support.DRAFT

local bytes, copy = support.bytes, support.copy
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

describe("close.sandbox rate limits", function()
  local strict, strict_client

  setup(function()
    strict, strict_client = support.start {
      rate_limit = { limit = 1, window = 30 },
    }
  end)
  before_each(function() assert(strict:reset()) end)

  local function parse(header)
    local limit, remaining, reset =
      header:match "^limit=(%d+), remaining=(%d+), reset=(%d+%.?%d*)$"
    return tonumber(limit), tonumber(remaining), tonumber(reset)
  end

  it("are told on every answer", function()
    for _, path in ipairs { SMS, "/nothing/" } do
      local _, _, headers = client:call("GET", path)
      assert.matches("^limit=%d+, remaining=%d+, reset=", headers.ratelimit)
    end
    local _, _, headers = client:call("GET", SMS, nil, { authorization = "x" })
    assert.not_nil(headers.ratelimit)
  end)

  it("count down, refuse, and begin again", function()
    local _, brief = support.start { rate_limit = { limit = 2, window = 0.5 } }
    -- Three requests in one window, which a busy machine may not manage.
    local answers
    assert.is_true(support.sometimes(function()
      answers = {}
      local took = support.elapsed(function()
        for i = 1, 3 do answers[i] = { brief:call("GET", SMS) } end
      end)
      if took < 0.4 then return true end
      socket.sleep(0.5)
    end))
    for i, left in ipairs { 1, 0 } do
      local limit, remaining, reset = parse(answers[i][3].ratelimit)
      assert.same({ 200, 2, left }, { answers[i][1], limit, remaining })
      assert.is_true(reset > 0 and reset <= 0.5)
    end
    local status, body, headers = answers[3][1], answers[3][2], answers[3][3]
    assert.equal(429, status)
    assert.equal("string", type(body.error))
    local _, remaining, reset = parse(headers.ratelimit)
    assert.equal(0, remaining)
    assert.equal("1", headers["retry-after"])
    -- What it was told is enough.
    socket.sleep(reset)
    assert.equal(200, (brief:call("GET", SMS)))
  end)

  it("hold for each method, path and key alone", function()
    local sms = strict_client:create(DRAFT)
    assert.equal(429, (strict_client:call("POST", SMS, DRAFT)))
    assert.equal(200, (strict_client:call("GET", SMS)))
    assert.equal(200, (strict_client:call("GET", SMS .. sms.id .. "/")))
    assert.equal(429, (strict_client:call("GET", SMS .. "acti_other/")))
    assert.equal(200, (strict_client:call("GET", SMS, nil,
      { authorization = "Bearer " .. strict.access_token })))
  end)

  it("keep a refused request from acting", function()
    strict_client:create(DRAFT)
    strict_client:call("POST", SMS, DRAFT)
    assert.equal(1, #strict:messages())
    local record = strict:requests()[2]
    assert.same({ 429, false }, { record.status, record.acted })
  end)

  it("are forgotten by a reset", function()
    strict_client:create(DRAFT)
    strict:reset()
    strict_client:create(DRAFT)
  end)

  it("can be left out", function()
    local _, unlimited = support.start { rate_limit = false }
    local _, _, headers = unlimited:call("GET", SMS)
    assert.is_nil(headers.ratelimit)
  end)
end)

describe("close.sandbox HTTP", function()
  it("does not ask for a body that it would not take", function()
    assert.equal(413, (client:exchange((
      "POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
      .. "Content-Length: 2000000\r\n\r\n"):format(PATH))))
  end)

  it("refuses bodies that are too large", function()
    local other, its_client = support.start { max_body_bytes = 100 }
    local long = copy(DRAFT, { text = ("x"):rep(200) })
    local text = cjson.encode(long)
    local announced = its_client:exchange(bytes("POST", PATH, long))
    local chunked = its_client:exchange(support.chunked(
      ("%x\r\n%s\r\n0\r\n\r\n"):format(#text, text)))
    local fitting = its_client:exchange(bytes("POST", PATH))
    assert.same({ 413, 413, 200, 1 },
      { announced, chunked, fitting, #other:requests() })
  end)

  it("lets a client that is still sending read the 413", function()
    local status, headers = client:exchange((
      "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n%s"
    ):format(PATH, ("x"):rep(3000000)))
    assert.same({ 413, "close" }, { status, headers.connection })
  end)

  it("refuses heads that are too large", function()
    assert.equal(414, (client:exchange("GET /" .. ("x"):rep(9000)
      .. " HTTP/1.1\r\n\r\n")))
    assert.equal(431, (client:exchange("GET / HTTP/1.1\r\nHost: a\r\nX: "
      .. ("x"):rep(70000) .. "\r\n\r\n")))
    assert.equal(431, (client:exchange("GET / HTTP/1.1\r\nHost: a\r\n"
      .. ("X: " .. ("x"):rep(1000) .. "\r\n"):rep(70) .. "\r\n")))
  end)
end)
