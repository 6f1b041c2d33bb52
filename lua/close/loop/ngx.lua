-- The loop of nginx's Lua module. While anything is in flight, one timer of the
-- worker drives the engine, for all requests together; whoever waits for a call
-- yields its light thread on a semaphore. Where nginx has no timer for us, the
-- requests that wait drive the engine, but call no function of the user's.
-- Source: github.com/openresty/lua-nginx-module, ngx.timer.at, ngx.get_phase

local ngx_timers = require "close.loop.ngx_timers"

local ngx_loop = {}

-- Seconds. What is handled at once in one turn; how long to sleep until the
-- next: a share of the time in which nothing happened, within bounds (less than
-- the least would be no sleep: nginx counts milliseconds).
local BUDGET_S = 0.002
local MIN_SLEEP_S, MAX_SLEEP_S, IDLE_SHARE = 0.001, 0.003, 1 / 20
local MAX_TURNS = 1000 -- of one timer

-- Seconds. How long a timer is taken to be there after its last turn, and after
-- it was asked for: nginx may drop it, see ngx_timers.lua. When the next one is
-- asked for. When other timers look whether there is one: there may be no
-- request to notice.
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
  local number = 0            -- of timers that were to drive
  local turned, trust = -math.huge, ALIVE_S -- when the last one had its turn
  local asked = -math.huge    -- when one was asked for that has not run
  local looked = -math.huge   -- when the looks were made
  local last = 0              -- when something happened

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

  -- Sleeps until the next turn is worth its while.
  local function pause()
    local quiet = (driver.now() - last) * IDLE_SHARE
    local due = math.min(driver.deadline() or MAX_SLEEP_S, quiet, MAX_SLEEP_S)
    ngx.sleep(math.max(due, MIN_SLEEP_S))
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
    if driver.pending() ~= before then last = driver.now() end
  end

  -- Hands over to a new timer now and then: nginx frees what a timer's light
  -- threads took at its end only. A timer ends at once where there is a later
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
        pause()
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

  -- While the worker ends, too, what was begun is brought to its end.
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
    last = driver.now()
    driver.descriptor() -- with it, asking what is ready is cheap
    driver.step(BUDGET_S) -- what is new leaves now, not a sleep later
    start_driver()
  end

  function loop.await(operation)
    -- It is no function made here: that would refer to the stack of a light
    -- thread, which nginx may end, and use again, while the call goes on.
    local signal = semaphore.new()
    operation.waiter = signal
    while not operation.done do
      if is_driven() then
        signal:wait(trust)
      else -- no timer was to be had: this request drives for all
        turn()
        if not operation.done then pause() end
      end
    end
    operation.waiter = nil
  end

  --- A callback may sleep, or wait for another call, and delays no other one.
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
