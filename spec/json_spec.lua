-- What answers are read with: core.plain_json in one pass, or lua-cjson.

local core = require "close.core"
local json = require "close.json"

-- The same value in a text that plain_json leaves to lua-cjson.
local function by_cjson(text)
  return json.decode("[0.5," .. text .. "]")[2]
end

local plain = {
  '{}', '[]', '[[],{}]', ' {\n"a" :\t1 ,\r\n"b": [ true , false ] } ',
  '{"a":null}', '{"a":null,"b":"c","d":null}', '[1,null,3]', '[null]',
  '[0,-1,999999999999999,-999999999999999]', '["","\\u0000","a\\u0000"]',
  '["\\"\\\\\\/\\b\\f\\n\\r\\t","12345678\\n12345678\\t","1234567\\\\"]',
  '["\\u00e9\\u20AC\\ud83d\\ude00","\195\169 12345678 \240\159\152\128"]',
  '{"a":{"b":{"c":[{"d":"e"}]}}}', '{"":"", " ":" "}',
}

for _, count in ipairs { 31, 32, 33, 34, 100 } do
  local members = {}
  for i = 1, count do members[i] = ('"k%d":%d,"n%d":null'):format(i, i, i) end
  plain[#plain + 1] = "{" .. table.concat(members, ",") .. "}"
end

-- Each is JSON for lua-cjson to read, or none at all.
local left = {
  "", " ", "null", "1", '"a"', "true", "[1.5]", "[1e3]", "[-0]", "[01]",
  "[1234567890123456]", "[-]", "[+1]", "[.5]", "[1.]", "[0x10]", "[NaN]",
  '["\\ud83d"]', '["\\ude00\\ud83d"]', '["\\ud83dx"]', '["\\u12"]', '["\\x"]',
  '["\n"]', '["a\0b"]', '{"a\n":1}', '{"\\u0061":1}', '["a', '["a\\', '["\\u',
  "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[nul]", "[nulll]", "[tru]", "[truer]",
  "{", '{"a"', '{"a":', '{"a":}', '{"a":1', '{"a":1,}', '{,"a":1}', "{a:1}",
  "{1:1}", '{"a" 1}', '{"a":1}}', "[1]]", "[1]x", "\239\187\191[1]", "[1}",
  '{"a":1]', ("["):rep(25) .. ("]"):rep(25),
}

describe("an answer's JSON", function()
  it("is read in one pass as lua-cjson and the cleaning read it", function()
    for _, text in ipairs(plain) do
      local value, is_object = core.plain_json(text)
      assert.is_table(value, text)
      assert.same(text:match "^%s*(.)" == "{", is_object)
      assert.same(by_cjson(text), value)
    end
  end)

  it("has whole numbers as integers where Lua has those", function()
    local value = core.plain_json "[12]"
    assert.same("12", tostring(value[1]))
  end)

  it("is left to lua-cjson where it is not plain", function()
    for _, text in ipairs(left) do
      assert.same({}, { core.plain_json(text) }, text)
    end
  end)

  it("ends where the text does, wherever that is cut off", function()
    local text = '{"a":["\\ud83d\\ude00",null,true,-12,{"b":"\\n"}]}'
    assert.is_table(core.plain_json(text))
    for n = 0, #text - 1 do
      assert.same({}, { core.plain_json(text:sub(1, n)) })
    end
  end)
end)
