-- TLS and HTTP/2 with a real nginx: what is spoken, what is refused, and that
-- nothing is sent if the certificate is wrong.
local certificates = require "spec.support.certificates"
local nginx = require "spec.support.nginx"
local other_curl = require "spec.support.other_curl"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local socket = require "socket"
local support = require "spec.support.client"

local upstream, front

-- Whether libcurl asks before a request begins: since 7.80.
local major, minor = require "close.core".curl_version:match "^(%d+)%.(%d+)"
local asks_first = tonumber(major) * 100 + minor >= 780

setup(function()
  upstream = raw.start{}
  front = nginx.start{ upstream = upstream.url }
end)
teardown(function()
  front:stop()
  upstream:stop()
end)
before_each(function() upstream:reset() end)
after_each(support.close_all)

local BOTH = { "https", "h2" }

-- It resumes no session before 8.15 or later, as a least version of TLS is set.
local with_gnutls = process.capture{ "curl-config", "--ssl-backends" }
  :find "GnuTLS"

local function secure(name, options)
  options = support.copy(options or {})
  options.ca_file = options.ca_file or front.ca_file
  if options.http2 == nil then options.http2 = name == "h2" end
  return support.new(front[name], options)
end

-- The lines of nginx's log that are newer than the first n.
local function log_after(n, count)
  local lines = front:access_log(n + count)
  local newer = {}
  for i = n + 1, #lines do newer[#newer + 1] = lines[i] end
  return newer
end

-- Makes calls at a listener; returns their lines in nginx's log.
local function logged_calls(name, count, options)
  local before = #front:access_log()
  local client = secure(name, options)
  for _ = 1, count do assert(client.sms.create(support.params())) end
  return log_after(before, count)
end

