-- The loop of a plain script: waits in poll(2) until a call is done. Other
-- pending calls continue meanwhile.

local blocking = {}

-- A finalizer may end a call, or begin one, just before this waits: so it looks
-- again after so many seconds.
local LONGEST_S = 1

function blocking.new(driver)
  local loop = {}

  function loop.why_not() end

  function loop.kick() end

  function loop.yields() return false end

  function loop.await(operation)
    while not operation.done do driver.turn(nil, LONGEST_S) end
  end

  function loop.wait(due)
    driver.turn()
    local left = due - driver.now()
    while driver.pending() > 0 and left > 0 do
      driver.turn(nil, math.min(left, LONGEST_S))
      left = due - driver.now()
    end
  end

  function loop.close() end

  return loop
end

return blocking
