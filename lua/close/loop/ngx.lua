-- The loop of nginx's Lua module. While anything is in flight, one timer of the
-- worker drives the engine, for all requests together; whoever waits for a call
-- yields its light thread on a semaphore.
-- Source: github.com/openresty/lua-nginx-module, ngx.timer.at, ngx.get_phase

local ngx_loop = {}

-- Seconds. What is handled at once in one turn; how long to sleep between two:
-- a twentieth of the time in which nothing happened, within bounds; how long a
-- waiting request trusts the timer to be there.
local BUDGET = 0.001
local LEAST, MOST, SHARE = 0.001, 0.004, 1 / 20
local TRUST = 1

local CAN_YIELD = { rewrite = true, access = true, content = true,
  timer = true }

function ngx_loop.new(driver)
  local ngx = rawget(_G, "ngx")
  if type(ngx) ~= "table" or not ngx.get_phase then
    return nil, 'loop "ngx" works in nginx with its Lua module only'
  end
  local found, semaphore = pcall(require, "ngx.semaphore")
  if not found then return nil, 'loop "ngx" needs lua-resty-core' end
  local loop = {}
  local driven, last = false, 0

  function loop.hindrance(verb)
    local phase = ngx.get_phase()
    if CAN_YIELD[phase] or verb == "begin" and phase ~= "init" then
      return nil
    end
    return ("%s does not work in nginx's phase %s: %s"):format(
      verb == "begin" and "create_async" or verb, phase,
      verb == "begin" and "make the call in a later one" or
      "use create_async, or rewrite, access, content or a timer")
  end

  -- Sleeps until the next turn is worth its while.
  local function pause()
    local due = driver.deadline() or MOST
    local quiet = (driver.now() - last) * SHARE
    ngx.sleep(math.min(due, math.max(LEAST, math.min(quiet, MOST))))
  end

  local function turn()
    local before = driver.pending()
    driver.turn(BUDGET)
    if driver.pending() ~= before then last = driver.now() end
  end

  local function drive()
    while driver.pending() > 0 do
      local ok, why = pcall(turn)
      if not ok then
        ngx.log(ngx.ERR, "close: ", why)
        break
      end
      if driver.pending() > 0 then pause() end
    end
    driven = false
  end

  function loop.kick()
    last = driver.now()
    driver.step(BUDGET) -- what is new leaves now, not a sleep later
    if driven then return end
    -- While the worker ends, too, what was begun is brought to its end.
    driven = ngx.timer.at(0, drive) and true or false
  end

  function loop.await(call)
    local signal = semaphore.new()
    function call.notify() signal:post() end
    while not call.done do
      if driven then
        signal:wait(TRUST)
      else -- no timer was to be had: this request drives for all
        turn()
        if not call.done then pause() end
      end
    end
    call.notify = nil
  end

  function loop.wait(due)
    while driver.pending() > 0 and driver.now() < due do
      if not driven then turn() end
      ngx.sleep(LEAST)
    end
  end

  function loop.close() end

  return loop
end

return ngx_loop
