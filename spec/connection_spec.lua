-- Connections that break, the whole way: what was sent is never sent twice, and
-- the outcome is true. Every place where they can break is in
-- spec/c/test_engine_guard.c and its neighbours, and in the fault matrix.
local raw = require "spec.support.raw_server"
local socket = require "socket"
local support = require "spec.support.client"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"id\": \"acti_1\"}"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

describe("a connection that ends", function()
  it("after the request leaves it unknown, with one copy", function()
    for _, how in ipairs{ "close", "reset" } do
      for warm = 0, 1 do -- on a new connection; on a kept one
        server:reset()
        local client = support.new(server)
        if warm == 1 then assert(client.sms.create(support.params())) end
        server:script{ { [how] = true } }
        local sms, err, response = client.sms.create(support.params())
        assert.is_nil(sms)
        assert.equal("connection", err.kind)
        assert.equal("unknown", err.outcome)
        assert.equal(1, err.attempts)
        assert.is_nil(err.status)
        assert.is_nil(response)
        assert.equal(warm + 1, #server:ledger())
        assert(client.sms.create(support.params())) -- the client goes on
      end
    end
  end)

  it("amid a large body means that it was not sent", function()
    local small = raw.start{ receive_buffer = 4096,
      { at = "half", reset = true } }
    local _, err = support.new(small).sms.create(
      support.params{ text = ("x"):rep(8e6) }, { max_retries = 0 })
    local copies = #small:ledger()
    small:stop()
    assert.equal("connection", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.equal(0, copies)
  end)
end)

describe("a proxy that refuses", function()
  -- Its user name and password are wrong, so that asking again may lock them.
  local function refused(step, scheme, verb)
    server:reset()
    server:default(step)
    local client = support.new("https://127.0.0.1:9/api/v1", { proxy =
      ("%s://me:wrong@127.0.0.1:%d"):format(scheme, server.port) })
    local params = support.params{ status = verb == "create" and "outbox" }
    local sms, err = client.sms[verb](params)
    assert.is_nil(sms)
    assert.equal("not_sent", err.outcome)
    assert.equal(1, err.attempts)
    assert.matches("proxy", err.message)
    assert.is_false(support.tells(err, "wrong"))
    assert.equal(1, server:connections())
    return err
  end

  it("is asked once", function()
    for _, verb in ipairs{ "create", "send" } do
      local err = refused({ status = 407 }, "http", verb)
      assert.equal("authentication", err.kind)
      err = refused({ at = "accept", answer = "\5\2\1\1" }, "socks5", verb)
      assert.equal("authentication", err.kind)
    end
    assert.equal("connection", refused({ status = 403 }, "http", "send").kind)
    -- "not allowed by its rules"; "the user is not who it says" (RFC 1413)
    local rules = "\5\2\1\0\5\2\0\1\0\0\0\0\0\0"
    assert.equal("connection",
      refused({ at = "accept", answer = rules }, "socks5", "send").kind)
    assert.equal("authentication", refused(
      { at = "accept", answer = "\0\93\0\0\0\0\0\0" }, "socks4", "send").kind)
  end)

  it("the credentials of a plain request is asked once", function()
    server:default{ status = 407, body = "{}" }
    local client = support.new("http://127.0.0.1:9/api/v1", { proxy =
      "http://me:wrong@127.0.0.1:" .. server.port })
    local _, err = client.sms.send(support.params{ status = false })
    assert.equal("authentication", err.kind)
    assert.equal("rejected", err.outcome)
    assert.equal(407, err.status)
    assert.matches("the proxy", err.message)
    assert.equal(1, #server:ledger())
  end)
end)

describe("a connection that holds", function()
  it("is used again after answers that are errors", function()
    local client = support.new(server)
    for _, status in ipairs{ 400, 401, 404, 500, 302 } do
      server:script{ { status = status, body = "{}" } }
      client.sms.create(support.params())
    end
    assert(client.sms.create(support.params()))
    assert.equal(1, server:connections())
  end)

  it("does not pass one answer's surplus to the next call", function()
    server:script{ { answer = OK .. OK:gsub("acti_1", "acti_9") } }
    local client = support.new(server)
    assert.equal("acti_1", (client.sms.create(support.params())).id)
    local sms = client.sms.create(support.params())
    assert.is_true(sms == nil or sms.id ~= "acti_9")
  end)

  it("is not used any more once something came unasked", function()
    local late = OK:gsub("acti_1", "acti_9")
    local timeout = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    for _, unasked in ipairs { late, timeout, "x" } do
      server:reset()
      server:script{ { chunks = { OK, 0.05, unasked } } }
      local client = support.new(server)
      assert.equal("acti_1", (client.sms.create(support.params())).id)
      assert(server:wait(1, 5, true))
      local sms = assert(client.sms.create(support.params()))
      assert.not_equal("acti_9", sms.id)
      assert.equal(2, server:connections())
      assert.equal(2, #server:ledger())
      client:close()
    end
  end)
end)

describe("an IPv6 address", function()
  it("is called as it stands", function()
    local listener = assert(socket.tcp6())
    if not listener:bind("::1", 0) then -- the system has no IPv6
      listener:close()
      local _, err = support.new("http://[::1]:9/api/v1", { max_retries = 0 })
        .sms.create(support.params())
      return assert.same({ "connection", "not_sent" },
        { err.kind, err.outcome })
    end
    assert(listener:listen())
    listener:settimeout(0)
    local _, port = listener:getsockname()
    local host = ("[::1]:%d"):format(port)
    local client = support.new("http://" .. host .. "/api/v1",
      { loop = "poll", max_retries = 0, timeout = 10 })
    local id, request
    client.sms.create_async(support.params(), function(sms, err)
      id = sms and sms.id or tostring(err)
    end)
    for _ = 1, 500 do
      client:poll()
      request = request or listener:accept()
      if request or id then break end
      socket.sleep(0.01)
    end
    assert(request, id)
    for _ = 1, 500 do
      client:poll() -- until the request has come
      if socket.select({ request }, nil, 0.01)[1] then break end
    end
    request:settimeout(5)
    assert.equal("POST /api/v1/activity/sms/ HTTP/1.1", request:receive "*l")
    assert.equal("Host: " .. host, request:receive "*l")
    request:send(OK)
    assert.equal(0, client:wait(10))
    request:close()
    listener:close()
    assert.equal("acti_1", id)
  end)
end)
