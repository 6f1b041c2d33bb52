-- How a text travels as SMS: numbers worked out by hand from 3GPP TS 23.038 and
-- 23.040, and 100,000 texts whose numbers a public calculator gave.
local close = require "close"
local files = require "spec.support.files"
local support = require "spec.support.client"
local texts = require "spec.support.sms_texts"

local A_GRAVE, C_CEDILLA = "\195\128", "\195\135" -- not in the alphabet; in it
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

local function is_gsm(text, units)
  finds(text, "GSM-7", 1, units, 160 - units, 160, {})
end

local function is_ucs2(text, units, ...)
  finds(text, "UCS-2", 1, units, 70 - units, 70, { ... })
end

describe("a text of the default alphabet", function()
  it("takes a septet for each character", function()
    is_gsm("Your table is ready.", 20)
    is_gsm("@\194\163$\194\165\195\168\195\169\195\185\195\172\195\178"
      .. C_CEDILLA .. "\n\195\152\195\184\r\195\133\195\165", 16)
    is_gsm("\206\148_\206\166\206\147\206\155\206\169\206\160\206\168\206\163"
      .. "\206\152\206\158\195\134\195\166\195\159\195\137", 15)
    is_gsm(" !\"#\194\164%&'()*+,-./0123456789:;<=>?", 32)
    is_gsm("\194\161ABCDEFGHIJKLMNOPQRSTUVWXYZ\195\132\195\150\195\145\195\156"
      .. "\194\167", 32)
    is_gsm("\194\191abcdefghijklmnopqrstuvwxyz\195\164\195\182\195\177\195\188"
      .. "\195\160", 32)
  end)

  it("takes two septets for each of the extension table", function()
    for each in ("^{}\\[]~|\f"):gmatch "." do is_gsm(each, 2) end
    is_gsm(EURO, 2)
    is_gsm("10" .. EURO, 4)
  end)

  it("keeps line ends as they are", function()
    is_gsm("a\nb", 3)
    is_gsm("a\r\nb", 4)
  end)

  it("is one segment up to 160 septets", function()
    finds(("x"):rep(159), "GSM-7", 1, 159, 1, 160, {})
    finds(("x"):rep(160), "GSM-7", 1, 160, 0, 160, {})
    finds(("x"):rep(161), "GSM-7", 2, 161, 145, 153, {})
    finds(EURO:rep(80), "GSM-7", 1, 160, 0, 160, {})
    finds(("x"):rep(159) .. EURO, "GSM-7", 2, 161, 145, 153, {})
  end)

  it("is cut at 153 septets from then on", function()
    finds(("x"):rep(305), "GSM-7", 2, 305, 1, 153, {})
    finds(("x"):rep(306), "GSM-7", 2, 306, 0, 153, {})
    finds(("x"):rep(307), "GSM-7", 3, 307, 152, 153, {})
    finds(("x"):rep(153 * 255), "GSM-7", 255, 39015, 0, 153, {})
    finds(("x"):rep(153 * 255 + 1), "GSM-7", 256, 39016, 152, 153, {})
  end)

  it("has no escape cut from its character", function()
    -- 152, a gap, 154 where 153 are: the last is the third segment's.
    finds(("x"):rep(152) .. "|" .. ("x"):rep(151), "GSM-7", 2, 305, 0, 153)
    finds(("x"):rep(152) .. "|" .. ("x"):rep(152), "GSM-7", 3, 306, 152, 153)
    finds(("x"):rep(151) .. "|" .. ("x"):rep(153), "GSM-7", 2, 306, 0, 153)
    -- 76 to a segment.
    finds(EURO:rep(81), "GSM-7", 2, 162, 143, 153)
    finds(EURO:rep(152), "GSM-7", 2, 304, 1, 153)
    finds(EURO:rep(153), "GSM-7", 3, 306, 151, 153)
    finds("x" .. EURO:rep(152), "GSM-7", 2, 305, 1, 153)
    finds("x" .. EURO:rep(153), "GSM-7", 3, 307, 151, 153)
  end)
end)

