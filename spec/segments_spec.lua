-- How a text travels as SMS: the results of the core's count, which
-- spec/c/test_segments.c compares with the standards; and 100,000 texts whose
-- counts come from a public calculator.
local close = require "close"
local files = require "spec.support.files"
local support = require "spec.support.client"
local texts = require "spec.support.sms_texts"

local EURO, EMOJI = "\226\130\172", "\240\159\145\139"
local CJK = "\228\184\173"

-- Asserts what is found; forced_by only where it is given.
local function finds(text, encoding, segments, units, remaining, per_segment,
  forced_by)
  local found = assert(close.segments(text))
  assert.same({ encoding, segments, units, remaining, per_segment }, {
    found.encoding, found.segments, found.units, found.remaining,
    found.per_segment })
  if forced_by then assert.same(forced_by, found.forced_by) end
end

describe("what is found", function()
  it("is the encoding, the segments and what forced UCS-2", function()
    finds("", "GSM-7", 0, 0, 160, 160, {})
    finds("10" .. EURO, "GSM-7", 1, 4, 156, 160, {})
    finds(("x"):rep(152) .. "|" .. ("x"):rep(152), "GSM-7", 3, 306, 152, 153)
    finds(CJK .. "a\0" .. EMOJI .. CJK, "UCS-2", 1, 6, 64, 70,
      { CJK, "\0", EMOJI })
    finds(CJK:rep(66) .. EMOJI .. CJK:rep(66), "UCS-2", 3, 134, 66, 67, { CJK,
      EMOJI })
  end)

  it("is integers where the Lua has them", function()
    if not math.type then return end
    local found = close.segments(("x"):rep(200))
    for _, name in ipairs{ "segments", "units", "remaining", "per_segment" } do
      assert.equal("integer", math.type(found[name]), name)
    end
  end)
end)

describe("a text of 16 MiB", function()
  local BYTES = 16 * 1024 * 1024

  it("is counted in a moment #once", function()
    local started = os.clock()
    finds(("x"):rep(BYTES), "GSM-7", 109656, BYTES, 152, 153)
    finds(EMOJI:rep(4 * 1024 * 1024), "UCS-2", 127101, BYTES / 2, 59, 67)
    -- As many distinct ones as leave the list short of full.
    local controls = "\0\1\2\3\4\5\6\7\8\9\11\14\15\16\17\18\19\20\21\22\23"
      .. "\24\25\26\27\28\29\30\31"
    local times = math.floor(BYTES / #controls)
    local segments = math.ceil(times * 29 / 67)
    finds(controls:rep(times), "UCS-2", segments, times * 29,
      segments * 67 - times * 29, 67)
    assert.is_true(os.clock() - started < 30)
  end)
end)

describe("what is no text", function()
  local function refuses(code, ...)
    local found, err = support.calmly(close.segments, ...)
    assert.is_nil(found)
    assert.equal("validation", err.kind)
    assert.equal("rejected", err.outcome)
    assert.same({ "text: " .. code }, support.faults(err))
    return err.message
  end

  it("is refused, and named", function()
    for _, row in ipairs{ { 5, "a number" }, { 0 / 0, "a number" },
      { true, "a boolean" }, { false, "a boolean" }, { {}, "a table" },
      { print, "a function" }, { close.null, "null" } } do
      assert.matches("must be a string, got " .. row[2],
        refuses("type", row[1]), 1, true)
    end
    assert.matches("got nil", refuses("type", nil), 1, true)
    assert.matches("got nil", refuses("type"), 1, true)
    refuses("type", setmetatable({}, { __tostring = error, __index = error }))
  end)

  it("is refused in the call with a colon, with a hint", function()
    assert.matches("dot", refuses("type", close, "text"))
  end)

  it("is refused with the place of the byte that is not UTF-8", function()
    for text, place in pairs{ ["\255"] = 1, ["a\237\160\128"] = 2,
      [EMOJI:rep(100) .. "\240\159"] = 401 } do
      local message = refuses("format", text)
      assert.matches(("byte %d is 0x%02X;"):format(place, text:byte(place)),
        message, 1, true)
      assert.is_nil(message:find "[\128-\255]")
    end
  end)
end)

-- The recorded answers, a line for each 1,000 texts: a checksum of what forced
-- UCS-2, and a code for each text. A code is two digits of base 92, of which
-- "#" is 0: ((segments - 1) * 2 + whether it is UCS-2) * 160 + remaining. Where
-- segments before the last are not full, "!" and a digit come first, which says
-- by how many units in all; with that there are as many units as there are.
local function read_answers()
  local lines = {}
  for line in files.read("spec/fixtures/segments.txt"):gmatch "[^\n]+" do
    local sum, codes = line:match "^(%d+) (%S+)$"
    if sum then lines[#lines + 1] = { sum = tonumber(sum), codes = codes } end
  end
  return lines
end

-- The answer at a place of the codes, and the place of the next one.
local function decode(codes, at)
  local gap = 0
  if codes:byte(at) == 33 then
    gap, at = codes:byte(at + 1) - 35, at + 2
  end
  local high, low = codes:byte(at, at + 1)
  local n = (high - 35) * 92 + low - 35
  local remaining, rest = n % 160, math.floor(n / 160)
  local ucs2, segments = rest % 2 == 1, math.floor(rest / 2) + 1
  local per_segment = segments == 1 and (ucs2 and 70 or 160) or
    (ucs2 and 67 or 153)
  return {
    encoding = ucs2 and "UCS-2" or "GSM-7", segments = segments,
    units = segments * per_segment - remaining - gap, remaining = remaining,
    per_segment = per_segment,
  }, at + 2
end

local function add_to_sum(sum, characters)
  for _, each in ipairs(characters) do
    for i = 1, #each do sum = (sum * 31 + each:byte(i)) % 2147483647 end
  end
  return (sum * 31 + 256) % 2147483647
end

local function is_same(a, b)
  return a.encoding == b.encoding and a.segments == b.segments and
    a.units == b.units and a.remaining == b.remaining and
    a.per_segment == b.per_segment
end

describe("a public calculator", function()
  -- The count is C's: one Lua plays all of it.
  local is_whole = (os.getenv "CLOSE_SPEC_LUA" or "lua5.4") == "lua5.4" and
    not os.getenv "CLOSE_SPEC_SANITIZED"
  local COUNT = is_whole and 100000 or 2000

  it("says the same of " .. COUNT .. " texts", function()
    local lines, line, at, sum = read_answers()
    local compared, several, gaps = 0, 0, 0
    assert.equal(100, #lines)
    texts.each(COUNT, function(text, i)
      if i % 1000 == 1 then
        line, at, sum = lines[math.floor(i / 1000) + 1], 1, 0
      end
      local found = close.segments(text)
      local expected
      if line.codes:byte(at) == 33 then gaps = gaps + 1 end
      expected, at = decode(line.codes, at)
      if not is_same(expected, found) then
        error(("text %d: expected %s, %d segments, %d units, %d remaining; "
          .. "found %s, %d, %d, %d"):format(i, expected.encoding,
          expected.segments, expected.units, expected.remaining,
          found.encoding, found.segments, found.units, found.remaining))
      end
      sum = add_to_sum(sum, found.forced_by)
      if i % 1000 == 0 then
        assert.equal(#line.codes + 1, at)
        assert.equal(line.sum, sum, "what forced UCS-2, up to text " .. i)
      end
      if found.segments > 1 then several = several + 1 end
      compared = compared + 1
    end)
    assert.equal(COUNT, compared)
    assert.is_true(several > COUNT / 2 and gaps > COUNT / 5)
  end)
end)
