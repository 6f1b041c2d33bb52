-- The loop of a plain script: it waits for the operating system until the call
-- that it was asked for is done. Calls that others began meanwhile go on too.

local blocking = {}

local NO_BUDGET = math.huge -- nobody else is waiting for this thread

--- Drives the engine until call.done.
---@param driver table with step(budget) and wait(seconds)
---@param call table whose done turns true in a step
function blocking.await(driver, call)
  driver.step(NO_BUDGET)
  while not call.done do
    driver.wait(-1)
    driver.step(NO_BUDGET)
  end
end

return blocking
