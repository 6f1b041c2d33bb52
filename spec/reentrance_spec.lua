-- A finalizer of the caller's may call us while a call of ours is at work:
-- the collector runs at any allocation. In a child, which a slip would crash.
local process = require "spec.support.process"

describe("validate within validate", function()
  it("loses nothing of either call", function()
    local said = process.capture(process.lua([[
      collectgarbage("setpause", 0)
      collectgarbage("setstepmul", 1000)
      local close = require "close"
      local inside, nested, wrong = false, 0, 0

      local function finalize()
        if inside then return end
        inside = true
        local ok, err = close.sms.validate{ status = "draft" }
        if ok ~= true then wrong = wrong + 1 end
        ok, err = close.sms.validate{ status = "draft", cc = "x", text = 5 }
        if ok or #err.errors ~= 2 then wrong = wrong + 1 end
        nested = nested + 1
        inside = false
      end

      local function ghost()
        if not newproxy then
          return setmetatable({}, { __gc = finalize })
        end
        getmetatable(newproxy(true)).__gc = finalize
      end

      for i = 1, 3000 do
        ghost()
        local ok, err = close.sms.validate{ status = "draft",
          to = "+14154445555", date_created = i, date_scheduled = i + 1,
          activity_at = i + 2, text = false }
        if ok or #err.errors ~= 2 then wrong = wrong + 1 end
      end
      print(nested > 100, wrong)
    ]]))
    assert.equal("true\t0", said)
  end)
end)
