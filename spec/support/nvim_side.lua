-- What the tests' Lua uses inside of Neovim, or of a program that runs luv,
-- beside what host_side.lua has.
local side = require "spec.support.host_side"

local vim = rawget(_G, "vim")
local uv = vim and vim.loop or require "luv"

side.uv = uv

-- Every poll and timer that was made since this file was loaded. (uv.walk would
-- be the way, but it crashes Neovim 0.7 at the first handle of its own.)
local handles = {}
for _, kind in ipairs { "poll", "timer" } do
  local make = uv["new_" .. kind]
  uv["new_" .. kind] = function(...)
    local handle, why, name = make(...)
    if handle then handles[#handles + 1] = { kind = kind, handle = handle } end
    return handle, why, name
  end
end

-- How many of them are not closed.
function side.handles()
  local counts = { poll = 0, timer = 0 }
  for _, made_handle in ipairs(handles) do
    if not made_handle.handle:is_closing() then
      counts[made_handle.kind] = counts[made_handle.kind] + 1
    end
  end
  return counts
end

-- Measures from now on how long the loop was held for: by the gaps between the
-- turns of a timer of 1 ms. Returns a function that ends it and returns the
-- longest gap in milliseconds, how often it turned, and the longest time in
-- milliseconds that this process worked between two turns: that does not grow
-- where others use the machine.
function side.watch_loop()
  local timer, turns, longest, most_work = uv.new_timer(), -1, 0, 0
  local last, last_work = uv.hrtime(), os.clock()
  local function look()
    local now, work = uv.hrtime(), os.clock()
    longest = math.max(longest, now - last)
    most_work = math.max(most_work, work - last_work)
    last, last_work, turns = now, work, turns + 1
  end
  timer:start(1, 1, look)
  return function()
    timer:close()
    look()
    return longest / 1e6, turns, most_work * 1e3
  end
end

return side
