-- What is to go wrong next, and how often. The fault server's parts ask here
-- at each place where a fault may happen; who is told of one must play it.
local faults = require "spec.support.faults.table"

local plan = { fault = nil, left = 0 }

-- name: a fault of the table, or nil for none. facts: times (how many
-- attempts meet it; -1 for all), half (bytes after which half of a body is
-- there), elsewhere (where a redirect leads).
function plan.arm(name, facts)
  plan.fault = name and faults.find(name)
  plan.facts, plan.left = facts, facts.times or 0
end

-- The fault, where it happens at this place and is not used up.
function plan.at(place)
  if not plan.waits(place) then return nil end
  plan.left = plan.left - 1
  return plan.fault
end

-- Whether the next one will happen at this place.
function plan.waits(place)
  return plan.fault and plan.left ~= 0 and plan.fault.at == place
end

return plan
