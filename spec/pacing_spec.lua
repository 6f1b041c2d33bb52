-- Rate limits in Close's answers: a call waits only if an answer says so.
local activity = require "spec.support.activity"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function says(remaining)
  return { body = activity, headers = { RateLimit =
    "limit=10, reset=60, remaining=" .. remaining } }
end

describe("a rate limit", function()
  it("with places left holds nobody after answers that say nothing", function()
    server:script{ says(1) }
    local client = support.new(server, { timeout = 5 })
    for _ = 1, 4 do assert(client.sms.create(support.params())) end
  end)

  it("with places left holds nobody after attempts that failed", function()
    server:script{ says(1), { at = "accept", reset = true },
      { at = "accept", reset = true } }
    local client = support.new(server, { timeout = 5, max_retries = 0 })
    assert(client.sms.create(support.params()))
    for _ = 1, 2 do client.sms.create(support.params()) end
    assert(client.sms.create(support.params()))
  end)

  it("that nobody can mean is told of, and kept, as a minute", function()
    local epoch = tostring(os.time() + 5)
    for _, headers in ipairs{ { ["Retry-After"] = epoch },
      { ["Retry-After"] = epoch .. "000" },
      { RateLimit = "limit=9, remaining=0, reset=" .. epoch },
      { RateLimit = "limit=0, remaining=0, reset=" .. ("9"):rep(400) },
    } do
      for _, status in ipairs{ 429, headers.RateLimit and 200 } do
        server:script{ { status = status, body = activity,
          headers = headers } }
        local client = support.new(server, { timeout = 5 })
        local _, first = client.sms.create(support.params())
        assert.equal(status == 429 and 60 or nil, first and first.retry_after)
        local before = #server:ledger()
        local _, err = client.sms.create(support.params())
        assert.equal("not_sent", err.outcome)
        assert.is_true(err.retry_after > 50 and err.retry_after <= 60)
        assert.equal(before, #server:ledger())
      end
    end
  end)

  it("with no end to it holds nobody while places are left", function()
    server:default{ body = activity, headers = { RateLimit =
      "limit=0, remaining=1000000000000000, reset=" .. os.time() } }
    local client = support.new(server, { timeout = 5 })
    for _ = 1, 3 do assert(client.sms.create(support.params())) end
  end)

  it("that is used up ends a call which cannot wait for it", function()
    server:script{ says(0) }
    local client = support.new(server, { timeout = 5 })
    assert(client.sms.create(support.params()))
    local sms, err = client.sms.create(support.params())
    assert.is_nil(sms)
    assert.equal("rate_limited", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.is_true(err.retry_after > 50 and err.retry_after <= 60.1)
    assert.equal(1, #server:ledger())
  end)
end)
