-- The three timeouts, the retries and the bound of an answer, as options of a
-- client and of a call: that each arrives where it holds. How it holds is in
-- spec/c/test_engine_limits.c and test_engine_retry.c. Bounds in time are wide
-- on purpose: what they tell apart lies far from them.
local socket = require "socket"
local ports = require "spec.support.ports"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local SHORT, LONG = 0.2, 5

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

-- Runs a call that is to fail with this kind and outcome; returns its error and
-- how long it took.
local function fail(kind, outcome, url, options, call_options, params)
  local client = support.new(url, options)
  local before = socket.gettime()
  local sms, err = client.sms.create(params or support.params(), call_options)
  local took = socket.gettime() - before
  assert.is_nil(sms)
  assert.is_nil(support.fault_of(err))
  assert.equal(kind, err.kind)
  assert.equal(outcome, err.outcome)
  return err, took
end

local function is_between(low, high, seconds)
  assert.is_true(seconds >= low and seconds <= high, tostring(seconds))
end

local function nobody()
  return ("http://127.0.0.1:%d/api/v1"):format(ports.refusing())
end

describe("a server that never answers", function()
  it("is given up: nobody knows what it did", function()
    for _, row in ipairs{ { { timeout = SHORT } },
      { { attempt_timeout = SHORT } }, { {}, { timeout = SHORT } } } do
      server:reset()
      server:default{ delay = 60 }
      local err, took = fail("timeout", "unknown", server, row[1], row[2])
      assert.equal(1, err.attempts)
      assert.is_nil(err.status)
      is_between(SHORT * 0.9, LONG, took)
      assert.equal(1, #server:ledger())
    end
  end)

  it("does not keep the client from its next call", function()
    server:default{ delay = 60 }
    local client = support.new(server, { timeout = SHORT })
    client.sms.create(support.params())
    server:default{}
    assert(client.sms.create(support.params(), { timeout = LONG }))
  end)

  it("has nothing where it has not read the body", function()
    local deaf = raw.start{ receive_buffer = 4096,
      { at = "headers", delay = 60 }, { at = "headers", delay = 60 } }
    local _, took = fail("timeout", "not_sent", deaf,
      { attempt_timeout = SHORT, max_retries = 1 }, nil,
      support.params{ text = ("x"):rep(15e6) })
    deaf:stop()
    is_between(SHORT * 0.9, 2 * LONG, took)
  end)
end)

describe("a server that answers a byte at a time", function()
  it("is given up all the same", function()
    local chunks = { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" }
    for i = 1, 200 do chunks[2 * i], chunks[2 * i + 1] = 0.05, " " end
    server:script{ { chunks = chunks } }
    local _, took = fail("timeout", "unknown", server, { timeout = SHORT })
    is_between(SHORT * 0.9, LONG, took)
  end)
end)

describe("a handshake that never ends", function()
  it("is given up after connect_timeout, and tried again", function()
    local url = server.url:gsub("^http", "https")
    for retries = 0, 1 do
      server:reset()
      local err, took = fail("timeout", "not_sent", url,
        { connect_timeout = SHORT, max_retries = retries })
      assert.equal(retries + 1, err.attempts)
      assert.equal(retries + 1, server:connections())
      is_between(SHORT * 0.9, LONG, took)
    end
  end)
end)

describe("a port where nobody listens", function()
  local function attempts(options, call_options)
    local err, took = fail("connection", "not_sent", nobody(), options,
      call_options)
    assert.equal("number", type(err.code))
    assert.is_nil(err.status)
    return err.attempts, took
  end

  it("is tried as often as max_retries says", function()
    assert.equal(1, (attempts{ max_retries = 0 }))
    assert.equal(3, (attempts{ max_retries = 2 }))
    assert.equal(2, (attempts({ max_retries = 0 }, { max_retries = 1 })))
    assert.equal(1, (attempts({}, { max_retries = 0 })))
    assert.equal(4, (attempts())) -- where nobody says
  end)

  it("is not tried beyond the timeout", function()
    local n, took = attempts{ timeout = 0.5, max_retries = 1000 }
    assert.is_true(n < 100)
    is_between(0, LONG, took)
  end)
end)

describe("an answer larger than max_response_bytes", function()
  local BODY = '{"id": "acti_1"}'

  local function is_bounded(most, options)
    for more = 0, 1 do
      server:reset()
      server:default{ body = BODY .. (" "):rep(most - #BODY + more) }
      if more == 1 then
        assert.equal(1, fail("protocol", "unknown", server, options).attempts)
      else
        assert(support.new(server, options).sms.create(support.params()))
      end
      assert.equal(1, #server:ledger())
    end
  end

  it("is an error; one of just that size is none", function()
    is_bounded(#BODY + 5, { max_response_bytes = #BODY + 5 })
  end)

  it("is one of more than a MiB by default", function() is_bounded(2 ^ 20) end)

  it("is an error where it has no end, by default too", function()
    for _, part in ipairs{ "body", "headers" } do
      server:script{ { endless = part } }
      fail("protocol", "unknown", server, { timeout = 30 })
    end
  end)
end)