describe("a call over TLS", function()
  it("is HTTP/1.1 where the server has no more, on one connection", function()
    local lines = logged_calls("https", 5)
    assert.equal(5, #lines)
    for _, line in ipairs(lines) do
      assert.equal("HTTP/1.1", line.protocol)
      assert.matches("^TLSv1%.[23]$", line.tls)
      assert.equal(lines[1].connection, line.connection)
    end
  end)

  it("is HTTP/1.1 where the server has HTTP/2 as well", function()
    local lines = logged_calls("h2", 5, { http2 = false })
    assert.equal(5, #lines)
    for _, line in ipairs(lines) do
      assert.equal("HTTP/1.1", line.protocol)
      assert.equal("http/1.1", line.alpn)
      assert.equal(lines[1].connection, line.connection)
    end
  end)

  it("is HTTP/2 with http2, on one connection", function()
    local lines = logged_calls("h2", 5)
    assert.equal(5, #lines)
    for _, line in ipairs(lines) do
      assert.equal("HTTP/2.0", line.protocol)
      assert.equal("POST", line.method)
      assert.equal("/api/v1/activity/sms/", line.uri)
      assert.equal(lines[1].connection, line.connection)
    end
  end)

  -- The handshake then takes about 60 % of the processor time.
  it("resumes the session on a further connection", function()
    upstream:script{ {}, { delay = 0.2 }, { delay = 0.2 } }
    local before = #front:access_log()
    local client = secure("https")
    assert(client.sms.create(support.params()))
    for _ = 1, 2 do
      client.sms.create_async(support.params(), function(sms, err)
        assert(sms, tostring(err))
      end)
    end
    assert.equal(0, client:wait(20))
    local reused, seen = {}, {}
    for _, line in ipairs(log_after(before, 3)) do
      if not seen[line.connection] then
        seen[line.connection] = true
        reused[#reused + 1] = line.session_reused
      end
    end
    if not with_gnutls then assert.same({ ".", "r" }, reused) end
  end)

  it("makes a whole handshake where a session is refused", function()
    local port = upstream:ask{ op = "relay", name = "relay",
      port = front.https:match ":(%d+)/" }
    local client = support.new(
      ("https://127.0.0.1:%d/api/v1"):format(port),
      { ca_file = front.ca_file, max_retries = 1 })
    upstream:script{ {}, { delay = 0.2 }, { delay = 0.2 } }
    assert(client.sms.create(support.params()))
    upstream:ask{ op = "arm", times = -1,
      cut = { from = "session", ending = "reset" } }
    local attempts = {}
    for i = 1, 2 do
      client.sms.create_async(support.params(), function(sms, err, response)
        assert(sms, tostring(err))
        attempts[i] = response.attempts
      end)
    end
    assert.equal(0, client:wait(20))
    upstream:ask{ op = "arm", times = 1 }
    if not with_gnutls then assert.same({ 1, 2 }, attempts) end
  end)

  -- Newer libcurls read both answers at once, and keep the second one; older
  -- ones begin the next call without a look at the connection. All read a TLS
  -- record whole, and of that record no more than the rest of an answer.
  for name, how in pairs {
    ["after it"] = {},
    ["that waited"] = { waits = true },
    ["in one record"] = { together = true },
    ["that waited, in one record"] = { waits = true, together = true },
  } do
    it("gets nothing that a server sent before it, " .. name, function()
      if how.together and not asks_first then return end
      local dir = process.tempdir()
      certificates.make(dir)
      local function answer(id)
        local body = ('{"id": "%s"}'):format(id)
        return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(
          #body, body)
      end
      local head, body = answer "acti_1":match "^(.-\r\n\r\n)(.+)$"
      local both = how.together and { head, 0.3, body .. answer "acti_9" }
        or { head .. body, 0.01, answer "acti_9" }
      local server = raw.start{ certificates = dir,
        { delay = 0.3, chunks = both } }
      local client = support.new(("https://127.0.0.1:%d/api/v1"):format(
        server.ports.tls1), { ca_file = dir .. "/ca.pem", loop = "poll" })
      local ids = {}
      local function create()
        client.sms.create_async(support.params(), function(sms, err)
          ids[#ids + 1] = sms and sms.id or tostring(err)
        end)
      end
      create()
      for _ = 1, 1000 do
        client:poll() -- until the request has left
        if server:ledger()[1] then break end
        socket.sleep(0.01)
      end
      for _ = 1, how.together and 45 or 0 do
        client:poll() -- until the headers have come
        socket.sleep(0.01)
      end
      assert(server:wait(1, 5, true))
      if how.waits then create() end
      assert.equal(0, client:wait(20))
      if not how.waits then create() end
      assert.equal(0, client:wait(20))
      assert.equal("acti_1", ids[1])
      assert.matches("^acti_", ids[2])
      assert.not_equal("acti_9", ids[2])
      assert.equal(2, server:connections())
      server:stop()
      process.remove(dir)
    end)
  end

  -- What it says when it ends one (TLS's close_notify) is something to read.
  it("is not begun on a connection that the server has ended", function()
    local short = nginx.start{ upstream = upstream.url,
      keepalive_timeout = "1s" }
    local client = support.new(short.https, { ca_file = short.ca_file })
    for i = 1, 4 do
      if i > 1 then socket.sleep(1.3) end
      assert(client.sms.create(support.params()))
    end
    short:stop()
  end)

  -- Newer libcurls take such a one: 8.14 and 8.21 read but one TLS record to
  -- see whether it lives, and 8.22 looks at most once a second.
  it("is not begun on a connection of HTTP/2 that has ended", function()
    local dir = process.tempdir()
    certificates.make(dir)
    local server = raw.start{ certificates = dir }
    local client = support.new(("https://127.0.0.1:%d/api/v1"):format(
      server.ports.tls2), { ca_file = dir .. "/ca.pem", http2 = true })
    for _ = 1, 2 do
      assert(client.sms.create(support.params()))
      socket.sleep(0.05) -- the server reads all, and so does not reset it
      server:ask{ op = "leave" }
      local ends = {}
      for i = 1, 5 do
        client.sms.create_async(support.params(), function(sms, err)
          ends[i] = sms and "sent" or tostring(err)
        end)
      end
      assert.equal(0, client:wait(20))
      assert.same({ "sent", "sent", "sent", "sent", "sent" }, ends)
      assert.equal(1, server:connections())
    end
    server:stop()
    process.remove(dir)
  end)

  -- How many connections two calls of a client with these options make to
  -- front, with another libcurl.
  local function connections_in(options, variables, more)
    local before = #front:access_log()
    assert.equal("", other_curl.run(([[
      local close = require "close"
      local client = assert(close.new { api_key = "k", %s })
      for _ = 1, 2 do
        assert(client.sms.create { status = "outbox", text = "Hi!",
          local_phone = "+14154445555", remote_phone = "+18183334444" })
      end
    ]]):format(options), variables, more))
    local seen, count = {}, 0
    for _, line in ipairs(log_after(before, 2)) do
      if not seen[line.connection] then count = count + 1 end
      seen[line.connection] = true
    end
    return count
  end

  -- With one that reads ahead.
  local function connections_to_front(more)
    return connections_in(("base_url = %q, ca_file = %q"):format(front.https,
      front.ca_file), { CURL_VERSION = "8.15.0" }, more)
  end

  it("keeps its connection where OpenSSL can be asked", function()
    assert.equal(1, connections_to_front())
  end)

  it("keeps none where the host has another OpenSSL inside", function()
    assert.equal(with_gnutls and 1 or 2,
      connections_to_front "build/other_ssl.so")
  end)

  -- It may have more from the server than shows at the server's end of it.
  it("keeps no connection to a proxy that has TLS, whose authority is in " ..
    "ca_file", function()
    local port = front.https:match ":(%d+)/"
    for _, scheme in ipairs{ "https", "HTTPS" } do
      assert.equal(2, connections_in(
        ("base_url = %q, proxy = \"%s://127.0.0.1:%s\", ca_file = %q"):format(
          upstream.url, scheme, port, front.ca_file), {}))
    end
  end)

  it("sends no file to an address without TLS", function()
    upstream:script{ { body = ('{"upload": {"url": "%s/bucket", "fields": ' ..
      '{"key": "a"}}, "download": {"url": "https://x.example/"}}'):format(
        upstream.url:match "^%a+://[^/]+") }, { status = 204 } }
    local none, err = secure("https").files.upload({ data = "x" },
      { filename = "a.png" })
    assert.is_nil(none)
    assert.same({ "protocol", "not_sent" }, { err.kind, err.outcome })
    assert.equal(1, #upstream:ledger())
  end)

  it("has the same request and response either way", function()
    for _, name in ipairs(BOTH) do
      upstream:reset()
      upstream:script{ { body = '{"id": "acti_1"}', headers = {
        RateLimit = "limit=100, remaining=50, reset=0.8",
        ["X-Mixed-Case"] = "As It Is" } } }
      local text = "\240\159\145\139 \0 \"\\\n" .. ("x"):rep(2e6)
      local sms, err, response =
        secure(name).sms.create(support.params{ text = text })
      assert(sms, tostring(err))
      assert.equal("acti_1", sms.id)
      assert.equal(200, response.status)
      assert.equal("As It Is", response.headers["x-mixed-case"])
      assert.same({ limit = 100, remaining = 50, reset = 0.8 },
        response.rate_limit)
      local request = upstream:ledger()[1]
      assert.equal("application/json", request.headers["content-type"])
      assert.equal("Basic " .. support.base64(support.KEY .. ":"),
        request.headers.authorization)
      assert.is_true(#request.body > 2e6)
    end
  end)

  it("that is given up leaves the client fit for more", function()
    for _, name in ipairs(BOTH) do
      local client, err, _
      assert.is_true(process.sometimes(function() -- the handshake takes time
        upstream:reset()
        upstream:script{ { delay = 60 } }
        client = secure(name)
        _, err = client.sms.create(support.params(), { timeout = 0.3 })
        assert.equal("timeout", err.kind)
        return err.outcome ~= "not_sent"
      end))
      assert.equal("unknown", err.outcome)
      assert(client.sms.create(support.params()))
      assert.equal(2, #upstream:ledger())
    end
  end)
end)

describe("a certificate", function()
  -- Asserts that a call gets nowhere; returns its error.
  local function refused(url, options)
    options.max_retries = options.max_retries or 0
    local before = #upstream:ledger()
    local sms, err, response =
      support.new(url, options).sms.create(support.params())
    assert.is_nil(sms)
    assert.is_nil(response)
    assert.equal("tls", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.is_nil(err.status)
    assert.is_nil(support.fault_of(err))
    assert.equal(before, #upstream:ledger())
    return err
  end

  it("from an authority that nobody trusts is refused", function()
    for _, name in ipairs(BOTH) do
      refused(front[name], {}) -- the system's authorities
      refused(front[name], { ca_file = front.other_ca })
    end
  end)

  it("that is expired, another host's or its own is refused", function()
    for _, name in ipairs{ "expired", "wrong_host", "self_signed" } do
      refused(front[name], { ca_file = front.ca_file })
    end
    refused(front.self_signed, {})
  end)

  it("is refused each time, where it is tried again", function()
    local err = refused(front.expired, { ca_file = front.ca_file,
      max_retries = 2 })
    assert.equal(3, err.attempts)
  end)

  it("is none where there is no TLS", function()
    refused((front.http:gsub("^http:", "https:")), {})
  end)

  it("cannot be checked by a file without one", function()
    local dir = process.tempdir()
    local path = dir .. "/ca.pem"
    local file = assert(io.open(path, "w"))
    file:write("no certificate\n")
    file:close()
    refused(front.https, { ca_file = path })
    process.remove(dir)
  end)

  it("that was refused is no hindrance to other clients", function()
    refused(front.https, {})
    assert(secure("https").sms.create(support.params()))
    refused(front.expired, { ca_file = front.ca_file })
    assert(secure("h2").sms.create(support.params()))
  end)
end)

describe("a server that ends each connection after some requests", function()
  local CALLS, AT_ONCE, MOST = 60, 12, 7
  local another

  setup(function()
    another = nginx.start{ upstream = upstream.url,
      keepalive_requests = MOST }
  end)
  teardown(function() another:stop() end)

  -- Makes calls at a listener; returns how many ended in which way. Asserts
  -- that each message came once, or at most once where its outcome is unknown.
  local function endings(name, options)
    upstream:reset()
    options.ca_file, options.max_in_flight = another.ca_file, AT_ONCE
    local client = support.new(another[name], options)
    local ends, text_ends, copies = {}, {}, {}
    for i = 1, CALLS do
      local params = support.params{ text = "m" .. i }
      client.sms.create_async(params, function(sms, err)
        local how = sms and "sent" or err.outcome
        ends[how], text_ends["m" .. i] = (ends[how] or 0) + 1, how
      end)
    end
    client:wait(20)
    for _, request in ipairs(upstream:ledger()) do
      local text = request.body:match '"text":"(m%d+)"'
      copies[text] = (copies[text] or 0) + 1
    end
    for text, how in pairs(text_ends) do
      assert(copies[text] == 1 or how == "unknown" and not copies[text],
        text .. " is " .. how .. ": " .. tostring(copies[text]))
    end
    return ends
  end

  it("has every message once", function()
    assert.same({ sent = CALLS }, endings("h2", {}))
    assert.same({ sent = CALLS }, endings("https", {}))
  end)

  it("has none twice over HTTP/2, where refusals may be unknown", function()
    local ends = endings("h2", { http2 = true })
    assert.equal(CALLS, (ends.sent or 0) + (ends.unknown or 0))
  end)
end)
