-- What the fault server does next: a script, a step for each request; or a
-- fault of the table, and how often. Its parts ask here at each place where
-- something may happen; who is told of a step must play it.
local plan = { script = {}, default = nil, fault = nil, left = 0 }

-- steps: what the next requests get, one each.
function plan.follow(steps) plan.script = steps end

-- The step of a request that begins, or nil.
function plan.next() return table.remove(plan.script, 1) or plan.default end

-- name: a fault of the table, or nil for none. facts: times (how many
-- attempts meet it; -1 for all), half (bytes after which half of a body is
-- there), elsewhere (where a redirect leads).
function plan.arm(name, facts)
  plan.fault = name and require("spec.support.faults.table").find(name)
  plan.facts, plan.left = facts, facts.times or 0
end

-- What happens at this place, if anything: of a request's own step, where it
-- has one, or the fault that is not used up.
function plan.at(place, own)
  if own then return own.at == place and own or nil end
  local first = plan.script[1] or plan.default
  if place == "accept" and first and first.at == place then
    return plan.next()
  end
  if not plan.waits(place) then return nil end
  plan.left = plan.left - 1
  return plan.fault
end

-- Whether the next fault will happen at this place.
function plan.waits(place)
  return plan.fault and plan.left ~= 0 and plan.fault.at == place
end

return plan
