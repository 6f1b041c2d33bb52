-- What client.sms.create puts on the wire, and that it leaves the caller's
-- tables alone.
local json = require("cjson").new()
local close = require "close"
local core = require "close.core"
local raw = require "spec.support.raw_server"
local schema = require "spec.support.schema"
local support = require "spec.support.client"

local FIELDS, ATTACHMENT = core.fields()

-- Every field that goes with "draft".
local FULL = {
  status = "draft", activity_at = "2026-11-23T08:00:00Z",
  contact_id = "cont_1", created_by_id = "user_1",
  date_created = "2026-11-23T08:00:00.123456+05:30",
  date_scheduled = "2026-12-31T23:59:59-08:00", direction = "outbound",
  lead_id = "lead_1", local_phone = "+14154445555",
  organization_id = "orga_1", remote_phone = "+18183334444",
  source = "External", text = "Hi!", user_id = "user_2",
  attachments = { support.attachment(), support.attachment() },
}

local server

setup(function() server = raw.start{} end)
teardown(function()
  server:stop()
  schema.stop()
end)
before_each(function() server:reset() end)
after_each(support.close_all)

-- The request that params become.
local function sent(params, options)
  local client = support.new(server, options)
  assert(client.sms.create(params))
  local ledger = server:ledger()
  return ledger[#ledger]
end

local function sent_body(params)
  return json.decode(sent(params).body)
end

describe("the request of create", function()
  local function count(request, name)
    local _, n = request.raw:lower():gsub("\r\n" .. name .. ":", "")
    return n
  end

  it("is one POST to /activity/sms/", function()
    local request = sent(support.params())
    assert.equal("POST", request.method)
    assert.equal("/api/v1/activity/sms/", request.target)
    assert.equal(1, #server:ledger())
  end)

  it("needs no care about the base_url's last slash", function()
    local client = support.new(server.url .. "//")
    assert(client.sms.create(support.params()))
    assert.equal("/api/v1/activity/sms/", server:ledger()[1].target)
  end)

  it("says that it is JSON and wants JSON", function()
    local request = sent(support.params())
    assert.equal("application/json", request.headers["content-type"])
    assert.equal("application/json", request.headers["accept"])
  end)

  it("has the API key as Basic user, with an empty password", function()
    for _, key in ipairs{ "api_x", "api_xy.z", "api_3+/=%~$", "a" } do
      local request = sent(support.params(), { api_key = key })
      assert.equal("Basic " .. support.base64(key .. ":"),
        request.headers.authorization)
      assert.equal(1, count(request, "authorization"))
    end
  end)

  it("has an access token as bearer", function()
    local request = sent(support.params(), { access_token = "tok.en-_~+/=" })
    assert.equal("Bearer tok.en-_~+/=", request.headers.authorization)
    assert.equal(1, count(request, "authorization"))
  end)

  it("names this library and its version in User-Agent", function()
    local agent = sent(support.params()).headers["user-agent"]
    assert.equal("close-lua/" .. close._VERSION, agent:match("^%S+"))
  end)

  it("has the caller's user agent before ours", function()
    local request = sent(support.params(), { user_agent = "mine/1.0" })
    local mine, ours = request.headers["user-agent"]:match("^(%S+) (%S+)")
    assert.equal("mine/1.0", mine)
    assert.equal("close-lua/" .. close._VERSION, ours)
    assert.equal(1, count(request, "user%-agent"))
  end)

  it("has send_to_inbox in its query where that is true", function()
    local request = sent{ status = "inbox", send_to_inbox = true }
    assert.equal("/api/v1/activity/sms/?send_to_inbox=true", request.target)
    assert.same({ status = "inbox" }, json.decode(request.body))
  end)

  it("has no query where send_to_inbox is false or absent", function()
    for _, value in ipairs{ false, nil } do
      local request = sent{ status = "inbox", send_to_inbox = value }
      assert.equal("/api/v1/activity/sms/", request.target)
      assert.same({ status = "inbox" }, json.decode(request.body))
    end
  end)

  it("is of known length and does not wait for a 100, if large", function()
    local request = sent(support.params{ text = ("x"):rep(3e6) })
    assert.is_nil(request.headers.expect)
    assert.is_nil(request.headers["transfer-encoding"])
    assert.equal(#request.body, tonumber(request.headers["content-length"]))
    assert.is_true(#request.body > 3e6)
  end)
end)

describe("the body of create", function()
  local function is_accepted(params)
    local body = sent(params).body
    local ok, errors = schema.check("create", body)
    assert(ok, body .. "\n" .. table.concat(errors or {}, "\n"))
    return body
  end

  it("has every field as it was given", function()
    local body = is_accepted(FULL)
    assert.same(FULL, json.decode(body))
  end)

  it("is accepted with every value of the tables", function()
    local list = {}
    for _, field in ipairs(ATTACHMENT) do
      for i, value in ipairs(field.values or {}) do
        list[i] = support.attachment{ [field.name] = value }
      end
    end
    assert.equal(40, #list)
    local body = is_accepted(support.params{ attachments = list })
    assert.same(list, json.decode(body).attachments)
    for _, field in ipairs(FIELDS) do
      for _, value in ipairs(field.values or {}) do
        is_accepted(support.params{ [field.name] = value, date_scheduled =
          value == "scheduled" and "2026-11-23T08:00:00Z" or nil })
      end
    end
  end)

  it("has of an attachment that came in an answer what is asked for", function()
    local answered = { size = 12, media_id = close.null, thumbnail_url = {} }
    local list = { support.attachment(answered), support.attachment() }
    local expected = { support.attachment(), support.attachment() }
    local body = is_accepted(support.params{ attachments = list })
    assert.same(expected, json.decode(body).attachments)
    local client = support.new(server)
    assert(client.sms.update("acti_1", { attachments = list }))
    local ledger = server:ledger()
    assert.same(expected, json.decode(ledger[#ledger].body).attachments)
    client.sms.send(support.params{ status = false, attachments = list })
    assert.same(expected, json.decode(server:ledger()[#ledger + 1].body)
      .attachments)
    assert.same({ support.attachment(answered), support.attachment() }, list)
  end)

  it("has a null where the caller gave one", function()
    local params = { status = "draft" }
    for _, field in ipairs(FIELDS) do
      if field.nullable then params[field.name] = close.null end
    end
    local body = json.decode(sent(params).body)
    for _, field in ipairs(FIELDS) do
      if field.nullable then
        assert.equal(json.null, body[field.name], field.name)
      end
    end
  end)

  it("has an empty list of attachments as a list", function()
    for _, more in ipairs{ {}, { text = "Hi!" }, { extra = { a = 1 } } } do
      more.status, more.attachments = "draft", {}
      assert.matches('"attachments":%s*%[%s*%]', is_accepted(more))
    end
  end)

  it("has a date that was a number in RFC 3339 and UTC", function()
    local body = json.decode(is_accepted{ status = "draft",
      activity_at = 951782400, date_created = -1, date_scheduled = 0 })
    assert.equal("2000-02-29T00:00:00Z", body.activity_at)
    assert.equal("1969-12-31T23:59:59Z", body.date_created)
    assert.equal("1970-01-01T00:00:00Z", body.date_scheduled)
  end)

  it("has the time of os.time, whatever the time zone", function()
    local now = os.time() + 3600
    local body = sent_body(support.params{ status = "scheduled",
      date_scheduled = now })
    assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", now), body.date_scheduled)
  end)

  it("keeps a part of a second", function()
    local body = json.decode(is_accepted{ status = "sent",
      activity_at = 951782400.25 })
    assert.matches("^2000%-02%-29T00:00:00%.250*Z$", body.activity_at)
  end)

  it("has send_in as a number", function()
    for _, seconds in ipairs{ 0, 5, 0.5, 59.99 } do
      local body = sent_body(support.params{ send_in = seconds })
      assert.is_true(math.abs(body.send_in - seconds) < 1e-9)
    end
  end)

  it("has what extra holds", function()
    local body = json.decode(is_accepted(support.params{ extra = {
      brand_new = "x", sizes = { 1, 2.5 }, deep = { a = { b = true } },
      nothing = close.null,
    } }))
    assert.equal("x", body.brand_new)
    assert.same({ 1, 2.5 }, body.sizes)
    assert.same({ a = { b = true } }, body.deep)
    assert.equal(json.null, body.nothing)
    assert.equal("Hi!", body.text)
    assert.is_nil(body.extra)
  end)
end)

describe("the caller's tables", function()
  it("stay as they are, and may be used again", function()
    local params, options = support.copy(FULL), { timeout = 30 }
    params.extra = { deep = { 1, { 2 } } }
    params.date_created, params.lead_id = 951782400, close.null
    local before = support.copy(params)
    local client = support.new(server)
    assert(client.sms.create(params, options))
    assert(client.sms.create(params, options))
    assert.is_true(client.sms.validate(params))
    assert.same(before, params)
    assert.same({ timeout = 30 }, options)
    local ledger = server:ledger()
    assert.same(json.decode(ledger[1].body), json.decode(ledger[2].body))
  end)

  it("stay as they are where they are refused", function()
    local params = { status = "nowhere", attachments = { {}, { url = 5 } } }
    local before = support.copy(params)
    support.new(server).sms.create(params)
    assert.same(before, params)
  end)
end)
