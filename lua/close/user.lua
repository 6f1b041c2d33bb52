-- Calls the user's callbacks and on_event, and reports what they throw. All
-- functions work on the client's state, see client.lua.

local protect = require "close.protect"

local user = {}

-- Whether a function of the user's needs a coroutine of its own: it could
-- otherwise yield the coroutine that drains.
local function needs_coroutine(state)
  local loop = state.loop
  return not loop.spawns and (loop.coroutines or protect.is_in_coroutine())
end

-- Calls a function; over() gets its result, as from protect.call.
local function call(state, f, arg, over)
  if needs_coroutine(state) then
    protect.spawn(f, arg, over)
  else
    over(protect.call(f, arg))
  end
end

local function pass_interrupt(ok, value, is_interrupt)
  if not ok and is_interrupt then protect.raise(value) end
end

--- Gives an event to on_event.
function user.emit(state, event)
  local on_event = state.settings.on_event
  if not on_event then return end
  local emit = state.loop.emit
  if emit and emit(on_event, event) then return end
  -- An error in a logger must not stop a message.
  call(state, on_event, event, pass_interrupt)
end

--- The same in the middle of an operation. That is not counted as pending
--- meanwhile, as on_event may wait until nothing is.
function user.emit_uncounted(state, event)
  local uncounted = state.uncounted
  state.uncounted = uncounted + 1
  user.emit(state, event)
  state.uncounted = uncounted
end

--- Reports what a function threw: raises an interrupt again, and gives any
--- other error to on_event.
---@param request table|nil the last one of its operation
function user.report_thrown(state, request, value, is_interrupt)
  if is_interrupt then protect.raise(value) end
  local named, text = pcall(tostring, value)
  user.emit(state, {
    method = request and request.endpoint.method,
    path = request and request.path:match "^[^?]*",
    callback_error = named and text or "an error that is a " .. type(value),
  })
end

--- Calls a callback; an error in it does not stop others.
--- -> its first result; nil if it has yielded
function user.call(state, request, f, arg)
  local value
  -- Kept at once: in Lua 5.1 a finalizer may throw between the function's end
  -- and that of pcall.
  local function keep() value = f(arg) end
  call(state, keep, nil, function(ok, thrown, is_interrupt)
    if not ok then user.report_thrown(state, request, thrown, is_interrupt) end
  end)
  return value
end

--- The same for f(a, b, c, d), which calls a callback, without a result.
function user.run(state, request, f, a, b, c, d)
  if needs_coroutine(state) then
    user.call(state, request, function() return f(a, b, c, d) end)
  else
    local ok, thrown, is_interrupt = protect.call(f, a, b, c, d)
    if not ok then user.report_thrown(state, request, thrown, is_interrupt) end
  end
end

return user
