-- What a loop learns from a client's driver: with a simulated engine, and a
-- client's state of what concerns the driver.
local core = require "close.core"
local drivers = require "close.driver"
local live = require "close.live"
local questions = require "close.question"

local state, driver, engine
local called -- whether what was deferred was done

local function check_result() end

-- A question that one request waits for, which is out of time at due.
local function join(due, f)
  local question = questions.new(f, nil, check_result, 1000)
  questions.join(state, question, { operation = { due = due } })
  return question
end

-- One whose function was called, and has not returned.
local function ask(due) join(due).began = core.now() end

local function defer()
  live.defer(state, function(_, operation)
    called = true
    live.uncount(state, operation)
  end, {})
end

before_each(function()
  called = false
  engine = { steps = {}, has_work = false,
    step = function(self, budget, seconds)
      self.steps[#self.steps + 1] = { budget or false, seconds or false }
      return self.has_work
    end,
    ready = function(self) return self.has_work end,
    deadline = function() return 7 end,
    expected = function() return 3 end,
    descriptor = function() return 5 end,
    event = function() end,
    next_done = function() end,
  }
  state = { engine = engine, questions = {}, pending = 0, deferred = {},
    deferred_first = 1, deferred_last = 0, untold = false, starting = 0,
    depth = 0, uncounted = 0, settings = {},
    loop = { kick = function() end } }
  state.live, state.requests = live.new()
  driver = drivers.new(state)
end)

local function is_near(wanted, got)
  assert.is_true(math.abs(wanted - got) < 1, tostring(got))
end

describe("a driver", function()
  it("has nothing to do by itself", function()
    assert.is_false(driver.ready())
    assert.is_true(driver.is_idle())
    assert.equal(0, driver.pending())
    assert.equal(7, driver.deadline())
    assert.equal(3, driver.expected())
    assert.equal(5, driver.descriptor())
    driver.turn(0.5, 9)
    driver.turn(0.5)
    driver.step(0.25)
    assert.same({ { 0.5, 9 }, { 0.5, false }, { 0.25, false } }, engine.steps)
  end)

  it("is ready if the engine is", function()
    engine.has_work = true
    assert.is_true(driver.ready())
    assert.equal(0, driver.deadline())
  end)

  it("is ready if something was deferred, and waits for nothing then",
    function()
      defer()
      assert.is_true(driver.ready())
      assert.is_false(driver.is_idle())
      assert.equal(1, driver.pending())
      assert.equal(0, driver.deadline())
      driver.turn(nil, 9)
      assert.same({ { false, 0 } }, engine.steps)
      assert.is_true(called)
      assert.is_false(driver.ready())
      assert.is_true(driver.is_idle())
    end)

  it("does what was deferred in a drain, too", function()
    defer()
    driver.drain(1)
    assert.is_true(called)
  end)

  it("does no more after its time", function()
    for _ = 1, 4 do defer() end
    driver.turn(1e-9)
    assert.equal(3, driver.pending())
    driver.drain(1e-9)
    assert.equal(2, driver.pending())
    driver.drain()
    assert.equal(0, driver.pending())
  end)

  it("is not idle while a call is pending that is not counted", function()
    live.count(state, {})
    state.uncounted = 1
    assert.equal(0, driver.pending())
    assert.is_false(driver.is_idle())
  end)

  it("calls a function that a request waits for", function()
    local calls = 0
    join(core.now() + 100, function() calls = calls + 1 end)
    assert.is_true(driver.ready())
    driver.turn(nil, 9)
    assert.same({ { false, 0 } }, engine.steps)
    assert.equal(1, calls)
  end)

  it("waits until a request that waits for a function is out of time",
    function()
      ask(core.now() + 4)
      assert.is_false(driver.ready())
      is_near(4, driver.deadline())
      assert.is_nil(driver.expected())
      driver.turn(nil, 9)
      is_near(4, engine.steps[1][2])
      driver.turn(nil, 2)
      assert.equal(2, engine.steps[2][2])
    end)

  it("waits for the engine if that is due first", function()
    ask(core.now() + 100)
    assert.equal(7, driver.deadline())
  end)

  it("is ready if a request is out of time", function()
    ask(core.now() - 1)
    assert.is_true(driver.ready())
    assert.equal(0, driver.deadline())
  end)

  it("of a closed client does what was deferred", function()
    state.engine = nil
    assert.is_false(driver.ready())
    assert.is_nil(driver.deadline())
    assert.is_nil(driver.expected())
    assert.is_nil(driver.descriptor())
    driver.step()
    driver.turn()
    defer()
    assert.is_true(driver.ready())
    assert.equal(0, driver.deadline())
    driver.turn(nil, 9)
    assert.is_true(called)
  end)
end)
