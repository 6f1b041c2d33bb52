-- The loop of a host with a tick, such as a game server: whatever is to be done
-- is done in client:poll(), which the host calls at each step. A create inside
-- a coroutine yields, and poll resumes it; nothing waits but client:wait().

local blocking = require "close.loop.blocking"

local poll = {}

-- Whether there is a C function between here and the coroutine's start: Lua 5.1
-- and 5.2 cannot yield across one, and have no other way to ask. (5.2 can
-- across pcall.) Where a host has no debug library, nobody knows.
local function crosses_c()
  local debug = rawget(_G, "debug")
  local info = debug and debug.getinfo
  local may = {}
  if _VERSION ~= "Lua 5.1" then may[pcall], may[xpcall] = true, true end
  local level = 2
  local frame = info and info(level, "Sf")
  while frame do
    if frame.what == "C" and not may[frame.func] then return true end
    level = level + 1
    frame = info(level, "Sf")
  end
  return false
end

--- The coroutine that runs, where it may yield.
function poll.yieldable()
  local thread, is_main = coroutine.running()
  if not thread or is_main then return nil end
  local can = coroutine.isyieldable
  if can then return can() and thread or nil end
  return not crosses_c() and thread or nil
end

--- Yields the coroutine that runs until the call is done.
function poll.await(call)
  local thread = coroutine.running()
  function call.notify()
    if coroutine.status(thread) ~= "suspended" then return end
    local ok, why = coroutine.resume(thread)
    if not ok then error(why, 0) end
  end
  -- Somebody else may resume the thread: it goes on waiting.
  while not call.done do coroutine.yield() end
  call.notify = nil
end

function poll.new(driver)
  local loop = { await = poll.await, wait = blocking.new(driver).wait }

  function loop.hindrance(verb)
    if verb ~= "create" or poll.yieldable() then return nil end
    return "with loop \"poll\" create only works inside a coroutine that " ..
      "can yield: use create_async, which has a callback"
  end

  function loop.kick() end

  function loop.close() end

  return loop
end

return poll
