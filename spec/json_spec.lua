-- What close.json asks of lua-cjson beyond its defaults, and what it does
-- itself.
local cjson = require "cjson"
local json = require "close.json"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

describe("a number in an answer", function()
  local server

  setup(function() server = raw.start{} end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)
  after_each(support.close_all)

  it("is none that only lua-cjson reads", function()
    for _, number in ipairs{ "NaN", "nan", "-NaN", "Infinity", "-Infinity",
      "inf", "0x10" } do
      local body = ('{"id":"acti_1","status":"draft","n":%s}'):format(number)
      assert.is_nil((json.decode(body)), number)
      server:default{ body = body }
      local sms, err = support.new(server).sms.get("acti_1")
      assert.is_nil(sms)
      assert.equal("protocol unknown", err.kind .. " " .. err.outcome)
      assert.equal(body, err.body)
    end
  end)
end)

describe("a long number", function()
  it("keeps its digits, even if it is all that there is", function()
    assert.equal("12345678901234567", json.decode "12345678901234567")
    assert.same({ "-12345678901234567" }, json.decode "[-12345678901234567]")
  end)
end)

-- New versions of lua-cjson write 16 digits if they are told to, old ones only
-- 14. So this has lua-cjson's settings and ("%.NUMBERg") in its place.
describe("a whole number of 16 digits", function()
  local LARGE = 2 ^ 53 - 1

  -- The module json.lua with a lua-cjson that writes so many digits.
  local function load_with(most)
    local function instance()
      local digits = 14
      local made = cjson.new()
      function made.encode_number_precision(number)
        assert(number <= most)
        digits = number
      end
      function made.encode(value)
        if type(value) ~= "number" then return cjson.encode(value) end
        if math.type and math.type(value) == "integer" then
          return tostring(value)
        end
        return (("%%.%dg"):format(digits)):format(value)
      end
      return made
    end
    local double = { null = cjson.null, encode = cjson.encode,
      decode = cjson.decode, new = instance }
    package.loaded["cjson"], package.loaded["close.json"] = double, nil
    local ok, loaded = pcall(require, "close.json")
    package.loaded["cjson"], package.loaded["close.json"] = cjson, json
    return assert(ok and loaded, loaded)
  end

  it("is written where lua-cjson can write it", function()
    local new = load_with(16)
    assert.equal(1, new.min_size(LARGE))
    assert.equal("9007199254740991", new.encode(LARGE))
    if math.maxinteger then assert.equal(1, new.min_size(math.maxinteger)) end
  end)

  it("is refused where lua-cjson would round it", function()
    local bytes, why = load_with(14).min_size(LARGE)
    assert.is_nil(bytes)
    assert.matches("give it as a string", why, 1, true)
  end)
end)

describe("the least size of a value's JSON", function()
  local function nested(depth)
    local value = {}
    for _ = 2, depth do value = { value } end
    return value
  end

  it("counts strings, keys and what is in tables", function()
    assert.equal(3, json.min_size "abc")
    assert.equal(2, json.min_size {})
    assert.equal(2 + 1000 + 7,
      json.min_size { [("k"):rep(1000)] = "1234567" })
    local twice = { ("x"):rep(500) }
    assert.is_true(json.min_size { twice, twice } > 1000)
  end)

  it("is none of a table that contains itself, or is nested too deeply",
    function()
      local value = { {} }
      value[1].a = value
      local bytes, why = json.min_size(value)
      assert.is_nil(bytes)
      assert.equal("a table in it contains itself", why)
      assert.is_number(json.min_size(nested(900)))
      assert.is_string(json.encode(nested(900)))
      bytes, why = json.min_size(nested(901))
      assert.is_nil(bytes)
      assert.equal("it is nested too deeply", why)
    end)
end)

describe("a body", function()
  it("has an empty list of attachments", function()
    local body = { attachments = {} }
    assert.equal('{"attachments":[]}', json.encode_body(body))
    assert.same({ attachments = {} }, body)
    body.text = "a"
    assert.equal('{"text":"a","attachments":[]}', json.encode_body(body))
    assert.same({ attachments = {}, text = "a" }, body)
  end)

  it("that cannot be written is refused with the reason", function()
    for _, attachments in ipairs{ {}, { "a" } } do
      local text, why = json.encode_body{ attachments = attachments, f = print }
      assert.is_nil(text)
      assert.is_string(why)
    end
  end)
end)

describe("an object in JSON", function()
  it("is neither a list nor anything else", function()
    for _, blanks in ipairs{ "", " ", "\t", "\n", "\r\n" } do
      assert.same({ a = 1 }, json.decode_object(blanks .. '{"a": 1}'))
    end
    for _, text in ipairs{ "[1]", "[]", "5", "null", "true", '"a"', "{", "" } do
      assert.is_nil((json.decode_object(text)))
    end
  end)
end)

describe("a number outside of JSON", function()
  it("is short, and has all digits of a whole number up to 2^53", function()
    for text, number in pairs{ ["1e+300"] = 1e300, ["0.5"] = 0.5,
      ["9007199254740992"] = 2 ^ 53, ["-9007199254740992"] = -2 ^ 53,
      ["1e+15"] = 1e15 + 0.5, ["100000"] = 1e5 } do
      assert.equal(text, json.number(number))
    end
  end)

  it("is none if it is no number or not finite", function()
    for _, number in ipairs{ 0 / 0, math.huge, -math.huge } do
      assert.is_nil(json.number(number))
    end
  end)
end)
