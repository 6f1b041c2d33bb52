-- The requests and messages that a sandbox shows: by its handle, and at the
-- control endpoints.

local cjson = require "cjson"
local socket = require "socket"
local support = require "spec.support.sandbox_client"

local SMS, PATH, DRAFT = support.SMS, support.PATH, support.DRAFT

local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

describe("close.sandbox the ledger", function()
  it("has each request that was taken whole, in order", function()
    client:call("POST", SMS .. "?send_to_inbox=true", { status = "inbox" })
    client:call("POST", SMS, "nonsense")
    client:call("GET", SMS)
    local records = server:requests()
    assert.equal(3, #records)
    assert.equal("POST", records[1].method)
    assert.equal(PATH, records[1].path)
    assert.equal("true", records[1].query.send_to_inbox)
    assert.equal(support.basic(server.api_key),
      records[1].headers.authorization)
    assert.same({ status = "inbox" }, cjson.decode(records[1].body))
    assert.equal("nonsense", records[2].body)
    assert.is_true(math.abs(socket.gettime() - records[1].time) < 60)
    assert.is_true(records[1].time <= records[2].time)
    assert.same({ true, false, true },
      { records[1].acted, records[2].acted, records[3].acted })
    assert.same({ 200, 400, 200 },
      { records[1].status, records[2].status, records[3].status })
  end)

  it("has bodies byte for byte", function()
    local body = "\0\127\128\255\r\n\\\""
    client:call("POST", SMS, body)
    assert.equal(body, server:requests()[1].body)
  end)

  it("has none whose body did not come whole", function()
    client:open(support.bytes("POST", PATH):sub(1, -2)):close()
    client:call("GET", SMS)
    local records = server:requests()
    assert.equal(1, #records)
    assert.equal("GET", records[1].method)
  end)

  it("does not count those who look at it", function()
    server:requests()
    server:messages()
    assert.same({}, server:requests())
  end)

  it("is emptied by reset, as the messages are", function()
    client:create(DRAFT)
    assert.is_true(server:reset())
    assert.same({}, server:requests())
    assert.same({}, server:messages())
  end)

  it("shows messages oldest first, nulls as absent", function()
    client:create { status = "draft", text = "a" }
    client:create { status = "draft", text = "b" }
    local messages = server:messages()
    assert.same({ "a", "b" }, { messages[1].text, messages[2].text })
    assert.is_nil(messages[1].lead_id)
    assert.same({}, messages[1].attachments)
  end)
end)

describe("close.sandbox the control endpoints", function()
  local function control(method, path, body, host)
    local text = body and cjson.encode(body) or ""
    local status, _, answered = client:exchange(
      ("%s /_sandbox/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s")
      :format(method, path, host or "localhost", #text, text))
    return status, answered and cjson.decode(answered)
  end

  it("tell where the API is", function()
    local status, body = control("GET", "")
    assert.same({ 200, server.url }, { status, body.url })
  end)

  it("set, show and clear faults", function()
    local status, set = control("POST", "faults",
      { kind = "status", status = 500 })
    assert.same({ 200, "read" }, { status, set.place })
    assert.equal(1, #select(2, control("GET", "faults")).data)
    assert.equal(200, (control("DELETE", "faults")))
    assert.same({}, select(2, control("GET", "faults")).data)
  end)

  it("say what is wrong with a fault", function()
    local status, body = control("POST", "faults", { kind = "x" })
    assert.equal(400, status)
    assert.matches("kind", body.error, 1, true)
    assert.equal(400, (control("POST", "faults")))
  end)

  it("show requests and messages, and reset", function()
    client:create(DRAFT)
    assert.equal(1, #select(2, control("GET", "requests")).data)
    assert.equal("Hello", select(2, control("GET", "messages")).data[1].text)
    assert.equal(200, (control("POST", "reset")))
    assert.same({}, select(2, control("GET", "messages")).data)
  end)

  it("answer 404 and 405", function()
    assert.equal(404, (control("GET", "nothing")))
    assert.equal(405, (control("GET", "reset")))
  end)

  it("answer only to loopback's names", function()
    assert.equal(403, (control("GET", "requests", nil, "evil.example")))
    assert.equal(403, (control("GET", "requests", nil,
      "127.0.0.1.evil.example")))
    assert.equal(200, (control("GET", "requests", nil, "127.0.0.1:80")))
    assert.equal(200, (control("GET", "requests", nil, "[::1]:80")))
  end)
end)
