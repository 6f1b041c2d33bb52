-- The client in a program that runs libuv's loop itself, by the module luv.
local endings = require "spec.support.endings"
local raw_server = require "spec.support.raw_server"
local side = require "spec.support.nvim_side"
local ports = require "spec.support.ports"
local process = require "spec.support.process"

local uv = side.uv
local MANY, PATIENCE = 100, 10000

-- Runs the loop, f inside of it, until nothing is left in it. Fails where
-- something stays.
local function in_loop(f)
  local guard, late, ok, why = uv.new_timer(), false, true, nil
  guard:start(PATIENCE, 0, function()
    late = true
    uv.stop()
  end)
  guard:unref()
  local start = uv.new_timer()
  start:start(0, 0, function()
    start:close()
    ok, why = pcall(f) -- luv ends the program for an error
  end)
  uv.run()
  guard:close()
  uv.run "nowait"
  if not ok then error(why, 2) end
  assert(not late, "the loop does not end")
end

-- The same, f in a coroutine; its errors end the program, as nothing in Lua 5.1
-- can catch them and be yielded across.
local function in_thread(f)
  local ended
  in_loop(function()
    coroutine.wrap(function()
      f()
      ended = true
    end)()
  end)
  assert(ended, "the coroutine was not resumed")
end

describe("in luv", function()
  local server

  setup(function() server = raw_server.start() end)

  before_each(function() server:reset() end)

  after_each(function()
    side.close_all()
    assert.same({ poll = 0, timer = 0 }, side.handles())
    uv.run "nowait" -- luv crashes where it never hears of what was closed
  end)

  teardown(function() server:stop() end)

  local function client(options, url)
    local copy = { loop = "luv" }
    for name, value in pairs(options or {}) do copy[name] = value end
    return side.client(url or server.url, copy)
  end

  it("create turns the loop while it waits", function()
    server:default { status = 200, body = { id = "acti_1" }, delay = 1 }
    local one, longest, turns = client(), nil, nil
    assert(process.sometimes(function()
      local ended = side.watch_loop()
      local sms, err = one.sms.create(side.params())
      longest, turns = ended()
      assert.equal("acti_1", sms and sms.id, err)
      return turns > 30 and longest < 700
    end), ("%s turns, %s ms between two"):format(turns, longest))
  end)

  it("create in a coroutine inside of the loop yields", function()
    server:default { status = 200, body = { id = "acti_1" }, delay = 0.1 }
    local one = client()
    local ids, meanwhile = {}, nil
    in_loop(function()
      for i = 1, 3 do
        coroutine.wrap(function()
          for _ = 1, 2 do
            local sms = one.sms.create(side.params())
            ids[#ids + 1] = sms and i
          end
        end)()
      end
      meanwhile = #ids
    end)
    assert.equal(0, meanwhile)
    table.sort(ids) -- two calls of three threads, in any order
    assert.same({ 1, 1, 2, 2, 3, 3 }, ids)
  end)

  it("create in a callback of the loop is refused", function()
    local facts
    in_loop(function()
      facts = side.facts(client().sms.create(side.params()))
    end)
    assert.equal("config", facts.kind)
    assert.matches("coroutine", facts.message)
    assert.equal(0, #server:ledger())
  end)

  it("wait in a callback of the loop is refused", function()
    local left, err
    in_loop(function()
      local one = client()
      one.sms.create_async(side.params(), function() end)
      coroutine.wrap(function() left, err = one:wait(1) end)()
    end)
    assert.is_nil(left)
    assert.equal("config", err.kind)
    assert.not_matches("use", err.message) -- nothing would help
  end)

  it("wait turns the loop until all is done", function()
    server:default { status = 200, body = { id = "acti_1" }, delay = 1 }
    local one = client()
    local got = side.begin(one, 10)
    assert.equal(10, one:wait(0.02))
    assert.equal(0, one:wait(5))
    assert.equal(10, got.done)
  end)

  it("many calls at once end, once each, and the loop then ends", function()
    local got
    in_loop(function() got = side.begin(client(), MANY) end)
    assert.equal(MANY, got.done)
    for i = 1, MANY do
      assert.equal(1, got.calls[i])
      assert.truthy(got.results[i].id)
    end
    assert.equal(MANY, #server:ledger())
  end)

  for name, key in pairs { ["its answer"] = "k",
    ["its credentials"] = function() coroutine.yield() end } do
    it("a call that is cancelled ends at once, waiting for " .. name, function()
      server:default { delay = 60 }
      local told = {}
      in_loop(function()
        local one = client { api_key = key, timeout = 60 }
        local request = one.sms.create_async(side.params "cancelled",
          function(_, err) told[#told + 1] = err.kind end)
        local timer = uv.new_timer()
        timer:start(200, 0, function()
          timer:close()
          request:cancel()
        end)
      end)
      assert.same({ "cancelled" }, told)
    end)
  end

  it("nothing is polled while nothing happens", function()
    server:default { status = 200, body = { id = "acti_1" }, delay = 1 }
    local turns, sms = 0, nil
    local prepare = uv.new_prepare()
    prepare:start(function() turns = turns + 1 end)
    prepare:unref()
    in_loop(function()
      client().sms.create_async(side.params(), function(it) sms = it end)
    end)
    prepare:close()
    assert.equal("acti_1", sms and sms.id)
    assert.is_true(turns < 25, turns .. " turns")
  end)

  it("descriptors whose number is used again do no harm", function()
    -- Each connection ends after its answer, the next one gets its number, or
    -- a file or a socket of ours has it meanwhile.
    server:default { status = 200, body = { id = "acti_1" }, close = true,
      headers = { Connection = "close" } }
    local sent, files, sockets, fault = 0, {}, {}, nil
    local one = client()
    local function occupy()
      files[#files + 1] = assert(io.open "/dev/null")
      sockets[#sockets + 1] = assert(uv.new_udp "inet")
      if #files > 3 then table.remove(files, 1):close() end
      if #sockets > 2 then table.remove(sockets, 1):close() end
    end
    local function go_on(left)
      one.sms.create_async(side.params(), function(sms, err)
        sent, fault = sent + (sms and 1 or 0), fault or err
        occupy()
        if left > 1 then return go_on(left - 1) end
      end)
    end
    in_loop(function()
      for _ = 1, 5 do go_on(10) end
    end)
    for _, file in ipairs(files) do file:close() end
    for _, socket in ipairs(sockets) do socket:close() end
    uv.run "nowait"
    assert.is_nil(fault)
    assert.equal(50, sent)
    assert.equal(50, server:connections())
  end)

  for name, case in pairs {
    ["a reset"] = { { reset = true }, "connection", "unknown" },
    ["silence"] = { { delay = 20 }, "timeout", "unknown", timeout = 1 },
    ["a 429"] = { { status = 429 }, "rate_limited", "rejected", timeout = 0.5 },
  } do
    it(name .. " has its outcome, in a coroutine and in a callback", function()
      server:default(case[1])
      local facts, got
      in_thread(function()
        local one = client { max_retries = 0, timeout = case.timeout }
        got = side.begin(one, 5)
        facts = side.facts(one.sms.create(side.params()))
      end)
      got.results[6] = facts
      endings.check(server, got.results, case[2], case[3])
    end)
  end

  it("retries wait in the loop, too", function()
    local url = ("http://127.0.0.1:%d/api/v1"):format(ports.refusing())
    local one = client({ max_retries = 2, timeout = 8 }, url)
    local err, ticks = nil, 0
    local timer = uv.new_timer()
    in_loop(function()
      timer:start(10, 10, function() ticks = ticks + 1 end)
      one.sms.create_async(side.params(), function(_, why)
        err = why
        timer:close()
      end)
    end)
    assert.same({ "connection", "not_sent", 3 },
      { err.kind, err.outcome, err.attempts })
    assert.is_true(ticks > 10, ticks .. " ticks")
  end)

  it("a client that is closed leaves no handle, nor waits for its calls",
    function()
      server:default { delay = 5 }
      local one = client()
      local got = side.begin(one, 3)
      assert.same({ poll = 1, timer = 1 }, side.handles())
      one:close()
      assert.same({ poll = 0, timer = 0 }, side.handles())
      assert.same({ 1, 1, 1 }, got.calls)
    end)

  it("an interrupt while the loop turns reaches the caller", function()
    local one, run = client(), uv.run
    uv.run = function()
      uv.run = run
      error("interrupted!", 0)
    end
    local ok, why = pcall(one.sms.create, side.params())
    uv.run = run
    assert.same({ false, "interrupted!" }, { ok, why })
    assert.equal(0, one:wait(5))
  end)

  -- luv crashes at its end where a handle was closed and the loop has not
  -- turned since.
  for name, code in pairs {
    ["waiting"] = "client.sms.create(side.params())",
    ["waiting for all, with a limit"] = "side.begin(client, 1) client:wait(5)",
    ["calls under way"] = "side.begin(client, 3) side.uv.run 'nowait'",
    ["a client closed with calls under way"] =
      "side.begin(client, 3) side.uv.run 'nowait' client:close()",
    ["a client closed in its callback"] = [[
      client.sms.create_async(side.params(), function() client:close() end)
      side.uv.run()
    ]],
  } do
    it("a program ends well after " .. name, function()
      server:script { {}, { delay = 5 } }
      local words = process.lua(([[
        local side = require "spec.support.nvim_side"
        local client = side.client(%q, { loop = "luv" })
        %s
      ]]):format(server.url, code))
      assert.is_true(process.run(words))
    end)
  end

  it("an interrupt is raised where a call waits, once", function()
    local one = client()
    one.sms.create_async(side.params(), function()
      error("interrupted!", 0)
    end)
    assert.same({ false, "interrupted!" }, { pcall(one.wait, one, 5) })
    assert(one.sms.create(side.params()))
  end)

  it("an interrupt in a callback of the loop ends the program", function()
    local words = process.lua(([[
      local side = require "spec.support.nvim_side"
      local client = side.client(%q, { loop = "luv" })
      assert(client.sms.create(side.params()))
      client.sms.create_async(side.params(), function()
        print "called"
        error("interrupted!", 0)
      end)
      side.uv.run()
      print "went on"
    ]]):format(server.url))
    table.insert(words, 1, "sh")
    for i, word in ipairs { "-c", 'exec "$@" 2>/dev/null', "sh" } do
      table.insert(words, i + 1, word)
    end
    assert.equal("called", process.capture(words))
  end)

  it("a client that was polled to its end leaves nothing in the loop",
    function()
      server:default { status = 200, body = { id = "acti_1" }, delay = 0.1 }
      local one = client()
      local got = side.begin(one, 3)
      uv.run "nowait" -- now there are handles
      for _ = 1, 5000 do
        if one:poll() == 0 then break end
        uv.sleep(1)
      end
      assert.equal(3, got.done)
      assert.same({ poll = 0, timer = 0 }, side.handles())
      uv.run "nowait"
    end)

  it("a client closed in the middle leaves nothing in the loop", function()
    server:default { status = 200, body = { id = "acti_1" }, delay = 5 }
    local got
    in_loop(function()
      local one = client()
      got = side.begin(one, 10)
      local timer = uv.new_timer()
      timer:start(10, 10, function()
        if #server:ledger() < 10 then return end
        timer:close()
        one:close()
      end)
    end)
    assert.equal(10, got.done)
    assert.equal("cancelled unknown", got.results[1].kind .. " " ..
      got.results[1].outcome)
  end)
end)
