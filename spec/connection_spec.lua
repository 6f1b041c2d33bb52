-- Connections that break, anywhere: what was sent is never sent twice, and the
-- outcome is true. Connections that hold are kept.
local socket = require "socket"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"id\": \"acti_1\"}"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function large() return support.params{ text = ("x"):rep(8e6) } end

-- Makes a call that gets this step, on a new connection or on one that has
-- served before. Asserts what holds for any call: at most one copy arrived, one
-- did where there is an activity, and none did where the outcome is not_sent.
local function call(step, reused, params)
  server:reset()
  local client, before = support.new(server), 0
  if reused then
    assert(client.sms.create(support.params()))
    before = 1
  end
  server:script{ step }
  local sms, err, response = client.sms.create(params or support.params())
  local copies = #server:ledger() - before
  local where = ("%s %s: %d copies, %s"):format(step.at or "body",
    reused and "reused" or "new", copies, tostring(err))
  assert(copies <= 1, where)
  assert(not sms or copies == 1, where)
  assert(sms or err.outcome ~= "not_sent" or copies == 0, where)
  client:close()
  return err, response, copies
end

local function each_way(see)
  for _, reused in ipairs{ false, true } do
    for _, how in ipairs{ "close", "reset" } do see(reused, how) end
  end
end

describe("a connection that ends", function()
  it("after the request leaves it unknown, with one copy", function()
    each_way(function(reused, how)
      local err, response, copies = call({ [how] = true }, reused)
      assert.equal("connection", err.kind)
      assert.equal("unknown", err.outcome)
      assert.equal(1, err.attempts)
      assert.is_nil(err.status)
      assert.is_nil(response)
      assert.equal(1, copies)
    end)
  end)

  it("a while after the request leaves it unknown, too", function()
    each_way(function(reused, how)
      local err, _, copies = call({ [how] = true, delay = 0.05 }, reused)
      assert.equal("unknown", err.outcome)
      assert.equal(1, copies)
    end)
  end)

  it("at its start is tried again", function()
    for _ = 1, 5 do
      for _, how in ipairs{ "close", "reset" } do
        call({ at = "accept", [how] = true }, false)
      end
    end
  end)

  it("amid the headers or the body never makes two copies", function()
    each_way(function(reused, how)
      for _, at in ipairs{ "headers", "half" } do
        call({ at = at, [how] = true }, reused)
        call({ at = at, [how] = true, delay = 0.02 }, reused)
      end
    end)
  end)

  it("amid a large body means that it was not sent", function()
    each_way(function(reused, how)
      for _, at in ipairs{ "headers", "half" } do
        local small = raw.start{ receive_buffer = 4096 }
        local client = support.new(small)
        if reused then assert(client.sms.create(support.params())) end
        local before = #small:ledger()
        small:script{ { at = at, [how] = true } }
        small:default{ close = true }
        local _, err = client.sms.create(large(), { max_retries = 0 })
        local copies = #small:ledger() - before
        small:stop()
        assert.equal("not_sent", err.outcome, at)
        assert.equal("connection", err.kind)
        assert.equal(0, copies)
      end
    end)
  end)

  it("amid the answer leaves it unknown", function()
    for _, part in ipairs{ "H", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 16", OK:sub(1, -17),
      OK:sub(1, -10), OK:sub(1, -2) } do
      each_way(function(reused, how)
        local err, _, copies = call({ answer = part, [how] = true }, reused)
        assert.equal("unknown", err.outcome, part)
        assert.equal(1, err.attempts)
        assert.equal(1, copies)
      end)
    end
  end)

  it("amid the body of a 4xx leaves that a refusal", function()
    local answer = "HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\n{\"errors\""
    each_way(function(reused, how)
      local err = call({ answer = answer, [how] = true }, reused)
      assert.equal("rejected", err.outcome)
      assert.equal(400, err.status)
    end)
  end)

  it("does not end the client", function()
    local client = support.new(server)
    for _, step in ipairs{ { close = true }, { reset = true },
      { answer = "H", close = true } } do
      server:script{ step }
      assert.is_nil((client.sms.create(support.params())))
      assert(client.sms.create(support.params()))
    end
  end)
end)

