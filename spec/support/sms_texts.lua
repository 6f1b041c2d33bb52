-- Texts for counting segments, 100,000 and the same ones on every Lua: random
-- ones of every sort, most of them with a length near a segment's edge, and
-- with what may not be cut lying across the edges within.
--
-- Plain arithmetic alone, in numbers that a double holds. None is empty.

local texts = {}

-- ---- numbers: Lehmer's generator, 2^31 - 1 and 16807 ----

local state

-- 1 to n.
local function draw(n)
  state = state * 16807 % 2147483647
  return 1 + state % n
end

local function among(list) return list[draw(#list)] end

-- ---- characters ----

--- One character as UTF-8, by RFC 3629's table.
function texts.char(code)
  local function tail(shift)
    return 128 + math.floor(code / 2 ^ shift) % 64
  end
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then
    return string.char(192 + math.floor(code / 64), tail(0))
  elseif code < 0x10000 then
    return string.char(224 + math.floor(code / 4096), tail(6), tail(0))
  end
  return string.char(240 + math.floor(code / 2 ^ 18), tail(12), tail(6),
    tail(0))
end

local char = texts.char

-- The characters of a range, or of a list of codes and ranges.
local function chars(codes)
  local list = {}
  for _, code in ipairs(codes) do
    local first, last = code, code
    if type(code) == "table" then first, last = code[1], code[2] end
    for each = first, last do list[#list + 1] = char(each) end
  end
  return list
end

local function sequence(...)
  local list = {}
  for i, code in ipairs { ... } do list[i] = char(code) end
  return table.concat(list)
end

-- What the default alphabet has: two septets, and one.
local EXTENDED = chars { 0x0C, 0x5B, 0x5C, 0x5D, 0x5E, 0x7B, 0x7C, 0x7D, 0x7E,
  0x20AC }
local NATIONAL = chars { 0x0A, 0x0D, 0x24, 0x40, 0x5F, 0xA1, 0xA3, 0xA4, 0xA5,
  0xA7, 0xBF, 0xC4, 0xC5, 0xC6, 0xC7, 0xC9, 0xD1, 0xD6, 0xD8, 0xDC, 0xDF, 0xE0,
  0xE4, 0xE5, 0xE6, 0xE8, 0xE9, 0xEC, 0xF1, 0xF2, 0xF6, 0xF8, 0xF9, 0xFC, 0x393,
  0x394, 0x398, 0x39B, 0x39E, 0x3A0, 0x3A3, 0x3A6, 0x3A8, 0x3A9 }
-- What looks or sounds as if it had it, and does not.
local NEARLY = chars { 0x00, 0x09, 0x0B, 0x1B, 0x60, 0x7F, 0x85, 0xA0, 0xA2,
  0xA6, 0xA8, 0xB4, 0xB5, 0xC0, 0xC1, 0xC8, 0xCD, 0xD3, 0xD5, 0xE1, 0xE7, 0xEA,
  0xED, 0xF3, 0xFA, 0x131, 0x17D, 0x391, 0x392, 0x395, 0x396, 0x397, 0x399,
  0x39A, 0x39C, 0x39D, 0x39F, 0x3A1, 0x3A4, 0x3A5, 0x3A7, 0x3B1, 0x3BC, 0x3C9,
  0x410, 0x2126, 0x2206, 0x220F, 0x2211, 0x212B, 0x20A0, 0x2010, 0x2013, 0x2014,
  0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026, 0x2028, 0x202F, 0x200B,
  0x200D, 0xFEFF, 0xFF21, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF }
local SCRIPTS = chars { { 0x100, 0x17F }, { 0x3B1, 0x3C9 }, { 0x410, 0x44F },
  { 0x5D0, 0x5EA }, { 0x627, 0x64A }, { 0xE01, 0xE2E }, { 0x3041, 0x3096 },
  { 0x4E00, 0x4E3F }, { 0xAC00, 0xAC3F } }
local ASTRAL = chars { { 0x1F600, 0x1F64F }, { 0x1F300, 0x1F320 },
  { 0x1D400, 0x1D420 }, { 0x20000, 0x20010 }, 0x10000, 0x1F1E6, 0x1F3FD,
  0xE0001, 0x10FFFF }
local MARKS = chars { { 0x300, 0x36F }, 0x20E3, 0xFE0E, 0xFE0F, 0x0E31, 0x093F,
  0x094D, 0x3099, 0x1F3FB, 0x200D }
-- What a reader takes for one character, and is several.
local CLUSTERS = {
  "\r\n",
  sequence(0x31, 0xFE0F, 0x20E3), -- a keycap
  sequence(0x2764, 0xFE0F), -- a red heart
  sequence(0x1F44B, 0x1F3FD), -- a hand with a skin
  sequence(0x1F1E9, 0x1F1EA), -- a flag
  sequence(0x1F1EB, 0x1F1F7, 0x1F1EE), -- a flag, and half of one
  sequence(0x1F469, 0x200D, 0x1F4BB), -- a woman at a computer
  sequence(0x1F468, 0x200D, 0x1F469, 0x200D, 0x1F467, 0x200D, 0x1F466),
  sequence(0x1F3F4, 0xE0067, 0xE0062, 0xE0065, 0xE006E, 0xE0067, 0xE007F),
  sequence(0x65, 0x301), -- e and an acute accent
  sequence(0x61, 0x300, 0x316, 0x334, 0x342), -- a with a pile of marks
  sequence(0x1112, 0x1161, 0x11AB), -- Hangul in its parts
  sequence(0x915, 0x94D, 0x937, 0x93F), -- Devanagari
  sequence(0xE01, 0xE33), -- Thai
  sequence(0x200D, 0x200D),
}

-- Any character at all.
local function any()
  local code = draw(3) == 1 and draw(0x110000) - 1 or draw(0x10000) - 1
  if code >= 0xD800 and code < 0xE000 then code = code - 0x800 end
  return char(code)
end

-- A character with marks on it.
local function marked()
  local text = among(draw(2) == 1 and SCRIPTS or ASTRAL)
  for _ = 1, draw(4) do text = text .. among(MARKS) end
  return text
end

local function wide()
  local sort = draw(8)
  if sort <= 3 then return among(ASTRAL) end
  if sort <= 5 then return among(CLUSTERS) end
  if sort == 6 then return marked() end
  if sort == 7 then return any() end
  return among(EXTENDED)
end

-- ---- stretches, of a character a unit ----

local LONGEST = 1600
local plain, script

local function prepare()
  local letters = chars { { 0x20, 0x23 }, { 0x25, 0x3F }, { 0x41, 0x5A },
    { 0x61, 0x7A } }
  local ones, twos, threes = {}, {}, {} -- by bytes a character
  for i = 1, 2 * LONGEST do ones[i] = among(letters) end
  for i = 1, LONGEST do
    twos[i] = char(0x410 + draw(64) - 1)
    threes[i] = char(0x4E00 + draw(2000) - 1)
  end
  plain = table.concat(ones)
  script = { [2] = table.concat(twos), [3] = table.concat(threes) }
end

local function ascii(length)
  local from = draw(LONGEST)
  return plain:sub(from, from + length - 1)
end

local function lettered(length)
  local width = draw(3)
  if width == 1 then return ascii(length) end
  local from = draw(LONGEST - length + 1)
  return script[width]:sub((from - 1) * width + 1, (from - 1 + length) * width)
end

-- The UTF-16 code units of a text.
local function units(text)
  local _, tails = text:gsub("[\128-\191]", "")
  local _, wides = text:gsub("[\240-\244]", "")
  return #text - tails + wides
end

-- ---- texts ----

-- A length near an edge: one segment's, or that of up to most.
local function edge(single, size, most)
  local length = draw(3) == 1 and single or size * draw(most)
  return length + draw(9) - 5
end

-- Stretches of fill, with what comes of piece() where segments end.
local function edged(length, size, fill, piece, width_of)
  local parts, used, at = {}, 0, size
  while used < length do
    local stretch = at - draw(7) + 1 - used
    if stretch > 0 and used + stretch < length then
      parts[#parts + 1] = fill(stretch)
      used = used + stretch
    end
    for _ = 1, draw(4) do
      local item = piece()
      local width = width_of(item)
      if used + width <= length then
        parts[#parts + 1] = item
        used = used + width
      end
    end
    at = at + size
    if at > length then break end
  end
  if used < length then parts[#parts + 1] = fill(length - used) end
  return table.concat(parts)
end

local is_extended = {}
for _, each in ipairs(EXTENDED) do is_extended[each] = 2 end

local function septets(item) return is_extended[item] or 1 end

local function in_gsm()
  return edged(edge(160, 153, 6), 153, ascii, function()
    return among(draw(3) == 1 and NATIONAL or EXTENDED)
  end, septets)
end

local function in_ucs2()
  return edged(edge(70, 67, 8), 67, lettered, wide, units)
end

-- A text of the default alphabet but for one character.
local function spoilt()
  local text, spoiler = in_gsm(), among(NEARLY)
  local sort = draw(4)
  if sort == 1 then return spoiler .. text end
  if sort == 2 then return text .. spoiler end
  local at = draw(#text)
  if text:find("^[\128-\191]", at + 1) then return text .. spoiler end
  return text:sub(1, at) .. spoiler .. text:sub(at + 1)
end

local ALL = { NATIONAL, EXTENDED, NEARLY, SCRIPTS, ASTRAL, CLUSTERS }

local function mixed()
  local parts, gsm = {}, draw(3) == 1
  for i = 1, draw(draw(40)) do
    local sort = draw(10)
    if gsm then
      parts[i] = sort <= 5 and ascii(draw(20)) or among(ALL[1 + sort % 2])
    elseif sort <= 6 then
      parts[i] = among(ALL[sort])
    else
      parts[i] = sort == 7 and any() or sort == 8 and marked() or
        ascii(draw(20))
    end
  end
  return table.concat(parts)
end

-- One thing over and over, perhaps out of step.
local function repeated()
  local piece = draw(4) == 1 and wide() or among(among(ALL))
  local most = math.floor(LONGEST / math.max(2, units(piece)))
  return ascii(draw(4) - 1) .. piece:rep(draw(math.min(most, draw(350))))
end

local SORTS = { in_gsm, in_gsm, in_gsm, in_ucs2, in_ucs2, in_ucs2, in_ucs2,
  spoilt, mixed, mixed, mixed, repeated }

--- Calls take(text, place) for the first count texts.
function texts.each(count, take)
  state = 20260101
  prepare()
  for i = 1, count do take(among(SORTS)(), i) end
end

return texts
