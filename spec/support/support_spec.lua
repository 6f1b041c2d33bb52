-- The test support itself: that it does what the other specs rely on, and
-- that it fails where it should.
local socket = require "socket"
local activity = require "spec.support.activity"
local nginx = require "spec.support.nginx"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local schema = require "spec.support.schema"
local stream = require "spec.support.faults.stream"

local BODY = '{"status": "outbox"}'

local function connect(server)
  local client = assert(socket.connect("127.0.0.1", server.port))
  client:settimeout(5)
  return client
end

local function request(body, more)
  return ("POST /api/v1/activity/sms/ HTTP/1.1\r\nHost: localhost\r\n%s"
    .. "Content-Length: %d\r\n\r\n%s"):format(more or "", #body, body)
end

-- Status line, lower-case headers and body of an answer with a length.
local function read_answer(client)
  local status, err = client:receive("*l")
  if not status then return nil, err end
  local headers = {}
  for line in function() return client:receive("*l") end do
    if line == "" then break end
    local name, value = line:match("^([^:]+): (.*)$")
    headers[name:lower()] = value
  end
  local length = tonumber(headers["content-length"]) or 0
  -- receive(0) would wait for a byte
  return status, headers, length > 0 and client:receive(length) or ""
end

local function ask(server, body)
  local client = connect(server)
  client:send(request(body or BODY))
  local status, headers, answer = read_answer(client)
  client:close()
  return status, headers, answer
end

local function soon(check)
  local deadline = socket.gettime() + 5
  while not check() do
    if socket.gettime() > deadline then return false end
    socket.sleep(0.005)
  end
  return true
end

describe("process", function()
  local children = {}

  local function start(...)
    local child = process.start(...)
    children[#children + 1] = child
    return child
  end

  after_each(function()
    for _, child in ipairs(children) do child:stop() end
    children = {}
  end)

  it("knows a child's pid, and its exit status in the end", function()
    local child = start({ "sh", "-c", "echo $$; exit 7" }, { stdout = "pipe" })
    assert.equal(child.pid, tonumber(child.stdout:read("*l")))
    assert.equal(7, child:wait(5))
    assert.is_false(child:alive())
    assert.is_false(process.exists(child.pid))
  end)

  it("waits no longer than told", function()
    local child = start{ "sleep", "60" }
    local before = socket.gettime()
    assert.same({ nil, "timeout" }, { child:wait(0.05) })
    assert.is_true(socket.gettime() - before < 2)
    assert.is_true(child:alive())
  end)

  it("talks with a child through pipes", function()
    local child = start({ "cat" }, { stdin = "pipe", stdout = "pipe" })
    child.stdin:write("one line\n")
    assert.equal("one line", child.stdout:read("*l"))
    child.stdin:close()
    child.stdin = nil
    assert.equal(0, child:wait(5))
  end)

  it("passes words through the shell as they are", function()
    local word = "it's $HOME `x` \"y\" \\ *"
    local child = start({ "printf", "%s\n", word }, { stdout = "pipe" })
    assert.equal(word, child.stdout:read("*l"))
  end)

  it("ends a child, and twice does no harm", function()
    local child = start{ "sleep", "60" }
    assert.equal(128 + 15, child:stop())
    assert.is_false(process.exists(child.pid))
    assert.equal(128 + 15, child:stop())
    assert.is_false(child:kill())
  end)

  it("ends a child that does not listen to TERM", function()
    local child = start({ "sh", "-c",
      "trap '' TERM; echo ready; while :; do sleep 0.1; done" },
      { stdout = "pipe" })
    assert.equal("ready", child.stdout:read("*l"))
    assert.equal(128 + 9, child:stop())
    assert.is_false(process.exists(child.pid))
  end)

  it("reports a command that does not exist", function()
    local child = start({ "close-no-such-command" }, { stderr = "/dev/null" })
    assert.equal(127, child:wait(5))
  end)

  it("leaves no child and no directory when it dies abruptly", function()
    local parent = start(process.lua([[
      local process = require "spec.support.process"
      local raw = require "spec.support.raw_server"
      local child, server = process.start{ "sleep", "60" }, raw.start{}
      print(child.pid, server.child.pid, process.tempdir())
      io.stdout:flush()
      require("socket").sleep(60)
    ]]), { stdout = "pipe" })
    local line = parent.stdout:read("*l")
    local child, server, dir = line:match("^(%d+)\t(%d+)\t(%S+)$")
    assert.is_true(process.exists(child) and process.exists(server))
    parent:kill("KILL")
    assert.equal(128 + 9, parent:wait(5))
    assert.is_true(soon(function()
      return not process.exists(child) and not process.exists(server)
        and not process.run{ "test", "-e", dir }
    end))
  end)

  it("removes only its own directories", function()
    local dir = process.tempdir()
    assert.is_true(process.run{ "test", "-d", dir })
    assert.is_true(process.remove(dir))
    assert.is_false(process.run{ "test", "-e", dir })
    assert.has_error(function() process.remove("/tmp") end)
  end)
end)

describe("raw server", function()
  local server

  setup(function() server = raw.start{} end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)

  it("starts in less than 100 ms", function()
    local best = math.huge
    for _ = 1, 3 do
      local before = socket.gettime()
      local another = raw.start{}
      best = math.min(best, socket.gettime() - before)
      another:stop()
      assert.is_false(process.exists(another.child.pid))
      assert.is_false(ports.open(another.port))
    end
    assert.is_true(best < 0.1, best)
  end)

  it("answers a full activity that the schema accepts", function()
    local status, headers, body = ask(server)
    assert.equal("HTTP/1.1 200 OK", status)
    assert.equal("application/json", headers["content-type"])
    assert.equal(activity, body)
    assert.is_true(schema.check("activity", body))
  end)

  it("keeps a ledger of the exact bytes", function()
    local every = {}
    for byte = 0, 255 do every[#every + 1] = string.char(byte) end
    local bytes = request(table.concat(every), "X-Two: a\r\nX-Two: b\r\n")
    local client = connect(server)
    for _ = 1, 2 do
      client:send(bytes)
      read_answer(client)
    end
    client:close()
    ask(server)
    local ledger = server:ledger()
    assert.equal(3, #ledger)
    assert.equal(bytes, ledger[2].raw)
    assert.equal(table.concat(every), ledger[2].body)
    assert.equal("POST", ledger[2].method)
    assert.equal("/api/v1/activity/sms/", ledger[2].target)
    assert.equal("a, b", ledger[2].headers["x-two"])
    assert.same({ 1, 1, 2 }, { ledger[1].connection, ledger[2].connection,
      ledger[3].connection })
    assert.equal(2, server:connections())
  end)

  it("takes chunked bodies", function()
    local client = connect(server)
    client:send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert.equal("HTTP/1.1 200 OK", (read_answer(client)))
    client:close()
    assert.equal("abcde", server:ledger()[1].body)
  end)

  it("plays its script, then answers as usual", function()
    server:script{
      { status = 429, headers = { ["Retry-After"] = 2 }, body = { a = 1 } },
      { answer = "HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\n{}" },
    }
    local status, headers, body = ask(server)
    assert.equal("HTTP/1.1 429 Too Many Requests", status)
    assert.equal("2", headers["retry-after"])
    assert.equal('{"a":1}', body)
    assert.equal("HTTP/1.1 599 Odd", (ask(server)))
    assert.equal("HTTP/1.1 200 OK", (ask(server)))
    server:default{ status = 503 }
    assert.equal("HTTP/1.1 503 Service Unavailable", (ask(server)))
  end)

  it("refuses a step that it does not know", function()
    assert.has_error(function() server:script{ { colse = true } } end)
    assert.has_error(function() server:script{ { at = "end" } } end)
  end)

  it("resets a connection before, amid and after the request", function()
    for _, at in ipairs{ "accept", "headers", "half", "body" } do
      server:script{ { at = at, reset = true, delay = 0.02 } }
      local client = connect(server)
      client:send(request(BODY))
      assert.is_nil((client:receive("*l")), at)
      client:close()
    end
    assert.equal(1, #server:ledger())
    assert.equal(4, server:connections())
  end)

  it("closes without an answer", function()
    server:script{ { close = true } }
    assert.same({ nil, "closed" }, { ask(server) })
    assert.equal(1, #server:ledger())
  end)

  it("answers before it has the body, and the answer arrives", function()
    server:script{ { at = "headers", status = 413, close = true } }
    assert.equal("HTTP/1.1 413 Content Too Large",
      (ask(server, ("x"):rep(300000))))
    assert.equal(0, #server:ledger())
  end)

  it("leaves what it does not read with the sender", function()
    local small = raw.start{
      receive_buffer = 4096, { at = "half", delay = 60 } }
    local client = connect(small)
    client:settimeout(0.2)
    local bytes = request(("x"):rep(32 * 1024 * 1024))
    local _, err, last = client:send(bytes)
    client:close()
    small:stop()
    assert.equal("timeout", err)
    assert.is_true(last < #bytes)
  end)

  it("waits, and trickles", function()
    server:script{
      { delay = 0.1 },
      { chunks = { "HTTP/1.1 200 OK\r\nContent-", 0.1,
        "Length: 2\r\n\r\n{", 0.1, "}" } },
    }
    for _, least in ipairs{ 0.1, 0.2 } do
      local before = socket.gettime()
      assert.equal("HTTP/1.1 200 OK", (ask(server)))
      assert.is_true(socket.gettime() - before >= least - 0.01)
    end
  end)

  it("sends more than anybody should read, and stops there", function()
    server:script{ { endless = "body" }, { endless = "headers" } }
    for _ = 1, 2 do
      local client = connect(server)
      client:send(request(BODY))
      local size = 0
      repeat
        local data, err, rest = client:receive(1024 * 1024)
        size = size + #(data or rest)
      until err
      client:close()
      assert.is_true(size > 60 * 1024 * 1024 and size < 70 * 1024 * 1024)
    end
  end)

  it("serves many connections at once", function()
    local steps, clients = {}, {}
    for i = 1, 100 do steps[i] = { delay = 0.1 } end
    server:script(steps)
    local before = socket.gettime()
    for i = 1, 100 do
      clients[i] = connect(server)
      clients[i]:send(request(BODY))
    end
    for i = 1, 100 do
      assert.equal("HTTP/1.1 200 OK", (read_answer(clients[i])))
      clients[i]:close()
    end
    assert.is_true(socket.gettime() - before < 3)
    assert.equal(100, server:connections())
    assert.equal(100, #server:wait(100))
    assert.is_nil(server:wait(101, 0.01))
  end)

  it("forgets all when it is reset", function()
    local client = connect(server)
    server:script{ { delay = 60 }, { status = 500 } }
    client:send(request(BODY))
    server:wait(1)
    server:reset()
    assert.equal("closed", (select(2, client:receive("*l"))))
    client:close()
    assert.same({}, server:ledger())
    assert.equal(0, server:connections())
    assert.equal("HTTP/1.1 200 OK", (ask(server)))
  end)
end)

describe("nginx", function()
  local upstream, proxy, static

  setup(function()
    upstream = raw.start{}
    proxy = nginx.start{ upstream = upstream.url }
    static = nginx.start{ static = true }
  end)

  teardown(function()
    if static then static:stop() end
    if proxy then proxy:stop() end
    upstream:stop()
  end)

  before_each(function() upstream:reset() end)

  -- What openssl's own client says about a listener's certificate.
  local function verify(url, ca_file)
    local text = process.capture(("openssl s_client -connect %s -CAfile %s "
      .. "-verify_ip 127.0.0.1 -verify_return_error -alpn h2,http/1.1 "
      .. "</dev/null 2>&1"):format(url:match("//([^/]+)"), ca_file))
    return text:match("error:num=(%d+)") or text:match("ALPN protocol: (%S+)")
      or text:match("No ALPN negotiated")
  end

  local function port_of(url)
    return { port = tonumber(url:match(":(%d+)")) }
  end

  it("answers a fixed activity", function()
    local status, headers, body = ask(port_of(static.http))
    assert.equal("HTTP/1.1 200 OK", status)
    assert.equal("application/json", headers["content-type"])
    assert.equal(activity, body)
  end)

  it("passes requests on", function()
    upstream:script{ { status = 503, body = "{}" } }
    assert.matches("503", (ask(port_of(proxy.http))))
    assert.equal(BODY, upstream:ledger()[1].body)
    assert.equal("/api/v1/activity/sms/", upstream:ledger()[1].target)
  end)

  it("speaks what the listener's name says", function()
    assert.equal("h2", verify(static.h2, static.ca_file))
    assert.not_equal("h2", verify(static.https, static.ca_file))
  end)

  it("has certificates to refuse", function()
    assert.equal("10", verify(static.expired, static.ca_file))
    assert.equal("64", verify(static.wrong_host, static.ca_file))
    assert.equal("18", verify(static.self_signed, static.ca_file))
    assert.equal("20", verify(static.https, static.other_ca))
  end)

  it("logs what came, by connection", function()
    local fresh = nginx.start{ static = true }
    local client = connect(port_of(fresh.http))
    for _ = 1, 2 do
      client:send(request(BODY))
      read_answer(client)
    end
    client:close()
    ask(port_of(fresh.http))
    local lines = fresh:access_log(3)
    fresh:stop()
    assert.equal(3, #lines)
    assert.equal("http", lines[3].listener)
    assert.equal("HTTP/1.1", lines[3].protocol)
    assert.equal(200, lines[3].status)
    assert.equal(lines[1].connection, lines[2].connection)
    assert.equal(2, lines[2].connection_requests)
    assert.not_equal(lines[2].connection, lines[3].connection)
    assert.is_number(lines[3].request_time)
  end)

  it("is gone when stopped", function()
    local another = nginx.start{ static = true }
    another:stop()
    assert.is_false(process.exists(another.child.pid))
    assert.is_false(ports.open(port_of(another.http).port))
  end)

  it("says why it does not start", function()
    assert.has_error(function() nginx.start{} end)
  end)
end)

describe("a stream of the fault server", function()
  -- A socket that a client has broken, as LuaSec 1.3 has it with OpenSSL 3.5:
  -- there is an error, and no text for it.
  local function broken_socket()
    local calls, sock = 0, {}
    local function fail()
      calls = calls + 1
      assert(calls < 10, "it is tried again and again")
    end
    function sock.receive() fail() return nil, nil, "" end
    function sock.send() fail() return nil, nil, 0 end
    function sock.settimeout() end
    function sock.close() end
    return sock
  end

  it("ends with an error that has no text", function()
    local sent, read
    stream.spawn(broken_socket(), function(self) sent = self:send "data" end)
    stream.spawn(broken_socket(), function(self) read = self:fill() end)
    assert.is_false(sent)
    assert.is_false(read)
  end)
end)

describe("schema", function()
  teardown(schema.stop)

  local function refuses(name, text, pattern)
    local ok, errors = schema.check(name, text)
    assert.is_nil(ok)
    assert.matches(pattern, table.concat(errors, "\n"))
  end

  it("accepts what the API accepts", function()
    assert.is_true(schema.check("create", BODY))
    assert.is_true(schema.check("create", [[{"status": "draft",
      "text": null, "attachments": [{"content_type": "image/png",
      "filename": "a.png", "url": "https://example.com/a.png"}],
      "some_new_field": 1}]]))
  end)

  it("refuses what it does not, and says why", function()
    refuses("create", "{}", "'status' is a required")
    refuses("create", '{"status": "later"}', "%$%.status")
    refuses("create", '{"status": "sent", "text": 5}', "%$%.text")
    refuses("create", '{"status": "sent", "source": null}', "%$%.source")
    refuses("create", '{"status": "sent", "attachments": [{}]}',
      "%$%.attachments%[0%]: 'url'")
    refuses("activity", activity:gsub('"users"', '"user"'), "'users'")
  end)

  it("checks dates", function()
    local text = '{"status": "sent", "activity_at": "%s"}'
    for _, date in ipairs{ "2024-02-29T23:59:59.5+05:30",
      "2016-12-31T23:59:60Z", "2016-12-31t15:59:60-08:00" } do
      assert.is_true(schema.check("create", text:format(date)), date)
    end
    for _, date in ipairs{ "2026-02-29T00:00:00Z", "2026-02-28T00:00:00",
      "2026-02-28", "2026-02-28T24:00:00Z", "2026-02-28T00:00:60Z",
      "2026-02-28T00:00:00+0000", "2026-02-28T00:00:00+24:00" } do
      refuses("create", text:format(date), "date%-time")
    end
  end)

  it("refuses what is not JSON", function()
    for _, text in ipairs{ "", "{", '{"status": "sent"}}', "NaN",
      '{"status": "sent", "status": "sent"}', '{"status": "a\nb"}',
      '{"status": "sent", "text": "\255"}' } do
      assert.is_nil((schema.check("create", text)), text)
    end
  end)
end)
