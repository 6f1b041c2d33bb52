-- What create makes of every kind of answer: kind, outcome, Close's reasons,
-- and whether it asked again.
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

  it("has Close's errors and field-errors in err.errors", function()
    says('{"errors": [], "field-errors": {"lead": "This field is required."}}',
      { "lead: This field is required." })
    says('{"errors": ["Not now.", "Not ever."], "field-errors": {}}',
      { "Not ever.", "Not now." })
    says('{"errors": ["Bad."], "field-errors": {"b": "y", "a": "x"}}',
      { "Bad.", "a: x", "b: y" })
    says('{"error": "Invalid JSON"}', { "Invalid JSON" })
    says('\239\187\191{"error": "Bad \\ud83d"}', { "Bad \239\191\189" })
  end)

  it("has nested ones flattened", function()
    says([[{"field-errors": {"lead": {"errors": [], "field-errors":
      {"name": "Too long."}}}}]], { "lead.name: Too long." })
    says([[{"field-errors": {"attachments": [{"url": ["Bad.", "Worse."]},
      {"filename": "Empty."}]}}]], { "attachments[1].url: Bad.",
      "attachments[1].url: Worse.", "attachments[2].filename: Empty." })
    says([[{"errors": [], "field-errors": {"attachments": {"errors": {"0":
      {"errors": [], "field-errors": {"url": "Bad."}}, "10": "Odd."}}}}]],
      { "attachments[11]: Odd.", "attachments[1].url: Bad." })
    says('{"field-errors": {"a": [null, {"url": "Bad."}]}}',
      { "a[2].url: Bad." })
    says('{"field-errors": {"text": ["Too long.", "Too short."]}}',
      { "text: Too long.", "text: Too short." })
    says('{"field-errors": {"a": {"b": [{"c": "Odd."}]}}}',
      { "a.b[1].c: Odd." })
  end)

  it("has none where its body has none", function()
    for _, body in ipairs{ "", "{}", "[]", HTML, "{", "null", '"x"', "5",
      '{"errors": [], "field-errors": {}}', '{"errors": null}',
      '{"detail": "x"}' } do
      local err = fails({ status = 400, body = body }, "api", "rejected")
      assert.same({}, err.errors)
    end
  end)

  it("may hold anything", function()
    for _, body in ipairs{
      '{"error": {"message": "Odd.", "field": {"a": 1}, "code": []}}',
      '{"errors": [{"field": true, "message": "Odd."}]}',
      '{"errors": 5}', '{"errors": [5, true, null, 0.5]}',
      '{"errors": {"a": null}}', '{"error": ""}', '{"error": "\\u0000\\n"}',
      '{"errors": ' .. ("["):rep(500) .. ("]"):rep(500) .. "}",
      '{"field-errors": ' .. ('{"a":'):rep(500) .. "1" .. ("}"):rep(501),
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
    local made = collectgarbage "count" - before
    collectgarbage "restart"
    assert(made < 20 * 1024, made) -- KiB; one by one, 35 MiB
    assert(sms, tostring(err))
    assert.equal("1, 3", response.headers["x-one"])
    assert.equal("2", response.headers["x-two"])
    local joined = response.headers.a
    assert.equal("first, 1, 2, 3", joined:sub(1, 14))
    assert.equal(#"first" + 4900 * #", 1", #joined)
    client:close()
  end)
end)

describe("another 4xx", function()
  it("has its kind, and is a refusal", function()
    for status, kind in pairs{
      [401] = "authentication", [402] = "api", [403] = "api",
      [404] = "not_found", [405] = "api", [409] = "api", [410] = "api",
      [413] = "api", [415] = "api", [422] = "api", [451] = "api",
    } do
      local err = fails({ status = status, body = { error = "Sorry." } }, kind,
        "rejected")
      assert.same({ "Sorry." }, reasons(err))
      fails({ status = status }, kind, "rejected")
      fails({ status = status, body = HTML }, kind, "rejected")
    end
  end)
end)

describe("a 5xx", function()
  it("is an error of the server: nobody knows what it did", function()
    for _, step in ipairs{
      { status = 500 }, { status = 500, body = { error = "Oops." } },
      { status = 502, body = HTML, headers = {
        ["Content-Type"] = "text/html" } },
      { status = 503, headers = { ["Retry-After"] = 0 } },
      { status = 504, headers = { ["Content-Type"] = "application/json" } },
      { status = 599, body = "?" },
    } do
      fails(step, "server", "unknown")
    end
  end)
end)

describe("a redirect", function()
  it("is never followed", function()
    local other = raw.start{}
    for _, status in ipairs{ 301, 302, 303, 307, 308 } do
      for _, target in ipairs{ "/elsewhere", server.url .. "/activity/sms/",
        other.url .. "/activity/sms/", "https://127.0.0.1:1/" } do
        fails({ status = status, headers = { Location = target } },
          "protocol", "unknown")
      end
    end
    local connections = other:connections()
    other:stop()
    assert.equal(0, connections)
  end)
end)

describe("an answer's headers", function()
  it("are those before its body, each in one line", function()
    server:script{ { answer = "HTTP/1.1 200 OK\r\nX-Long: one\r\n\ttwo\r\n"
      .. "X-Twice: 1\r\nx-twice: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "10\r\n" .. '{"id": "acti_1"}' .. "\r\n0\r\nX-Long: three\r\n"
      .. "X-Trailer: 4\r\nRateLimit: limit=1, remaining=0, reset=59\r\n\r\n",
    } }
    local client = support.new(server, { timeout = 5 })
    local sms, err, response = client.sms.create(support.params())
    assert(sms, tostring(err))
    assert.equal("one two", response.headers["x-long"])
    assert.equal("1, 2", response.headers["x-twice"])
    assert.is_nil(response.headers["x-trailer"])
    assert.is_nil(response.rate_limit)
    assert(client.sms.create(support.params())) -- nothing holds it
  end)
end)

describe("a 429", function()
  local CALL = { max_retries = 0 }

  local function limited(headers, options, call_options)
    server:reset()
    server:default{ status = 429, headers = headers, body = "{}" }
    local before = socket.gettime()
    local sms, err, response =
      support.new(server, options).sms.create(support.params(), call_options)
    assert.is_nil(sms)
    assert.equal("rate_limited", err.kind)
    assert.equal("rejected", err.outcome)
    assert.equal(429, err.status)
    assert.equal(429, response.status)
    return err, socket.gettime() - before
  end

  it("says when to come back", function()
    local limit = "limit=10, remaining=0, reset="
    for _, case in ipairs{
      { { ["Retry-After"] = 7 }, 7 },
      { { RateLimit = limit .. "5" }, 5 },
      { { RateLimit = limit .. "0.8" }, 0.8 },
      { { RateLimit = { "limit=10, remaining=0", "reset=0.8" } }, 0.8 },
      { { RateLimit = limit .. "0.8", ["Retry-After"] = 9 }, 9 },
      { { ["Retry-After"] = { 3, 9, 4 } }, 9 },
      { { Date = "Sun, 06 Nov 1994 08:49:37 GMT",
        ["Retry-After"] = "Sun, 06 Nov 1994 08:49:44 GMT" }, 7 },
      { { RateLimit = "nonsense", ["Retry-After"] = 3 }, 3 },
      { { RateLimit = limit .. "4", ["Retry-After"] = "soon" }, 4 },
    } do
      assert.equal(case[2], limited(case[1], {}, CALL).retry_after)
    end
    local both = limited({ RateLimit = limit .. "4.2", ["Retry-After"] = 5 },
      {}, CALL).retry_after
    assert.is_true(both >= 4.2 and both <= 5)
    assert.is_nil(limited({}, {}, CALL).retry_after)
    assert.equal(1, #server:ledger())
  end)

  it("is tried again after that time", function()
    server:script{ { status = 429, headers = {
      RateLimit = "limit=10, remaining=0, reset=0.3" } } }
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

  it("is tried again after a pause of our own where it says none", function()
    server:script{ { status = 429 }, { status = 429 } }
    local sms, err, response = support.new(server).sms.create(support.params())
    assert(sms, tostring(err))
    assert.equal(3, response.attempts)
    local ledger = server:ledger()
    assert.is_true(ledger[3].time - ledger[1].time > 0.1)
  end)

  it("is given up when max_retries is used up", function()
    local err = limited({ ["Retry-After"] = 0 }, { max_retries = 2 })
    assert.equal(3, err.attempts)
    assert.equal(3, #server:ledger())
  end)

  it("is given up at once where the wait would pass the timeout", function()
    for _, headers in ipairs{ { ["Retry-After"] = 3600 },
      { RateLimit = "limit=10, remaining=0, reset=3600" },
      { ["Retry-After"] = "99999999999999999999" } } do
      local err, took = limited(headers, { timeout = 5 })
      assert.equal(1, err.attempts)
      assert.equal(60, err.retry_after)
      assert.is_true(took < 3)
    end
  end)
end)
