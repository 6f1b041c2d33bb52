-- Compressed answers, although none is asked for: they are decoded; one that
-- cannot be decoded, or grows too large, ends the call.
local activity = require "spec.support.activity"
local gzip = require "spec.support.gzip"
local raw = require "spec.support.raw_server"
local socket = require "socket"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function packed(body, coding)
  return { body = body, headers = { ["Content-Encoding"] = coding or "gzip" } }
end

describe("a request", function()
  it("asks for no compression", function()
    assert(support.new(server).sms.create(support.params()))
    local headers = server:ledger()[1].headers
    assert.equal("identity", headers["accept-encoding"])
  end)
end)

describe("a compressed answer", function()
  it("is read like any other", function()
    local body = gzip.pack(activity)
    server:default(packed(body))
    local client = support.new(server)
    local sms, err, response = client.sms.create(support.params())
    assert(sms, tostring(err))
    assert.matches("^acti_", sms.id)
    assert.equal(activity, response.body)
    assert.equal("gzip", response.headers["content-encoding"])
    assert.equal(tostring(#body), response.headers["content-length"])
    assert.equal(sms.id, assert(client.sms.get(sms.id)).id)
  end)

  it("has Close's reasons where it is a refusal", function()
    server:default{ status = 400, body = gzip.pack '{"error": "Sorry."}',
      headers = { ["Content-Encoding"] = "gzip" } }
    local _, err = support.new(server).sms.create(support.params())
    assert.equal("rejected", err.outcome)
    assert.equal("Sorry.", err.errors[1].message)
    assert.equal('{"error": "Sorry."}', err.body)
  end)

  it("is sent by send with one draft", function()
    server:default(packed(gzip.pack(activity)))
    assert(support.new(server).sms.send{ text = "Hi!",
      local_phone = "+14154445555", remote_phone = "+18183334444" })
    assert.equal(2, #server:ledger())
  end)

  it("that cannot be unpacked is one of protocol, and unknown", function()
    local good = gzip.pack(activity)
    for _, step in ipairs{
      packed(good, "sdch"), packed(activity), packed(good:sub(1, 30) .. "x"),
      packed(good:sub(1, -5) .. "\0\0\0\0"), packed(good, "gzip, gzip"),
      packed(good, "gzip, identity, deflate"), packed(good .. good),
    } do
      server:reset()
      server:default(step)
      local sms, err = support.new(server).sms.create(support.params())
      assert.is_nil(sms)
      assert.is_nil(support.fault_of(err))
      assert.equal("protocol unknown", err.kind .. " " .. err.outcome)
      assert.equal(1, #server:ledger())
    end
  end)

  it("that cannot be unpacked is asked for again where that is safe", function()
    server:script{ packed(activity) }
    local _, _, response = support.new(server).sms.get "acti_1"
    assert.equal(2, response.attempts)
  end)

  it("that grows too large is one, too, however small it came", function()
    local limit = 1024 * 1024
    server:default(packed(gzip.bomb(64)))
    local client = support.new(server, { max_response_bytes = limit })
    local begun = socket.gettime()
    local sms, err, response = client.sms.create(support.params())
    assert.is_nil(sms)
    assert.equal("protocol unknown", err.kind .. " " .. err.outcome)
    assert.matches("larger than the option max_response_bytes", err.message)
    assert.is_true(#response.body <= limit)
    assert.is_true(socket.gettime() - begun < 5)
  end)
end)

describe("an answer that is compressed twice", function()
  it("is refused before anything of it is unpacked", function()
    for _, headers in ipairs{
      { ["Content-Encoding"] = "gzip, gzip" },
      { ["Content-Encoding"] = "gzip", ["CONTENT-ENCODING"] = "gzip" },
    } do
      server:default{ body = gzip.pack(gzip.pack(activity)),
        headers = headers }
      local _, err, response =
        support.new(server).sms.create(support.params())
      assert.equal("", response.body)
      assert.matches("compressed more than once", err.message)
      assert.equal("protocol unknown", err.kind .. " " .. err.outcome)
      assert.equal(200, err.status)
    end
  end)
end)
