-- Interrupts: errors from outside, at any instruction. A call that waits ends
-- with them, and no user function swallows them.
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server
local jit = rawget(_G, "jit") -- whose compiled code calls no hook

setup(function()
  server = raw.start{}
  if jit then jit.off() jit.flush() end
end)
teardown(function()
  server:stop()
  if jit then jit.on() end
end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function message()
  return support.params{ status = false }
end

-- What the server has taken, by method.
local function taken(method)
  local n = 0
  for _, request in ipairs(server:ledger()) do
    if request.method == method then n = n + 1 end
  end
  return n
end

-- A client whose calls wait in this thread.
local function blocking(options)
  options = options or {}
  options.loop = "blocking"
  return support.new(server, options)
end

describe("Ctrl-C", function()
  it("ends the call that waits, and nothing of it goes on", function()
    server:script{ { delay = 1.5 } }
    local child = process.start(process.lua(([[
      local client = assert(require "close".new{ base_url = %q,
        api_key = "k", loop = "blocking" })
      local ok, why = pcall(client.sms.send, { text = "x",
        local_phone = "+14154445555", remote_phone = "+18183334444" })
      print(ok, tostring(why):match "interrupted!$", client:pending())
      print(client.sms.get "acti_x" ~= nil)
    ]]):format(server.url)), { stdout = "pipe" })
    assert(server:wait(1))
    child:kill "INT"
    assert.equal("false\tinterrupted!\t0", child.stdout:read "*l")
    assert.equal("true", child.stdout:read "*l")
    child:stop()
    assert.equal(1, taken "POST")
    assert.equal(0, taken "PUT")
  end)
end)

-- What a user's function that runs within a call throws.
local THROWN = {
  ["Ctrl-C"] = function() error("interrupted!", 0) end,
  ["Ctrl-C, with its place"] = function() error "interrupted!" end,
  ["a hook"] = function()
    for _ = 1, 1e7 do end -- the hook strikes here
  end,
  ["a hook in a call of a callback's"] = function(client)
    local inner = blocking()
    assert(inner.sms.create_async(support.params(), function()
      for _ = 1, 1e7 do end
    end))
    inner:wait(5)
    client:close() -- not reached
  end,
}

-- Calls f with a watchdog that strikes once after that many instructions.
local function watched(instructions, f)
  local struck = false
  local ok, why = pcall(function()
    debug.sethook(function()
      debug.sethook()
      struck = true
      error("struck", 0)
    end, "", instructions)
    f()
    debug.sethook()
  end)
  debug.sethook()
  return ok, why, struck
end

describe("an interrupt", function()
  for name, throw in pairs(THROWN) do
    local is_hook = name:find "hook"

    local function interrupted(f)
      local ok, why = watched(is_hook and 200000 or 1e9, f)
      assert.is_false(ok)
      assert.matches(is_hook and "^struck$" or "interrupted!$", why)
    end

    it("by " .. name .. " goes on through a callback", function()
      local events, second = 0, 0
      local client
      client = blocking{ on_event = function(event)
        if event.callback_error then events = events + 1 end
      end }
      client.sms.create_async(support.params(), function() throw(client) end)
      client.sms.create_async(support.params(), function()
        second = second + 1
      end)
      interrupted(function() client:wait(5) end)
      assert.is_true(client:pending() <= 1)
      assert.equal(0, client:wait(5))
      assert.equal(1, second)
      assert.equal(0, events)
    end)

    it("by " .. name .. " goes on through on_event", function()
      local calls = 0
      local client
      client = blocking{ on_event = function()
        calls = calls + 1
        if calls == 1 then throw(client) end
      end }
      interrupted(function() client.sms.create(support.params()) end)
      assert.equal(0, client:pending())
      assert(client.sms.create(support.params()))
    end)

    it("by " .. name .. " goes on through the credentials", function()
      local calls, told = 0, 0
      local client
      client = blocking{ access_token = function()
        calls = calls + 1
        if calls == 1 then throw(client) end
        return "t"
      end }
      interrupted(function() client.sms.create(support.params()) end)
      assert.equal(0, client:pending())
      client.sms.create_async(support.params(), function(sms)
        if sms then told = told + 1 end
      end)
      assert.equal(0, client:wait(5))
      assert.equal(1, told)
    end)
  end

  it("ends a send whose last answer is there already", function()
    local calls = 0
    local client = blocking{ on_event = function()
      calls = calls + 1
      if calls == 1 then error("interrupted!", 0) end
    end }
    local ok, why = pcall(client.sms.send, message())
    assert.same({ false, "interrupted!" }, { ok, why })
    assert.equal(0, client:pending())
    assert(client.sms.get "acti_x")
    assert.equal(0, client:wait(5))
    assert.same({ 1, 0 }, { taken "POST", taken "PUT" })
  end)

  it("is not what a callback throws itself", function()
    local told = {}
    local client = blocking{ on_event = function(event)
      told[#told + 1] = event.callback_error
    end }
    for _, why in ipairs{ "x", "it was interrupted! no", "struck" } do
      client.sms.create_async(support.params(), function() error(why, 0) end)
    end
    local ok = watched(1e9, function() client:wait(5) end)
    assert.is_true(ok)
    table.sort(told)
    assert.same({ "it was interrupted! no", "struck", "x" }, told)
  end)

  it("is not what a callback throws while a hook drives the client", function()
    local told
    local client = blocking{ on_event = function(event)
      told = told or event.callback_error
    end }
    client.sms.create_async(support.params(), function() error("mine", 0) end)
    local left = 1
    debug.sethook(function()
      if left > 0 then left = client:wait(5) end
    end, "", 100)
    local ok, why = pcall(function() for _ = 1, 1e5 do end end)
    debug.sethook()
    assert.same({ true, nil, 0, "mine" }, { ok, why, left, told })
  end)

  it("in a coroutine ends the call that yields there", function()
    local client = support.new(server, { loop = "poll" })
    local thread = coroutine.create(client.sms.send)
    assert(coroutine.resume(thread, message()))
    client:poll()
    debug.sethook(thread, function()
      if coroutine.running() ~= thread then return end -- LuaJIT has one hook
      debug.sethook(thread)
      debug.sethook()
      error("struck", 0)
    end, "", 1)
    local ok, why = coroutine.resume(thread)
    debug.sethook()
    assert.is_false(ok)
    assert.equal("struck", why)
    client:wait(5)
    assert.equal(0, client:pending())
    assert.equal(0, taken "PUT")
  end)

  if coroutine.close then
    it("is not needed to end a coroutine's send", function()
      local client = support.new(server, { loop = "poll" })
      local thread = coroutine.create(client.sms.send)
      assert(coroutine.resume(thread, message()))
      coroutine.close(thread)
      assert.equal(0, client:wait(5))
      assert.equal(1, taken "POST")
      assert.equal(0, taken "PUT")
    end)
  end
end)

-- One that strikes after n instructions, for many n.
describe("an interrupt at any instruction", function()
  local function sweep(scene, first, step)
    local n = first
    repeat
      server:reset()
      local struck = scene(n)
      support.close_all()
      n = n + step
    until not struck
    assert(n > 10 * step, "it strikes nowhere")
  end

  it("of a send that waits ends it", function()
    sweep(function(n)
      local client = blocking{ on_draft = n % 2 == 0 and tostring or nil }
      local ok, why, struck = watched(n, function()
        client.sms.send(message())
      end)
      assert.equal(not struck, ok, why)
      assert.equal(0, client:pending())
      local posts = taken "POST"
      assert(client.sms.get "acti_x")
      assert.equal(0, client:wait(5))
      if posts == 0 then assert.equal(0, taken "PUT") end
      return struck
    end, math.random(50), 97)
  end)

  it("of a send that a callback waits for goes on through it", function()
    sweep(function(n)
      local client = blocking()
      local ok, why, struck = watched(n, function()
        client.sms.create_async(support.params(), function()
          client.sms.send(message())
        end)
        client:wait(5)
      end)
      assert.equal(not struck, ok, why)
      assert.equal(0, client:wait(5))
      return struck
    end, math.random(50), 97)
  end)

  -- If memory is short, Lua 5.4.7 throws more often in a row than 5.4.4.
  it("does not keep a call from being ended after many others", function()
    local protect, n = require "close.protect", 0
    assert.is_true(protect.ensure(function(step)
      n = n + step
      if n < 30 then error "struck" end
    end, 1))
    assert.equal(30, n)
  end)

  -- Calls f, where an interrupt strikes at the end of the n-th protect.catch.
  local function struck_at(n, f)
    local protect = require "close.protect"
    local catch, is_hooked = protect.catch, protect.is_hooked
    function protect.is_hooked() return true end -- a drain asks it
    function protect.catch(g, ...)
      n = n - 1
      local is_it = n == 0
      local ok, value, more = catch(g, ...)
      if is_it then error("interrupted!", 0) end
      return ok, value, more
    end
    local ok, why = pcall(f)
    protect.catch, protect.is_hooked = catch, is_hooked
    if n <= 0 then assert.same({ false, "interrupted!" }, { ok, why }) end
    return n <= 0
  end

  it("that comes just after the library's own work loses no call", function()
    local n, is_struck = 0, true
    while is_struck and n < 100 do
      n = n + 1
      server:reset()
      local client, begun, told = nil, false, 0
      client = blocking{ on_event = function(event)
        if event.draft_id then client:wait(5) end
      end }
      is_struck = struck_at(n, function()
        begun = client.sms.send_async(message(), function()
          told = told + 1
        end)
        client:wait(5)
      end)
      assert.equal(0, client:wait(5))
      assert.equal(begun and 1 or 0, told)
      if not begun then assert.equal(0, taken "POST") end
    end
    assert.is_true(n > 4)
  end)

  -- Whether it strikes where a callback is called, or in one: then that was
  -- its call.
  local function is_telling()
    local info = debug.getinfo(3, "S")
    local source = info.source
    return source:find "protect_spec" or source:find "operation.lua" or
      source:find "user.lua"
  end

  for _, loop in ipairs{ "blocking", "poll" } do
    it("loses no call, with the loop " .. loop, function()
      sweep(function(n)
        server:script{ {}, { status = 401 } }
        local client = support.new(server, { loop = loop,
          access_token = function() return "t" end,
          on_event = function() end })
        local begun, told, telling = {}, {}, false
        local ok, why, struck
        ok, why = pcall(function()
          debug.sethook(function()
            debug.sethook()
            struck, telling = true, is_telling()
            error("struck", 0)
          end, "", n)
          for i = 1, 2 do
            begun[i] = client.sms.send_async(message(), function()
              told[i] = (told[i] or 0) + 1
            end)
          end
          client:wait(5)
          debug.sethook()
        end)
        debug.sethook()
        assert.equal(not struck, ok, why)
        assert.equal(0, client:wait(5))
        local missing = 0
        for i = 1, 2 do
          assert.is_true((told[i] or 0) <= 1)
          if begun[i] and not told[i] then missing = missing + 1 end
        end
        assert.is_true(missing <= (telling and 1 or 0))
        return struck
      end, math.random(100), 211)
    end)
  end

  it("lets a drain end if a callback cannot be called for long", function()
    local operations = require "close.operation"
    local settle, tried, told = operations.settle_memory, 0, 0
    local client = support.new(server)
    finally(function() operations.settle_memory = settle end)
    function operations.settle_memory()
      tried = tried + 1
      if tried < 1000 then error("not enough memory", 0) end
    end
    for _ = 1, 2 do
      client.sms.send_async(message(), function() told = told + 1 end)
    end
    local till = os.time() + 10
    while tried < 2 and os.time() < till do client:poll() end
    for _ = 1, 5 do client:poll() end
    assert.is_true(tried >= 2 and tried < 20)
    operations.settle_memory = settle
    assert.equal(0, client:wait(5))
    assert.equal(2, told)
  end)
end)
