-- The contract in the loops that need no host: blocking, poll, and luv. The
-- hosts' own are in spec/hosts.
local contract = require "spec.support.contract"
local run = require "spec.contract.run"

for _, loop in ipairs{ "blocking", "poll", "luv" } do
  describe("the contract with the loop " .. loop, function()
    setup(contract.start)
    teardown(contract.stop)

    for name, check in contract.each(function(name, url)
      return run(name, url, loop)
    end) do
      it(name, check)
    end
  end)
end
