-- Random faults, thousands of them: no message goes out twice. The seed is
-- printed, and taken from CLOSE_SPEC_SEED; with the same Lua it gives the same
-- faults again.
local json = require("cjson").new()
local socket = require "socket"
local modes = require "spec.support.faults.mode"
local process = require "spec.support.process"

local seed = tonumber(os.getenv "CLOSE_SPEC_SEED") or os.time()
local report = ""

teardown(function() io.stdout:write("\n", report, "\n") end)

local function start(i)
  local settings = ('{"seed": %d, "count": %d}'):format(seed + i,
    modes.creates / modes.workers)
  local main = ("require('spec.support.faults.worker').main(%q)"):format(
    settings)
  return process.start(process.lua(main), { stdout = "pipe" })
end

-- Adds up what the workers counted. Returns it, and a list of violations.
local function collect(workers)
  local sum, violations = {}, {}
  for i, child in ipairs(workers) do
    local line = child.stdout:read("*l")
    if not line then error(("seed %d: worker %d ended"):format(seed, i)) end
    local told = json.decode(line)
    for name, n in pairs(told.counts) do sum[name] = (sum[name] or 0) + n end
    for _, sentence in ipairs(told.violations) do
      violations[#violations + 1] = ("seed %d + %d: %s"):format(seed, i,
        sentence)
    end
  end
  return sum, violations
end

describe("random faults", function()
  it("never make a message go out twice", function()
    local begun, workers = socket.gettime(), {}
    for i = 1, modes.workers do workers[i] = start(i) end
    local sum, violations = collect(workers)
    for _, child in ipairs(workers) do child:stop() end
    local n = sum.S + sum.N + sum.R + sum.U
    local function share(letter) return 100 * sum[letter] / n end
    report = ("random faults, seed %d: %d creates, %d violations, %.0f s: "
      .. "%.1f %% sent, %.1f %% not sent, %.1f %% rejected, %.1f %% unknown"
      ):format(seed, n, #violations, socket.gettime() - begun, share "S",
      share "N", share "R", share "U")
    assert(#violations == 0, table.concat(violations, "\n"))
    assert.equal(modes.creates, n)
    assert.equal(0, sum.elsewhere)
  end)
end)
