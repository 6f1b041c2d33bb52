-- What calls that were begun at once, without retries, came to: compared with
-- what the server got.
local assert = require "luassert"

local endings = {}

-- How those may end that have a short timeout, beside what is expected: a 429
-- that comes before a call has begun holds it back, and a machine that stalls
-- may use up the time before a request leaves, or before its answer comes.
local NOT_SENT = {
  rate_limited = { "rate_limited not_sent", "timeout not_sent" },
  timeout = { "timeout not_sent" },
}
local LATE = { rate_limited = "timeout unknown" }

--- Of a list of facts (host_side.lua), as many as the server got requests must
--- be of the kind and have the outcome, or were answered too late, but not all;
--- the others must be not_sent.
function endings.check(server, results, kind, outcome)
  local sent = kind .. " " .. outcome
  local counts, wanted = {}, {}
  for _, facts in ipairs(results) do
    local ending = tostring(facts.kind) .. " " .. tostring(facts.outcome)
    counts[ending] = (counts[ending] or 0) + 1
  end
  local late = LATE[kind]
  server:wait((counts[sent] or 1) + (late and counts[late] or 0))
  local requests = #server:ledger()
  if late then wanted[late] = counts[late] end
  wanted[sent] = requests - (late and counts[late] or 0)
  local stayed = #results - requests
  for _, ending in ipairs(stayed > 0 and NOT_SENT[kind] or {}) do
    wanted[ending] = counts[ending]
    stayed = stayed - (counts[ending] or 0)
  end
  assert.same(wanted, counts)
  assert.equal(0, stayed)
end

return endings