describe("any other text", function()
  it("takes a unit for each character up to U+FFFF", function()
    is_ucs2(A_GRAVE, 1, A_GRAVE)
    is_ucs2(A_GRAVE .. "bc", 3, A_GRAVE)
    is_ucs2("\239\191\191", 1, "\239\191\191")
  end)

  it("takes two for each above", function()
    is_ucs2("\240\144\128\128", 2, "\240\144\128\128")
    is_ucs2("Hi " .. EMOJI, 5, EMOJI)
    is_ucs2("\244\143\191\191", 2, "\244\143\191\191")
  end)

  it("takes one for what would be extended", function()
    finds(EURO .. "^\f" .. CJK, "UCS-2", 1, 4, 66, 70, { CJK })
  end)

  it("is one segment up to 70 units", function()
    finds(CJK:rep(69), "UCS-2", 1, 69, 1, 70)
    finds(CJK:rep(70), "UCS-2", 1, 70, 0, 70)
    finds(CJK:rep(71), "UCS-2", 2, 71, 63, 67)
    finds(EMOJI:rep(35), "UCS-2", 1, 70, 0, 70)
    finds(("x"):rep(69) .. EMOJI, "UCS-2", 2, 71, 63, 67)
    finds(("x"):rep(160) .. A_GRAVE, "UCS-2", 3, 161, 40, 67)
  end)

  it("is cut at 67 units from then on", function()
    finds(CJK:rep(133), "UCS-2", 2, 133, 1, 67)
    finds(CJK:rep(134), "UCS-2", 2, 134, 0, 67)
    finds(CJK:rep(135), "UCS-2", 3, 135, 66, 67)
    finds(CJK:rep(67 * 255), "UCS-2", 255, 17085, 0, 67)
  end)

  it("has no surrogate cut from its other half", function()
    finds(CJK:rep(66) .. EMOJI .. CJK:rep(65), "UCS-2", 2, 133, 0, 67)
    finds(CJK:rep(66) .. EMOJI .. CJK:rep(66), "UCS-2", 3, 134, 66, 67)
    finds(CJK:rep(65) .. EMOJI .. CJK:rep(67), "UCS-2", 2, 134, 0, 67)
    -- 33 to a segment.
    finds(EMOJI:rep(36), "UCS-2", 2, 72, 61, 67)
    finds(EMOJI:rep(66), "UCS-2", 2, 132, 1, 67)
    finds(EMOJI:rep(67), "UCS-2", 3, 134, 65, 67)
  end)

  it("may have a cluster cut between its characters", function()
    local couple = EMOJI .. "\226\128\141" .. EMOJI -- joined: 5 units
    finds(CJK:rep(65) .. couple, "UCS-2", 1, 70, 0, 70)
    finds(CJK:rep(66) .. couple, "UCS-2", 2, 71, 62, 67)
    finds(CJK:rep(65) .. couple .. CJK:rep(64), "UCS-2", 2, 134, 0, 67)
    local accented = "e\204\129"
    finds(CJK:rep(66) .. accented .. CJK:rep(66), "UCS-2", 2, 134, 0, 67)
  end)
end)

describe("what forces UCS-2", function()
  it("is what looks like a character of the alphabet", function()
    for _, each in ipairs{
      "`", "\194\160", "\195\167", "\195\161", "\194\181", -- grave, no-break
      "\206\145", "\206\146", "\206\177", "\208\144", -- Greek, Cyrillic
      "\226\132\166", "\226\132\171", "\226\136\134", "\226\136\145", -- signs
      "\226\128\153", "\226\128\156", "\226\128\147", "\226\128\166", -- quotes
    } do
      is_ucs2(each, 1, each)
    end
  end)

  it("is every control character but three", function()
    for code = 0, 31 do
      local each = string.char(code)
      if not ("\n\f\r"):find(each, 1, true) then is_ucs2(each, 1, each) end
    end
    is_ucs2("\127", 1, "\127")
    is_ucs2("\27e", 2, "\27") -- not the euro sign
    is_ucs2("a\0b\0", 4, "\0")
  end)

  it("is told once each, in the order of appearance", function()
    is_ucs2(CJK .. "a" .. EMOJI .. A_GRAVE .. CJK .. EURO .. A_GRAVE, 8,
      CJK, EMOJI, A_GRAVE)
  end)

  it("is told up to 32 of them", function()
    local all, expected = {}, {}
    for i = 1, 64 do all[i] = "\228\184" .. string.char(127 + i) end
    for i = 1, 32 do expected[i] = all[i] end
    finds(table.concat(all), "UCS-2", 1, 64, 6, 70, expected)
    finds(table.concat(all, "", 1, 31), "UCS-2", 1, 31, 39, 70)
    assert.equal(31, #close.segments(table.concat(all, "", 1, 31)).forced_by)
  end)
end)

describe("an empty text", function()
  it("is no segment", function()
    finds("", "GSM-7", 0, 0, 160, 160, {})
  end)
end)

describe("a text of 16 MiB", function()
  local BYTES = 16 * 1024 * 1024

  it("is counted in a moment", function()
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

describe("numbers", function()
  it("are integers where the Lua has them", function()
    if not math.type then return end
    local found = close.segments(("x"):rep(200))
    for _, name in ipairs{ "segments", "units", "remaining", "per_segment" } do
      assert.equal("integer", math.type(found[name]), name)
    end
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
    for _, value in ipairs{ 5, 0 / 0, true, false, {}, print, close.null } do
      assert.matches("must be a string, got " .. type(value),
        refuses("type", value), 1, true)
    end
    assert.matches("got nil", refuses("type", nil), 1, true)
    assert.matches("got nil", refuses("type"), 1, true)
    refuses("type", setmetatable({}, { __tostring = error, __index = error }))
  end)

  it("is refused in the call with a colon, with a hint", function()
    assert.matches("dot", refuses("type", close, "text"))
  end)

  it("is refused with the place of the byte that is not UTF-8", function()
    for text, place in pairs{
      ["\255"] = 1, ["abc\255def"] = 4, ["\195\164\192\175"] = 3,
      ["\226\130"] = 1, ["a\237\160\128"] = 2, ["\244\144\128\128"] = 1,
      [EMOJI:rep(100) .. "\240\159"] = 401, ["caf\233"] = 4,
    } do
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
