-- Runs the user's functions in nginx, each in a timer of its own. Inside a
-- request they would see that request's ngx.ctx, could answer its client, and
-- would end with it. nginx may refuse a timer. It may also drop one silently,
-- if lua_max_running_timers or worker_connections are used up. So a function
-- leaves the queue only when it is called. Source:
-- github.com/openresty/lua-nginx-module, ngx.timer.at

local ngx_timers = {}

local BUDGET_S = 0.002 -- of functions that are called one after the other
local LATE_S = 0.05    -- a timer that has not run by then was dropped
local RETRY_S = 1      -- after one was dropped: nginx logs each of them
local MAX_RUNNING = 16 -- timers at once; nginx has 256 by default

local function new_queue()
  return { first = 1, last = 0 }
end

local function is_empty(queue) return queue.first > queue.last end

local function push(queue, f, ...)
  local job = { f = f, n = select("#", ...), ... }
  queue.last = queue.last + 1
  queue[queue.last] = job
end

local function pop(queue)
  if is_empty(queue) then return nil end
  local job = queue[queue.first]
  queue[queue.first] = nil
  queue.first = queue.first + 1
  return job
end

local function call(job)
  return pcall(job.f, unpack(job, 1, job.n))
end

-- Calls the functions that are in a queue now, until a moment. Those that are
-- queued meanwhile wait: a function that queues another one each time must not
-- block the worker.
local function run_queued(queue, run, now, till)
  local last = queue.last
  while queue.first <= last do
    run(call, pop(queue))
    if till and now() >= till then return end
  end
end

local function count(set)
  local n, key = 0, next(set) -- not in a for loop: see raw_pairs.lua
  while key do
    n, key = n + 1, next(set, key)
  end
  return n
end

--- Makes a timer; returns whether there is one: some phases have no timers.
function ngx_timers.at(...)
  local possible, made = pcall(rawget(_G, "ngx").timer.at, ...)
  return possible and made and true or false
end

--- The queues of one client. now is a clock, in seconds.
function ngx_timers.new(now)
  local ngx = rawget(_G, "ngx")
  local timers, events, callbacks = {}, new_queue(), new_queue()
  -- A timer that calls a callback has a table in here. A callback may end its
  -- timer by ngx.exit(): its table then stays until it is collected.
  local running = setmetatable({}, { __mode = "k" })
  -- When a timer was requested that has not run yet: by our clock, by nginx's.
  local asked_at, asked_turn
  local chain_end

  function timers.is_idle() return is_empty(events) and is_empty(callbacks) end

  local serve

  -- nginx counts all timers, but none that has ended.
  local function may_ask()
    return count(running) < MAX_RUNNING or
      ngx.timer.running_count() < MAX_RUNNING
  end

  local function ask()
    if may_ask() and ngx_timers.at(0, serve) then
      asked_at, asked_turn = now(), ngx.now()
    end
  end

  -- In a timer: all events, or else one callback. The next timer is requested
  -- before that, so that a function that yields delays no other one. A chain of
  -- timers runs in one turn of nginx's loop, so it has a budget.
  function serve()
    asked_at = nil
    chain_end = chain_end or now() + BUDGET_S
    local heard, callback = not is_empty(events), nil
    if heard then
      run_queued(events, ngx.thread.spawn, now, chain_end)
    else
      callback = pop(callbacks)
    end
    local mine = {}
    if callback then running[mine] = true end -- before ask() counts them
    if not timers.is_idle() and now() < chain_end then ask() end
    if callback then call(callback) end
    running[mine] = nil
  end

  -- Calls them here, if there is no timer for them.
  local function call_here(run, till)
    run_queued(events, run, now, till)
    run_queued(callbacks, run, now, till)
  end

  --- Makes sure that queued functions are called. To be called repeatedly until
  --- is_idle().
  function timers.attend()
    if timers.is_idle() then return end
    local phase = ngx.get_phase()
    if phase == "exit_worker" then return call_here(pcall) end -- no later one
    local waited = asked_at and now() - asked_at
    -- nginx's clock stands still in a turn of its loop. The timer cannot run in
    -- the turn that requested it, however long that takes.
    if waited and ngx.now() == asked_turn then return end
    if not waited or waited > RETRY_S then
      asked_at, chain_end = nil, nil
      ask()
    end
    local is_refused = not asked_at or waited and waited > LATE_S
    if is_refused and phase == "timer" then
      call_here(ngx.thread.spawn, now() + BUDGET_S)
    end
  end

  --- Calls a user's function in a timer of its own.
  function timers.run(f, ...) push(callbacks, f, ...) end

  --- Gives a user's function an event, before any callback that waits.
  function timers.emit(f, event) push(events, f, event) end

  return timers
end

return ngx_timers
