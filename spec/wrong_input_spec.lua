-- Wrong arguments of any kind: nothing throws, nothing is sent, and the result
-- is a clear error, in bounded time and memory.
local close = require "close"
local modes = require "spec.support.faults.mode"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"
local calmly = support.calmly

local SECONDS = 30 -- of processor time, where a slip would take minutes

local server, client

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function()
  server:reset()
  client = support.new(server)
end)
after_each(support.close_all)

local function boom() error("a metamethod ran", 0) end

-- Makes every metamethod of a table throw.
local function hostile(value)
  local meta = {}
  for _, name in ipairs{
    "index", "newindex", "pairs", "ipairs", "len", "next", "tostring", "name",
    "eq", "lt", "concat", "call", "unm", "metatable", "close",
  } do
    meta["__" .. name] = boom
  end
  return setmetatable(value, meta)
end

-- Both ways in; asserts the faults and that nothing went out.
local function refuses(params, faults)
  local started = os.clock()
  local ok, err = calmly(client.sms.validate, params)
  assert.is_nil(ok)
  assert.equal("validation", err.kind)
  assert.equal("rejected", err.outcome)
  if faults then assert.same(faults, support.faults(err)) end
  local sms, same = calmly(client.sms.create, params)
  assert.is_nil(sms)
  assert.equal(err.message, same.message)
  assert.equal(0, server:connections())
  assert.is_true(os.clock() - started < SECONDS)
  return err
end

