-- The loop of nginx's Lua module. nginx cannot watch sockets that it did not
-- open. So while calls are pending, one timer of the worker drives the engine
-- for all requests, and a request that waits yields on a semaphore. If nginx
-- has no timer left, the requests that wait drive the engine, but call no user
-- functions. Source: github.com/openresty/lua-nginx-module, ngx.timer.at,
-- ngx.get_phase

local ngx_timers = require "close.loop.ngx_timers"

local ngx_loop = {}

-- Seconds: the budget of a turn; the longest sleep until an answer can be
-- expected. Until then and after it, the sleep between turns is a share of the
-- time since something happened, and while an answer is due at least a share of
-- the time between the last answers, within bounds: nginx counts milliseconds.
local BUDGET_S = 0.002
local MAX_WAIT_S = 0.1
local MIN_SLEEP_S, MAX_SLEEP_S = 0.001, 0.003
local IDLE_SHARE, ANSWER_SHARE = 1 / 20, 1 / 2
-- After so many turns that came when an answer could be expected, and found
-- none, they come later, by the share of the time between answers. One of so
-- many comes in time all the same: answers may have become faster.
local MISSES = 8
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
  local last = 0              -- when something happened
  local answered = 0          -- when a call ended
  local between = 0           -- seconds that are usual between such moments
  local misses = 0            -- turns since one in time found an answer
  local is_expected = false   -- whether the sleep lasts until one can be
  local spare = {}            -- semaphores
  local sleeper               -- the semaphore that the timer sleeps on
  local wakes = -math.huge    -- until when

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

  local function comes_in_time()
    return misses < MISSES or misses % MISSES == 0
  end

  -- Seconds until the next turn; whether it comes when an answer is expected.
  local function sleep_time(now)
    local time = math.min((now - last) * IDLE_SHARE, MAX_SLEEP_S)
    local expected = timers.is_idle() and driver.expected()
    local is_due = expected and expected > 0
    if expected then
      local share = between * ANSWER_SHARE
      if is_due and not comes_in_time() then expected = expected + share end
      time = math.max(time, share, math.min(expected, MAX_WAIT_S))
    end
    time = math.max(math.min(time, driver.deadline() or time), MIN_SLEEP_S)
    return time, is_due
  end

  local function note_answer(now)
    local seconds = math.min(now - answered, MAX_SLEEP_S / ANSWER_SHARE)
    between = between + (seconds - between) / 8
    answered, last = now, now
  end

  -- Sleeps until the next turn; loop.kick() may make that shorter. It ends by a
  -- timer in any case: so an event's timer comes before what a turn wakes.
  local function sleep()
    sleeper = sleeper or semaphore.new()
    repeat
      local now = driver.now()
      local time
      time, is_expected = sleep_time(now)
      wakes = now + time
    until not sleeper:wait(time)
    wakes = -math.huge
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
    local pending = driver.pending()
    if is_expected then
      misses = pending < before and comes_in_time() and 0 or misses + 1
    end
    if pending < before then
      note_answer(driver.now())
    elseif pending > before then
      last = driver.now()
    end
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
    last = driver.now()
    driver.descriptor() -- with epoll, checking for ready sockets is cheap
    driver.step(BUDGET_S) -- a new request leaves now, not after a sleep
    -- Less than a millisecond is no gain: nginx counts them.
    if last + sleep_time(last) + MIN_SLEEP_S < wakes then
      wakes = -math.huge
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
