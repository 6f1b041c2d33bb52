-- nginx's loop with a simulated nginx: a clock, light threads, timers and
-- semaphores, and in place of the engine's driver a few numbers.
local nginx = {}     -- what is simulated
local driver, loop
local turns          -- the moments of the driver's turns
local on_turn
local answer         -- the moment at which an answer can be expected, or nil
local unpacks = rawget(_G, "unpack") -- nginx's Lua, LuaJIT, has it

-- Begins a light thread; its values are moments at which it continues.
function nginx.spawn(wakes, f, ...)
  nginx.threads[#nginx.threads + 1] = { wakes = wakes,
    co = coroutine.create(f), n = select("#", ...), ... }
end

-- The thread that continues first, if it does so until a moment.
local function take_first(moment)
  local place
  for i, thread in ipairs(nginx.threads) do
    local first = place and nginx.threads[place].wakes or math.huge
    if thread.wakes <= moment and thread.wakes < first then place = i end
  end
  return place and table.remove(nginx.threads, place)
end

--- Runs what is due until a moment.
function nginx.run(moment)
  local thread = take_first(moment)
  while thread do
    nginx.now = math.max(nginx.now, thread.wakes)
    nginx.turn = nginx.now
    nginx.running = thread
    local ok, wakes = coroutine.resume(thread.co,
      (table.unpack or unpack)(thread, 1, thread.n))
    assert(ok, wakes)
    if coroutine.status(thread.co) == "suspended" then
      thread.wakes, thread.n = wakes, 0
      nginx.threads[#nginx.threads + 1] = thread
    end
    thread = take_first(moment)
  end
  nginx.now = math.max(nginx.now, moment)
  nginx.turn = nginx.now
end

local Semaphore = {}
Semaphore.__index = Semaphore

function Semaphore:wait(seconds)
  nginx.waits = nginx.waits + 1
  if self.posts == 0 then
    self.waiting = nginx.running
    coroutine.yield(nginx.now + seconds)
    self.waiting = nil
  end
  if self.posts == 0 then return nil, "timeout" end
  self.posts = self.posts - 1
  return true
end

function Semaphore:post()
  self.posts = self.posts + 1
  if self.waiting then self.waiting.wakes = nginx.now end
end

function Semaphore:count() return self.posts - (self.waiting and 1 or 0) end

local function make_semaphore()
  nginx.semaphores = nginx.semaphores + 1
  return setmetatable({ posts = 0 }, Semaphore)
end

before_each(function()
  nginx.threads, nginx.now, nginx.turn, nginx.phase = {}, 1000, 1000, "timer"
  nginx.semaphores, nginx.waits = 0, 0
  nginx.gives = "timers"
  turns, on_turn, answer = {}, nil, nil
  rawset(_G, "unpack", unpacks or table.unpack)
  rawset(_G, "ngx", {
    now = function() return nginx.turn end,
    get_phase = function() return nginx.phase end,
    sleep = function(seconds) coroutine.yield(nginx.now + seconds) end,
    timer = {
      at = function(delay, f, ...)
        if nginx.gives == "none" then return nil, "too many pending timers" end
        if nginx.gives == "timers" then
          nginx.spawn(nginx.now + delay, f, false, ...)
        end
        return true
      end,
      running_count = function() return 0 end,
    },
    thread = { spawn = function(f, ...) nginx.spawn(nginx.now, f, ...) end },
  })
  package.loaded["ngx.semaphore"] = { new = make_semaphore }
  driver = { count = 0, steps = 0,
    now = function() return nginx.now end,
    turn = function(budget)
      assert(budget == 0.002)
      assert(#turns < 5000, "this does not end")
      turns[#turns + 1] = nginx.now
      if on_turn then on_turn() end
    end,
    step = function(budget)
      assert(budget == 0.002)
      driver.steps = driver.steps + 1
    end,
    descriptor = function() end,
    deadline = function() end,
    pending = function() return driver.count end,
    expected = function() return answer and answer - nginx.now end,
  }
  loop = assert(require "close.loop.ngx".new(driver))
end)

after_each(function()
  rawset(_G, "ngx", nil)
  rawset(_G, "unpack", unpacks)
  package.loaded["ngx.semaphore"] = nil
end)

-- Begins a call; its answer can be expected after so many seconds, if known.
local function begin(seconds)
  driver.count = driver.count + 1
  answer = seconds and nginx.now + seconds
  loop.kick()
end

-- How many turns there were until a moment, in seconds after the beginning.
local function turns_until(seconds)
  local n = 0
  for _, moment in ipairs(turns) do
    if moment <= 1000 + seconds then n = n + 1 end
  end
  return n
end

-- A request that makes a call and waits for it; it is as a drain would have it.
local function request(on_end)
  local operation = { done = false }
  nginx.spawn(nginx.now, function()
    begin()
    loop.await(operation)
    operation.ended = nginx.now
    if on_end then on_end() end
  end)
  return operation
end

local function finish(operation)
  if operation.done then return end
  operation.done, driver.count = "over", driver.count - 1
  if operation.waiter then operation.waiter:post() end
end

-- Calls f at the first turn that comes at a moment or later.
local function at(seconds, f)
  local former = on_turn
  function on_turn()
    if former then former() end
    if nginx.now >= 1000 + seconds then
      former, seconds = nil, math.huge
      f()
    end
  end
end

describe("new work", function()
  it("leaves at once", function()
    begin()
    assert.equal(1, driver.steps)
    assert.equal(0, #turns)
  end)

  it("begins turns, until nothing is left to do", function()
    at(0.05, function() driver.count = 0 end)
    begin()
    nginx.run(1001)
    assert.is_true(#turns > 20)
    assert.equal(#turns, turns_until(0.055))
    begin()
    nginx.run(1002)
    assert.is_true(#turns > turns_until(1) + 100)
  end)

  it("makes the next sleeps short", function()
    begin()
    nginx.run(1001)
    begin()
    local before = turns_until(1)
    nginx.run(1001.02)
    assert.is_true(#turns - before > 15)
  end)
end)

describe("the sleep between two turns", function()
  it("lasts until an answer can be expected", function()
    begin(0.1)
    nginx.run(1000.0999)
    assert.equal(1, #turns)
    nginx.run(1000.102)
    assert.is_true(#turns >= 2)
  end)

  it("ends earlier for a call that is answered earlier", function()
    begin(0.1)
    nginx.run(1000.02)
    begin(0.02)
    nginx.run(1000.2)
    assert.equal(1, turns_until(0.039))
    assert.is_true(turns_until(0.045) >= 2)
  end)

  it("is short after an answer", function()
    begin()
    begin()
    at(1, function() driver.count = 1 end)
    nginx.run(1001.022)
    assert.is_true(turns_until(1.022) - turns_until(1) > 15)
  end)

  it("is short while callbacks wait for a timer", function()
    local called = 0
    local function callback()
      called = called + 1
      nginx.now = nginx.now + 0.0015 -- a chain of timers takes 2 ms at most
    end
    at(0, function()
      for _ = 1, 9 do loop.run(callback) end
    end)
    begin(0.1)
    nginx.run(1000.05)
    assert.equal(9, called)
  end)

  it("needs one semaphore", function()
    begin()
    nginx.run(1001)
    assert.equal(1, nginx.semaphores)
  end)
end)

describe("a user's function", function()
  local called

  local function callback() called = called + 1 end

  before_each(function() called = 0 end)

  it("is called in a timer, also if no call is pending", function()
    loop.run(callback)
    assert.equal(0, called)
    assert.is_true(loop.emit(callback))
    assert.equal(0, called)
    nginx.run(1000)
    assert.equal(2, called)
  end)

  for _, name in ipairs{ "run", "emit" } do
    it("is called even if nginx drops its timer: " .. name, function()
      local timer = rawget(_G, "ngx").timer
      local give = timer.at
      nginx.gives = "dropped"
      function timer.at(...)
        local made = give(...)
        nginx.gives = "timers" -- the next ones run
        return made
      end
      loop[name](callback)
      nginx.run(1000.5)
      assert.equal(1, called)
    end)

    it("is called at once while the worker ends: " .. name, function()
      nginx.phase, nginx.gives = "exit_worker", "none"
      loop[name](callback)
      assert.equal(1, called)
    end)
  end

  it("is called though the last call ends before", function()
    at(0, function()
      driver.count = 0
      for _ = 1, 9 do
        loop.run(function()
          callback()
          nginx.now = nginx.now + 0.0015
        end)
      end
    end)
    begin()
    nginx.run(1001)
    assert.equal(9, called)
    assert.equal(#turns, turns_until(0.1))
  end)
end)

describe("a request that waits", function()
  it("goes on when its call is over, and no other one does", function()
    local first = request()
    at(0.01, function() finish(first) end)
    nginx.run(1000.1)
    assert.is_true(first.ended < 1000.02)
    local second, third = request(), request()
    at(0.2, function() finish(third) end)
    at(0.3, function() finish(second) end)
    nginx.run(1000.5)
    assert.is_true(third.ended < 1000.21)
    assert.is_true(second.ended > 1000.29 and second.ended < 1000.31)
    assert.is_nil(second.waiter)
    assert.equal(3, nginx.semaphores) -- one is the timer's
    assert.is_true(nginx.waits < #turns + 10)
  end)

  it("drives if nginx has no timer, and gives way to one that it has later",
    function()
      nginx.gives = "none"
      begin() -- a call that has a callback
      local first = request()
      at(0.5, function() nginx.gives = "timers" end)
      at(2, function() finish(first) end)
      nginx.run(1003)
      assert.is_true(turns_until(0.5) > 100)
      assert.is_true(first.ended < 1002.1)
      assert.is_true(#turns > turns_until(2.1) + 100)
    end)

  it("drives if nginx drops the timer", function()
    nginx.gives = "dropped"
    local first = request()
    at(0.5, function() finish(first) end)
    nginx.run(1001)
    assert.is_true(first.ended < 1000.6)
  end)

  it("may wait for all calls, or until a moment", function()
    for _, gives in ipairs{ "timers", "none" } do
      nginx.gives = gives
      local from, ended = nginx.now, nil
      nginx.spawn(nginx.now, function()
        begin()
        loop.wait(from + 0.3)
        ended = nginx.now
        loop.wait(math.huge)
        ended = nginx.now
      end)
      at(from - 1000 + 0.6, function() driver.count = 0 end)
      nginx.run(from + 0.5)
      assert.is_true(ended and ended < from + 0.32)
      nginx.run(from + 1)
      assert.is_true(ended > from + 0.59 and ended < from + 0.65)
    end
  end)
end)

describe("the loop", function()
  it("says what does not work in a phase of nginx's, and what does", function()
    nginx.phase = "log"
    assert.equal("create does not work in nginx's phase log: use " ..
      "create_async, or rewrite, access, content or a timer",
      loop.why_not("await", "create"))
    assert.equal("wait does not work in nginx's phase log: use " ..
      "create_async, or rewrite, access, content or a timer",
      loop.why_not("wait", "wait"))
    assert.is_nil(loop.why_not("begin", "create"))
    nginx.phase = "exit_worker"
    assert.matches("^create_async does not work in nginx's phase exit_worker",
      loop.why_not("begin", "create"))
    nginx.phase = "content"
    assert.is_nil(loop.why_not("await", "create"))
    assert.is_nil(loop.why_not("wait", "wait"))
  end)

  it("needs nginx, and its semaphores", function()
    local new = require "close.loop.ngx".new
    package.loaded["ngx.semaphore"] = nil
    assert.same({ nil, 'loop "ngx" needs lua-resty-core' }, { new(driver) })
    for _, other in ipairs{ {}, false } do -- {}: another thing of that name
      rawset(_G, "ngx", other)
      local made, why = new(driver)
      assert.is_nil(made)
      assert.equal('loop "ngx" works in nginx with its Lua module only', why)
    end
  end)
end)
