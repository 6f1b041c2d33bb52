-- Writes the texts, each ended by the byte 255, and what close.segments says of
-- them, a line each, for tools/segments_peer.js.
--   lua5.4 tools/segments_peer.lua DIRECTORY

local close = require "close"
local texts = require "spec.support.sms_texts"

local COUNT = 100000

local all = assert(io.open(arg[1] .. "/texts", "wb"))
local ours = assert(io.open(arg[1] .. "/ours", "wb"))

texts.each(COUNT, function(text)
  local found = assert(close.segments(text))
  assert(text ~= "")
  all:write(text, "\255")
  local forced = table.concat(found.forced_by):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  ours:write(("%s %d %d %d %s\n"):format(found.encoding, found.segments,
    found.units, found.remaining, forced))
end)
assert(all:close())
assert(ours:close())
