-- The test support itself, where an error would let other specs pass wrongly.
local socket = require "socket"
local activity = require "spec.support.activity"
local nginx = require "spec.support.nginx"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local schema = require "spec.support.schema"

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

-- Status line and body of an answer with a length.
local function read_answer(client)
  local status, err = client:receive("*l")
  if not status then return nil, err end
  local length = 0
  for line in function() return client:receive("*l") end do
    if line == "" then break end
    length = tonumber(line:match("^Content%-Length: (%d+)$")) or length
  end
  -- receive(0) would wait for a byte
  return status, length > 0 and client:receive(length) or ""
end

local function ask(server, body)
  local client = connect(server)
  client:send(request(body or BODY))
  local status, answer = read_answer(client)
  client:close()
  return status, answer
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
    assert.is_true(process.eventually(function()
      return not process.exists(child) and not process.exists(server)
        and not process.run{ "test", "-e", dir }
    end))
  end)
end)

describe("raw server", function()
  local server

  setup(function() server = raw.start{} end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)

  it("answers a full activity that the schema accepts", function()
    local status, body = ask(server)
    assert.equal("HTTP/1.1 200 Any", status)
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

  it("tells when all of an answer was written", function()
    server:script{ { chunks = { "HTTP/1.1 200 OK\r\n", 0.3,
      "Content-Length: 0\r\n\r\n" } } }
    local client = connect(server)
    client:send(request(BODY))
    assert.equal("HTTP/1.1 200 OK", (client:receive "*l"))
    assert.is_true(server:wait(1, 5, true)[1].answered)
    client:settimeout(0)
    assert.equal("Content-Length: 0", (client:receive "*l"))
    client:close()
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

  it("answers before it has the body, and the answer arrives", function()
    server:script{ { at = "headers", status = 413, close = true } }
    assert.equal("HTTP/1.1 413 Any",
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
    assert.equal("HTTP/1.1 200 Any", (ask(server)))
  end)
end)

describe("nginx", function()
  local static

  setup(function() static = nginx.start{ static = true } end)
  teardown(function() static:stop() end)

  -- What openssl's own client says about a listener's certificate.
  local function verify(url, ca_file)
    local text = process.capture(("openssl s_client -connect %s -CAfile %s "
      .. "-verify_ip 127.0.0.1 -verify_return_error -alpn h2,http/1.1 "
      .. "</dev/null 2>&1"):format(url:match("//([^/]+)"), ca_file))
    return text:match("error:num=(%d+)") or text:match("ALPN protocol: (%S+)")
      or text:match("No ALPN negotiated")
  end

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
end)

describe("schema", function()
  teardown(schema.stop)

  local function refuses(name, text, pattern)
    local ok, errors = schema.check(name, text)
    assert.is_nil(ok)
    assert.matches(pattern, table.concat(errors, "\n"))
  end

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
    assert.is_true(schema.check("create",
      text:format "2024-02-29T23:59:59.5+05:30"))
    for _, date in ipairs{ "2026-02-29T00:00:00Z", "2026-02-28T00:00:00",
      "2026-02-28", "2026-02-28T24:00:00Z", "2026-02-28T00:00:00+0000",
      "2026-02-28T00:00:00+24:00" } do
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
