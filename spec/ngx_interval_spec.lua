-- How long nginx's loop sleeps between two turns, on a simulated clock.
local ngx_interval = require "close.loop.ngx_interval"

local NOW = 1000 -- the moment at which the tests begin

local interval

before_each(function()
  interval = ngx_interval.new()
  interval:note_work(NOW)
end)

local function is_near(expected, got)
  assert.is_true(math.abs(expected - got) < 1e-9,
    ("%.6f, not %.6f"):format(got, expected))
end

-- Lets n answers come, one each so many seconds, each by a turn. Returns when
-- the last one came.
local function answers(n, seconds)
  for i = 1, n do interval:note_turn(1, 0, NOW + i * seconds) end
  return NOW + n * seconds
end

-- Lets n turns come that were to find an answer, and find none.
local function misses(n)
  for _ = 1, n do
    interval:sleep(NOW, 0.01)
    interval:note_turn(1, 1, NOW)
  end
end

describe("a sleep, if it is not known when an answer comes", function()
  it("is a twentieth of the time since there was work", function()
    is_near(0.002, interval:sleep(NOW + 0.04))
    is_near(0.0025, interval:sleep(NOW + 0.05))
  end)

  it("is one millisecond at least, and three at most", function()
    is_near(0.001, interval:sleep(NOW))
    is_near(0.001, interval:sleep(NOW + 0.019))
    is_near(0.003, interval:sleep(NOW + 0.061))
    is_near(0.003, interval:sleep(NOW + 100))
  end)

  it("is counted from the last new work", function()
    interval:note_work(NOW + 1)
    is_near(0.002, interval:sleep(NOW + 1.04))
  end)

  it("is counted from the last turn in which a call ended", function()
    interval:note_turn(2, 1, NOW + 1)
    is_near(0.002, interval:sleep(NOW + 1.04))
  end)

  it("is counted from the last turn in which a call began", function()
    interval:note_turn(1, 2, NOW + 1)
    is_near(0.002, interval:sleep(NOW + 1.04))
  end)

  it("is not counted from a turn that changed nothing", function()
    interval:note_turn(1, 1, NOW + 1)
    is_near(0.003, interval:sleep(NOW + 1.04))
  end)

  it("does not depend on the time between answers", function()
    is_near(0.001, interval:sleep(answers(100, 0.004)))
  end)

  it("ends at the engine's deadline", function()
    is_near(0.0015, interval:sleep(NOW + 1, nil, 0.0015))
    is_near(0.003, interval:sleep(NOW + 1, nil, 5))
    is_near(0.001, interval:sleep(NOW + 1, nil, 0))
  end)
end)

describe("a sleep, if it is known when an answer comes", function()
  it("lasts until then, and a tenth of a second at most", function()
    is_near(0.02, interval:sleep(NOW, 0.02))
    is_near(0.1, interval:sleep(NOW, 0.2))
    is_near(0.1, interval:sleep(NOW, math.huge))
  end)

  it("ends at the engine's deadline", function()
    is_near(0.015, interval:sleep(NOW, 0.02, 0.015))
    is_near(0.001, interval:sleep(NOW, 0.02, 0))
  end)

  it("is not shorter than if that is not known", function()
    is_near(0.003, interval:sleep(NOW + 1, 0.002))
    is_near(0.003, interval:sleep(NOW + 1, -5))
  end)

  it("is half of the usual time between answers at least", function()
    is_near(0.002, interval:sleep(answers(200, 0.004), -5))
  end)

  it("counts longer times between answers as six milliseconds", function()
    is_near(0.003, interval:sleep(answers(200, 1), -5))
  end)

  it("counts each time between answers as an eighth of the usual", function()
    local now = answers(200, 0.004)
    interval:note_turn(1, 0, now + 0.006)
    is_near((0.004 * 7 / 8 + 0.006 / 8) / 2, interval:sleep(now + 0.006, -5))
  end)

  it("counts several answers in one turn as one", function()
    local now = answers(200, 0.004)
    interval:note_turn(9, 0, now + 0.004)
    is_near(0.002, interval:sleep(now + 0.004, -5))
  end)
end)

