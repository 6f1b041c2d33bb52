-- The loop of nginx's Lua module. While anything is in flight, one timer of the
-- worker drives the engine, for all requests together; whoever waits for a call
-- yields its light thread on a semaphore.
-- Source: github.com/openresty/lua-nginx-module, ngx.timer.at, ngx.get_phase

local ngx_loop = {}

-- Seconds. What is handled at once in one turn; how long to sleep until the
-- next: a share of the time in which nothing happened, within bounds (less than
-- the least would be no sleep: nginx counts milliseconds); how long a waiting
-- request trusts the timer to be there.
local BUDGET = 0.002
local LEAST, MOST, SHARE = 0.001, 0.003, 1 / 20
local TRUST = 1
local TURNS = 1000 -- of one timer

local CAN_YIELD = { rewrite = true, access = true, content = true,
  timer = true }

function ngx_loop.new(driver)
  local ngx = rawget(_G, "ngx")
  if type(ngx) ~= "table" or not ngx.get_phase then
    return nil, 'loop "ngx" works in nginx with its Lua module only'
  end
  local found, semaphore = pcall(require, "ngx.semaphore")
  if not found then return nil, 'loop "ngx" needs lua-resty-core' end
  local loop = { spawns = true }
  -- Whether there is a timer; when something happened; when a driver last had
  -- its turn.
  local driven, last, turned = false, 0, 0

  function loop.hindrance(verb, name)
    local phase = ngx.get_phase()
    if CAN_YIELD[phase] or verb == "begin" and phase ~= "init" then
      return nil
    end
    if verb == "begin" then
      return ("%s_async does not work in nginx's phase %s: make the call in " ..
        "a later one"):format(name, phase)
    end
    return ("%s does not work in nginx's phase %s: use %s_async, or " ..
      "rewrite, access, content or a timer"):format(name, phase,
      verb == "await" and name or "create")
  end

  -- Sleeps until the next turn is worth its while.
  local function pause()
    local quiet = (driver.now() - last) * SHARE
    local due = math.min(driver.deadline() or MOST, quiet, MOST)
    ngx.sleep(math.max(due, LEAST))
  end

  local function turn()
    local before = driver.pending()
    driver.turn(BUDGET)
    turned = driver.now()
    if driver.pending() ~= before then last = turned end
  end

  -- Hands over to a new timer now and then: nginx frees what a timer's light
  -- threads took at its end only.
  local function drive()
    repeat
      for _ = 1, TURNS do
        local ok, why = pcall(turn)
        if not ok then ngx.log(ngx.ERR, "close: ", why) end
        if not ok or driver.pending() == 0 then
          driven = false
          return
        end
        pause()
      end
    until ngx.timer.at(0, drive)
  end

  -- Whether somebody drives. A timer may have been made and never run: nginx
  -- drops those beyond lua_max_running_timers.
  local function is_driven()
    return driven and driver.now() - turned < TRUST
  end

  function loop.kick()
    last = driver.now()
    driver.descriptor() -- with it, asking what is ready is cheap
    driver.step(BUDGET) -- what is new leaves now, not a sleep later
    if is_driven() then return end
    -- While the worker ends, too, what was begun is brought to its end.
    driven = ngx.timer.at(0, drive) and true or false
    turned = last
  end

  function loop.await(call)
    local signal = semaphore.new()
    function call.notify() signal:post() end
    while not call.done do
      if is_driven() then
        signal:wait(TRUST)
      else -- no timer was to be had: this request drives for all
        turn()
        if not call.done then pause() end
      end
    end
    call.notify = nil
  end

  -- A callback has a light thread of its own where there can be one: it may
  -- sleep, or wait for another call, and holds nobody up.
  function loop.run(callback, ...)
    if CAN_YIELD[ngx.get_phase()] then
      ngx.thread.spawn(callback, ...)
    else
      callback(...)
    end
  end

  function loop.wait(due)
    while driver.pending() > 0 and driver.now() < due do
      if not is_driven() then turn() end
      ngx.sleep(LEAST)
    end
  end

  function loop.close() end

  return loop
end

return ngx_loop
