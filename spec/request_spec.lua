-- client:request: any request of Close's API, with the rules of all calls.
local close = require "close"
local json = require("cjson").new()
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"
local calmly = support.calmly

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function answer(status, body)
  return { status = status, body = body }
end

describe("client:request", function()
  it("sends what it is given, with the credentials", function()
    local client = support.new(server)
    server:script{ answer(201, '{"id": "lead_1", "name": null, "n": 3}') }
    local value, err, response = client:request("POST", "/lead/", {
      body = { name = "Ada", contacts = { { name = "B" } } },
      query = { _fields = "id,name", dry = true, n = 2, share = 0.5,
        ["a b"] = "\195\164&" } })
    assert.is_nil(err)
    assert.same({ id = "lead_1", n = 3 }, value)
    assert.same({ 201, 1 }, { response.status, response.attempts })
    local request = server:ledger()[1]
    assert.equal("POST", request.method)
    assert.equal("/api/v1/lead/?_fields=id%2Cname&a%20b=%C3%A4%26&dry=true&" ..
      "n=2&share=0.5", request.target)
    assert.same({ name = "Ada", contacts = { { name = "B" } } },
      json.decode(request.body))
    assert.equal("application/json", request.headers["content-type"])
    assert.matches("^Basic ", request.headers.authorization)
  end)

  it("takes any 2xx, and any JSON", function()
    local client = support.new(server)
    for body, wanted in pairs{ [""] = true, ["[1, 2]"] = { 1, 2 },
      ["5"] = 5, ['"text"'] = "text", ["false"] = false, ["{}"] = {} } do
      server:script{ answer(202, body) }
      local value, err = client:request("GET", "/me/")
      assert.is_nil(err)
      assert.same(wanted, value)
    end
    server:script{ answer(204) }
    assert.is_true(client:request("DELETE", "/lead/lead_1/"))
    server:script{ answer(200, "null") }
    assert.equal(close.null, (client:request("GET", "/me/")))
    server:script{ answer(200, "<html>") }
    local value, err, response = client:request("GET", "/me/")
    assert.same({ nil, "protocol", "unknown", 200 },
      { value, err.kind, err.outcome, response.status })
  end)

  it("tells what failed, as all calls do", function()
    local client = support.new(server, { max_retries = 0 })
    server:script{ answer(404, '{"error": "no lead"}'), { reset = true } }
    local value, err = client:request("GET", "/lead/lead_x/")
    assert.is_nil(value)
    assert.same({ "not_found", "rejected" }, { err.kind, err.outcome })
    assert.matches("no lead", err.message)
    value, err = client:request("POST", "/lead/", { body = {} })
    assert.same({ nil, "connection", "unknown" },
      { value, err.kind, err.outcome })
  end)

  it("repeats what may be repeated, and nothing else", function()
    local client = support.new(server, { timeout = 10 })
    for _, row in ipairs{
      { "GET", nil, 2 }, { "DELETE", nil, 2 }, { "PUT", nil, 2, {} },
      { "POST", nil, 1, {} }, { "POST", nil, 1 }, { "PATCH", nil, 1, {} },
      { "PATCH", nil, 1 }, { "POST", true, 2, {} }, { "PATCH", true, 2, {} },
      { "PUT", false, 1, {} }, { "GET", false, 1 } } do
      server:reset()
      assert(client:request("GET", "/me/")) -- a connection that is kept
      server:script{ { reset = true } }
      local method, repeatable = row[1], row[2]
      local value, err = client:request(method, "/lead/",
        { repeatable = repeatable, body = row[4] })
      local what = method .. " " .. tostring(repeatable)
      assert.equal(row[3], #server:ledger() - 1, what)
      assert.equal(row[3] == 2, value ~= nil, what)
      if err then assert.equal("unknown", err.outcome, what) end
    end
  end)

  it("has the options of a call, and no others", function()
    local client = support.new(server)
    server:default{ status = 503 }
    local _, err = client:request("GET", "/me/", { max_retries = 1 })
    assert.equal(2, err.attempts)
    for options, kind in pairs{ [{ max_retries = -1 }] = "config",
      [{ headers = {} }] = "config", [{ on_draft = print }] = "config",
      [{ query = 1 }] = "validation", [{ query = { 1 } }] = "validation",
      [{ query = { a = {} } }] = "validation",
      [{ query = { a = 0 / 0 } }] = "validation",
      [{ query = { a = ("x"):rep(65536) } }] = "validation",
      [{ query = { a = ("x"):rep(2 ^ 24) } }] = "validation",
      [{ body = "text" }] = "validation",
      [{ body = { print } }] = "validation",
      [{ repeatable = 1 }] = "validation" } do
      local none
      none, err = calmly(client.request, client, "POST", "/me/", options)
      assert.is_nil(none)
      assert.equal(kind, err.kind)
    end
    assert.equal(2, #server:ledger())
  end)

  it("goes nowhere else", function()
    local client = support.new(server)
    for _, path in ipairs{ "lead/", "", "/lead/?a=b",
      "/lead/#x", "/a b/", "/../other/", "/lead/..", "/lead/%2e%2E/x",
      "/\195\164/", "/a\r\nX: y", "/a\0", "@evil.example/",
      "http://evil.example/", ("/"):rep(9000), 5, {}, true } do
      local none, err = calmly(client.request, client, "GET", path)
      assert.is_nil(none)
      assert.equal("validation", err.kind, tostring(path))
      assert.equal("path", err.errors[1].field)
    end
    local _, why = client:request("GET", "/lead/?a=b")
    assert.matches("^path must have no query: ", why.message)
    _, why = client:request("GET", "https://api.close.com/api/v1/lead/?a=b")
    assert.matches('begin with "/"', why.message, 1, true)
    for path, part in pairs{ ["/a b/"] = 'at byte 3 escaped, as "%20"',
      ["/lead/#x"] = "at byte 7 escaped", ["/\195\164"] = "at byte 2 escaped",
      ["/lead/.."] = 'no part "." or ".."', ["/a/./b"] = 'no part "."',
      ["/a\0"] = "at byte 3 escaped", ["/%2E"] = 'no dot as "%2E"' } do
      _, why = client:request("GET", path)
      assert.matches(part, why.message, 1, true)
      assert.not_matches("begin with", why.message, 1, true)
    end
    for _, method in ipairs{ "get", "HEAD", "CONNECT", "GET / HTTP/1.1", 5,
      {} } do
      local none, err = calmly(client.request, client, method, "/me/")
      assert.is_nil(none)
      assert.equal("method", err.errors[1].field)
    end
    assert.equal(0, #server:ledger())
  end)

  it("is told which part of its query is wrong", function()
    local client = support.new(server)
    for query, message in pairs{
      [{ ok = 1, lead_id = {} }] =
        "query.lead_id must be a string, a finite number or a boolean, " ..
        "got a table",
      [{ n = math.huge }] = "query.n must be a string, a finite number or a " ..
        "boolean, got inf",
      [{ [("x"):rep(41)] = {} }] = "query." .. ("x"):rep(40) .. " must be a " ..
        "string, a finite number or a boolean, got a table",
      [{ ["a\n"] = {} }] = "query.? must be a string, a finite number or a " ..
        "boolean, got a table",
      [{ "a" }] = "query must have names, as in {_limit = 10}" } do
      local _, err = client:request("GET", "/me/", { query = query })
      assert.same({ "query: type" }, support.faults(err))
      assert.equal(message, err.message)
    end
  end)

  it("takes a query of 64 KiB, and changes no number in it", function()
    local client = support.new(server)
    assert(client:request("GET", "/" .. ("a"):rep(7999),
      { query = { a = (","):rep(65533) } }))
    local large, digits = 2 ^ 53, "9007199254740992"
    if math.maxinteger then large, digits = math.maxinteger, "%d" end
    assert(client:request("GET", "/me/", { query = { n = large } }))
    assert.equal("/api/v1/me/?n=" .. digits:format(large),
      server:ledger()[2].target)
  end)

  it("remembers the rate limits of the paths that were used last", function()
    local client = support.new(server, { max_retries = 1, timeout = 10 })
    server:script{ { status = 429, headers = { ["Retry-After"] = "30" } },
      { status = 503, headers = { ["Retry-After"] = "1" } } }
    local _, err = client:request("GET", "/lead/1/", { max_retries = 0 })
    assert.equal(429, err.status)
    _, err = client:request("GET", "/lead/1/")
    assert.equal("rate_limited", err.kind)
    local paused
    client:request_async("GET", "/lead/2/", function(value)
      paused = value ~= nil
    end)
    for i = 3, 300 do assert(client:request("GET", "/lead/" .. i .. "/")) end
    assert(client:request("GET", "/lead/1/"))
    assert.equal(0, client:wait(5))
    assert.is_true(paused)
  end)

  it("says that a body is empty where one could be", function()
    local client = support.new(server)
    for _, row in ipairs{ { "POST", "0" }, { "PUT", "0" }, { "PATCH", "0" },
      { "GET" }, { "DELETE" } } do
      server:reset()
      assert(client:request(row[1], "/lead/"))
      assert.equal(row[2], server:ledger()[1].headers["content-length"])
    end
  end)

  it("changes nothing of the caller's", function()
    local client = support.new(server)
    local options = { query = { a = 1 }, body = { b = {} }, timeout = 5 }
    local before = support.copy(options)
    client:request("POST", "/lead/", options)
    assert.same(before, options)
  end)

  it("has a twin that does not wait", function()
    local client = support.new(server)
    server:script{ answer(200, '{"id": "user_1"}') }
    local got
    local request = assert(client:request_async("GET", "/me/",
      function(...) got = { ... } end))
    assert.is_nil(got)
    assert.equal(0, client:wait(5))
    assert.same({ id = "user_1" }, got[1])
    assert.is_false(request:cancel())
    client:request_async("GET", "me", function(...) got = { ... } end)
    client:wait(5)
    assert.same({ nil, "validation" }, { got[1], got[2].kind })
    local none, err = client:request_async("GET", "/me/")
    assert.same({ nil, "config" }, { none, err.kind })
    for _, f in ipairs{ client.request, client.request_async } do
      none, err = calmly(f, {}, "GET", "/me/", print)
      assert.same({ nil, "config" }, { none, err.kind })
    end
  end)

  it("tells events its path without the query", function()
    local events = {}
    local client = support.new(server, { on_event = function(event)
      events[#events + 1] = event
    end })
    client:request("GET", "/me/", { query = { secret = "x" } })
    assert.same({ 1, "/me/" }, { #events, events[1].path })
  end)
end)
