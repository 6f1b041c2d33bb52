-- The same matrix with plain libcurl, which repeats a POST when a kept
-- connection dies. It shows that the matrix can see this.
local callers = require "spec.support.faults.caller"
local matrices = require "spec.support.faults.matrix"
local parts = require "spec.support.faults.columns"
local modes = require "spec.support.faults.mode"
local servers = require "spec.support.faults.server"

local server
local report = {}

setup(function() server = servers.start() end)
teardown(function()
  callers.stop()
  server:stop()
  io.stdout:write("\nMore than one copy by bare libcurl\n",
    table.concat(report, "\n"), "\n")
end)

describe("bare libcurl", function()
  it("sends a message more than once", function()
    local cells, twice, most = 0, 0, 0
    for i = 1, modes.witness_parts do
      local part = parts[i]
      local played = matrices.new(server, callers.witness,
        { judge_letters = false, patience = 0.5 })
      played:play_all(part)
      server:arm()
      local violations = played:judge()
      local counts = played:counts()
      cells, twice = cells + #played.played, twice + counts.twice
      most = math.max(most, counts.most)
      assert.is_true(#violations >= counts.twice)
      report[i] = ("%s: %s"):format(part.title,
        table.concat(played:repeated(), "; "))
    end
    report[#report + 1] = ("%d cells, more than one copy in %d of them, "
      .. "at most %d copies"):format(cells, twice, most)
    assert.is_true(twice > 0)
    assert.is_true(most > 1)
  end)
end)
