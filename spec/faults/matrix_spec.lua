-- The fault matrix: wherever an exchange breaks, a message is never sent twice,
-- and the error says whether it was sent. Prints its tables at the end.
local socket = require "socket"
local callers = require "spec.support.faults.caller"
local matrices = require "spec.support.faults.matrix"
local modes = require "spec.support.faults.mode"
local parts = require "spec.support.faults.columns"
local servers = require "spec.support.faults.server"
local support = require "spec.support.client"

local server
local report = {}

setup(function() server = servers.start() end)
teardown(function()
  server:stop()
  io.stdout:write("\n", table.concat(report, "\n"), "\n")
end)

local function note(played, part, violations, begun)
  for _, line in ipairs(played:lines(part)) do report[#report + 1] = line end
  local counts = played:counts()
  report[#report + 1] = ("%d cells, %d violations, %.1f s: %d sent, "
    .. "%d not sent, %d rejected, %d unknown\n"):format(#played.played,
    #violations, socket.gettime() - begun, counts.S, counts.N, counts.R,
    counts.U)
end

describe("a message goes out once at most, and we know", function()
  for _, part in ipairs(parts) do
    it("with " .. part.title, function()
      local begun = socket.gettime()
      local played = matrices.new(server, callers.close,
        { statuses = modes.statuses, brief = not modes.main })
      played:play_all(part)
      server:arm()
      local violations = played:judge()
      note(played, part, violations, begun)
      assert(#violations == 0, table.concat(violations, "\n"))
    end)
  end
end)

describe("the credentials", function()
  it("go nowhere else", function()
    local ledger = server:ledger()
    assert.equal(0, ledger.elsewhere)
    local basic = "Basic " .. support.base64(callers.KEY .. ":")
    local known = { [basic] = true, ["Bearer " .. callers.TOKEN] = true }
    for _, value in ipairs(ledger.credentials) do
      assert(known[value], "unknown credentials came: " .. value)
    end
    assert.equal(2, #ledger.credentials)
  end)
end)
