-- The client in a real game server, Luanti: a call begins in one step, and its
-- answer comes in a later one. No step waits.
local json = require("cjson").new()
local endings = require "spec.support.endings"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local luanti = require "spec.support.luanti"
local raw_server = require "spec.support.raw_server"

local MANY = 100

describe("in Luanti", function()
  local server, game

  setup(function()
    server = raw_server.start()
    game = luanti.start()
  end)

  before_each(function() server:reset() end)

  teardown(function()
    game:stop()
    server:stop()
  end)

  local function lua(code, ...)
    return game:lua(code:format(...))
  end

  -- Seconds that the slowest poll took, and worked.
  local function is_quick(measured)
    return measured.poll < 0.5 and measured.work < 0.05
  end

  it("a call's answer comes in a later step", function()
    lua([[
      local client = host.client(%q)
      client.sms.create_async(host.params(), function(sms)
        host.got = { id = sms.id, steps = host.steps }
      end)
      host.measure()
      return host.got == nil
    ]], server.url)
    local got = game:wait_for "return host.got"
    assert.matches("^acti_", got.id)
    assert.is_true(got.steps >= 1)
  end)

  it("create in a coroutine yields to the steps", function()
    lua([[
      local client = host.client(%q)
      host.ids = {}
      coroutine.wrap(function()
        for i = 1, 3 do
          local sms, err = client.sms.create(host.params())
          host.ids[i] = sms and sms.id or tostring(err)
        end
      end)()
    ]], server.url)
    game:wait_for "return #host.ids == 3"
    assert.equal(3, #server:ledger())
  end)

  it("create elsewhere is refused, not waited for", function()
    local facts = lua([[
      return host.facts(host.client(%q).sms.create(host.params()))
    ]], server.url)
    assert.equal("config", facts.kind)
    assert.matches("coroutine", facts.message)
  end)

  it("steps go on while a slow call is under way", function()
    server:default { status = 200, body = { id = "acti_1" }, delay = 1 }
    local slow
    assert(process.sometimes(function()
      lua([[
        local client = host.client(%q)
        host.slow = nil
        host.measure()
        client.sms.create_async(host.params(), function(sms)
          host.slow = { id = sms.id, steps = host.steps, dtime = host.dtime,
            gap = host.gap, poll = host.poll, work = host.work }
        end)
      ]], server.url)
      slow = game:wait_for "return host.slow"
      assert.equal("acti_1", slow.id)
      return slow.steps > 12 and slow.dtime < 0.7 and slow.gap < 0.7
        and is_quick(slow)
    end), json.encode(slow))
  end)

  it("many calls at once end, once each", function()
    local slowest
    assert(process.sometimes(function()
      server:reset()
      server:default { delay = 1 }
      lua([[
        host.measure()
        host.many = host.begin(host.client(%q), %d)
      ]], server.url, MANY)
      game:wait_for(("return host.many.done == %d"):format(MANY))
      local sent = game:lua [[
        local sent = 0
        for i, times in ipairs(host.many.calls) do
          if times == 1 and host.many.results[i].id then sent = sent + 1 end
        end
        return sent
      ]]
      assert.equal(MANY, sent)
      assert.equal(MANY, #server:ledger())
      slowest = game:lua "return { poll = host.poll, work = host.work }"
      return is_quick(slowest)
    end), json.encode(slowest))
  end)

  it("a callback that throws does not end the server", function()
    lua([[
      local client = host.client(%q, { loop = "poll",
        on_event = function(event)
          host.told = event.callback_error or host.told
        end })
      client.sms.create_async(host.params(), function() error "mine" end)
    ]], server.url)
    assert.matches("mine", game:wait_for "return host.told")
  end)

  for name, case in pairs {
    ["a reset"] = { { reset = true }, "connection", "unknown" },
    ["silence"] = { { delay = 20 }, "timeout", "unknown", timeout = 1 },
    ["a 429"] = { { status = 429 }, "rate_limited", "rejected", timeout = 0.5 },
    ["a 503"] = { { status = 503 }, "server", "unknown" },
  } do
    it(name .. " has its outcome", function()
      server:default(case[1])
      lua([[
        host.many = host.begin(host.client(%q, { loop = "poll",
          max_retries = 0, timeout = %g }), 5)
      ]], server.url, case.timeout or 5)
      game:wait_for "return host.many.done == 5"
      endings.check(server, game:lua "return host.many.results", case[2],
        case[3])
    end)
  end

  it("nobody who listens has its outcome", function()
    lua([[
      host.many = host.begin(host.client("http://127.0.0.1:%d/api/v1", {
        loop = "poll", max_retries = 0 }), 1)
    ]], ports.refusing())
    game:wait_for "return host.many.done == 1"
    local facts = game:lua "return host.many.results[1]"
    assert.same({ "connection", "not_sent" }, { facts.kind, facts.outcome })
  end)

  it("nothing of that is in the log", function()
    assert.same({}, game:complaints())
  end)
end)

describe("a Luanti server that stops", function()
  local server, game

  setup(function() server = raw_server.start() end)

  before_each(function()
    server:reset()
    game = luanti.start()
  end)

  after_each(function() game:stop() end)

  teardown(function() server:stop() end)

  local function stop_with(delay, patience)
    server:default { status = 200, body = { id = "acti_1" }, delay = delay }
    game:lua(([[
      local client = host.client(%q)
      host.many = host.begin(client, 10)
      function host.at_end()
        local left = client:wait(%g)
        client:close()
        host.write("end.json", { left = left, done = host.many.done,
          first = host.many.results[1] })
      end
    ]]):format(server.url, patience))
    assert(server:wait(10))
    game.child:kill "TERM"
    local at_end = game:wait_for_file "end.json"
    assert.equal(0, game.child:wait(10))
    assert.is_false(process.exists(game.child.pid))
    assert.same({}, game:complaints())
    return at_end
  end

  it("waits for the calls under way", function()
    local at_end = stop_with(0.2, 5)
    assert.same({ 0, 10, "acti_1" },
      { at_end.left, at_end.done, at_end.first.id })
  end)

  it("ends them where that takes too long", function()
    local at_end = stop_with(20, 0.5)
    assert.same({ 10, 10, "cancelled", "unknown" }, { at_end.left, at_end.done,
      at_end.first.kind, at_end.first.outcome })
  end)

  it("does not crash where nobody closed the client", function()
    server:default { status = 200, body = { id = "acti_1" }, delay = 20 }
    game:lua(("host.begin(host.client(%q), 10)"):format(server.url))
    assert(server:wait(10))
    game.child:kill "TERM"
    assert.equal(0, game.child:wait(5))
    assert.same({}, game:complaints())
  end)
end)

describe("a mod that is not trusted", function()
  it("gets no C module, and the server says so", function()
    local game = luanti.start { trusted = "nobody" }
    local facts = game:lua [[
      local got, why = pcall(rawget(_G, "require"), "close")
      return { got = got, why = tostring(why), client = host.client ~= nil }
    ]]
    game:stop()
    assert.is_false(facts.got)
    assert.is_false(facts.client)
    assert.matches("security", facts.why)
  end)
end)
