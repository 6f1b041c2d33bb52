-- Finalizers can run at any allocation, inside the glue too, and may call any
-- function of the library.
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

-- An object without an owner, whose finalizer is f.
local function ghost(f)
  -- luacheck: globals newproxy
  if newproxy then
    getmetatable(newproxy(true)).__gc = f
  else
    setmetatable({}, { __gc = f })
  end
end

local over -- the ghosts of an earlier test are to do nothing any more

before_each(function() over = false end)
after_each(function() over = true end)

-- Makes a ghost, whose finalizer f is to run soon, inside of the next call.
local function haunt(f)
  ghost(function()
    if not over then f() end
  end)
  collectgarbage "restart"
end

-- Calls act, with a collector that rests until somebody haunts, and then goes
-- through everything as soon as memory is asked for.
local function haunted(act)
  local multiplier = _VERSION == "Lua 5.4" and 1000 or 1e6
  local pause = collectgarbage("setpause", 0)
  local old = collectgarbage("setstepmul", multiplier)
  collectgarbage "stop"
  local ok, why = pcall(act)
  over = true
  collectgarbage "restart"
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", old)
  assert(ok, why)
end

-- Each makes the collector go through all of the memory, many times.
local TIMES = 15

describe("a finalizer", function()
  it("may make a call while an answer is read", function()
    local ran, busy, failed = 0, false, nil
    local client, other
    local function nested()
      if busy then return end
      busy = true
      ran = ran + 1
      for _, one in ipairs{ other, client } do
        local sms, err = one.sms.create(support.params())
        if not sms then failed = tostring(err) end
      end
      busy = false
    end
    other = support.new(server)
    client = support.new(server, { on_event = function() haunt(nested) end })
    haunted(function()
      for _ = 1, TIMES do
        assert(client.sms.create(support.params()))
        collectgarbage "stop"
      end
    end)
    assert.is_nil(failed)
    assert.is_true(ran > TIMES / 2)
    assert.equal(TIMES + 2 * ran, #server:ledger())
  end)

  it("may close the client while a call is under way", function()
    local ran, failed = 0, nil
    haunted(function()
      for _ = 1, TIMES do
        local client
        client = support.new(server, { on_event = function()
          haunt(function() ran = ran + 1; client:close() end)
        end })
        for _ = 1, 3 do
          local sms, err = client.sms.create(support.params())
          if not sms and err.kind ~= "config" and err.kind ~= "cancelled" then
            failed = tostring(err)
          end
        end
        collectgarbage "stop"
      end
    end)
    assert.is_nil(failed)
    assert.is_true(ran > TIMES / 2)
  end)
end)

describe("a client that nobody has any more", function()
  it("is collected, though its own functions refer to it", function()
    local alive = setmetatable({}, { __mode = "k" })
    for i = 1, 50 do
      local client
      local function refer() return client and "x" or "y" end
      client = require "close".new{ base_url = server.url, on_event = refer,
        access_token = refer }
      alive[client] = i
    end
    for _ = 1, 4 do collectgarbage() end
    assert.is_nil(next(alive))
  end)
end)

-- In a child, which a slip would crash.
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

      for i = 1, 1000 do
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

-- At each turn of the collector a finalizer runs; the k-th one does what is to
-- be tried, and all after it call later. In a child, which a slip would crash.
-- With its compiler on, LuaJIT was seen to run here without an end, and without
-- a call of ours or of the system's.
local TURNS = [[
  if jit then jit.off() end
  if _VERSION == "Lua 5.4" then
    collectgarbage("incremental", 1, 1000, 100)
  else
    collectgarbage("setpause", 1)
    collectgarbage("setstepmul", 1000000)
  end
  local function ghost(f)
    if newproxy then
      getmetatable(newproxy(true)).__gc = f
    else
      setmetatable({}, { __gc = f })
    end
  end
  -- -> a function that ends it, and says whether the k-th turn has come
  local function at_turn(k, act, later)
    local turns, on = 0, true
    local function step()
      if not on then return end
      turns = turns + 1
      if turns == k then act() elseif turns > k and later then later() end
      ghost(step)
    end
    collectgarbage()
    ghost(step)
    return function() on = false; return turns >= k end
  end
]]


describe("a finalizer at any turn of the collector", function()
  it("may clear what validate is reading", function()
    local said = process.capture(process.lua(TURNS .. [[
      local close = require "close"
      local wrong, k, reached = "none", 0, true
      while reached and k < 100 do
        k = k + 1
        local item = { content_type = "image/png", filename = "a.png",
          url = ("https://x/"):rep(50) .. k }
        local params = { status = "draft", attachments = { item },
          date_created = k, activity_at = k + 1, lead_id = "lead_" .. k }
        local bad = {}
        local stop = at_turn(k, function()
          item.url, item.filename, item.content_type = nil, nil, nil
          params.lead_id, params.attachments = nil, nil
        end, function() -- where freed bytes were, others are soon
          for i = 1, 20 do
            bad[#bad + 1] = ("\255"):rep(500) .. i % 10
            bad[#bad + 1] = ("\255"):rep(8) .. i
          end
        end)
        local ok, err = close.sms.validate(params)
        reached = stop()
        for _, item in ipairs(not ok and err.errors or {}) do
          -- What is gone is missed; what was read is as it was.
          if item.code ~= "required" then wrong = item.message end
        end
      end
      print(k > 1, wrong)
    ]]))
    assert.equal("true\tnone", said)
  end)

  it("may write JSON while JSON is written", function()
    local said = process.capture(process.lua(TURNS .. [[
      local json = require "close.json"
      local wrong, k, reached = 0, 0, true
      while reached and k < 100 do
        k = k + 1
        local stop = at_turn(k, function() json.encode_body{ b = "inner" } end,
          function() json.encode_body{ b = "later" } end)
        for i = 1, 20 do
          if json.encode_body{ a = "outer" } ~= '{"a":"outer"}' then
            wrong = wrong + 1
          end
        end
        reached = stop()
      end
      print(k > 1, wrong)
    ]]))
    assert.equal("true\t0", said)
  end)

  it("may make a call while another one is put off", function()
    local said = process.capture(process.lua(TURNS .. [[
      local client = require "close".new{ api_key = "x", loop = "poll" }
      local made, called, k, reached = 0, 0, 0, true
      local function make() -- it is wrong: its callback is told so later
        made = made + 1
        client.sms.create_async({}, function() called = called + 1 end)
      end
      while reached and k < 100 do
        k = k + 1
        local stop = at_turn(k, make)
        make()
        reached = stop()
        collectgarbage "stop"
        client:wait(5)
        collectgarbage "restart"
      end
      print(k > 1, made - called, client:pending())
    ]]))
    assert.equal("true\t0\t0", said)
  end)

  it("may end the call that is being cancelled", function()
    local said = process.capture(process.lua(TURNS .. [[
      local client = require "close".new{ loop = "poll",
        access_token = function() coroutine.yield() end }
      local request
      local wrong, left, k, reached = 0, 0, 0, true
      local function cancel()
        request:cancel()
        client:poll()
      end
      while reached and k < 100 do
        k = k + 1
        local called = 0
        request = client.sms.create_async({ status = "draft" },
          function() called = called + 1 end)
        local stop = at_turn(k, cancel)
        request:cancel()
        reached = stop()
        collectgarbage "stop"
        left = left + client:wait(5)
        collectgarbage "restart"
        if called ~= 1 then wrong = wrong + 1 end
      end
      print(k > 1, wrong, left)
    ]]))
    assert.equal("true\t0\t0", said)
  end)

  it("may close the engine that a form is given to", function()
    local said = process.capture(process.lua(TURNS .. [[
      local core = require "close.core"
      local wrong, k, reached = 0, 0, true
      while reached and k < 100 do
        k = k + 1
        local engine = core.engine{ user_agent = "x", plain = true,
          connect_timeout = 1, attempt_timeout = 1, max_response_bytes = 9,
          max_in_flight = 1 }
        local fields = {}
        for i = 1, 20 do fields[i] = { "a" .. i, "b" } end
        local closed
        local stop = at_turn(k, function()
          engine:close()
          closed = true
        end)
        local id = not closed and engine:submit("POST", "http://127.0.0.1:1/",
          "g", "bytes", nil, nil, core.now() + 1, 0, nil, nil,
          { fields = fields, filename = "f", content_type = "image/png" })
        if closed and id then wrong = wrong + 1 end
        reached = stop()
        engine:close()
      end
      print(k > 1, wrong)
    ]]))
    assert.equal("true\t0", said)
  end)

  it("may wait while a call is begun, and its callback still comes later",
  function()
    local said = process.capture(process.lua(TURNS .. ("local url = %q\n")
      :format(server.url) .. [[
      local close = require "close"
      local client = close.new{ base_url = url, api_key = "api_x" }
      local params = { status = "draft", text = "x" }
      local early, calls, begun = 0, 0, 0
      local is_inside = false

      local function begin(verb, given)
        local is_returned = false
        local request = client.sms[verb](given, function()
          calls = calls + 1
          if not is_returned then early = early + 1 end
        end)
        is_returned = true
        begun = begun + 1
        return request
      end

      local function wait()
        if is_inside then return end
        is_inside = true
        client:wait(0.02)
        is_inside = false
      end

      for verb, given in pairs{ create_async = params, each_async = {} } do
        local k, reached = 0, true
        while reached and k < 12 do
          k = k + 1
          local stop = at_turn(k, function()
            begin("create_async", params)
            wait()
          end, wait)
          begin(verb, given)
          reached = stop()
          client:wait()
        end
      end
      print(begun > 4, early, calls == begun, client:pending())
    ]]))
    assert.equal("true\t0\ttrue\t0", said)
  end)
end)

-- Calls that wait for a function's credentials.
describe("a call that waits for credentials", function()
  -- The first token never comes, so that the calls go on to the second one's
  -- line. A library that went round for ever would end with status 1.
  it("goes out once, whoever polls while it changes lines", function()
    local said = process.capture(process.lua(TURNS .. ([[
      local close = require "close"
      local core = require "close.core"
      debug.sethook(function() os.exit(1) end, "", 5e7)
      local ended, wrong, k, reached = 0, 0, 0, true
      while reached and k < 20 do
        k = k + 1
        local asked = 0
        local client = assert(close.new{ base_url = %q, loop = "poll",
          timeout = 0.02, access_token = function()
            asked = asked + 1
            if asked == 1 then coroutine.yield() end
            return "t"
          end })
        local left = 2
        local function over(sms, err)
          left = left - 1
          ended = ended + 1
          if not sms then wrong = wrong + 1; print(err) end
        end
        for i = 1, 2 do
          client.sms.create_async({ status = "draft",
            text = k .. "-" .. i }, over, { timeout = 5 })
        end
        local from = core.now()
        repeat until core.now() - from > 0.021
        local busy = false
        local function poll()
          if busy then return end
          busy = true
          client:poll()
          busy = false
        end
        local stop = at_turn(k, poll, poll)
        client:poll()
        reached = stop()
        while left > 0 and core.now() - from < 20 do client:poll() end
        client:close()
      end
      print(k > 1, ended == 2 * k, wrong)
    ]]):format(server.url)))
    assert.equal("true\ttrue\t0", said)
    local seen = {}
    for _, request in ipairs(server:ledger()) do
      assert.is_nil(seen[request.body], request.body)
      seen[request.body] = true
    end
    assert.is_not_nil(next(seen))
  end)

  it("can be cancelled again where that was interrupted", function()
    local client, request
    local jit = rawget(_G, "jit")
    if jit then jit.off() end -- compiled code calls no hook
    finally(function() if jit then jit.on() end end)
    local got, k, struck, wrong = 0, 0, true, nil
    client = support.new(server, { loop = "poll", access_token = function()
      k = 0
      while struck and k < 500 do
        k = k + 1
        got = 0
        request = client.sms.create_async(support.params(), function(_, err)
          got = got + 1
          assert(err.kind == "cancelled" and err.outcome == "not_sent")
        end)
        struck = not pcall(function()
          debug.sethook(function()
            debug.sethook()
            error("struck", 0)
          end, "", k)
          request:cancel()
          debug.sethook()
        end)
        request:cancel()
        client:poll()
        if got ~= 1 then wrong = k end
      end
      return "t"
    end })
    client.sms.create_async(support.params{ status = "draft" }, function() end)
    client:wait(2)
    assert.equal(0, client:pending())
    assert.is_nil(wrong)
    assert.is_true(k > 10)
    assert.is_false(struck)
    assert.equal(1, #server:ledger())
  end)
end)
