-- The result of a successful call: the activity and the response.
local json = require("cjson").new()
local activity = require "spec.support.activity"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function answered(body, headers)
  server:script{ { body = body, headers = headers } }
  return support.new(server).sms.create{ status = "draft" }
end

describe("the activity that create returns", function()
  it("has all members of the answer, nulls absent", function()
    local expected, sms = json.decode(activity), (answered(activity))
    for name, value in pairs(expected) do
      if value == json.null then expected[name] = nil end
    end
    assert.same(expected, sms)
    assert.is_nil(sms.date_sent)
  end)

  it("has no null in a list that has no number", function()
    local sms = answered '{"id": "acti_1", "users": ["a", null]}'
    assert.same({ id = "acti_1", users = { "a" } }, sms)
  end)

  it("has no null at any depth", function()
    local sms = answered{ id = "acti_1", attachments = { {
      url = "u", size = json.null, more = { a = json.null, b = 1 } } } }
    assert.same({ id = "acti_1", attachments = { {
      url = "u", more = { b = 1 } } } }, sms)
  end)

  it("keeps members and values that nobody knows yet", function()
    local sms = answered{ id = "acti_1", status = "teleported",
      direction = "sideways", caller_id_mode = { a = { "b" } } }
    assert.equal("teleported", sms.status)
    assert.equal("sideways", sms.direction)
    assert.same({ a = { "b" } }, sms.caller_id_mode)
  end)

  it("has whole numbers as integers where Lua has those", function()
    local sms = answered([[{"id": "acti_1", "size": 12, "list": [3.0],
      "large": 9007199254740991, "part": 0.5, "huge": 1e300}]])
    assert.equal("12", tostring(sms.size))
    assert.equal("9007199254740991", ("%.0f"):format(sms.large))
    assert.equal(0.5, sms.part)
    assert.equal(1e300, sms.huge)
    local kind = math.type or function() return "integer" end
    assert.equal("integer", kind(sms.size))
    assert.equal("integer", kind(sms.list[1]))
    assert.equal("integer", kind(sms.large))
  end)

  it("has the digits of a number that is too large for a number", function()
    local sms = answered([[{"id": 12345678901234567890, "a": 9007199254740992,
      "b": 9007199254740993, "list": [-9223372036854775808]}]])
    assert.equal("12345678901234567890", sms.id)
    assert.equal("9007199254740992", ("%.0f"):format(sms.a))
    assert.equal("9007199254740993", sms.b)
    assert.equal("-9223372036854775808", sms.list[1])
  end)

  it("has U+FFFD where the answer has half an emoji", function()
    local body = [[{"id": "acti_1", "\ud83d": "\uD83D!\ude00\ud83d\ude00",
      "text": "\\ud83d"}]]
    server:script{ { body = body } }
    local sms, err, response = support.new(server).sms.create{
      status = "draft" }
    assert.is_nil(err)
    assert.same({ id = "acti_1", text = "\\ud83d",
      ["\239\191\189"] = "\239\191\189!\239\191\189\240\159\152\128" }, sms)
    assert.equal(body, response.body)
  end)

  it("has bytes that are not UTF-8 as they came", function()
    assert.equal("\255\237\160\189", answered(
      '{"id": "acti_1", "text": "\255\237\160\189"}').text)
  end)

  it("is there after a byte order mark", function()
    assert.same({ id = "acti_1" },
      (answered "\239\187\191 {\"id\": \"acti_1\"}"))
  end)

  it("is there after a 201, too", function()
    server:script{ { status = 201, body = '{"id": "acti_2"}' } }
    local sms, err = support.new(server).sms.create{ status = "draft" }
    assert.is_nil(err)
    assert.same({ id = "acti_2" }, sms)
  end)
end)

describe("the response that create returns", function()
  it("has status, body, attempts and elapsed", function()
    local _, err, response = answered(activity)
    assert.is_nil(err)
    assert.equal("200", tostring(response.status))
    assert.equal(activity, response.body)
    assert.equal("1", tostring(response.attempts))
    assert.is_true(response.elapsed > 0 and response.elapsed < 20)
  end)

  it("has the headers by their names in lower case", function()
    local short = "X-ABCDEFGHIJKLMNOPQRSTUVWXYZ-0_9"
    local long = short:rep(4)
    local _, _, response = answered(activity, { [short] = "As It Is",
      [long] = "here" })
    assert.equal("As It Is", response.headers[short:lower()])
    assert.equal("application/json", response.headers["content-type"])
    assert.equal("here", response.headers[long:lower()])
    assert.is_nil(response.headers[short])
  end)

  it("makes the headers when they are first looked at", function()
    local _, _, response = answered(activity, { ["X-One"] = "1" })
    assert.is_nil(rawget(response, "headers"))
    assert.is_nil(response.nothing)
    assert.matches("X%-One: 1\r\n", response.raw_headers)
    assert.matches('"raw_headers":', json.encode(response), 1, true)
    local headers = response.headers
    assert.equal("1", headers["x-one"])
    assert.equal(headers, rawget(response, "headers"))
    headers["x-one"] = "mine"
    assert.equal("mine", response.headers["x-one"])
    response.headers, response.raw_headers = nil, nil
    assert.is_nil(response.headers)
  end)

  it("makes headers of nothing but a table", function()
    local index = getmetatable(select(3, answered(activity))).__index
    for _, other in ipairs{ "text", 1, false, print, io.stdout } do
      assert.has_error(function() index(other, "headers") end)
    end
    assert.has_error(index)
    assert.is_nil(index({}, "headers"))
    assert.is_nil(index({ raw_headers = 5 }, "headers"))
    assert.same({ a = "1" }, index({ raw_headers = "A: 1" }, "headers"))
  end)

  it("has the rate limit", function()
    for _, reset in ipairs{ 5, 0.8 } do
      local _, _, response = answered(activity, {
        RateLimit = "limit=100, remaining=50, reset=" .. reset })
      assert.same({ limit = 100, remaining = 50, reset = reset },
        response.rate_limit)
    end
  end)

  it("has no rate limit where the header is absent or malformed", function()
    for _, value in ipairs{ false, "", "soon", "limit=, remaining=5, reset=1",
      "limit=100; remaining=50; reset=5", "limit=100, remaining=-1, reset=x",
      "limit=100, remaining=50", "limit=100 remaining=50 reset=5",
    } do
      local _, err, response = answered(activity, { RateLimit = value })
      assert.is_nil(err)
      assert.is_nil(response.rate_limit)
    end
  end)
end)