local function is_short(err)
  assert.is_true(#tostring(err) < 1000)
  for _, item in ipairs(err.errors) do
    assert.is_true(#item.message < 1000 and #item.field < 1000)
  end
end

describe("what is not a table", function()
  local function is_refused(call, ...)
    local ok, err = calmly(call, ...)
    assert.is_nil(ok)
    assert.same({ "params: type" }, support.faults(err))
    assert.equal(0, server:connections())
    return err
  end

  it("is refused, and named", function()
    local thread = coroutine.create(function() end)
    for _, row in ipairs{ { 5, "a number" }, { "outbox", "a string" },
      { true, "a boolean" }, { false, "a boolean" }, { print, "a function" },
      { io.stdout, "a userdata" }, { thread, "a coroutine" },
      { close.null, "null" }, { 0 / 0, "a number" } } do
      local err = is_refused(client.sms.create, row[1])
      assert.matches("got " .. row[2], err.message, 1, true)
      is_refused(client.sms.validate, row[1])
    end
  end)

  it("is refused where it is nothing at all", function()
    for _, call in ipairs{ client.sms.create, client.sms.validate } do
      assert.matches("nil", is_refused(call, nil).message)
      is_refused(call)
      is_refused(call, nil, {})
    end
  end)

  it("is refused in the call with a colon, with a hint", function()
    local sms = client.sms
    local _, err = calmly(sms.create, sms, support.params())
    assert.same({ "params: type" }, support.faults(err))
    assert.matches("dot", err.message)
    assert.is_nil((calmly(sms.validate, sms, support.params())))
    assert.equal(0, server:connections())
  end)
end)

describe("odd tables", function()
  it("are refused as attachments, with holes in them", function()
    local a = support.attachment()
    for _, list in ipairs{ { a, nil, a }, { [2] = a }, { nil, a, n = 2 },
      { a, [1.5] = a }, { [2 ^ 40] = a }, { [-1] = a }, { a, [2 ^ 53] = a },
      { [math.huge] = a }, { a, x = a }, { [{}] = a }, { [true] = a } } do
      refuses({ status = "draft", attachments = list },
        { "attachments: type" })
    end
  end)

  it("that contain themselves are refused", function()
    local params = support.params()
    params.text = params
    refuses(params, { "text: type" })
    params = { status = "draft" }
    params.attachments = params
    refuses(params, { "attachments: type" })
    params = { status = "draft", attachments = { {} } }
    params.attachments[1] = params.attachments
    refuses(params)
    params = { status = "draft" }
    params[params] = params
    assert.equal("unknown_field", refuses(params).errors[1].code)
  end)

  it("that contain themselves are refused in extra", function()
    local extra = {}
    extra.again = { extra }
    refuses({ status = "draft", extra = extra }, { "extra: type" })
    local params = { status = "draft" }
    params.extra = params
    refuses(params)
  end)

  it("that grow without end are refused in extra", function()
    local deep, wide = {}, { "x" }
    for _ = 1, 300000 do deep = { deep } end
    for _ = 1, 60 do wide = { wide, wide } end
    refuses({ status = "draft", extra = { a = deep } }, { "extra: type" })
    refuses({ status = "draft", extra = { a = wide } }, { "params: range" })
    for level = 61, 880 do
      wide = { wide, wide }
      if level < 70 or level % 60 == 0 then
        local err = refuses({ status = "draft", extra = { a = wide } },
          { "params: range" })
        assert.is_true(#err.errors[1].message < 200)
      end
    end
  end)

  it("that hold one long string many times are refused at once", function()
    local long, urls, words = ("x"):rep(2 ^ 20), {}, {}
    local item = support.attachment { url = long }
    for i = 1, 100000 do urls[i], words[i] = item, long end
    refuses({ status = "draft", attachments = urls }, { "attachments: range" })
    local started = os.clock()
    local _, err = calmly(client.sms.list, { lead_id = words })
    assert.same({ "filters: range" }, support.faults(err))
    _, err = calmly(client.sms.get, "acti_1", { fields = words })
    assert.same({ "filters: range" }, support.faults(err))
    assert.is_true(os.clock() - started < SECONDS)
  end)

  it("that grow beyond the most by escaping are refused", function()
    local text = ("\1"):rep(3 * 1024 * 1024)
    local err = refuses({ status = "draft", text = text }, { "params: range" })
    assert.matches("at least 188%d%d%d%d%d bytes", err.message)
  end)

  it("that JSON's writer would change are refused in extra", function()
    for _, value in ipairs{ 2 ^ 53, -2 ^ 53, 9007199254740993,
      123456789012345, 2 ^ 64 } do
      local err = refuses({ status = "draft", extra = { a = { value } } },
        { "extra: type" })
      assert.matches("give it as a string", err.message, 1, true)
    end
    for _, value in ipairs{ 99999999999999, -99999999999999, 1e14, 1e15,
      1e300, 0.1 + 0.2, 123456789.123456789, "9007199254740993", 0, -0.0 } do
      assert(close.sms.validate{ status = "draft", extra = { a = { value } } })
    end
  end)

  it("that JSON cannot say are refused in extra", function()
    for _, value in ipairs{ 0 / 0, math.huge, -math.huge, print, io.stdout,
      { [{}] = 1 }, { [true] = 1 }, { [1e6] = 1 } } do
      refuses({ status = "draft", extra = { a = { value } } },
        { "extra: type" })
    end
    for _, key in ipairs{ 1, true, print, {} } do
      refuses({ status = "draft", extra = { [key] = "x" } },
        { "extra: type" })
    end
  end)

  it("have keys that are strings", function()
    for _, key in ipairs{ 1, 0.5, true, print, {}, io.stdout } do
      local err = refuses(support.params{ [key] = "x" })
      assert.equal("unknown_field", err.errors[1].code)
      assert.equal(1, #err.errors)
      err = refuses(support.params{ attachments = {
        support.attachment{ [key] = "x" } } })
      assert.matches("^attachments%[1%]", err.errors[1].field)
    end
  end)
end)

describe("metatables", function()
  local function parameters()
    return hostile(support.params{
      attachments = hostile{ hostile(support.attachment()) },
      extra = hostile{ deep = hostile{ 1 } },
    })
  end

  it("of parameters and options are left alone", function()
    assert.is_true((calmly(client.sms.validate, parameters())))
    assert(calmly(client.sms.create, parameters(),
      hostile{ timeout = 20, max_retries = 0 }))
    assert.equal(1, #server:ledger())
    local another = assert(calmly(close.new, hostile{
      api_key = support.KEY, base_url = server.url }))
    assert(another.sms.create(support.params()))
    another:close()
    another = assert(calmly(close.new, hostile{
      access_token = support.KEY, base_url = server.url }))
    another:close()
  end)

  it("do not stand in for what is not there", function()
    refuses(hostile{}, { "status: required" })
    refuses(setmetatable({}, { __index = support.params() }),
      { "status: required" })
    local _, err = calmly(client.sms.create, support.params(),
      hostile{ unheard_of = 1 })
    assert.equal("config", err.kind)
    _, err = calmly(close.new, hostile{ base_url = server.url, api_key = 5 })
    assert.equal("config", err.kind)
  end)

  it("that throw are not run for values of the wrong type", function()
    refuses(support.params{ text = hostile{} }, { "text: type" })
    refuses({ status = hostile{} }, { "status: type" })
    refuses({ status = "draft", attachments = { hostile{} } })
    for _, option in ipairs{ "api_key", "base_url", "timeout", "ca_file",
      "max_retries", "proxy", "loop", "on_event", "user_agent" } do
      local _, err = calmly(close.new, { [option] = hostile{} })
      assert.equal("config", err.kind)
    end
  end)
end)

describe("very many attachments", function()
  -- The others see no more in more of them.
  local COUNT = modes.main and 100000 or 10000

  it("are accepted where each is right", function()
    local list = {}
    for i = 1, COUNT do list[i] = support.attachment() end
    local params, started = { status = "draft", attachments = list }, os.clock()
    assert.is_true((calmly(client.sms.validate, params)))
    assert(calmly(client.sms.create, params))
    assert.is_true(os.clock() - started < SECONDS)
    assert.is_true(#server:ledger()[1].body > COUNT * 70)
  end)

  it("get an error that can be read where each is wrong", function()
    for _, item in ipairs{ {}, "x", { content_type = "nothing", x = 1 } } do
      local list = {}
      for i = 1, COUNT do list[i] = item end
      local err = refuses{ status = "draft", attachments = list }
      assert.is_true(#err.errors >= 100 and #err.errors <= 10000)
      assert.matches("^attachments%[1%]", err.errors[1].field)
      assert.is_true(#tostring(err) < 1000)
    end
  end)

  it("or as many unknown fields do so, too", function()
    local params = { status = "draft" }
    for i = 1, COUNT do params["field" .. i] = i end
    assert.is_true(#tostring(refuses(params)) < 1000)
  end)
end)

describe("a string of 100 MB", function()
  local huge = ("x"):rep(1000):rep(100 * 1000) -- in blocks, which is faster

  it("is out of range where any string may stand", function()
    for _, params in ipairs{
      support.params{ text = huge },
      { status = "draft", lead_id = huge },
      { status = "draft", attachments = { support.attachment{ url = huge } } },
      { status = "draft", extra = { note = { huge } } },
    } do
      local err = refuses(params)
      assert.equal("range", err.errors[1].code)
      is_short(err)
    end
  end)

  it("is refused for what it is elsewhere", function()
    is_short(refuses(support.params{ local_phone = huge },
      { "local_phone: format" }))
    is_short(refuses({ status = "sent", activity_at = huge },
      { "activity_at: format" }))
    is_short(refuses({ status = huge }, { "status: enum" }))
    local err = refuses{ status = "draft", [huge] = 1 }
    assert.equal("unknown_field", err.errors[1].code)
    is_short(err)
  end)

  it("is refused as an option", function()
    for _, option in ipairs{ "api_key", "access_token", "base_url", "ca_file",
      "proxy", "user_agent", "loop" } do
      local options = { api_key = option ~= "access_token" and "k" or nil,
        base_url = server.url }
      options[option] = huge
      local made, err = calmly(close.new, options)
      assert.is_nil(made)
      assert.equal("config", err.kind)
      is_short(err)
    end
  end)
end)

describe("another object than its own", function()
  it("is an error to every method, and can be shown", function()
    local request = assert(client.sms.create_async(support.params(),
      function() end))
    local of_client, of_request = getmetatable(client), getmetatable(request)
    for _, name in ipairs{ "poll", "pending", "wait", "close" } do
      for _, other in ipairs{ request, {}, "x", 5, client.sms } do
        local result, err = calmly(of_client[name], other)
        assert.is_nil(result)
        assert.equal("config", err.kind)
      end
    end
    for _, other in ipairs{ client, {}, "x", 5 } do
      local result, err = calmly(of_request.cancel, other)
      assert.is_nil(result)
      assert.equal("config", err.kind)
    end
    for _, other in ipairs{ request, {}, "x", 5 } do
      assert.equal("string", type(of_client.__tostring(other)))
    end
    assert.is_true(request:cancel())
  end)
end)

describe("a closed client", function()
  it("may be closed again, shown, and asked to validate", function()
    client:close()
    client:close()
    assert.matches("close", tostring(client))
    assert.is_true(client.sms.validate(support.params()))
  end)

  it("is not made by a close without a client", function()
    for _, value in ipairs{ 5, {}, "x", false } do
      calmly(client.close, value)
    end
    calmly(client.close)
    assert(client.sms.create(support.params()))
  end)
end)
