-- What a loop drives a client with: the engine's functions, and those for what
-- the client itself has to do. They do nothing once the client is closed. All
-- moments and times are in seconds.

local core = require "close.core"
local drain = require "close.drain"
local live = require "close.live"
local operations = require "close.operation"
local questions = require "close.question"

local drivers = {}

--- Makes the driver of a client from its state, see client.lua.
function drivers.new(state)
  local driver = { now = core.now }

  -- Whether there is something to drain that is not the engine's.
  local function has_own()
    return live.has_late(state) or
      state.questions[1] ~= nil and questions.deadline(state) == 0
  end

  -- How long to wait of so many seconds.
  local function limit(seconds)
    if live.has_late(state) then return 0 end
    local due = state.questions[1] and questions.deadline(state)
    return due and math.min(due, seconds) or seconds
  end

  function driver.step(budget)
    if state.engine then state.engine:step(budget) end
  end

  --- Handles what is done; calls the user's functions.
  function driver.drain(budget)
    drain(state, budget and core.now() + budget)
  end

  --- A step, and what it has to drain, for so many seconds if budget is given.
  --- With seconds it waits first, at most so long: for a socket or the deadline
  --- if there is nothing to drain.
  function driver.turn(budget, seconds)
    local engine, till = state.engine, budget and core.now() + budget
    local is_ready = engine and
      engine:step(budget, seconds and limit(seconds))
    if is_ready or state.questions[1] or live.has_late(state) then
      drain(state, till)
    end
  end

  --- Whether there is something to drain.
  function driver.ready()
    local engine = state.engine
    return engine ~= nil and engine:ready() or has_own()
  end

  --- Seconds to the next turn; nil if only a socket can cause one.
  function driver.deadline()
    if driver.ready() then return 0 end
    local waiting = questions.deadline(state)
    local due = state.engine and state.engine:deadline() or waiting
    return waiting and math.min(waiting, due) or due
  end

  --- Seconds until an answer can be expected, which may have passed; nil if
  --- that is not known.
  function driver.expected()
    if state.engine and not state.questions[1] then
      return state.engine:expected()
    end
  end

  --- One descriptor that is readable while a step has work, or nil.
  function driver.descriptor()
    return state.engine and state.engine:descriptor()
  end

  function driver.pending() return live.pending(state) end

  --- Whether nothing is left to do. pending() does not count what cannot end
  --- before the caller returns.
  function driver.is_idle() return state.pending == 0 end

  function driver.cancel(operation) operations.cancel(state, operation) end

  return driver
end

return drivers
