-- Coroutines over socket.select, one for each connection. Knows sockets and
-- time, and nothing of HTTP.

local socket = require "socket"

-- The longest select. Lua notices Ctrl-C between two of its own instructions
-- only, not during a select.
local MAX_WAIT_S = 0.25

---@class close.sandbox.Loop
---@field private waiting table<thread, table> what each task waits for
---@field private on_end table<thread, function> called at its end
---@field private running boolean
local Loop = {}
Loop.__index = Loop

local loop = {}

---@return close.sandbox.Loop
function loop.new()
  return setmetatable({ waiting = {}, on_end = {}, running = false }, Loop)
end

-- Runs a task up to its next wait, or to its end.
function Loop:resume(task, ...)
  self.waiting[task] = nil
  local ok, want = coroutine.resume(task, ...)
  if ok and coroutine.status(task) ~= "dead" then
    self.waiting[task] = want
    return
  end
  local on_end = self.on_end[task]
  self.on_end[task] = nil
  local problem = not ok and tostring(want) or nil
  -- LuaJIT raises Ctrl-C inside whatever runs, coroutines included.
  if problem and problem:find("interrupted!", 1, true) then
    error(problem, 0)
  end
  on_end(problem and debug.traceback(task, problem))
end

--- Starts a task and runs it up to its first wait.
---@param body fun() runs as a coroutine
---@param on_end fun(problem: string?) called at its end; with the reason and
---  a traceback where it was an error
function Loop:spawn(body, on_end)
  local task = coroutine.create(body)
  self.on_end[task] = on_end
  self:resume(task)
end

--- From inside a task: waits until a socket is ready or the time is up.
---@param sock table? anything with getfd(); nil: only wait
---@param direction "read"|"write"|nil
---@param seconds number? nil: forever
---@return boolean ready false: the time was up first
function Loop.wait(_, sock, direction, seconds)
  local deadline = seconds and socket.gettime() + seconds
  return coroutine.yield {
    sock = sock, direction = direction, deadline = deadline,
  }
end

-- What all tasks wait for, as the arguments of one select.
function Loop:select_arguments(now)
  local readers, writers, owners, timeout = {}, {}, {}, MAX_WAIT_S
  for task, want in pairs(self.waiting) do
    if want.direction == "read" then
      readers[#readers + 1] = want.sock
    elseif want.direction == "write" then
      writers[#writers + 1] = want.sock
    end
    if want.sock then owners[want.sock] = task end
    if want.deadline then timeout = math.min(timeout, want.deadline - now) end
  end
  return readers, writers, owners, math.max(timeout, 0)
end

--- One round: waits until something is ready or due, then runs it.
function Loop:step()
  local readers, writers, owners, timeout =
    self:select_arguments(socket.gettime())
  readers, writers = socket.select(readers, writers, timeout)
  local ready, due = {}, {}
  for _, list in ipairs { readers, writers } do
    for _, sock in ipairs(list) do ready[#ready + 1] = owners[sock] end
  end
  local now = socket.gettime()
  for task, want in pairs(self.waiting) do
    if want.deadline and want.deadline <= now then due[#due + 1] = task end
  end
  for _, task in ipairs(ready) do self:resume(task, true) end
  for _, task in ipairs(due) do
    -- It may have been ready as well, and run by now.
    local want = self.waiting[task]
    if want and want.deadline and want.deadline <= now then
      self:resume(task, false)
    end
  end
end

--- Runs until stop() is called from one of the tasks.
function Loop:run()
  self.running = true
  while self.running do self:step() end
end

function Loop:stop()
  self.running = false
end

return loop
