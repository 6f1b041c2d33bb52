-- Which timer drives the engine in nginx: with a simulated clock, and timers
-- that run when the test says so.
local ngx_poller = require "close.loop.ngx_poller"

local now, poller, timers, logged
local has_timers     -- whether nginx gives any
local turns, sleeps
local over           -- whether nothing is left to do
local on_turn, on_sleep

-- Runs the first timer that was requested with this delay; nginx gives it
-- whether the worker shuts down.
local function run(delay)
  for i, timer in ipairs(timers) do
    if timer.delay == delay then
      table.remove(timers, i)
      return timer.f(false, (table.unpack or unpack)(timer, 1, timer.n))
    end
  end
  error("no timer with the delay " .. delay)
end

local function count(delay)
  local n = 0
  for _, timer in ipairs(timers) do
    if timer.delay == delay then n = n + 1 end
  end
  return n
end

before_each(function()
  now, timers, logged, has_timers = 1000, {}, {}, true
  turns, sleeps, over, on_turn, on_sleep = 0, 0, false, nil, nil
  rawset(_G, "ngx", { ERR = 4,
    log = function(...) logged[#logged + 1] = table.concat({ ... }, " ") end,
    timer = { at = function(delay, f, ...)
      if not has_timers then return nil, "too many pending timers" end
      timers[#timers + 1] = { delay = delay, f = f, n = select("#", ...), ... }
      return true
    end },
  })
  poller = ngx_poller.new {
    now = function() return now end,
    turn = function()
      turns = turns + 1
      if on_turn then on_turn() end
    end,
    sleep = function()
      sleeps = sleeps + 1
      if sleeps > 3000 then error "the timer does not end" end
      if on_sleep then on_sleep() end
    end,
    is_over = function() return over end,
  }
end)

after_each(function() rawset(_G, "ngx", nil) end)

describe("the timer that drives", function()
  it("takes turns and sleeps between them, until nothing is left", function()
    on_turn = function() over = turns == 5 end
    poller:start()
    run(0)
    assert.equal(5, turns)
    assert.equal(4, sleeps)
    assert.is_false(poller:is_running())
    assert.equal(0, count(0))
  end)

  it("is requested once", function()
    for _ = 1, 3 do poller:start() end
    assert.equal(1, count(0))
  end)

  it("counts as running for 50 ms after it was requested", function()
    assert.is_false(poller:is_running())
    poller:start()
    now = now + 0.049
    assert.is_true(poller:is_running())
    now = now + 0.002
    assert.is_false(poller:is_running())
  end)

  it("is requested again after a second, if it did not run", function()
    poller:start()
    now = now + 0.99
    poller:start()
    assert.equal(1, count(0))
    now = now + 0.02
    poller:start()
    assert.equal(2, count(0))
  end)

  it("counts as running for a second after each turn", function()
    on_sleep = function()
      now = now + 0.99
      assert.is_true(poller:is_running())
      now = now + 0.02
      assert.is_false(poller:is_running())
      over = true
    end
    poller:start()
    run(0)
    assert.equal(2, turns)
  end)

  it("is not requested while it takes turns", function()
    on_turn = function()
      poller:start()
      assert.equal(0, count(0))
      over = turns == 5
    end
    on_sleep = function() now = now + 0.4 end
    poller:start()
    run(0)
    assert.same({}, logged)
    assert.equal(5, turns)
  end)

  it("is requested at once if an earlier one hangs", function()
    on_sleep = function()
      now = now + 1.01
      poller:start()
      over = true
    end
    poller:start()
    run(0)
    assert.equal(1, turns) -- it ends, as there is a later one
    assert.equal(1, count(0))
    run(0)
    assert.equal(2, turns)
  end)

  it("can be requested right after its end", function()
    over = true
    poller:start()
    run(0)
    poller:start()
    assert.equal(1, count(0))
  end)

  it("ends at once if there is a later one", function()
    over = true
    poller:start()
    now = now + 1.01
    poller:start()
    run(0)
    assert.equal(0, turns)
    run(0)
    assert.equal(1, turns)
  end)

  it("ends after a turn that throws, which is logged", function()
    on_turn = function() error("a mistake", 0) end
    poller:start()
    run(0)
    assert.equal(1, turns)
    assert.is_false(poller:is_running())
    assert.same({ "4 close:  a mistake" }, logged)
  end)

  it("hands over to a new one after 1000 turns", function()
    poller:start()
    run(0)
    assert.equal(1000, turns)
    assert.equal(1, count(0))
    assert.is_true(poller:is_running())
    on_turn = function() over = turns == 1001 end
    run(0)
    assert.equal(1001, turns)
  end)

  it("continues after that if nginx has no other one", function()
    on_turn = function()
      has_timers = turns < 1000
      over = turns == 2500
    end
    poller:start()
    run(0)
    assert.equal(2500, turns)
  end)
end)

describe("a timer that nginx refuses", function()
  it("does not count as running, and is requested again", function()
    has_timers = false
    poller:start()
    assert.is_false(poller:is_running())
    has_timers = true
    poller:start()
    assert.equal(1, count(0))
  end)
end)

describe("the checks", function()
  local DELAYS = { 1, 2, 5, 10, 20 }

  it("come 1, 2, 5, 10 and 20 seconds after a timer was requested", function()
    poller:start()
    for _, delay in ipairs(DELAYS) do assert.equal(1, count(delay)) end
    assert.equal(6, #timers)
  end)

  it("are requested again after 20 seconds", function()
    poller:start()
    now = now + 18.9
    poller:start()
    assert.equal(1, count(20))
    now = now + 1.2
    poller:start()
    for _, delay in ipairs(DELAYS) do assert.equal(2, count(delay)) end
  end)

  it("are requested by a timer that drives for long, too", function()
    on_turn = function() now = now + 0.03 end
    poller:start()
    run(0)
    assert.equal(2, count(20))
  end)

  it("are requested again at once if nginx had no timer for them", function()
    has_timers = false
    poller:start()
    has_timers = true
    poller:start()
    assert.equal(1, count(20))
  end)

  it("drive if the timer was dropped", function()
    poller:start()
    table.remove(timers, 1)
    now = now + 1
    on_turn = function() over = turns == 3 end
    run(1)
    assert.equal(3, turns)
  end)

  it("take over from a timer that comes late", function()
    poller:start()
    now = now + 1
    on_turn = function() over = true end
    run(1)
    over = false
    run(0)
    assert.equal(1, turns)
  end)

  it("do nothing while a timer drives", function()
    on_sleep = function()
      run(1)
      over = true
    end
    poller:start()
    run(0)
    assert.equal(2, turns)
  end)

  it("do nothing if nothing is left to do", function()
    poller:start()
    now, over = now + 1, true
    run(1)
    assert.equal(0, turns)
  end)
end)
