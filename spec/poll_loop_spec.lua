-- The loop poll: in which coroutines a call may wait, and how it does.
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local PUC_5_1 = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

local server, client

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function()
  server:reset()
  client = support.new(server, { loop = "poll" })
end)
after_each(support.close_all)

-- Runs f in a coroutine, and drives the client until it has ended.
local function run(f)
  local thread = coroutine.create(f)
  assert(coroutine.resume(thread))
  if coroutine.status(thread) ~= "dead" then assert(client:wait(5)) end
  assert.equal("dead", coroutine.status(thread))
end

-- Calls f from C, which cannot be yielded across.
local function from_c(f) return (("x"):gsub("x", function() f() end)) end

local function is_refused(sms, err)
  assert.is_nil(sms)
  assert.same({ "config", "not_sent" }, { err.kind, err.outcome })
  assert.matches("only works inside a coroutine that can yield: use create_as",
    err.message)
  assert.equal(0, client:pending())
  assert.equal(0, #server:ledger())
end

local function create() return client.sms.create(support.params()) end

describe("a call with the loop poll", function()
  it("waits in a coroutine", function()
    local sms
    run(function() sms = assert(create()) end)
    assert.equal("string", type(sms.id))
    assert.equal(1, #server:ledger())
  end)

  it("is refused outside of one", function() is_refused(create()) end)

  it("is refused outside of one where there is no debug library, too",
    function()
      local library = debug
      rawset(_G, "debug", nil)
      local ok, sms, err = pcall(create)
      rawset(_G, "debug", library)
      assert.is_true(ok, tostring(sms))
      is_refused(sms, err)
    end)

  it("is refused below a C function, before anything is sent", function()
    local sms, err
    run(function() from_c(function() sms, err = create() end) end)
    is_refused(sms, err)
  end)

  it("waits below pcall where Lua can, and is refused elsewhere", function()
    local ok, sms, err
    run(function() ok, sms, err = pcall(create) end)
    assert.is_true(ok, tostring(sms))
    if PUC_5_1 then return is_refused(sms, err) end
    assert.equal("string", type(sms.id))
  end)
end)
