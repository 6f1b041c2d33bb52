-- How the user's functions get timers in nginx: with simulated clocks, and
-- timers that run when the test says so. Not for Lua 5.1, which cannot yield
-- across pcall; nginx's Lua can.
local ngx_timers = require "close.loop.ngx_timers"

local unpacks = rawget(_G, "unpack") -- nginx's Lua, LuaJIT, has it
local now      -- our clock, which ngx's follows from one turn to the next
local turn     -- ngx's
local phase, has_timers, running
local requested -- timers that have not run
local timers, called

-- Runs the timer that was requested first, in a light thread.
local function run()
  local timer = table.remove(requested, 1)
  local thread = coroutine.create(timer)
  assert(coroutine.resume(thread, false))
  return thread
end

local function pass(seconds)
  now = now + seconds
  turn = now
end

-- A function of the user's that notes its name and what it got.
local function note(name)
  return function(...)
    called[#called + 1] = table.concat({ name, ... }, " ")
  end
end

before_each(function()
  now, turn, phase, has_timers, running = 1000, 1000, "timer", true, 0
  requested, called = {}, {}
  rawset(_G, "unpack", unpacks or table.unpack)
  rawset(_G, "ngx", {
    now = function() return turn end,
    get_phase = function() return phase end,
    timer = {
      at = function(delay, f)
        assert(delay == 0)
        if not has_timers then return nil, "too many pending timers" end
        requested[#requested + 1] = f
        return true
      end,
      running_count = function() return running end,
    },
    thread = { spawn = function(f, ...)
      assert(coroutine.resume(coroutine.create(f), ...))
    end },
  })
  timers = ngx_timers.new(function() return now end)
end)

after_each(function()
  rawset(_G, "ngx", nil)
  rawset(_G, "unpack", unpacks)
end)

describe("a user's function", function()
  it("gets what it was given, in a timer of its own", function()
    timers.run(note "a", 1, 2)
    timers.run(note "b")
    timers.attend()
    assert.same({}, called)
    run()
    assert.same({ "a 1 2" }, called)
    assert.is_false(timers.is_idle())
    run()
    assert.same({ "a 1 2", "b" }, called)
    assert.is_true(timers.is_idle())
    assert.equal(0, #requested)
  end)

  it("may throw", function()
    timers.run(function() error "mine" end)
    timers.run(note "b")
    timers.attend()
    run()
    run()
    assert.same({ "b" }, called)
  end)

  it("may yield, and holds up no other one", function()
    timers.run(function()
      coroutine.yield()
      note "a" ()
    end)
    timers.run(note "b")
    timers.attend()
    local first = run()
    run()
    assert.same({ "b" }, called)
    assert(coroutine.resume(first))
    assert.same({ "b", "a" }, called)
  end)

  it("gets an event before callbacks that wait get their turn", function()
    timers.run(note "callback")
    timers.emit(note "event", 1)
    timers.emit(note "event", 2)
    timers.attend()
    run()
    assert.same({ "event 1", "event 2" }, called)
    run()
    assert.same({ "event 1", "event 2", "callback" }, called)
  end)

  it("that is queued by another one waits for a later timer", function()
    timers.emit(function() timers.emit(note "second", 0) end)
    timers.attend()
    run()
    assert.same({}, called)
    run()
    assert.same({ "second 0" }, called)
  end)

  it("is not called in a chain of timers for longer than 2 ms", function()
    for _ = 1, 7 do
      timers.run(function()
        note "a" ()
        now = now + 0.0015 -- in one turn of nginx's loop
      end)
    end
    for chain = 1, 2 do
      timers.attend()
      for _ = 1, 3 do run() end
      assert.equal(0, #requested)
      assert.equal(3 * chain, #called)
      turn = now
    end
    timers.attend()
    run()
    assert.equal(7, #called)
  end)
end)

describe("a timer", function()
  it("is requested once, however often it is attended to", function()
    timers.run(note "a")
    for _ = 1, 3 do timers.attend() end
    assert.equal(1, #requested)
  end)

  it("is not requested for nothing", function()
    timers.attend()
    assert.equal(0, #requested)
  end)

  it("is one of 16 at most, but for those that have ended early", function()
    local function wait() coroutine.yield() end
    for _ = 1, 17 do timers.run(wait) end
    timers.attend()
    local threads = {}
    for i = 1, 16 do
      running = i
      threads[i] = run()
    end
    assert.equal(0, #requested)
    phase = "content"
    timers.attend()
    assert.equal(0, #requested)
    running = #threads - 1 -- ngx.exit() has ended one, which told nobody
    timers.attend()
    assert.equal(1, #requested)
  end)

  it("is requested again once one of 16 has returned", function()
    for _ = 1, 17 do timers.run(coroutine.yield) end
    timers.attend()
    running = 16
    local threads = {}
    for i = 1, 16 do threads[i] = run() end
    phase = "content"
    timers.attend()
    assert.equal(0, #requested)
    assert(coroutine.resume(threads[1]))
    timers.attend()
    assert.equal(1, #requested)
  end)

  it("that nginx refuses is replaced by the one that drives", function()
    has_timers = false
    timers.run(note "callback")
    timers.emit(note "event", 1)
    phase = "content"
    timers.attend()
    assert.same({}, called) -- a request must not run them
    phase = "timer"
    timers.attend()
    assert.same({ "event 1", "callback" }, called)
    assert.is_true(timers.is_idle())
  end)

  it("that nginx drops is, too, after 50 ms", function()
    timers.run(note "a")
    timers.attend()
    pass(0.049)
    timers.attend()
    assert.same({}, called)
    pass(0.002)
    phase = "content"
    timers.attend()
    assert.same({}, called)
    phase = "timer"
    timers.attend()
    assert.same({ "a" }, called)
  end)

  it("that nginx drops is requested again after a second", function()
    phase = "content"
    timers.run(note "a")
    timers.attend()
    pass(0.99)
    timers.attend()
    assert.equal(1, #requested)
    pass(0.02)
    timers.attend()
    assert.equal(2, #requested)
  end)

  it("cannot run in the turn of nginx's loop that requested it", function()
    timers.run(note "a")
    timers.attend()
    now = now + 5
    timers.attend()
    assert.same({}, called)
    assert.equal(1, #requested)
  end)

  it("comes no more as the worker ends: all are called at once", function()
    timers.run(note "callback")
    timers.run(function() error "mine" end)
    timers.emit(note "event", 1)
    phase = "exit_worker"
    timers.attend()
    assert.same({ "event 1", "callback" }, called)
    assert.is_true(timers.is_idle())
  end)
end)
