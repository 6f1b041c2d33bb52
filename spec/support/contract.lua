-- The contract's cases for the specs of one host: sets the server's script, has
-- the host run the case, looks at what the server got.
local raw = require "spec.support.raw_server"
local cases = require "spec.contract.cases"

local contract = {}

local server

--- For setup and teardown.
function contract.start() server = raw.start{} end

function contract.stop() server:stop() end

local function expect(what, expected, got)
  if expected and expected ~= got then
    error(("%d %s, expected %d"):format(got, what, expected), 0)
  end
end

-- An iterator over the cases: name, and a function that checks it and throws.
-- run(name, url) -> true | false, why: the host's way
function contract.each(run)
  local i = 0
  return function()
    i = i + 1
    local case = cases[i]
    if not case then return nil end
    return case.name, function()
      server:reset()
      local steps = case.steps
      if type(steps) == "function" then steps = steps(server.url) end
      if steps then server:script(steps) end
      local ok, why = run(case.name, server.url)
      if not ok then error(why, 0) end
      if case.requests then server:wait(case.requests) end
      expect("requests", case.requests, #server:ledger())
      expect("connections", case.connections, server:connections())
    end
  end
end

return contract
