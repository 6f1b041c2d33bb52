-- The list of a client's operations that are not over, and what its next drain
-- does: each step by itself, and again where an error came in the middle of it.
local live = require "close.live"

local state, a, b

before_each(function()
  state = { questions = {}, pending = 0, uncounted = 0, starting = 0,
    deferred = {}, deferred_first = 1, deferred_last = 0, untold = false }
  state.live, state.requests = live.new()
  a, b = { name = "a", waiter = print }, { name = "b", waiter = print }
end)

-- Takes all that are untold, as a drain does; at most ten.
local function told()
  local names = {}
  while state.untold and #names < 10 do
    names[#names + 1] = state.untold.name
    live.take_untold(state, state.untold)
  end
  return names
end

describe("an operation", function()
  it("is counted once, and once no longer", function()
    live.count(state, a)
    live.count(state, a)
    assert.equal(1, live.pending(state))
    live.uncount(state, a)
    live.uncount(state, a)
    assert.equal(0, live.pending(state))
  end)

  it("is counted again from the list", function()
    live.count(state, a)
    live.count(state, b)
    state.pending = 5 -- of an error between the halves of counting
    live.recount(state)
    assert.equal(2, live.pending(state))
  end)

  it("that is deferred is counted once", function()
    live.count(state, a)
    live.defer(state, print, a)
    live.defer(state, print, b)
    assert.equal(2, live.pending(state))
    assert.is_truthy(live.has_late(state))
  end)

  it("that nothing waits for any more is settled", function()
    live.count(state, a)
    live.settle(state, a)
    assert.equal(1, live.pending(state))
    a.waiter = nil
    live.settle(state, a)
    assert.equal(0, live.pending(state))
  end)

  it("that is over is pending while its caller has not returned", function()
    live.count(state, a)
    live.count(state, b)
    state.starting, a.is_starting, b.is_starting = 1, true, true
    assert.equal(2, live.pending(state))
    a.done = "over" -- it cannot be told before that
    assert.equal(1, live.pending(state))
    state.starting = 0
    assert.equal(2, live.pending(state))
  end)
end)

describe("an operation whose end could not be told", function()
  it("is told in a later drain, each once", function()
    assert.is_falsy(live.has_late(state))
    live.put_off(state, a)
    live.put_off(state, b)
    assert.is_truthy(live.has_late(state))
    assert.same({ "b", "a" }, told())
    assert.is_falsy(live.has_late(state))
  end)

  it("is in the list once, wherever it stands", function()
    local c = { name = "c" }
    for _, operation in ipairs{ a, b, c } do live.put_off(state, operation) end
    for _, operation in ipairs{ a, b, c } do live.put_off(state, operation) end
    assert.same({ "c", "b", "a" }, told())
  end)

  it("can be put off once more after it was taken", function()
    live.put_off(state, a)
    live.put_off(state, b)
    live.take_untold(state, b)
    live.put_off(state, b)
    assert.same({ "b", "a" }, told())
    live.put_off(state, b) -- what came after it is in the list no longer
    assert.same({ "b" }, told())
  end)

  it("is not lost where an error came in the middle of that", function()
    for _, others in ipairs{ {}, { b } } do
      for _, operation in ipairs(others) do live.put_off(state, operation) end
      a.next_untold = state.untold -- half put off
      live.put_off(state, a)
      state.untold = a.next_untold -- half taken
      live.put_off(state, a)
      assert.equal("a", told()[1])
    end
  end)

  it("is pending until then, if anything waits for it", function()
    live.put_back(state, a)
    live.put_back(state, a)
    assert.equal(1, live.pending(state))
    assert.same({ "a" }, told())
    b.waiter = nil
    live.count(state, b)
    live.put_back(state, b)
    assert.equal(1, live.pending(state))
    assert.same({}, told())
  end)
end)
