-- The loop of libuv: Neovim's, or a program's own by the module luv. A uv_poll
-- handle for each of the engine's sockets and one uv_timer for its deadline,
-- and none of them while nothing is in flight.
-- Source: docs.libuv.org (poll, timer); Neovim's :help lua-loop, vim.wait()

local poll = require "close.loop.poll"

local luv_loop = {}

local BUDGET = 0.002 -- seconds that the host's loop is held for in one turn
local LOOK = 50      -- milliseconds between looks of vim.wait()
local LONG = 3600    -- seconds; a timer's longest time, and vim.wait()'s

local function library()
  local vim = rawget(_G, "vim")
  if type(vim) == "table" and (vim.uv or vim.loop) then
    return vim.uv or vim.loop, vim
  end
  local found, uv = pcall(require, "luv")
  return found and uv or nil
end

local function milliseconds(seconds)
  return math.ceil(math.min(seconds, LONG) * 1000)
end

-- The engine's sockets and its deadline as handles. Each calls turn.
local function handles(uv, driver, turn)
  local set = {}
  local polls, seen = {}, nil -- fd -> {handle, mode, since}
  local timer

  local function drop(fd)
    polls[fd].handle:close()
    polls[fd] = nil
  end

  local function watch(fd, mode, since)
    local known = polls[fd]
    if known and known.since ~= since then -- the number of another socket now
      drop(fd)
      known = nil
    end
    if not known then
      known = { handle = uv.new_poll(fd), since = since }
      polls[fd] = known
    end
    if known.mode ~= mode then
      known.handle:start(mode, turn)
      known.mode = mode
    end
  end

  local function follow_sockets()
    local changes, modes, since = driver.interest(seen)
    if not changes then return end
    seen = changes
    for fd in pairs(polls) do
      if not modes[fd] then drop(fd) end
    end
    for fd, mode in pairs(modes) do watch(fd, mode, since[fd]) end
  end

  local function follow_deadline()
    local due = driver.deadline()
    if not due then return timer and timer:stop() end
    timer = timer or uv.new_timer()
    uv.update_time()
    timer:start(milliseconds(due), 0, turn)
  end

  --- Lets go of all.
  function set.close()
    for fd in pairs(polls) do drop(fd) end
    if timer then timer:close() end
    timer, seen = nil, nil
  end

  --- Watches what the engine waits for now.
  function set.follow()
    if driver.pending() == 0 then return set.close() end
    follow_sockets()
    follow_deadline()
  end

  return set
end

-- How users' functions are run, and how one waits: Neovim's way. Its API may
-- not be called inside of libuv's callbacks: what is done is handed on later.
local function in_neovim(vim, driver, set)
  local host, scheduled = {}, false

  local function hand_on()
    scheduled = false
    driver.drain(BUDGET)
    set.follow()
  end

  function host.hand_on()
    if scheduled then return end
    scheduled = true
    vim.schedule(hand_on)
  end

  function host.yields() return false end

  function host.hindrance(async)
    if async or not vim.in_fast_event() then return nil end
    return "create cannot wait inside of a callback of libuv: use " ..
      "create_async, or vim.schedule()"
  end

  --- Keeps the editor's loop turning until is_over(); Ctrl-C ends it early.
  function host.turn_until(is_over, due)
    local left = math.min(due - driver.now(), LONG)
    local _, why = vim.wait(milliseconds(math.max(left, 0)), is_over, LOOK)
    return why ~= -2
  end

  return host
end

-- The same in a program that runs the loop itself.
local function in_program(uv, driver, set)
  local host = {}

  function host.hand_on()
    driver.drain(BUDGET)
    set.follow()
  end

  function host.hindrance(async)
    if async or not uv.loop_mode() or poll.yieldable() then return nil end
    return "create cannot wait inside of a callback of luv: use " ..
      "create_async, or a coroutine"
  end

  --- Whether whoever waits has to yield: the loop runs already.
  function host.yields() return uv.loop_mode() ~= nil end

  function host.turn_until(is_over, due)
    local timer = due < math.huge and uv.new_timer()
    if timer then
      timer:start(milliseconds(math.max(due - driver.now(), 0)), 0,
        function() end)
    end
    while not is_over() and driver.now() < due do uv.run "once" end
    if timer then timer:close() end
    return true
  end

  return host
end

function luv_loop.new(driver)
  local uv, vim = library()
  if not uv then return nil, 'loop "luv" needs Neovim or the module luv' end
  local loop, host = {}, nil

  local set
  set = handles(uv, driver, function()
    driver.step(BUDGET)
    set.follow()
    if driver.ready() then host.hand_on() end
  end)
  host = vim and in_neovim(vim, driver, set) or in_program(uv, driver, set)

  loop.hindrance = host.hindrance

  loop.kick = set.follow

  function loop.await(call)
    if host.yields() then return poll.await(call) end
    while not call.done do
      local goes_on = host.turn_until(function() return call.done end,
        math.huge)
      if not goes_on then
        driver.cancel(call)
        driver.drain()
      end
    end
  end

  function loop.wait(due)
    local goes_on = true
    while goes_on and driver.pending() > 0 and driver.now() < due do
      goes_on = host.turn_until(function() return driver.pending() == 0 end,
        due)
    end
  end

  loop.close = set.close

  return loop
end

return luv_loop
