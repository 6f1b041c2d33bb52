-- The loop of libuv: Neovim's, or that of a program with the module luv. It has
-- a uv_poll handle for the engine's sockets and a uv_timer for its deadline,
-- while calls are pending. Source: docs.libuv.org (poll, timer); Neovim's :help
-- lua-loop, vim.wait()

local poll = require "close.loop.poll"

local luv_loop = {}

local BUDGET_S = 0.002 -- of one turn
local POLL_MS = 10     -- between checks, if there is no event for something
local MAX_TIMER_S = 3600 -- of a timer, and of vim.wait()

local function library()
  local vim = rawget(_G, "vim")
  if type(vim) == "table" and (vim.uv or vim.loop) then
    return vim.uv or vim.loop, vim
  end
  local found, uv = pcall(require, "luv")
  return found and uv or nil
end

local function milliseconds(seconds)
  return math.ceil(math.min(seconds, MAX_TIMER_S) * 1000)
end

-- Handles for the engine's descriptor and its deadline; both call turn. (With
-- one uv_poll for each socket, luv would write a line to stderr, which is
-- Neovim's screen, for each connection that is reset.)
local function handles(uv, driver, turn)
  local set = {}
  local poll_handle, timer

  --- Closes all handles; returns whether there were any.
  function set.close()
    local some = (poll_handle or timer) ~= nil
    if poll_handle then poll_handle:close() end
    if timer then timer:close() end
    poll_handle, timer = nil, nil
    return some
  end

  local function follow_deadline(due)
    if not due then return timer and timer:stop() end
    timer = timer or uv.new_timer()
    uv.update_time()
    -- Not 0: a timer that restarts itself with 0 keeps uv_run() busy forever.
    timer:start(math.max(milliseconds(due), 1), 0, turn)
  end

  --- Brings the handles in line with what the engine waits for.
  function set.follow()
    if driver.is_idle() then return set.close() end
    local due = driver.deadline()
    if not poll_handle then
      local fd = driver.descriptor()
      local handle = fd and uv.new_poll(fd)
      if handle then
        handle:start("r", turn)
        poll_handle = handle
      else -- no descriptor on this system: check regularly
        due = math.min(due or POLL_MS / 1000, POLL_MS / 1000)
      end
    end
    follow_deadline(due)
  end

  return set
end

-- How Neovim runs the user's functions and waits. Its API must not be called
-- inside libuv's callbacks, so finished calls are delivered by vim.schedule().
local function in_neovim(vim, driver, set, drain)
  local host, scheduled = {}, false

  local function deliver()
    scheduled = false
    -- The timer delivers the rest: scheduling it at once would leave the editor
    -- no turn.
    drain()
  end

  function host.deliver()
    if scheduled then return end
    vim.schedule(deliver) -- which may fail
    scheduled = true
  end

  function host.yields() return false end

  function host.let_go() end

  --- A client may be closed or polled inside of libuv's callbacks, too.
  function host.run(callback, ...)
    if not vim.in_fast_event() then return callback(...) end
    local n, given = select("#", ...), { ... }
    vim.schedule(function()
      callback(unpack(given, 1, n))
      set.follow()
    end)
  end

  function host.emit(on_event, event)
    if not vim.in_fast_event() then return false end
    vim.schedule(function() pcall(on_event, event) end)
    return true
  end

  function host.why_not(verb, name)
    if verb == "begin" or not vim.in_fast_event() then return nil end
    local how = verb == "await" and ("%s_async, or "):format(name) or ""
    return ("%s does not work inside of a callback of libuv: use %s" ..
      "vim.schedule()"):format(name, how)
  end

  -- Whether Ctrl-C was typed. vim.wait() of Neovim 0.7, with a condition,
  -- notices it only at its end. Any call of the API notices it, and fails.
  local function interrupted()
    local ok, why = pcall(vim.api.nvim_eval, "0")
    if ok or not tostring(why):find "Keyboard interrupt" then return false end
    pcall(vim.fn.getchar, 0) -- the key, which would be a command otherwise
    return true
  end

  --- Keeps the editor's loop turning until is_over(); Ctrl-C ends it early.
  function host.turn_until(is_over, due)
    local left = math.min(due - driver.now(), MAX_TIMER_S)
    local stopped = false
    local _, why = vim.wait(milliseconds(math.max(left, 0)), function()
      if is_over() then return true end
      stopped = interrupted()
      return stopped
    end, POLL_MS)
    return not stopped and why ~= -2
  end

  return host
