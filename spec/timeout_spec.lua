-- The three timeouts, the retries and what bounds them. Bounds in time are wide
-- on purpose: what they tell apart lies far from them.
local socket = require "socket"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local SHORT, LONG = 0.2, 5

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

-- Runs a call that is to fail; returns its error and how long it took.
local function fail(url, options, call_options, params)
  local client = support.new(url, options)
  local before = socket.gettime()
  local sms, err = client.sms.create(params or support.params(), call_options)
  local took = socket.gettime() - before
  assert.is_nil(sms)
  assert.is_nil(support.fault_of(err))
  return err, took
end

local function is_between(low, high, seconds)
  assert.is_true(seconds >= low and seconds <= high, tostring(seconds))
end

local function nobody()
  return ("http://127.0.0.1:%d/api/v1"):format(ports.free())
end

describe("a server that never answers", function()
  before_each(function() server:default{ delay = 60 } end)

  it("is given up after timeout: nobody knows what it did", function()
    local err, took = fail(server, { timeout = SHORT })
    assert.equal("timeout", err.kind)
    assert.equal("unknown", err.outcome)
    assert.equal(1, err.attempts)
    assert.is_nil(err.status)
    is_between(SHORT * 0.9, LONG, took)
    assert.equal(1, #server:ledger())
  end)

  it("is given up after attempt_timeout, and not asked twice", function()
    local err, took = fail(server, { attempt_timeout = SHORT })
    assert.equal("timeout", err.kind)
    assert.equal("unknown", err.outcome)
    assert.equal(1, err.attempts)
    is_between(SHORT * 0.9, LONG, took)
    assert.equal(1, #server:ledger())
  end)

  it("is given up after the timeout of the call", function()
    local err, took = fail(server, {}, { timeout = SHORT })
    assert.equal("timeout", err.kind)
    is_between(SHORT * 0.9, LONG, took)
  end)

  it("does not keep the client from its next call", function()
    local client = support.new(server, { timeout = SHORT })
    client.sms.create(support.params())
    server:default{}
    assert(client.sms.create(support.params(), { timeout = LONG }))
  end)
end)

describe("a server that answers a byte at a time", function()
  it("is given up all the same", function()
    local chunks = { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" }
    for i = 1, 200 do chunks[2 * i], chunks[2 * i + 1] = 0.05, " " end
    for _, name in ipairs{ "timeout", "attempt_timeout" } do
      server:script{ { chunks = chunks } }
      local err, took = fail(server, { [name] = SHORT })
      assert.equal("timeout", err.kind)
      assert.equal("unknown", err.outcome)
      is_between(SHORT * 0.9, LONG, took)
    end
  end)

  it("gets its time where there is enough", function()
    server:script{ { chunks = { "HTTP/1.1 200 OK\r\nContent-", 0.1,
      "Length: 16\r\n\r\n{\"id\":", 0.1, ' "acti_1"}' } } }
    local client = support.new(server, { timeout = 20 })
    local sms, _, response = client.sms.create(support.params())
    assert.same({ id = "acti_1" }, sms)
    is_between(0.15, LONG, response.elapsed)
  end)
end)

describe("a server that does not read the body", function()
  it("is given up, and has nothing", function()
    local deaf = raw.start{ receive_buffer = 4096,
      { at = "headers", delay = 60 }, { at = "headers", delay = 60 },
      { at = "headers", delay = 60 }, { at = "headers", delay = 60 } }
    local err, took = fail(deaf, { attempt_timeout = SHORT, max_retries = 1 },
      nil, support.params{ text = ("x"):rep(15e6) })
    deaf:stop()
    assert.equal("timeout", err.kind)
    assert.equal("not_sent", err.outcome)
    is_between(SHORT * 0.9, 2 * LONG, took)
  end)
end)

describe("a handshake that never ends", function()
  local url

  before_each(function() url = server.url:gsub("^http", "https") end)

  it("is given up after connect_timeout: nothing was sent", function()
    local err, took = fail(url, { connect_timeout = SHORT, max_retries = 0 })
    assert.equal("timeout", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.equal(1, err.attempts)
    is_between(SHORT * 0.9, LONG, took)
  end)

  it("is tried again", function()
    local err = fail(url, { connect_timeout = SHORT, max_retries = 1 })
    assert.equal("timeout", err.kind)
    assert.equal(2, err.attempts)
    assert.equal(2, server:connections())
  end)
end)

describe("a port where nobody listens", function()
  it("is an error at once without retries", function()
    local err, took = fail(nobody(), { max_retries = 0 })
    assert.equal("connection", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.equal(1, err.attempts)
    assert.equal("number", type(err.code))
    assert.is_nil(err.status)
    is_between(0, LONG, took)
  end)

  it("is tried as often as max_retries says, with pauses", function()
    local err, took = fail(nobody(), { max_retries = 2 })
    assert.equal("not_sent", err.outcome)
    assert.equal(3, err.attempts)
    is_between(0.1, 2 * LONG, took)
  end)

  it("is tried as often as the call says", function()
    assert.equal(2, fail(nobody(), { max_retries = 0 },
      { max_retries = 1 }).attempts)
    assert.equal(1, fail(nobody(), {}, { max_retries = 0 }).attempts)
  end)

  it("is tried four times where nobody says", function()
    assert.equal(4, fail(nobody()).attempts)
  end)

  it("is not tried beyond the timeout", function()
    local err, took = fail(nobody(), { timeout = 0.5, max_retries = 1000 })
    assert.equal("connection", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.is_true(err.attempts < 100)
    is_between(0, LONG, took)
  end)

  it("may have a listener by the next try", function()
    local port = ports.free()
    local child = process.start(process.lua(([[
      local socket = require "socket"
      socket.sleep(0.3)
      local server = assert(socket.bind("127.0.0.1", %d))
      local client = server:accept()
      local length = 0
      for line in function() return client:receive("*l") end do
        length = tonumber(line:lower():match("^content%%-length: (%%d+)"))
          or length
        if line == "" then break end
      end
      client:receive(length)
      client:send("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n"
        .. '{"id":"acti_1"}')
      client:close()
    ]]):format(port)))
    local client = support.new(("http://127.0.0.1:%d"):format(port))
    local sms, err, response = client.sms.create(support.params())
    child:stop()
    assert(sms, tostring(err))
    assert.is_true(response.attempts > 1)
  end)
end)

describe("an answer larger than max_response_bytes", function()
  local BODY = '{"id": "acti_1"}'

  local function too_large(options)
    local err = fail(server, options)
    assert.equal("protocol", err.kind)
    assert.equal("unknown", err.outcome)
    assert.equal(1, err.attempts)
    assert.equal(1, #server:ledger())
    server:reset()
  end

  it("is an error; one of just that size is none", function()
    server:default{ body = BODY }
    local client = support.new(server, { max_response_bytes = #BODY })
    assert(client.sms.create(support.params()))
    server:reset()
    server:default{ body = BODY }
    too_large{ max_response_bytes = #BODY - 1 }
  end)

  it("is one of more than a MiB by default", function()
    for more = 0, 1 do
      server:default{ body = BODY .. (" "):rep(2 ^ 20 - #BODY + more) }
      if more == 1 then return too_large() end
      local client = support.new(server)
      assert(client.sms.create(support.params()))
      server:reset()
    end
  end)

  it("is an error whether its length is said or not", function()
    for _, answer in ipairs{
      { body = ("x"):rep(2000) },
      { answer = "HTTP/1.1 200 OK\r\n\r\n" .. ("x"):rep(2000), close = true },
      { answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n"
        .. ("x"):rep(2000) .. "\r\n0\r\n\r\n" },
    } do
      server:script{ answer }
      too_large{ max_response_bytes = 1999 }
    end
  end)

  it("is an error where it has no end, by default too", function()
    for _, part in ipairs{ "body", "headers" } do
      server:script{ { endless = part } }
      too_large{ timeout = 30 }
    end
  end)
end)
