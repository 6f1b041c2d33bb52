-- What close.json asks of lua-cjson beyond its defaults.
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
  end)

  it("is refused where lua-cjson would round it", function()
    local bytes, why = load_with(14).min_size(LARGE)
    assert.is_nil(bytes)
    assert.matches("give it as a string", why, 1, true)
  end)
end)