end

-- The same for a program that runs the loop itself.
local function in_program(uv, driver, drain)
  local host = { deliver = drain }

  function host.why_not(verb, name)
    if verb == "begin" or not uv.loop_mode() or
       verb == "await" and poll.yieldable() then
      return nil
    end
    if verb == "wait" then
      return "wait does not work while luv's loop runs: that calls the " ..
        "callbacks by itself"
    end
    return ("%s does not work inside of a callback of luv: use %s_async, or " ..
      "a coroutine"):format(name, name)
  end

  --- luv crashes at the program's end if a handle was closed and the loop has
  --- not run since.
  function host.let_go()
    if not uv.loop_mode() then uv.run "nowait" end
  end

  --- A caller that waits has to yield if the loop runs already.
  function host.yields() return uv.loop_mode() ~= nil end

  function host.turn_until(is_over, due)
    local timer = due < math.huge and uv.new_timer()
    if timer then
      uv.update_time()
      -- And every millisecond after that: libuv may round down.
      timer:start(milliseconds(math.max(due - driver.now(), 0)), 1,
        function() end)
    end
    local ok, thrown = pcall(function()
      while not is_over() and driver.now() < due do uv.run "once" end
    end)
    if timer then
      timer:close()
      host.let_go()
    end
    if not ok then error(thrown, 0) end
    return true
  end

  return host
end

function luv_loop.new(driver)
  local uv, vim = library()
  if not uv then return nil, 'loop "luv" needs Neovim or the module luv' end
  local loop, host = { resumes = true }, nil
  local set
  local waiting, thrown = 0, nil -- how many wait; {the error to raise there}

  local function run(f, ...)
    f(...)
    set.follow()
  end

  -- An interrupt is raised where a call waits: in libuv's callback it would end
  -- the program.
  local function guard(f, ...)
    local ok, why = pcall(run, f, ...)
    if ok then return end
    set.follow()
    if waiting == 0 then error(why, 0) end
    thrown = { why }
  end

  local function drain() guard(driver.drain, BUDGET_S) end

  -- The host's turn_until, which raises such an interrupt.
  local function turn_until(is_over, due)
    waiting = waiting + 1
    local ok, goes_on = pcall(host.turn_until, function()
      return thrown ~= nil or is_over()
    end, due)
    waiting = waiting - 1
    local interrupt = thrown
    thrown = nil
    if not ok then error(goes_on, 0) end
    if interrupt then error(interrupt[1], 0) end
    return goes_on
  end

  local function turn()
    driver.step(BUDGET_S)
    if driver.ready() then host.deliver() end
  end

  set = handles(uv, driver, function() guard(turn) end)
  host = vim and in_neovim(vim, driver, set, drain) or
    in_program(uv, driver, drain)

  loop.why_not, loop.yields = host.why_not, host.yields
  loop.run, loop.emit = host.run, host.emit

  loop.kick = set.follow

  function loop.await(operation)
    if host.yields() then return poll.await(operation) end
    while not operation.done do
      local goes_on = turn_until(function() return operation.done end,
        math.huge)
      if not goes_on then
        driver.cancel(operation)
        driver.drain()
        set.follow()
      end
    end
  end

  function loop.wait(due)
    local goes_on = true
    while goes_on and driver.pending() > 0 and driver.now() < due do
      goes_on = turn_until(function() return driver.pending() == 0 end, due)
    end
  end

  function loop.close()
    if set.close() then host.let_go() end
  end

  return loop
end

return luv_loop
