-- The keys and tokens that the sandbox accepts, and its paths and methods.

local mime = require "mime"
local support = require "spec.support.sandbox_client"

local SMS, PATH, DRAFT = support.SMS, support.PATH, support.DRAFT

local answer, basic, bytes = support.answer, support.basic, support.bytes
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

describe("close.sandbox authentication", function()
  local function status_with(header, caller)
    local status, body = (caller or client):call("GET", SMS, nil,
      { authorization = header })
    return status, body
  end

  it("takes the key as user with an empty password", function()
    assert.equal(200, (status_with(basic(server.api_key))))
  end)

  it("takes a bearer token", function()
    assert.equal(200, (status_with("Bearer " .. server.access_token)))
  end)

  it("takes schemes in any case", function()
    assert.equal(200, (status_with("bearer " .. server.access_token)))
    assert.equal(200,
      (status_with((basic(server.api_key):gsub("Basic", "BASIC")))))
  end)

  it("answers 401 and says why to any other", function()
    for _, header in ipairs {
      basic "api_other", "Bearer other", "Bearer " .. server.api_key,
      "Basic " .. mime.b64(server.access_token .. ":"),
      "Basic " .. mime.b64(server.api_key .. ":password"),
      "Basic " .. mime.b64(server.api_key), "Basic", "Basic !!!", "nonsense",
    } do
      local status, body = status_with(header)
      assert.equal(401, status, header)
      assert.equal("string", type(body.error))
    end
  end)

  it("answers 401 where there is no header", function()
    local status = client:exchange("GET " .. PATH
      .. " HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert.equal(401, status)
  end)

  it("takes the key and the token it was started with", function()
    local _, other = support.start { api_key = "k", access_token = "t" }
    assert.equal(200, (status_with(basic "k", other)))
    assert.equal(200, (status_with("Bearer t", other)))
    assert.equal(401, (status_with(basic "api_sandbox", other)))
  end)
end)

describe("close.sandbox paths and methods", function()
  it("answers 404 without the trailing slash", function()
    local status, body = client:call("GET", "/activity/sms")
    assert.equal(404, status)
    assert.equal("string", type(body.error))
  end)

  it("answers 404 to other paths", function()
    for _, path in ipairs { "/", "/task/", SMS .. "a/b/", "/activity/call/" } do
      assert.equal(404, (client:call("GET", path)))
    end
  end)

  it("answers 404 to an id it does not know", function()
    for _, method in ipairs { "GET", "DELETE" } do
      assert.equal(404, (client:call(method, SMS .. "acti_none/")))
    end
    assert.equal(404, (client:call("PUT", SMS .. "acti_none/", {})))
  end)

  it("answers 405 to other methods, and names those it has", function()
    local status, _, headers = client:call("PATCH", SMS, DRAFT)
    assert.equal(405, status)
    assert.equal("GET, POST", headers.allow)
    status, _, headers = client:call("POST", SMS .. "acti_x/", DRAFT)
    assert.equal(405, status)
    assert.equal("GET, PUT, DELETE", headers.allow)
  end)

  it("answers HEAD without a body", function()
    local get = bytes("GET", PATH)
    local sock = client:open(get:gsub("^GET", "HEAD") .. get)
    assert.equal("HTTP/1.1 405 Method Not Allowed", (sock:receive "*l"))
    repeat local line = sock:receive "*l" until line == "" or not line
    assert.equal(200, (answer(sock)))
    sock:close()
  end)
end)
