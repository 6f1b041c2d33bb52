-- on_draft: send calls it before the draft is promoted. It may refuse, throw,
-- yield, take too long, or end its process.
local close = require "close"
local core = require "close.core"
local messages = require "spec.support.messages"
local process = require "spec.support.process"
local questions = require "close.question"
local socket = require "socket"
local support = require "spec.support.client"
local params = messages.params

local server

setup(function() server = messages.start() end)
teardown(messages.stop)
before_each(messages.reset)
after_each(support.close_all)

-- What a send came to that must not have been promoted.
local function refused(sms, err, kind)
  assert.is_nil(sms)
  assert.is_nil(support.fault_of(err))
  assert.same({ kind, "not_sent" }, { err.kind, err.outcome })
  assert.matches("^acti_", err.draft_id)
  assert.is_nil(messages.wire():find "PUT")
  local sent = assert(messages.client().sms.send{ draft_id = err.draft_id })
  assert.same({ err.draft_id, 1 }, { sent.id, (messages.count()) })
end

-- Options with f as on_draft; and a function that says whether f is there.
local function kept(f)
  local set = setmetatable({ [f] = true }, { __mode = "k" })
  return { on_draft = f }, function()
    collectgarbage()
    collectgarbage()
    return next(set) ~= nil
  end
end

