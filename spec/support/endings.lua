-- What calls that were begun at once, without retries, came to: compared with
-- what the server got.
local assert = require "luassert"

local endings = {}

-- Where not all of them may leave: a 429 that comes before a call has begun
-- holds it back, and a machine that stalls may use up its short timeout.
local MAY_STAY = { rate_limited = true, timeout = true }

--- Each of a list of facts (host_side.lua) must be of the kind. As many as the
--- server got requests must have the outcome; the others must be not_sent.
function endings.check(server, results, kind, outcome)
  local sent = kind .. " " .. outcome
  local counts, wanted = {}, {}
  for _, facts in ipairs(results) do
    local ending = tostring(facts.kind) .. " " .. tostring(facts.outcome)
    counts[ending] = (counts[ending] or 0) + 1
  end
  server:wait(counts[sent] or 1)
  local requests = #server:ledger()
  wanted[sent] = requests
  if MAY_STAY[kind] and requests < #results then
    wanted[kind .. " not_sent"] = #results - requests
  end
  assert.same(wanted, counts)
end

return endings
