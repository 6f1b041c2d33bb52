-- Protected calls that recognize interrupts: errors that come from outside of
-- the called function, and must reach the library's caller. An interrupt is
--   what the interpreters of Lua and Neovim raise at Ctrl-C;
--   what a function raises that debug.sethook had set before the call;
--   one of these that was raised again by a function here.
-- Errors of a hook in C look like the function's own.

local core = require "close.core"

local protect = {}

local RAISED_AT_CTRL_C = { "^interrupted!$", ": interrupted!$",
  "Keyboard interrupt$", "Vim:Interrupted$" }

-- Whether pcall works across a yield: not in Lua 5.1. This is tested, as LuaJIT
-- also calls itself Lua 5.1.
local thread = coroutine.create(function() pcall(coroutine.yield) end)
coroutine.resume(thread)
protect.yields = coroutine.status(thread) == "suspended"

-- Whether an interrupt is being thrown, and its value.
local has_interrupt, current_interrupt = false, nil
local last_hook -- what debug.sethook had set at the last call, or false

local debug = rawget(_G, "debug") -- some hosts have none
local gethook = debug and debug.gethook or function() end

-- Whether there is a hook, of any kind: less work than gethook, which is asked
-- then.
local is_hooked = core.is_hooked
protect.is_hooked = is_hooked

-- The function that debug.sethook has set, if it is a Lua function.
local function hook_of(...)
  local hook = gethook(...)
  return type(hook) == "function" and hook or nil
end

-- Whether an error came from the hook: looks for it on the stack, down to the
-- function that was called.
local function is_from(hook, f, info)
  local level = 1
  local frame = info(level)
  while frame and frame.func ~= f do
    if frame.func == hook then return true end
    level = level + 1
    frame = info(level)
  end
  return false
end

local function is_interrupt(value)
  if has_interrupt and rawequal(current_interrupt, value) then return true end
  if type(value) ~= "string" then return false end
  for _, pattern in ipairs(RAISED_AT_CTRL_C) do
    if value:find(pattern) then return true end
  end
  return false
end

-- xpcall with arguments, which Lua 5.1 lacks.
local function call_with(handler, f, ...)
  if protect.yields then return xpcall(f, handler, ...) end
  local n, given = select("#", ...), { ... }
  return xpcall(function() return f(unpack(given, 1, n)) end, handler)
end

-- What pcall returned, and whether its error is an interrupt.
local function judge(ok, value, ...)
  if ok then return true, value, ... end
  return false, value, is_interrupt(value)
end

-- An empty came_from_hook means that the hook raised an error in the handler.
local function judge_hook(came_from_hook, ok, value, ...)
  if ok then return true, value, ... end
  local is_hooks = came_from_hook[1] ~= false
  return false, value, is_hooks or is_interrupt(value)
end

local function call_under(hook, f, ...)
  local came_from_hook = {}
  return judge_hook(came_from_hook, call_with(function(value)
    came_from_hook[1] = is_from(hook, f, function(level)
      return debug.getinfo(level + 2, "f")
    end)
    return value
  end, f, ...))
end

--- pcall, with a third value after an error: whether it is an interrupt.
function protect.call(f, ...)
  has_interrupt, current_interrupt = false, nil
  local hook = is_hooked() and hook_of()
  last_hook = hook
  if hook then return call_under(hook, f, ...) end
  return judge(pcall(f, ...))
end

local function set_interrupt(value)
  has_interrupt, current_interrupt = true, value
end

local function keep(ok, value, ...)
  if not ok and ... then set_interrupt(value) end
  return ok, value, ...
end

--- pcall for callers that raise the error again, with error(value, 0): an
--- interrupt is still recognized then. Without a hook it is anyway: by its
--- text, or as one that was kept already.
function protect.catch(f, a, b)
  has_interrupt, current_interrupt = false, nil
  local hook = is_hooked() and hook_of()
  last_hook = hook
  if hook then return keep(call_under(hook, f, a, b)) end
  return pcall(f, a, b)
end

--- Notes an error that a pcall around protect.call or protect.catch has caught,
--- so one from inside of these: if there was a hook, it is an interrupt.
function protect.note(value)
  if last_hook then set_interrupt(value) end
  return value
end

--- Resumes a coroutine: true, or false, what it threw, whether an interrupt.
function protect.resume(co, ...)
  has_interrupt, current_interrupt = false, nil
  local hook = hook_of(co)
  local ok, value = coroutine.resume(co, ...)
  if ok then return true end
  local came_from_hook = hook and is_from(hook, nil, function(level)
    return debug.getinfo(co, level - 1, "f")
  end)
  return false, value, came_from_hook or is_interrupt(value)
end

--- Raises an interrupt again.
function protect.raise(value)
  set_interrupt(value)
  error(value, 0)
end

local MOST_TRIES = 50

--- Calls what must be done after an error, and may be done twice: it is
--- repeated if another error comes meanwhile, as from a watchdog that
--- continues, or from several allocations that fail. Returns whether it was
--- done.
function protect.ensure(f, ...)
  for _ = 1, MOST_TRIES do
    if pcall(f, ...) then return true end
  end
  return false
end

--- Calls f(arg) in a coroutine of its own, so that it may yield, and at its end
--- over() with what protect.call would return. An error in over is raised. In
--- Lua 5.1 an error after a yield goes to the code that resumed the function,
--- and over is not called.
function protect.spawn(f, arg, over)
  local is_over = false
  local function finish(...)
    is_over = true
    over(...)
  end
  local co = coroutine.create(protect.yields and
    function() finish(protect.call(f, arg)) end or
    function() finish(true, f(arg)) end)
  local ok, value, interrupts = protect.resume(co)
  if ok then return end
  if not is_over and not protect.yields then
    return finish(false, value, interrupts)
  end
  protect.raise(value) -- not the function's: it came outside of it
end

--- Whether the caller runs in a coroutine.
function protect.is_in_coroutine()
  local running, is_main = coroutine.running()
  return running ~= nil and not is_main
end

return protect