describe("on_draft", function()
  it("gets the id of the draft, before the promotion", function()
    local ids, wires = {}, {}
    local client = messages.client{ on_draft = function(...)
      assert.equal(1, select("#", ...))
      ids[#ids + 1], wires[#wires + 1] = ..., messages.wire()
    end }
    local sms = assert(client.sms.send(params()))
    assert.same({ { sms.id }, { "POST" } }, { ids, wires })
    assert.equal("POST PUT", messages.wire())
  end)

  it("of a call goes before the client's", function()
    local who
    local client = messages.client{ on_draft = function() who = "client" end }
    assert(client.sms.send(params(), { on_draft = function()
      who = "call"
    end }))
    assert.equal("call", who)
  end)

  it("may refuse", function()
    for text, f in pairs{
      ["on_draft refused the draft"] = function() return false end,
      ["on_draft refused the draft: disk full"] = function()
        return nil, "disk full"
      end,
      ["on_draft failed: .*no disk"] = function() error "no disk" end,
      ["on_draft refused the draft: params must be a table"] = function()
        return close.sms.validate() -- an error of another call
      end,
      ["on_draft failed: params must be a table"] = function()
        error((select(2, close.sms.validate())))
      end,
    } do
      messages.reset()
      local sms, err = messages.client{ on_draft = f }.sms.send(params())
      assert.matches(text, err.message)
      refused(sms, err, "cancelled")
    end
  end)

  it("goes on whatever else it returns", function()
    for _, value in ipairs{ true, 0, "", {} } do
      assert(messages.client{ on_draft = function() return value end }
        .sms.send(params()))
    end
  end)

  it("is asked about a draft of an earlier send, unless it was sent", function()
    local asked = 0
    local client = messages.client{ on_draft = function()
      asked = asked + 1
      return asked > 1
    end }
    local _, err = client.sms.send(params())
    assert(client.sms.send{ draft_id = err.draft_id })
    assert(client.sms.send{ draft_id = err.draft_id })
    assert.same({ 2, 1 }, { asked, (messages.count()) })
  end)

  it("may call the client, and wait for all else", function()
    local client, got, pending
    client = messages.client{ on_draft = function(id)
      got = assert(client.sms.get(id)).status
      assert(client.sms.get_async(id, function(sms)
        got = got .. sms.status
      end))
      pending = client:wait(5)
    end }
    assert(client.sms.send(params()))
    assert.same({ "draftdraft", 0 }, { got, pending })
  end)

  it("has its time bounded by the call's, in a loop that goes on", function()
    local asked
    local client = messages.client{ loop = "poll", on_draft = function()
      asked = true
      coroutine.yield()
    end }
    assert.is_true(process.sometimes(function() -- the draft may come late
      messages.reset()
      local sms, err
      assert(client.sms.send_async(params(), function(...) sms, err = ... end,
        { timeout = 0.2 }))
      assert.equal(0, client:wait(5))
      assert.same({ "timeout", "not_sent" }, { err.kind, err.outcome })
      if not asked then return false end
      assert.matches("passed in on_draft", err.message)
      refused(sms, err, "timeout")
      return true
    end))
  end)

  it("is asked once, however long it takes, and not kept then", function()
    assert.is_true(process.sometimes(function() -- the draft may come late
      messages.reset()
      local asked = 0
      local client = messages.client{ loop = "poll", timeout = 0.05 }
      local options, alive = kept(function()
        asked = asked + 1
        coroutine.yield()
      end)
      options.timeout = 0.5
      local err
      assert(client.sms.send_async(params(), function(_, why) err = why end,
        options))
      assert.equal(0, client:wait(5))
      if asked == 0 then return false end
      refused(nil, err, "timeout")
      assert.equal(1, asked)
      options = nil -- luacheck: ignore
      client:poll()
      assert.is_false(alive())
      return true
    end))
  end)

  it("is asked once, wherever a finalizer polls", function()
    local now, place = core.now, 0
    local left
    repeat
      place = place + 1
      left = place
      messages.reset()
      local asked = 0
      local client = messages.client{ on_draft = function()
        asked = asked + 1
      end }
      -- As if the finalizer ran where the library looks at the clock.
      core.now = function()
        left = left - 1
        if left == 0 then client:poll() end
        return now()
      end
      local ok, sms, err = pcall(client.sms.send, params())
      core.now = now
      assert(ok and sms, tostring(err or sms))
      assert.equal(1, asked)
      assert.equal("POST PUT", messages.wire())
    until left > 0
    assert.is_true(place > 5)
  end)

  it("may wait for a call that a finalizer ends just before", function()
    local deadline, client = questions.deadline, nil
    client = messages.client{ timeout = 3, on_draft = function()
      questions.deadline = function(...)
        questions.deadline = deadline
        for _ = 1, 500 do
          if client:poll() == 0 then break end
          socket.sleep(0.005)
        end
        return deadline(...)
      end
      assert(client.sms.create(support.params()))
    end }
    local sms, err = client.sms.send(params())
    questions.deadline = deadline
    assert(sms, tostring(err))
  end)

  it("is not asked, nor kept, where the call was cancelled before", function()
    local request, err
    local client = messages.client{ on_event = function(event)
      if event.draft_id then request:cancel() end
    end }
    local options, alive = kept(function() return err end)
    request = client.sms.send_async(params(), function(_, why) err = why end,
      options)
    assert.equal(0, client:wait(5))
    refused(nil, err, "cancelled")
    request = nil
    options = nil -- luacheck: ignore
    assert.is_false(alive())
  end)

  it("may have refused where the callback throws", function()
    local told
    local client = messages.client{ on_draft = function() return false end,
      on_event = function(event)
        if event.callback_error then told = event end
      end }
    assert(client.sms.send_async(params(), function() error "mine" end))
    assert.equal(0, client:wait(5))
    assert.matches("mine", told.callback_error)
    assert.same({ "PUT", true }, { told.method,
      told.path:find "^/activity/sms/acti_%w+/$" ~= nil })
  end)

  it("may yield until the host resumes it, where the loop can", function()
    local client, asleep
    client = messages.client{ loop = "poll", on_draft = function()
      asleep = coroutine.running()
      return coroutine.yield()
    end }
    for _, answer in ipairs{ true, false } do
      local got
      assert(client.sms.send_async(params(), function(...) got = { ... } end))
      while not asleep do client:wait(0.01) end
      assert.equal(1, client:pending())
      local thread = asleep
      asleep = nil
      assert(coroutine.resume(thread, answer))
      assert.equal(0, client:wait(5))
      assert.equal(answer, got[1] ~= nil)
    end
    assert.equal(1, (messages.count()))
  end)

  it("must not yield where nothing can resume it", function()
    local client = messages.client{ on_draft = coroutine.yield }
    local sms, err
    coroutine.wrap(function() sms, err = client.sms.send(params()) end)()
    assert.matches("yielded", err.message)
    refused(sms, err, "cancelled")
  end)

  it("that is interrupted is not asked again: it may have refused", function()
    for _, loop in ipairs{ "blocking", "poll" } do
      messages.reset()
      local asked, sms, err = 0, nil, nil
      local client = messages.client{ loop = loop, on_draft = function()
        asked = asked + 1
        error("interrupted!", 0)
      end }
      assert(client.sms.send_async(params(), function(...) sms, err = ... end))
      assert.same({ false, "interrupted!" }, { pcall(client.wait, client, 5) })
      assert.equal(0, client:wait(5))
      assert.equal(1, asked)
      refused(sms, err, "cancelled")
    end
  end)

  it("may cancel its call, or close the client", function()
    local client, request
    for _, act in ipairs{ function() assert(request:cancel()) end,
      function() client:close() end } do
      messages.reset()
      client = messages.client{ on_draft = act }
      local sms, err
      request = client.sms.send_async(params(), function(...)
        sms, err = ...
      end)
      client:wait(5)
      refused(sms, err, "cancelled")
    end
  end)

  it("is an option of send alone", function()
    local client = messages.client()
    for _, verb in ipairs{ "create", "list" } do
      local none, err = client.sms[verb]({}, { on_draft = print })
      assert.is_nil(none)
      assert.is_true(err.kind == "config" or err.kind == "validation")
    end
    local _, err = client.sms.get("acti_x", nil, { on_draft = print })
    assert.same({ "config", "close: config: on_draft is an option of send " ..
      "alone (outcome: not_sent)" }, { err.kind, tostring(err) })
    local step
    step, err = client.sms.each({}, { on_draft = print })
    assert.same({ nil, "config" }, { step, err.kind })
    _, err = close.new{ api_key = "api_x", on_draft = true }
    assert.equal("option on_draft must be a function", err.message)
  end)

  it("may end its process: another one goes on", function()
    local child = process.start(process.lua(([[
      local close = require "close"
      local client = assert(close.new{ base_url = %q, api_key = %q,
        on_draft = function(id)
          io.write(id, "\n")
          io.flush()
          os.exit(9, false)
        end })
      client.sms.send{ local_phone = "+14154445555",
        remote_phone = "+18183334444", text = "Hi!" }
    ]]):format(server.url, server.api_key)), { stdout = "pipe" })
    local id = child.stdout:read "*l"
    child:stop()
    assert.equal("POST", messages.wire())
    assert.equal(0, (messages.count()))
    local sms = assert(messages.client().sms.send{ draft_id = id })
    assert.same({ id, 1 }, { sms.id, (messages.count()) })
  end)
end)
