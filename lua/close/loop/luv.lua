-- The loop of libuv: Neovim's, or a program's own by the module luv. A uv_poll
-- handle for the engine's sockets and a uv_timer for its deadline, and neither
-- while nothing is in flight.
-- Source: docs.libuv.org (poll, timer); Neovim's :help lua-loop, vim.wait()

local poll = require "close.loop.poll"

local luv_loop = {}

local BUDGET_S = 0.002 -- seconds that the host's loop is held for in one turn
local POLL_MS = 10      -- milliseconds between looks, where one has to look
local MAX_TIMER_S = 3600    -- seconds; a timer's longest time, and vim.wait()'s

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

-- The engine's descriptor and its deadline as handles. Each calls turn.
-- (One uv_poll for each socket would do as well, but luv writes a line to
-- stderr, which is Neovim's screen, for each connection that is reset.)
local function handles(uv, driver, turn)
  local set = {}
  local poll_handle, timer

  --- Lets go of all; true where there was something.
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
    -- Not 0: a timer that starts itself anew with 0 holds uv_run() for good.
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
      else -- no such thing here: look again and again
        due = math.min(due or POLL_MS / 1000, POLL_MS / 1000)
      end
    end
    follow_deadline(due)
  end

  return set
end

-- How users' functions are run, and how one waits: Neovim's way. Its API may
-- not be called inside of libuv's callbacks: what is done is handed on later.
local function in_neovim(vim, driver, set, drain)
  local host, scheduled = {}, false

  local function deliver()
    scheduled = false
    -- What is left comes by the timer: scheduled at once, again and again, it
    -- would leave the editor no turn.
    drain()
  end

  function host.deliver()
    if scheduled then return end
    scheduled = true
    vim.schedule(deliver)
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
    return ("%s does not work inside of a callback of libuv: use %s_async, " ..
      "or vim.schedule()"):format(name, verb == "await" and name or "create")
  end

  -- Whether Ctrl-C was typed. With a function to ask, vim.wait() of Neovim 0.7
  -- only looks at its end; any call of the API does, fails, and forgets it.
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

-- The same in a program that runs the loop itself.
local function in_program(uv, driver, drain)
  local host = { deliver = drain }

  function host.why_not(verb, name)
    if verb == "begin" or not uv.loop_mode() or
       verb == "await" and poll.yieldable() then
      return nil
    end
    return ("%s does not work inside of a callback of luv: use %s_async, or " ..
      "a coroutine"):format(name, verb == "await" and name or "create")
  end

  --- luv crashes at a program's end where a handle was closed and the loop has
  --- not turned since.
  function host.let_go()
    if not uv.loop_mode() then uv.run "nowait" end
  end

  --- Whether a caller that waits has to yield: the loop runs already.
  function host.yields() return uv.loop_mode() ~= nil end

  function host.turn_until(is_over, due)
    local timer = due < math.huge and uv.new_timer()
    if timer then
      uv.update_time()
      -- Again each millisecond after that: libuv may round down.
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
  local waiting, thrown = 0, nil -- how many wait; { what they are to throw }

  local function run(f, ...)
    f(...)
    set.follow()
  end

  -- An interrupt goes on where somebody waits: libuv would end the program.
  local function guard(f, ...)
    local ok, why = pcall(run, f, ...)
    if ok then return end
    set.follow()
    if waiting == 0 then error(why, 0) end
    thrown = { why }
  end

  local function drain() guard(driver.drain, BUDGET_S) end

  -- The host's turn_until, through which such an interrupt goes on.
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
