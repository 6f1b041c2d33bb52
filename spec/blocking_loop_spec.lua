-- The loop of a plain script, with a simulated clock in place of the engine.
local blocking = require "close.loop.blocking"

local now, pending, loop
local turns   -- the seconds that each turn may wait at most
local on_turn

before_each(function()
  now, pending, turns, on_turn = 1000, 1, {}, nil
  loop = blocking.new{
    now = function() return now end,
    pending = function() return pending end,
    turn = function(budget, seconds)
      assert(budget == nil)
      assert(#turns < 100, "this does not end")
      turns[#turns + 1] = seconds or 0
      now = now + (seconds or 0)
      if on_turn then on_turn() end
    end,
  }
end)

describe("a wait for one call", function()
  it("waits in each turn, but looks each second for what has ended it",
    function()
      local operation = { done = false }
      function on_turn() operation.done = now >= 1003 and "over" end
      loop.await(operation)
      assert.same({ 1, 1, 1 }, turns)
    end)

  it("takes no turn for one that is over", function()
    loop.await{ done = "over" }
    assert.same({}, turns)
  end)
end)

describe("a wait for all calls", function()
  it("ends once none is pending", function()
    function on_turn() pending = now >= 1002 and 0 or 1 end
    loop.wait(math.huge)
    assert.same({ 0, 1, 1 }, turns)
  end)

  it("ends at its moment", function()
    loop.wait(1001.5)
    assert.same({ 0, 1, 0.5 }, turns)
    assert.equal(1001.5, now)
  end)

  it("takes one turn if there is no time, or nothing pending", function()
    loop.wait(1000)
    pending = 0
    loop.wait(math.huge)
    assert.same({ 0, 0 }, turns)
  end)
end)
