-- The loop of a host with a tick, such as a game server: all work is done in
-- client:poll(), which the host calls at each step. A create inside a coroutine
-- yields, and poll resumes it. Only client:wait() blocks.

local blocking = require "close.loop.blocking"

local poll = {}

-- Whether a for loop's iterator can yield: not in Lua 5.1, where it is called
-- from C. This is tested, as LuaJIT also calls itself Lua 5.1.
local function yields_in_for()
  local yielded = coroutine.resume(coroutine.create(function()
    for _ in coroutine.yield do end
  end))
  return yielded
end

local BY_HAND = "in Lua 5.1 what a for loop calls cannot wait: call the " ..
  "iterator by hand, as in local step = each{...}; local value, err = step()"

-- Whether there is a C function between here and the coroutine's start: Lua 5.1
-- and 5.2 cannot yield across one, and have no isyieldable. (5.2 can yield
-- across pcall.) A for loop of 5.1 counts, too; then the second value says so.
-- Without a debug library this is not known, nor for an iterator that made a
-- tail call.
local function crosses_c()
  local debug = rawget(_G, "debug")
  local info = debug and debug.getinfo
  local may = {}
  if _VERSION ~= "Lua 5.1" then may[pcall], may[xpcall] = true, true end
  local level = 2
  local frame = info and info(level, "Sfn")
  while frame do
    if frame.what == "C" and not may[frame.func] then return true end
    if frame.name == "(for generator)" and not yields_in_for() then
      return true, BY_HAND
    end
    level = level + 1
    frame = info(level, "Sfn")
  end
  return false
end

--- The running coroutine, if it can yield; otherwise nil, and why not, if
--- known.
function poll.yieldable()
  local thread, is_main = coroutine.running()
  if not thread or is_main then return nil end
  local can = coroutine.isyieldable
  if can then return can() and thread or nil end
  local crosses, why = crosses_c()
  if crosses then return nil, why end
  return thread
end

--- Yields the running coroutine until a call is over; the drain resumes it.
function poll.await(operation)
  operation.waiter = coroutine.running()
  -- If other code resumes the coroutine, it continues to wait.
  while not operation.done do coroutine.yield() end
  operation.waiter = nil
end

function poll.new(driver)
  local loop = { await = poll.await, wait = blocking.new(driver).wait,
    coroutines = true, resumes = true }

  function loop.why_not(verb, name)
    if verb ~= "await" then return nil end
    local thread, why = poll.yieldable()
    if thread then return nil end
    return why or ("with loop \"poll\" %s only works inside a coroutine " ..
      "that can yield: use %s_async, which has a callback"):format(name, name)
  end

  function loop.kick() end

  function loop.yields() return true end

  function loop.close() end

  return loop
end

return poll