describe("turns that were to find an answer", function()
  local usual -- half of the time between answers

  before_each(function()
    answers(200, 0.004)
    interval:note_work(NOW)
    usual = 0.002
  end)

  it("come in time until eight of them found none", function()
    misses(7)
    is_near(0.02, interval:sleep(NOW, 0.02))
    misses(1)
    is_near(0.02, interval:sleep(NOW, 0.02)) -- the one of eight
    misses(1)
    is_near(0.02 + usual, interval:sleep(NOW, 0.02))
  end)

  it("come in time once in eight then", function()
    misses(9)
    for n = 9, 32 do
      is_near(n % 8 == 0 and 0.02 or 0.02 + usual, interval:sleep(NOW, 0.02))
      misses(1)
    end
  end)

  it("come no later before there was an answer", function()
    interval = ngx_interval.new()
    interval:note_work(NOW)
    misses(9)
    is_near(0.02, interval:sleep(NOW, 0.02))
  end)

  it("come later by no more than the longest sleep", function()
    misses(9)
    is_near(0.1, interval:sleep(NOW, 0.0999))
  end)

  it("come in time again once one in time has found an answer", function()
    misses(16)
    interval:sleep(NOW, 0.02)
    interval:note_turn(1, 0, NOW)
    misses(7)
    is_near(0.02, interval:sleep(NOW, 0.02))
  end)

  it("count as missed if they come later and find an answer", function()
    misses(9)
    for n = 9, 15 do
      is_near(0.02 + usual, interval:sleep(NOW, 0.02))
      interval:note_turn(1, 0, NOW + 0.004 * (n - 8 + 200))
      interval:note_work(NOW)
    end
    is_near(0.02, interval:sleep(NOW, 0.02))
  end)

  it("count alone", function()
    for _ = 1, 9 do interval:note_turn(1, 1, NOW) end
    for _, expected in ipairs { false, -1, 0 } do
      for _ = 1, 9 do
        interval:sleep(NOW, expected or nil)
        interval:note_turn(1, 1, NOW)
      end
    end
    is_near(0.02, interval:sleep(NOW, 0.02))
    misses(1)
    is_near(0.02, interval:sleep(NOW, 0.02))
  end)

  it("do not come later once the answer is late", function()
    misses(9)
    is_near(usual, interval:sleep(NOW, 0))
    is_near(usual, interval:sleep(NOW, -1))
  end)
end)

describe("new work", function()
  it("shortens a sleep by more than a millisecond", function()
    interval:sleep(NOW, 0.1)
    interval:note_work(NOW + 0.05)
    assert.is_true(interval:is_late(0.02))
    interval:sleep(NOW, 0.1)
    assert.is_true(interval:is_late(0.0489))
    assert.is_false(interval:is_late(0.0491))
  end)

  it("shortens it to the engine's deadline", function()
    interval:sleep(NOW, 0.1)
    interval:note_work(NOW + 0.05)
    assert.is_true(interval:is_late(0.1, 0.02))
    assert.is_false(interval:is_late(0.1))
  end)

  it("shortens none that has ended, or that never began", function()
    assert.is_false(interval:is_late(0.001))
    interval:sleep(NOW, 0.1)
    interval:wake()
    assert.is_false(interval:is_late(0.001))
  end)

  it("leaves what the turn after the sleep counts as", function()
    answers(200, 0.004)
    interval:note_work(NOW)
    interval:sleep(NOW, 0.02)
    interval:is_late(-1)
    for _ = 1, 9 do interval:note_turn(1, 1, NOW) end
    is_near(0.022, interval:sleep(NOW, 0.02))
  end)
end)
