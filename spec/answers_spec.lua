-- How create handles every kind of answer: kind, outcome, Close's reasons, and
-- whether it retries.
local socket = require "socket"
local json = require("cjson").new()
local activity = require "spec.support.activity"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"

-- Has a call answered like this; asserts that it fails like that, with the
-- answer in the error and the response, and that it was sent once.
local function fails(step, kind, outcome)
  server:reset()
  server:default(step)
  local client = support.new(server)
  local sms, err, response = client.sms.create(support.params())
  assert.is_nil(sms)
  assert.is_nil(support.fault_of(err))
  assert.equal(kind, err.kind)
  assert.equal(outcome, err.outcome)
  local body = step.body or ""
  if type(body) == "table" then body = json.encode(body) end
  local status = step.status or 200
  assert.equal(status, err.status)
  assert.equal(status, response.status)
  assert.equal(body, err.body)
  assert.equal(body, response.body)
  assert.equal("table", type(response.headers))
  assert.equal(1, err.attempts)
  assert.equal(1, response.attempts)
  assert.equal(1, #server:ledger())
  assert.matches(tostring(status), tostring(err), 1, true)
  client:close()
  return err
end

-- err.errors as a sorted list of "field: message".
local function reasons(err)
  local list = {}
  for i, item in ipairs(err.errors) do
    list[i] = (item.field and item.field .. ": " or "") .. item.message
  end
  table.sort(list)
  return list
end

describe("a 2xx that is no activity", function()
  it("is an error of protocol: Close may have acted", function()
    for _, body in ipairs{
      "", " ", HTML, "{", activity:sub(1, 500), "nonsense",
      "[]", '[{"id": "acti_1"}]', "null", "true", "5", '"acti_1"', "{}",
      '{"status": "outbox"}', '{"id": null}', '{"id": 5}', '{"id": {}}',
      '{"id": ""}',
      '{"id": "acti_1"} {"id": "acti_2"}', "\255\254", "{\"id\": \"a\0",
      ("["):rep(100000), ('{"a":'):rep(5000), '{"data": [], "id": true}',
    } do
      fails({ body = body }, "protocol", "unknown")
    end
  end)

  it("is one whatever its status and type", function()
    fails({ status = 201 }, "protocol", "unknown")
    fails({ status = 202, body = "ok" }, "protocol", "unknown")
    fails({ status = 204 }, "protocol", "unknown")
    fails({ body = HTML, headers = { ["Content-Type"] = "text/html" } },
      "protocol", "unknown")
  end)

  it("is taken where only its type is wrong", function()
    server:default{ body = activity, headers = {
      ["Content-Type"] = "text/plain" } }
    assert(support.new(server).sms.create(support.params()))
  end)
end)

describe("a 400", function()
  local function says(body, expected)
    local err = fails({ status = 400, body = body }, "api", "rejected")
    assert.same(expected, reasons(err))
    for _, reason in ipairs(expected) do
      assert.matches(reason, err.message, 1, true)
    end
  end

  it("has Close's reasons in err.errors", function()
    says('{"errors": ["Bad."], "field-errors": {"b": "y", "a": "x"}}',
      { "Bad.", "a: x", "b: y" })
    says('{"error": "Invalid JSON"}', { "Invalid JSON" })
    says('\239\187\191{"error": "Bad \\ud83d"}', { "Bad \239\191\189" })
    says([[{"errors": [], "field-errors": {"attachments": {"errors": {"0":
      {"errors": [], "field-errors": {"url": "Bad."}}, "10": "Odd."}}}}]],
      { "attachments[11]: Odd.", "attachments[1].url: Bad." })
  end)

  it("may hold anything", function()
    for _, body in ipairs{ "", "{", HTML, '"x"', '{"errors": null}',
      '{"errors": 5}', '{"errors": [5, true, null, 0.5]}',
      '{"error": "\\u0000\\n"}',
      '{"errors": ' .. ("["):rep(500) .. ("]"):rep(500) .. "}",
      '{"errors": [' .. ('"x",'):rep(100000) .. '"x"]}',
      '{"error": "' .. ("x"):rep(1e6) .. '"}',
    } do
      fails({ status = 400, body = body }, "api", "rejected")
    end
  end)
end)

describe("a header that comes many times", function()
  it("is joined once", function()
    local lines = { "HTTP/1.1 200 OK", "x-one: 1", "A: first" }
    for i = 1, 4900 do -- later libcurls take 5,000
      lines[#lines + 1] = "a:" .. i % 10
    end
    lines[#lines + 1] = "x-two: 2"
    lines[#lines + 1] = "X-One: 3"
    server:default{ answer = table.concat(lines, "\r\n") ..
      '\r\nContent-Length: 15\r\n\r\n{"id":"acti_1"}', close = true }
    local client = support.new(server)
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    local sms, err, response = client.sms.create(support.params())
    local headers = response and response.headers
    local made = collectgarbage "count" - before
    collectgarbage "restart"
    assert(made < 20 * 1024, made) -- KiB; one by one, 35 MiB
    assert(sms, tostring(err))
    assert.equal("1, 3", headers["x-one"])
    assert.equal("2", headers["x-two"])
    local joined = headers.a
    assert.equal("first, 1, 2, 3", joined:sub(1, 14))
    assert.equal(#"first" + 4900 * #", 1", #joined)
    client:close()
  end)
end)

describe("another status", function()
  it("has its kind and outcome", function()
    for _, row in ipairs{ { 401, "authentication", "rejected" },
      { 402, "api", "rejected" }, { 404, "not_found", "rejected" },
      { 500, "server", "unknown" }, { 503, "server", "unknown" } } do
      local err = fails({ status = row[1], body = { error = "Sorry." } },
        row[2], row[3])
      assert.same({ "Sorry." }, reasons(err))
      fails({ status = row[1], body = HTML }, row[2], row[3])
    end
  end)
end)

describe("a redirect", function()
  it("is never followed", function()
    local other = raw.start{}
    for _, target in ipairs{ server.url .. "/activity/sms/",
      other.url .. "/activity/sms/" } do
      fails({ status = 307, headers = { Location = target } }, "protocol",
        "unknown")
    end
    local connections = other:connections()
    other:stop()
    assert.equal(0, connections)
  end)
end)

describe("a 429", function()
  it("says when to come back, and is given up where that is late", function()
    for retry_after, asked in pairs{ [7] = 7, [3600] = 60 } do
      server:reset()
      server:default{ status = 429, body = "{}",
        headers = { ["Retry-After"] = retry_after } }
      local before = socket.gettime()
      local _, err, response = support.new(server, { timeout = 5 }).sms.create(
        support.params())
      assert.equal("rate_limited", err.kind)
      assert.equal("rejected", err.outcome)
      assert.equal(429, response.status)
      assert.equal(asked, err.retry_after)
      assert.equal(1, err.attempts)
      assert.is_true(socket.gettime() - before < 3)
    end
  end)

  it("may say that it is at once", function()
    server:script{ { status = 429, body = "{}",
      headers = { ["Retry-After"] = 0 } } }
    local _, err = support.new(server, { max_retries = 0 }).sms.create(
      support.params())
    assert.equal("rate_limited", err.kind)
    assert.equal(0, err.retry_after)
  end)

  it("is tried again after that time", function()
    server:script{ { status = 429, headers = {
      RateLimit = { "limit=10, remaining=0", "reset=0.3" } } } }
    local sms, err, response = support.new(server).sms.create(support.params())
    assert(sms, tostring(err))
    assert.equal(2, response.attempts)
    local ledger = server:ledger()
    assert.equal(2, #ledger)
    assert.equal(ledger[1].body, ledger[2].body)
    local waited = ledger[2].time - ledger[1].time
    assert.is_true(waited >= 0.25 and waited < 5, tostring(waited))
    assert.is_true(response.elapsed >= 0.25)
  end)
end)
