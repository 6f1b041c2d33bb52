-- The loop of nginx's Lua module. nginx cannot watch sockets that it did not
-- open. So while calls are pending, one timer of the worker drives the engine
-- for all requests, and a request that waits yields on a semaphore. If nginx
-- has no timer left, the requests that wait drive the engine, but call no user
-- functions. Source: github.com/openresty/lua-nginx-module, ngx.timer.at,
-- ngx.get_phase

local ngx_interval = require "close.loop.ngx_interval"
local ngx_poller = require "close.loop.ngx_poller"
local ngx_timers = require "close.loop.ngx_timers"

local ngx_loop = {}

local BUDGET_S = 0.002 -- of a turn
local MIN_SLEEP_S = 0.001 -- nginx counts milliseconds

local CAN_YIELD = { rewrite = true, access = true, content = true,
  timer = true }
local NO_TIMERS = { init = true, exit_worker = true }

-- Why something is impossible in a phase, or nil: see loop.lua.
local function why_not(phase, verb, name)
  if CAN_YIELD[phase] or verb == "begin" and not NO_TIMERS[phase] then
    return nil
  end
  if verb == "begin" then
    return ("%s_async does not work in nginx's phase %s: make the call in " ..
      "another one"):format(name, phase)
  end
  return ("%s does not work in nginx's phase %s: use %s_async, or " ..
    "rewrite, access, content or a timer"):format(name, phase,
    verb == "await" and name or "create")
end

function ngx_loop.new(driver)
  local ngx = rawget(_G, "ngx")
  if type(ngx) ~= "table" or not ngx.get_phase then
    return nil, 'loop "ngx" works in nginx with its Lua module only'
  end
  local found, semaphore = pcall(require, "ngx.semaphore")
  if not found then return nil, 'loop "ngx" needs lua-resty-core' end
  local loop = { spawns = true }
  local timers = ngx_timers.new(driver.now)
  local interval = ngx_interval.new()
  local poller       -- takes the turns
  local sleeper      -- the semaphore that it sleeps on
  local spare = {}   -- semaphores

  function loop.yields() return true end

  function loop.why_not(verb, name)
    return why_not(ngx.get_phase(), verb, name)
  end

  -- Seconds until an answer can be expected; nil if that is not known, or if
  -- functions of the user's wait for a timer.
  local function expected()
    if timers.is_idle() then return driver.expected() end
  end

  -- Sleeps until the next turn; loop.kick() may make that shorter. It ends by a
  -- timer in any case: so an event's timer comes before what a turn wakes.
  local function sleep()
    sleeper = sleeper or semaphore.new()
    repeat
      local time = interval:sleep(driver.now(), expected(), driver.deadline())
    until not sleeper:wait(time)
    interval:wake()
  end

  local function turn()
    local before = driver.pending()
    driver.turn(BUDGET_S)
    timers.attend()
    poller:start()
    interval:note_turn(before, driver.pending(), driver.now())
  end

  poller = ngx_poller.new { now = driver.now, turn = turn, sleep = sleep,
    is_over = function() return driver.pending() == 0 and timers.is_idle() end }

  function loop.kick()
    interval:note_work(driver.now())
    driver.descriptor() -- with epoll, checking for ready sockets is cheap
    driver.step(BUDGET_S) -- a new request leaves now, not after a sleep
    if interval:is_late(expected(), driver.deadline()) then
      interval:wake()
      sleeper:post()
    end
    poller:start()
  end

  -- One that nobody waits on or has posted.
  local function take_semaphore()
    local n = #spare
    local signal = spare[n]
    spare[n] = nil
    return signal or semaphore.new()
  end

  function loop.await(operation)
    -- Not a closure: that would refer to the stack of a light thread, which
    -- nginx may end and reuse while the call continues.
    local signal = take_semaphore()
    operation.waiter = signal
    while not operation.done do
      if poller:is_running() then
        signal:wait(poller.trust_s)
      else -- there is no timer: this request drives for all
        -- First: it may be what a turn calls that waits here.
        ngx.sleep(MIN_SLEEP_S)
        if not operation.done then turn() end
      end
    end
    operation.waiter = nil
    if signal:count() == 0 then spare[#spare + 1] = signal end
  end

  --- A callback may sleep or wait for another call without delaying others.
  function loop.run(...)
    timers.run(...)
    timers.attend()
    poller:start()
  end

  function loop.emit(...)
    timers.emit(...)
    timers.attend()
    poller:start()
    return true
  end

  function loop.wait(due)
    while driver.pending() > 0 and driver.now() < due do
      if not poller:is_running() then turn() end
      ngx.sleep(MIN_SLEEP_S)
    end
  end

  function loop.close() end

  return loop
end

return ngx_loop
