-- Where the relay before nginx cuts (see relay.lua), in the form of the faults
-- of table.lua. A new connection's first bytes are TLS's.
local cuts = {}

local LARGE, HUGE = 3e6, 12e6
local SHORT = 0.08 -- seconds of silence

local ENDINGS = { { "FIN", "close" }, { "reset", "reset" },
  { "silence", "silence" } }

-- make: a function of the ending.
local function cut(name, make)
  for _, ending in ipairs(ENDINGS) do
    local one = make(ending[2])
    one.name, one.ending = ending[1] .. " " .. name, ending[2]
    if one.ending == "silence" then
      one.deadline = one.size == HUGE and 2 * SHORT or SHORT
    end
    cuts[#cuts + 1] = one
  end
end

for _, byte in ipairs{ { "first", 0 }, { "100th", 100 } } do
  cut("at its " .. byte[1] .. " byte", function()
    return { from = "client", after = byte[2], expect = "NU", once = "SNU" }
  end)
end
cut("at its 900th byte", function()
  return { from = "client", after = 900, size = LARGE, expect = "NU",
    once = "SNU" }
end)
cut("after half of the body", function(ending) -- a FIN comes; we still listen
  return { from = "client", after = HUGE / 2, size = HUGE,
    expect = ending == "close" and "NU" or "N" }
end)
cut("when all was taken", function()
  return { from = "taken", expect = "U" }
end)
cut("amid the answer", function()
  return { from = "answer", expect = "U" }
end)

return cuts