describe("an idle connection that ended", function()
  it("is replaced, and the call goes out once", function()
    for _, how in ipairs{ "close", "reset" } do
      server:reset()
      server:script{ { answer = OK, [how] = how == "close" or nil } }
      local client = support.new(server)
      assert(client.sms.create(support.params()))
      if how == "reset" then -- what resetting the server does to it
        server:reset()
      end
      socket.sleep(0.05)
      local before = #server:ledger()
      local sms, err, response = client.sms.create(support.params())
      assert(sms, tostring(err))
      assert.equal(1, response.attempts)
      assert.equal(1, #server:ledger() - before)
    end
  end)

  it("is replaced where the server had said so", function()
    server:default{ body = '{"id": "acti_1"}', headers = {
      Connection = "close" }, close = true }
    local client = support.new(server)
    for _ = 1, 3 do assert(client.sms.create(support.params())) end
    assert.equal(3, server:connections())
    assert.equal(3, #server:ledger())
  end)
end)

describe("an answer that comes early", function()
  it("is a refusal if it is a 4xx, read whole or not", function()
    for _, how in ipairs{ "close", "reset" } do
      local err = call({ at = "headers", status = 413, close = how == "close",
        body = { error = "Too large." } }, false, large())
      assert.equal("rejected", err.outcome)
      assert.equal(413, err.status)
    end
  end)

  it("is a success if it is a 2xx, whole, wherever the body is", function()
    for _, how in ipairs{ "close", "reset" } do
      for _, at in ipairs{ "headers", "half" } do
        server:reset()
        server:script{ { at = at, answer = OK, [how] = true } }
        local sms, err = support.new(server).sms.create(large())
        -- A reset may overtake the answer.
        assert(sms or not err.status and how == "reset", tostring(err))
        assert.is_true(not sms or sms.id == "acti_1")
      end
    end
  end)

  it("leaves it unknown if it is a 2xx that was not whole", function()
    local err = call({ at = "headers", answer = OK:sub(1, -2), close = true },
      false, large())
    assert.equal("unknown", err.outcome)
    assert.equal(200, err.status)
    assert.equal(1, err.attempts)
  end)

  it("is no success where the body was not taken", function()
    local err, _, copies = call({ at = "headers", status = 500, close = true },
      false, large())
    assert.equal("server", err.kind)
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

  it("the credentials is asked once", function()
    for _, verb in ipairs{ "create", "send" } do
      local err = refused({ status = 407 }, "http", verb)
      assert.equal("authentication", err.kind)
      err = refused({ at = "accept", answer = "\5\2\1\1" }, "socks5", verb)
      assert.equal("authentication", err.kind)
    end
  end)

  it("to connect is asked once", function()
    assert.equal("connection", refused({ status = 403 }, "http", "send").kind)
  end)

  it("the credentials of a plain request is asked once", function()
    server:reset()
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

describe("an interim answer", function()
  it("is not the answer", function()
    for _, interim in ipairs{ "HTTP/1.1 100 Continue\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nRateLimit: limit=1, "
        .. "remaining=0, reset=9\r\n\r\n",
      ("HTTP/1.1 102 Processing\r\n\r\n"):rep(3) } do
      server:script{ { chunks = { interim, 0.02, OK } } }
      local sms, err, response =
        support.new(server).sms.create(support.params())
      assert(sms, tostring(err))
      assert.equal(200, response.status)
      assert.is_nil(response.headers.link)
      assert.is_nil(response.rate_limit)
    end
  end)

  it("alone is none", function()
    local err, response, copies = call({ close = true,
      answer = "HTTP/1.1 100 Continue\r\n\r\n" })
    assert.equal("unknown", err.outcome)
    assert.is_nil(err.status)
    assert.is_nil(response)
    assert.equal(1, copies)
  end)
end)

describe("an answer that is not HTTP", function()
  it("leaves the call unknown", function()
    for _, answer in ipairs{ "garbage\r\n\r\n", "\0\0\0\0", "HTTP/9.9 200\r\n",
      "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 abc\r\n\r\n", "{\"id\": \"acti_1\"}",
      "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{\"id\": \"a\"}",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"
        .. "\31\139abc",
    } do
      local err, _, copies = call({ answer = answer, close = true })
      assert.equal("unknown", err.outcome, answer)
      assert.equal(1, err.attempts)
      assert.equal(1, copies)
    end
  end)
end)

describe("a connection that holds", function()
  it("is used again, call after call", function()
    local client = support.new(server)
    for _ = 1, 10 do assert(client.sms.create(support.params())) end
    assert.equal(1, server:connections())
    assert.equal(10, #server:ledger())
  end)

  it("is used again after answers that are errors", function()
    local client = support.new(server)
    for _, status in ipairs{ 400, 401, 404, 500, 302 } do
      server:script{ { status = status, body = "{}" } }
      client.sms.create(support.params())
    end
    assert(client.sms.create(support.params()))
    assert.equal(1, server:connections())
  end)

  it("is not shared with another client", function()
    for _ = 1, 2 do
      local client = support.new(server)
      assert(client.sms.create(support.params()))
      assert(client.sms.create(support.params()))
    end
    assert.equal(2, server:connections())
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
      socket.sleep(0.2)
      local sms = assert(client.sms.create(support.params()))
      assert.not_equal("acti_9", sms.id)
      assert.equal(2, server:connections())
      assert.equal(2, #server:ledger())
      client:close()
    end
  end)
end)
