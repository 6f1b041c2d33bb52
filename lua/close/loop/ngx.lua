-- The loop of nginx's Lua module. nginx cannot watch sockets that it did not
-- open. So while calls are pending, one timer of the worker drives the engine
-- for all requests, and a request that waits yields on a semaphore. If nginx
-- has no timer left, the requests that wait drive the engine, but call no user
-- functions. Source: github.com/openresty/lua-nginx-module, ngx.timer.at,
-- ngx.get_phase

local ngx_interval = require "close.loop.ngx_interval"
local ngx_timers = require "close.loop.ngx_timers"

local ngx_loop = {}

local BUDGET_S = 0.002 -- of a turn
local MIN_SLEEP_S = 0.001 -- nginx counts milliseconds
local MAX_TURNS = 1000 -- of one timer

-- Seconds. For how long the timer counts as running after its last turn, and
-- after it was requested: nginx may drop it, see ngx_timers.lua. When the next
-- one is requested. When further timers check that there is one, in case no
-- request does.
local ALIVE_S, START_S = 1, 0.05
local RETRY_S = 1
local CHECKS_S = { 1, 2, 5, 10, 20 }

local CAN_YIELD = { rewrite = true, access = true, content = true,
  timer = true }
local NO_TIMERS = { init = true, exit_worker = true }

function ngx_loop.new(driver)
  local ngx = rawget(_G, "ngx")
  if type(ngx) ~= "table" or not ngx.get_phase then
    return nil, 'loop "ngx" works in nginx with its Lua module only'
  end
  local found, semaphore = pcall(require, "ngx.semaphore")
  if not found then return nil, 'loop "ngx" needs lua-resty-core' end
  local loop = { spawns = true }
  local timers = ngx_timers.new(driver.now)
  local number = 0            -- of the last timer that was requested to drive
  local turned, trust = -math.huge, ALIVE_S -- when the last one had its turn
  local asked = -math.huge    -- when one was requested that has not run yet
  local looked = -math.huge   -- when the checks were requested
  local spare = {}            -- semaphores
  local sleeper               -- the semaphore that the timer sleeps on
  local interval = ngx_interval.new()

  function loop.yields() return true end

  function loop.why_not(verb, name)
    local phase = ngx.get_phase()
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

  -- Whether a timer drives.
  local function is_driven() return driver.now() - turned < trust end

  local function is_over()
    return driver.pending() == 0 and timers.is_idle()
  end

  local start_driver, look_later

  local function turn()
    local before = driver.pending()
    driver.turn(BUDGET_S)
    timers.attend()
    start_driver()
    interval:note_turn(before, driver.pending(), driver.now())
  end

  -- A new timer takes over after MAX_TURNS: nginx frees the memory of a timer's
  -- light threads only at its end. A timer ends at once if there is a later
  -- one.
  local function drive(_, mine)
    asked, trust = -math.huge, ALIVE_S
    repeat
      for _ = 1, MAX_TURNS do
        if mine ~= number then return end
        turned = driver.now()
        local ok, why = pcall(turn)
        if not ok then ngx.log(ngx.ERR, "close: ", why) end
        if not ok or is_over() then
          turned = -math.huge
          return
        end
        sleep()
      end
      look_later()
    until ngx_timers.at(0, drive, mine)
  end

  local function look()
    if is_driven() or is_over() then return end
    number = number + 1
    return drive(false, number)
  end

  function look_later()
    local now = driver.now()
    if now - looked < CHECKS_S[#CHECKS_S] then return end
    for _, delay in ipairs(CHECKS_S) do
      if ngx_timers.at(delay, look) then looked = now end
    end
  end

  -- Pending calls are finished while the worker shuts down, too.
  function start_driver()
    local now = driver.now()
    if is_driven() or now - asked < RETRY_S then return end
    number = number + 1
    if ngx_timers.at(0, drive, number) then
      asked, turned, trust = now, now, START_S
    end
    look_later()
  end

  function loop.kick()
    interval:note_work(driver.now())
    driver.descriptor() -- with epoll, checking for ready sockets is cheap
    driver.step(BUDGET_S) -- a new request leaves now, not after a sleep
    if interval:is_late(expected(), driver.deadline()) then
      interval:wake()
      sleeper:post()
    end
    start_driver()
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
      if is_driven() then
        signal:wait(trust)
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
    start_driver()
  end

  function loop.emit(...)
    timers.emit(...)
    timers.attend()
    start_driver()
    return true
  end

  function loop.wait(due)
    while driver.pending() > 0 and driver.now() < due do
      if not is_driven() then turn() end
      ngx.sleep(MIN_SLEEP_S)
    end
  end

  function loop.close() end

  return loop
end

return ngx_loop
