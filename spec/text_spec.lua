-- Text is sent and received byte for byte; invalid UTF-8 is refused before
-- anything is sent.
local raw = require "spec.support.raw_server"
local char = require("spec.support.sms_texts").char
local schema = require "spec.support.schema"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function()
  server:stop()
  schema.stop()
end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function range(first, last)
  local list = {}
  for code = first, last do list[#list + 1] = char(code) end
  return table.concat(list)
end

local SHORT = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

-- The string that begins after the quote at from in a JSON text, decoded by
-- hand; then its JSON form.
local function read_string(text, from)
  local parts, i = {}, from + 1
  while text:sub(i, i) ~= '"' do
    local plain = text:match('^[^"\\]+', i)
    local letter = text:match("^\\(.)", i)
    if plain then
      parts[#parts + 1], i = plain, i + #plain
    elseif letter == "u" then
      local code = tonumber(text:sub(i + 2, i + 5), 16)
      i = i + 6
      if code >= 0xD800 and code < 0xDC00 then
        local low = tonumber(text:match("^\\u(%x%x%x%x)", i), 16)
        code = 0x10000 + (code - 0xD800) * 1024 + low - 0xDC00
        i = i + 6
      end
      parts[#parts + 1] = char(code)
    else
      parts[#parts + 1], i = SHORT[letter] or letter, i + 2
    end
  end
  return table.concat(parts), text:sub(from, i)
end

-- Sends a text; asserts that the server got it, and that it comes back from an
-- answer that has the same JSON.
local function survives(text)
  server:reset()
  local client = support.new(server, { max_response_bytes = 4 * 1024 * 1024 })
  assert(client.sms.create(support.params{ text = text }))
  local body = server:ledger()[1].body
  assert(schema.check("create", body), "the request is not JSON")
  local _, before = body:find('"text":', 1, true)
  local got, form = read_string(body, before + 1)
  assert.is_true(got == text, "the server got something else")
  server:script{ { body = '{"id": "acti_1", "text": ' .. form .. "}" } }
  local sms = assert(client.sms.create(support.params()))
  assert.is_true(sms.text == text, "something else came back")
  client:close()
end

local SURVIVORS = {
  { "emoji", "\240\159\145\139\240\159\143\189 \240\159\145\169\226\128\141"
    .. "\240\159\146\187 \240\159\135\169\240\159\135\170" },
  { "quotes and backslashes",
    [["it's" \"quoted\" \\ \n \u0041 / </script> \]] },
  { "line ends and tabs", "a\nb\r\nc\rd\te\n\n" },
  { "U+0000", "before\0after\0" },
  { "every character from U+0001 to U+00FF", range(1, 255) },
  { "JavaScript's line ends", char(0x2028) .. char(0x2029) .. char(0xFEFF) },
  { "the last characters", char(0xD7FF) .. char(0xE000) .. char(0xFFFF)
    .. char(0x10000) .. char(0x10FFFF) },
  { "noncharacters", char(0xFFFE) .. char(0xFDD0) },
  { "blanks at its ends", "  a  " },
  { "what looks like a number", "1e5" },
  { "what looks like a keyword", "null" },
  { "a million bytes", ("0123456789\n\"\0"):rep(80000) },
}

describe("a text", function()
  for _, row in ipairs(SURVIVORS) do
    it("survives with " .. row[1], function() survives(row[2]) end)
  end

  it("comes back from escapes, pairs of surrogates among them", function()
    server:script{ { body = [[{"id": "acti_1",
      "text": "\u0041\/\ud83d\udc4b\u0000\b\f\u20ac"}]] } }
    local sms = assert(support.new(server).sms.create(support.params()))
    assert.equal("A/\240\159\145\139\0\b\f\226\130\172", sms.text)
  end)
end)

describe("other strings", function()
  it("survive as texts do", function()
    local odd = "a\"b\\c\n\0" .. char(0x1F44B)
    local client = support.new(server)
    assert(client.sms.create{ status = "draft", lead_id = odd,
      attachments = { support.attachment{ filename = odd, url = odd } },
      extra = { note = odd } })
    local body = server:ledger()[1].body
    for _, name in ipairs{ "lead_id", "filename", "url", "note" } do
      local _, before = body:find('"' .. name .. '":', 1, true)
      assert.equal(odd, (read_string(body, before + 1)))
    end
  end)
end)

describe("what is not UTF-8", function()
  local function refused(params, field)
    local sms, err = support.new(server).sms.create(params)
    assert.is_nil(sms)
    assert.equal("validation", err.kind)
    assert.equal("rejected", err.outcome)
    assert.same({ field .. ": format" }, support.faults(err))
    assert.same({}, server:ledger())
    return err.errors[1].message
  end

  it("is refused with the place of the byte", function()
    for text, place in pairs{ ["\0\0\254"] = 3,
      ["\195\164\195\164\192\175"] = 5, [("x"):rep(1000) .. "\193"] = 1001,
    } do
      assert.matches("byte " .. place .. "%D",
        refused(support.params{ text = text }, "text"))
    end
  end)

  it("is refused in any field, of an attachment too", function()
    assert.matches("byte 3%D",
      refused({ status = "draft", lead_id = "ab\255" }, "lead_id"))
    assert.matches("byte 3%D", refused({ status = "draft", attachments = {
      support.attachment(), support.attachment{ url = "ab\255" },
    } }, "attachments[2].url"))
  end)

  it("does not stand in the error as it is", function()
    local _, err = support.new(server).sms.create{
      status = "\255\254", ["odd\255"] = 1, activity_at = "2026\255",
    }
    assert.is_nil(tostring(err):find("[\254\255]"))
    for _, item in ipairs(err.errors) do
      assert.is_nil((item.field .. item.message):find("[\254\255]"))
    end
  end)
end)
