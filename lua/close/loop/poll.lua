-- The loop of a host with a tick, such as a game server: whatever is to be done
-- is done in client:poll(), which the host calls at each step. A create inside
-- a coroutine yields, and poll resumes it; nothing waits but client:wait().

local blocking = require "close.loop.blocking"

local poll = {}

-- Whether what a for loop calls can yield: not in Lua 5.1, where that is a C
-- call like any other. It is tried, as LuaJIT names itself Lua 5.1, too.
local function yields_in_for()
  local yielded = coroutine.resume(coroutine.create(function()
    for _ in coroutine.yield do end
  end))
  return yielded
end

local BY_HAND = "in Lua 5.1 what a for loop calls cannot wait: call the " ..
  "iterator by hand, as in local step = each{...}; local value, err = step()"

-- Whether there is a C function between here and the coroutine's start: Lua 5.1
-- and 5.2 cannot yield across one, and have no other way to ask. (5.2 can
-- across pcall.) A for loop of 5.1 is one, too; then the second value says so.
-- Where a host has no debug library, nobody knows; nor of a for loop whose
-- function ended in a tail call.
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

--- The coroutine that runs, where it may yield; otherwise nil, and why not
--- where that can be said.
function poll.yieldable()
  local thread, is_main = coroutine.running()
  if not thread or is_main then return nil end
  local can = coroutine.isyieldable
  if can then return can() and thread or nil end
  local crosses, why = crosses_c()
  if crosses then return nil, why end
  return thread
end

--- Yields the coroutine that runs until a call is over; who hands on what is
--- done resumes it.
function poll.await(operation)
  operation.waiter = coroutine.running()
  -- Somebody else may resume the coroutine: it goes on waiting.
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
