-- Shows how a text will travel, before it is sent and without a key:
--   lua5.4 examples/script/preview.lua ["A text"]
-- As a rule each segment costs what an SMS costs. One character that GSM-7 does
-- not have makes all of the text UCS-2, with less than half the room.

local close = require "close"

local TEXTS = { "Your table is ready.", "That’s 5 €", "Your table – for 2 – is "
  .. "ready. Tell us if you are late, please: we hold it for 15 minutes.", "🍝" }

-- Plain characters for those which forced UCS-2 most often.
local PLAIN = { ["’"] = "'", ["‘"] = "'", ["“"] = '"', ["”"] = '"',
  ["–"] = "-", ["—"] = "-", ["…"] = "...", ["\194\160"] = " " }

local function describe(count)
  return ("%d %s of %s, %d units, room for %d more"):format(count.segments,
    count.segments == 1 and "segment" or "segments", count.encoding,
    count.units, count.remaining)
end

-- A character and its code point: it may be one that cannot be seen.
local function name(character)
  local first = character:byte()
  local point = first < 0x80 and first or
    first % (first < 0xE0 and 0x20 or first < 0xF0 and 0x10 or 0x08)
  for i = 2, #character do point = point * 64 + character:byte(i) % 64 end
  return ("%s (U+%04X)"):format(character, point)
end

local function show(text)
  local count, err = close.segments(text)
  if not count then return print(tostring(err)) end
  print(text)
  print("  " .. describe(count))
  if count.encoding == "GSM-7" then return end
  local names = {}
  for i, character in ipairs(count.forced_by) do names[i] = name(character) end
  print("  UCS-2 because of " .. table.concat(names, ", "))
  local plain = text
  for from, to in pairs(PLAIN) do plain = plain:gsub(from, to) end
  if plain ~= text then
    print("  with plain characters: " .. describe(close.segments(plain)))
  end
end

for _, text in ipairs(arg[1] and arg or TEXTS) do show(text) end
