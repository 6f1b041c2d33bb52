-- HTTP as a server has to speak it, in bytes: whole and in pieces, in order, at
-- once, and malformed.

local cjson = require "cjson"
local socket = require "socket"
local support = require "spec.support.sandbox_client"

local SMS, PATH, DRAFT = support.SMS, support.PATH, support.DRAFT
local GET = support.bytes("GET", PATH)
local POST = support.bytes("POST", PATH)

local answer, bytes, ending = support.answer, support.bytes, support.ending
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

describe("close.sandbox HTTP", function()
  it("keeps a connection for the next request", function()
    local sock = client:open()
    for _ = 1, 3 do
      sock:send(GET)
      local status, headers = answer(sock)
      assert.equal(200, status)
      assert.equal("keep-alive", headers.connection)
    end
    sock:close()
    local records = server:requests()
    assert.equal(records[1].connection, records[3].connection)
  end)

  it("closes it where the client says so", function()
    local sock = client:open(bytes("GET", PATH, nil, "Connection: Close\r\n"))
    local status, headers = answer(sock)
    assert.same({ 200, "close" }, { status, headers.connection })
    assert.equal("fin", ending(sock))
    sock:close()
  end)

  it("answers pipelined requests in order", function()
    local sock = client:open(POST .. GET .. bytes("PUT", PATH) .. GET)
    local statuses = {}
    for i = 1, 4 do statuses[i] = answer(sock) end
    sock:close()
    assert.same({ 200, 200, 405, 200 }, statuses)
  end)

  it("closes after one HTTP/1.0 request, unless asked to stay", function()
    local old = GET:gsub("HTTP/1.1", "HTTP/1.0")
    local sock = client:open(old)
    assert.equal(200, (answer(sock)))
    assert.equal("fin", ending(sock))
    sock:close()
    sock = client:open()
    local staying = old:gsub("Host:", "Connection: keep-alive\r\nHost:")
    for _ = 1, 2 do
      sock:send(staying)
      assert.equal(200, (answer(sock)))
    end
    sock:close()
  end)

  it("takes a body that comes byte by byte", function()
    local sock = client:open()
    sock:setoption("tcp-nodelay", true)
    for byte in POST:gmatch "." do sock:send(byte) end
    assert.equal(200, (answer(sock)))
    sock:close()
  end)

  it("takes chunked bodies", function()
    local text = cjson.encode(DRAFT)
    local request = support.chunked((
      "5;name=value\r\n%s\r\n%X\r\n%s\r\n0\r\nTrailer: x\r\n\r\n"
    ):format(text:sub(1, 5), #text - 5, text:sub(6)))
    local sock = client:open()
    for _ = 1, 2 do
      sock:send(request)
      assert.equal(200, (answer(sock)))
    end
    sock:close()
    assert.equal(text, server:requests()[2].body)
  end)

  it("refuses chunks that are none", function()
    for _, chunk in ipairs { "x\r\n", "-1\r\n", "\r\n", "1\r\nab\r\n" } do
      assert.equal(400, (client:exchange(support.chunked(chunk))))
    end
  end)

  it("asks for the body where the client waits", function()
    local head, body = bytes("POST", PATH, nil,
      "Expect: 100-continue\r\n"):match "^(.-\r\n\r\n)(.*)$"
    local sock = client:open(head)
    assert.equal("HTTP/1.1 100 Continue", (sock:receive "*l"))
    assert.equal("", (sock:receive "*l"))
    sock:send(body)
    assert.equal(200, (answer(sock)))
    sock:close()
  end)

  it("answers 417 to other expectations", function()
    assert.equal(417, (client:exchange(bytes("POST", PATH, nil,
      "Expect: miracles\r\n"))))
  end)

  it("answers 400 to what is malformed, and closes", function()
    for _, text in ipairs {
      "nonsense\r\n\r\n", "GET / HTTP/1.1\n\n",
      "GET / HTTP/1.1\r\nHost: ab\n\r\n",
      "GET  / HTTP/1.1\r\n\r\n",
      "G@T / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
      "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
      "GET /\1 HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
        .. "Content-Length: 2\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n",
    } do
      local sock = client:open(text)
      local status, headers = answer(sock)
      assert.equal(400, status, text)
      assert.equal("close", headers.connection)
      assert.equal("closed", select(2, sock:receive(1)))
      sock:close()
    end
  end)

  it("answers 501 and 505 to what it does not speak", function()
    assert.equal(501, (client:exchange("POST / HTTP/1.1\r\nHost: a\r\n"
      .. "Transfer-Encoding: gzip\r\n\r\n")))
    assert.equal(505, (client:exchange "PRI * HTTP/2.0\r\n\r\n"))
  end)

  it("takes targets in absolute form, and empty lines before", function()
    assert.equal(200,
      (client:exchange(bytes("GET", "http://localhost" .. PATH))))
    assert.equal(200, (client:exchange("\r\n\r\n" .. GET)))
  end)

  it("decodes queries", function()
    client:call("GET", SMS .. "?a=1%2C2+3&b&c=%zz&a=4")
    assert.same({ a = "4", b = "", c = "%zz" }, server:requests()[1].query)
  end)

  it("serves others while one is slow to send", function()
    local slow = client:open "GET "
    assert.equal(200, (client:call("GET", SMS)))
    slow:send((GET:sub(5)))
    assert.equal(200, (answer(slow)))
    slow:close()
  end)

  it("serves others while one is slow to read", function()
    local text = ("x"):rep(300000)
    for _ = 1, 20 do client:create { status = "draft", text = text } end
    local slow = client:open(GET, 4096)
    assert.equal(slow, socket.select({ slow }, nil, support.PATIENCE)[1])
    assert.equal(200, (client:call("GET", SMS .. "?_limit=1&_fields=id")))
    local status, headers, body = answer(slow)
    slow:close()
    assert.equal(200, status)
    assert.is_true(tonumber(headers["content-length"]) > 6000000)
    assert.equal(20, #cjson.decode(body).data)
  end)

  it("serves many connections at once", function()
    local socks = {}
    for i = 1, 200 do socks[i] = client:open() end
    for i = 200, 1, -1 do socks[i]:send(POST) end
    local good = 0
    for i = 1, 200 do
      if answer(socks[i]) == 200 then good = good + 1 end
    end
    for i = 1, 200 do socks[i]:close() end
    assert.equal(200, good)
    assert.equal(200, #server:messages())
  end)

  it("survives clients that leave at any moment", function()
    for _, text in ipairs { "", "POST", POST:sub(1, 60), POST:sub(1, -2),
      POST }
    do
      local sock = client:open(text)
      sock:setoption("linger", { on = true, timeout = 0 })
      sock:close()
    end
    assert.equal(200, (client:call("GET", SMS)))
  end)
end)
