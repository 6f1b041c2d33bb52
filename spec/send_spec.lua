-- send: what goes over the wire, what it comes to where each of its steps
-- fails, and that whatever fails the message is delivered exactly once.
local json = require("cjson").new()
local close = require "close"
local core = require "close.core"
local messages = require "spec.support.messages"
local raw = require "spec.support.raw_server"
local sends = require "close.send"
local socket = require "socket"
local support = require "spec.support.client"
local calmly = support.calmly
local params, fault = messages.params, messages.fault

local LEAD = "lead_5vNcXzLkJhGfDsAqWeRtYuIoP1mB2nV3cX4zL6kJ8hG"
local SHORT = 0.15 -- seconds of an attempt, where one is to be silent
local LATE = 0.45 -- after that it comes all the same

local server, scripted

setup(function()
  server = messages.start()
  scripted = raw.start{}
end)
teardown(function()
  messages.stop()
  scripted:stop()
end)
before_each(function()
  messages.reset()
  scripted:reset()
end)
after_each(support.close_all)

local function draft(more)
  local sms = messages.client().sms.create(params{ status = "draft",
    lead_id = more and more.lead_id })
  for name, value in pairs(more or {}) do
    if name ~= "lead_id" then
      assert(messages.client().sms.update(sms.id, { [name] = value }))
    end
  end
  server:clear_faults()
  return sms
end

-- Asserts that a send has delivered its message, and that alone.
local function is_delivered(sms, err, response)
  assert(sms, tostring(err))
  assert.is_nil(err)
  assert.equal(200, response.status)
  local held = messages.find(sms.id)
  assert.is_true(held.status == "sent" or held.status == "scheduled" or
    held.status == "outbox")
  assert.equal(1, (messages.count()))
  assert.is_true(response.elapsed > 0 and response.elapsed < 20)
end

local function has_failed(kind, outcome, sms, err)
  assert.is_nil(sms)
  assert.is_nil(support.fault_of(err))
  assert.equal(kind, err.kind)
  assert.equal(outcome, err.outcome)
  assert.equal("number", type(err.stray_drafts))
  return err
end

describe("a send", function()
  it("makes a draft and sets its status, no more", function()
    local client = messages.client()
    local given = params{ lead_id = LEAD, contact_id = "cont_1" }
    local sms, err, response = client.sms.send(given)
    is_delivered(sms, err, response)
    assert.equal("outbox", sms.status)
    assert.equal("Hi!", sms.text)
    assert.equal(2, response.attempts)
    assert.equal(0, response.stray_drafts)
    assert.equal("POST PUT", messages.wire())
    local requests = messages.requests()
    given.status = "draft"
    assert.same(given, requests[1].json)
    assert.same({}, requests[1].query)
    assert.same({ status = "outbox" }, requests[2].json)
    assert.equal(requests[1].path .. sms.id .. "/", requests[2].path)
    assert.equal("sent", messages.find(sms.id).status)
  end)

  it("has date_scheduled in both, send_in in the second alone", function()
    local client = messages.client()
    local at = os.time() + 3600
    local sms = assert(client.sms.send(params{ date_scheduled = at }))
    assert.equal("scheduled", sms.status)
    local date = os.date("!%Y-%m-%dT%H:%M:%SZ", at)
    local requests = messages.requests()
    assert.equal(date, requests[1].json.date_scheduled)
    assert.equal("draft", requests[1].json.status)
    assert.same({ status = "scheduled", date_scheduled = date },
      requests[2].json)
    messages.reset()
    sms = assert(client.sms.send(params{ send_in = 50 }))
    assert.equal("outbox", messages.find(sms.id).status)
    requests = messages.requests()
    assert.is_nil(requests[1].json.send_in)
    assert.same({ status = "outbox", send_in = 50 }, requests[2].json)
  end)

  it("is at once where its date is null", function()
    assert(messages.client().sms.send(params{ date_scheduled = close.null,
      lead_id = close.null }))
    local requests = messages.requests()
    assert.equal(json.null, requests[1].json.date_scheduled)
    assert.equal(json.null, requests[1].json.lead_id)
    assert.same({ status = "outbox" }, requests[2].json)
  end)

  it("gives all that a creation takes to the draft", function()
    local given = params{ activity_at = "2026-11-23T08:00:00Z", text = false,
      created_by_id = "user_1", date_created = "2026-11-23T08:00:00Z",
      direction = "outbound", organization_id = "orga_1", template_id = "t",
      source = "External", user_id = "user_2", attachments = {} }
    given.extra = { brand_new = { 1 } }
    local before = support.copy(given)
    assert(messages.client().sms.send(given))
    assert.same(before, given)
    local requests = messages.requests()
    given.extra, given.status, given.brand_new = nil, "draft", { 1 }
    assert.same(given, requests[1].json)
    assert.matches('"attachments":%[%]', requests[1].body)
    assert.same({ status = "outbox" }, requests[2].json)
  end)

  it("works in a coroutine, and with a callback", function()
    local client = messages.client{ loop = "poll" }
    local none, err = client.sms.send(params())
    assert.is_nil(none)
    assert.equal("config", err.kind)
    assert.equal("", messages.wire())
    local results
    local thread = coroutine.create(function()
      results = { client.sms.send(params()) }
    end)
    assert(coroutine.resume(thread))
    assert.is_nil(results)
    assert.is_true(messages.eventually(function() return results end, client))
    is_delivered(results[1], results[2], results[3])
    messages.reset()
    local got, callback = messages.collector()
    local request = assert(client.sms.send_async(params(), callback))
    assert.equal(1, client:pending())
    assert.equal(0, got.calls)
    assert.is_true(messages.eventually(function()
      return got.calls > 0
    end, client))
    is_delivered(got.value, got.err, got.response)
    assert.equal(0, client:pending())
    assert.is_false(request:cancel())
    assert.equal(1, got.calls)
  end)

  it("tells its draft to on_event before it is promoted", function()
    local events = {}
    local client = messages.client{ on_event = function(event)
      if event.draft_id then
        event.wire = messages.wire()
        events[#events + 1] = event
      end
    end }
    local sms = assert(client.sms.send(params()))
    assert.same({ { method = "POST", path = "/activity/sms/",
      draft_id = sms.id, wire = "POST" } }, events)
    assert(client.sms.send{ draft_id = draft().id })
    assert.equal(1, #events)
  end)

  it("is not held up by an on_event that throws", function()
    local client = messages.client{ on_event = function() error "oh no" end }
    is_delivered(client.sms.send(params()))
  end)
end)

describe("what send refuses", function()
  local function refuses(given, faults)
    local client = support.new(scripted)
    local sms, err, response = calmly(client.sms.send, given)
    assert.is_nil(sms)
    assert.is_nil(response)
    assert.equal("validation", err.kind)
    assert.equal("rejected", err.outcome)
    assert.same(faults, support.faults(err))
    assert.is_nil(err.draft_id)
    assert.equal(0, scripted:connections())
  end

  it("is what no message can be made of", function()
    refuses(nil, { "params: type" })
    refuses("Hi!", { "params: type" })
    refuses({}, { "local_phone: required", "text: required" })
    refuses(params{ status = "outbox" }, { "status: unknown_field" })
    refuses(params{ send_to_inbox = true }, { "send_to_inbox: unknown_field" })
    refuses(params{ to = "x" }, { "to: unknown_field" })
    refuses(params{ date_scheduled = 0, send_in = 5 }, { "send_in: conflict" })
    refuses(params{ template_id = "a" }, { "template_id: conflict" })
  end)

  it("is a status in extra", function()
    refuses(params{ extra = { status = "sent" } },
      { "extra.status: conflict" })
    refuses(params{ extra = { status = close.null } },
      { "extra.status: conflict" })
    refuses({ draft_id = "acti_1", extra = { status = "draft" } },
      { "extra.status: conflict" })
  end)

  it("is told all at once", function()
    refuses({ draft_id = "a/b", status = "sent", text = 5, to = 1,
      extra = { status = "sent" } }, { "draft_id: format",
      "extra.status: conflict", "status: unknown_field", "text: type",
      "to: unknown_field" })
    refuses({ draft_id = "acti_1", extra = 5 }, { "extra: type" })
    refuses(params{ extra = { a = print } }, { "extra: type" })
    refuses({ draft_id = "acti_1", extra = { a = print } },
      { "extra: type" })
    refuses({ draft_id = "acti_1", local_phone = close.null },
      { "local_phone: required" })
    refuses(params{ text = ("x"):rep(17 * 1024 * 1024) }, { "params: range" })
    refuses({ draft_id = "acti_1", text = ("\1"):rep(3 * 1024 * 1024) },
      { "params: range" })
  end)

  it("is not what extra holds under a field's name", function()
    for _, name in ipairs{ "lead_id", "contact_id", "local_phone",
      "remote_phone", "text", "date_scheduled", "send_in", "template_id",
      "date_created" } do
      for _, value in ipairs{ true, 5, {}, { { 1 } }, "x" } do
        if name == "lead_id" then
          scripted:script{ { reset = true }, {}, {},
            { status = 200, body = '{"data": [], "has_more": false}' } }
        end
        local client = support.new(scripted)
        assert(calmly(client.sms.send, params{ extra = { [name] = value } }))
        client:close()
      end
    end
  end)
end)

-- ---- each step broken at each place ----

local BROKEN = {
  { kind = "close", place = "before" }, { kind = "reset", place = "before" },
  { kind = "close", place = "headers" }, { kind = "reset", place = "half" },
  { kind = "close" }, { kind = "close", acted = true },
  { kind = "reset" }, { kind = "reset", acted = true },
  { kind = "close", place = "answer" }, { kind = "reset", place = "answer" },
  { kind = "close", place = "after" }, { kind = "reset", place = "after" },
  { kind = "status", status = 500 },
  { kind = "status", status = 502, acted = true, body = "<html>" },
  { kind = "status", status = 503, place = "headers" },
  { kind = "body", body = "<html>Please log in</html>" },
  { kind = "body", body = '{"id": "acti_' }, { kind = "body", body = "" },
  { kind = "stall", seconds = 3 },
  { kind = "stall", seconds = 3, acted = true },
  { kind = "stall", seconds = LATE, place = "half" }, -- then goes on
  { kind = "stall", seconds = 3, place = "answer" },
  { kind = "delay", seconds = 3 },
}

local function name_of(broken)
  return ("%s %s%s%s"):format(broken.kind, broken.place or
    broken.status or #(broken.body or ""), broken.acted and ", acted" or "",
    broken.seconds and ", silent" or "")
end

-- A fault with the method of a step.
local function of(method, broken, more)
  local copy = { method = method }
  for name, value in pairs(broken) do copy[name] = value end
  for name, value in pairs(more or {}) do copy[name] = value end
  return copy
end

-- Whether Close has acted on a request that met this fault.
local function has_acted(broken)
  return broken.acted or broken.kind == "body" or broken.kind == "delay" or
    broken.place == "answer" or broken.place == "after"
end

-- Whether it has then, or does later, and nobody is told.
local function has_lost(broken)
  return has_acted(broken) and broken.place ~= "after" or
    broken.seconds == LATE
end

-- Until nothing comes late any more.
local function settle(broken)
  if broken.seconds == LATE then socket.sleep(LATE) end
end

describe("a send whose first request breaks by", function()
  for _, broken in ipairs(BROKEN) do
    it(name_of(broken), function()
      fault(of("POST", broken))
      local client = messages.client{ attempt_timeout = SHORT }
      local sms, err, response = client.sms.send(params())
      is_delivered(sms, err, response)
      settle(broken)
      local delivered, drafts = messages.count()
      assert.equal(1, delivered)
      assert.equal(has_lost(broken) and 1 or 0, drafts)
      assert.is_true(drafts <= response.stray_drafts)
      assert.is_true(response.attempts >= #server:requests())
      if broken.place == nil or broken.place == "answer" then
        assert.equal("POST POST PUT", messages.wire())
        assert.equal(3, response.attempts)
        assert.equal(1, response.stray_drafts)
      end
    end)
  end
end)

describe("a send whose second request breaks by", function()
  for _, broken in ipairs(BROKEN) do
    for _, more in ipairs{ {}, { date_scheduled = os.time() + 3600 } } do
      local suffix = more.date_scheduled and ", scheduled" or ""
      if suffix == "" or broken.kind == "reset" and not broken.place then
        it(name_of(broken) .. suffix, function()
          fault(of("PUT", broken))
          local client = messages.client{ attempt_timeout = SHORT }
          local sms, err, response = client.sms.send(params(more))
          is_delivered(sms, err, response)
          assert.equal(0, response.stray_drafts)
          settle(broken)
          assert.same({ 1, 0 }, { messages.count() })
          assert.is_true(response.attempts >= #server:requests())
          if broken.place == "half" and broken.seconds then
            assert.matches("^POST GET .*PUT", messages.wire())
          elseif broken.place == "after" then
            assert.equal("POST PUT", messages.wire())
          elseif has_acted(broken) then
            assert.equal("POST PUT GET", messages.wire())
            assert.equal(3, response.attempts)
          elseif broken.place == nil then
            assert.equal("POST PUT GET PUT", messages.wire())
            assert.equal(4, response.attempts)
          else
            assert.equal("POST GET PUT", messages.wire())
          end
        end)
      end
    end
  end
end)

describe("a send whose look breaks by", function()
  for i, broken in ipairs(BROKEN) do
    it(name_of(broken), function()
      local acted = i % 2 == 0
      fault{ kind = "reset", method = "PUT", acted = acted }
      fault(of("GET", broken))
      local client = messages.client{ attempt_timeout = SHORT }
      is_delivered(client.sms.send(params()))
      settle(broken)
      assert.same({ 1, 0 }, { messages.count() })
      local requests = messages.requests "PUT"
      assert.equal(acted and 1 or 2, #requests)
    end)
  end
end)

describe("a send", function()
  it("is delivered once, however often its steps break", function()
    local client = messages.client{ attempt_timeout = SHORT }
    for _, method in ipairs{ "POST", "PUT", "GET" } do
      fault{ kind = "reset", method = method, acted = true, times = 2 }
      fault{ kind = "status", status = 500, method = method }
    end
    local sms, err, response = client.sms.send(params{ lead_id = LEAD })
    is_delivered(sms, err, response)
    local _, drafts = messages.count()
    assert.equal(0, drafts)
    assert.equal(0, response.stray_drafts)
  end)

  it("waits as a 429 asks at each step", function()
    for _, method in ipairs{ "POST", "PUT", "GET" } do
      messages.reset()
      if method == "GET" then fault{ kind = "reset", method = "PUT" } end
      fault{ kind = "status", status = 429, method = method, times = 2,
        headers = { ["Retry-After"] = "0",
          RateLimit = "limit=9, remaining=9, reset=0" } }
      is_delivered(messages.client().sms.send(params()))
    end
  end)

  it("waits as a 503 asks before it promotes again", function()
    fault{ kind = "status", status = 503, method = "PUT",
      headers = { ["Retry-After"] = "1" } }
    is_delivered(messages.client().sms.send(params()))
    local requests = messages.requests "PUT"
    assert.is_true(requests[2].time - requests[1].time > 0.9)
  end)

  it("begins no pause that its deadline would cut", function()
    fault{ kind = "status", status = 503, method = "PUT",
      headers = { ["Retry-After"] = "3600" } }
    local begun = os.time()
    local sms, err = messages.client().sms.send(params(), { timeout = 60 })
    has_failed("server", "unknown", sms, err)
    assert.equal(3600, err.retry_after)
    assert.is_true(os.time() - begun < 30)
    assert.equal("POST PUT GET", messages.wire())
  end)

  it("ends in time where nothing answers", function()
    for _, method in ipairs{ "POST", "PUT" } do
      messages.reset()
      fault{ kind = "stall", seconds = 5, method = method, times = 100 }
      local client = messages.client()
      local begun = os.time()
      local sms, err = client.sms.send(params(), { timeout = 0.4 })
      has_failed("timeout", method == "POST" and "not_sent" or "unknown",
        sms, err)
      assert.is_true(os.time() - begun < 5)
      assert.equal(method == "PUT", err.draft_id ~= nil)
      assert.equal(method == "POST" and 1 or 0, err.stray_drafts)
    end
  end)
end)

describe("a send whose server is gone once the draft is there", function()
  it("has sent nothing", function()
    local gone = raw.start{ { headers = { Connection = "close" },
      status = 200, body = { id = "acti_1", status = "draft" } } }
    local client = support.new(gone, { on_event = function(event)
      if event.draft_id then gone:stop() end
    end })
    local sms, err = client.sms.send(params(), { max_retries = 1 })
    gone:stop()
    has_failed("connection", "not_sent", sms, err)
    assert.equal("acti_1", err.draft_id)
    assert.is_true(err.attempts > 2)
  end)
end)

describe("a refusal", function()
  local REFUSALS = { [400] = "api", [401] = "authentication", [402] = "api",
    [403] = "api", [404] = "not_found", [422] = "api" }

  it("of the draft rejects the message", function()
    local client = messages.client()
    for status, kind in pairs(REFUSALS) do
      messages.reset()
      fault{ kind = "status", status = status, method = "POST",
        body = '{"error": "no such thing"}' }
      local sms, err, response = client.sms.send(params())
      has_failed(kind, "rejected", sms, err)
      assert.is_nil(err.draft_id)
      assert.equal(status, response.status)
      assert.equal(1, err.attempts)
      assert.equal(0, err.stray_drafts)
      assert.equal("no such thing", err.errors[1].message)
      assert.equal("POST", messages.wire())
    end
  end)

  it("of the draft does so, too, where one may be there", function()
    fault{ kind = "reset", method = "POST", acted = true }
    fault{ kind = "status", status = 400, method = "POST" }
    local sms, err = messages.client().sms.send(params())
    has_failed("api", "rejected", sms, err)
    assert.is_nil(err.draft_id)
    assert.equal(2, err.attempts)
    assert.equal(1, err.stray_drafts)
    assert.equal("POST POST", messages.wire())
  end)

  it("of the promotion rejects it, and names the draft", function()
    local client = messages.client()
    for status, kind in pairs(REFUSALS) do
      messages.reset()
      fault{ kind = "status", status = status, method = "PUT",
        body = '{"field-errors": {"text": "too long"}}' }
      local sms, err, response = client.sms.send(params())
      has_failed(kind, "rejected", sms, err)
      assert.equal(status, response.status)
      assert.equal(2, err.attempts)
      assert.equal("text", err.errors[1].field)
      assert.equal("draft", messages.find(err.draft_id).status)
      assert.equal("POST PUT", messages.wire())
      assert(client.sms.send{ draft_id = err.draft_id })
      assert.equal(1, (messages.count()))
    end
  end)

  it("of a second promotion is looked at, as the first may have acted",
    function()
      -- What the first request did shows late: after the look.
      local id = '"id": "acti_1"'
      local sent = { status = 200, body = '{"id": "acti_1", "status": "sent"}' }
      local drafted = { status = 200,
        body = "{" .. id .. ', "status": "draft"}' }
      local client = support.new(scripted)
      scripted:script{ drafted, { reset = true }, drafted, { status = 400 },
        sent }
      local sms, err, response = client.sms.send(params())
      assert(sms, tostring(err))
      assert.equal("sent", sms.status)
      assert.equal(5, response.attempts)
      scripted:script{ drafted, { reset = true }, drafted, { status = 400 },
        drafted }
      err = has_failed("api", "unknown", client.sms.send(params()))
      assert.equal("acti_1", err.draft_id)
    end)

  it("of the look leaves unknown what it was to tell", function()
    fault{ kind = "reset", method = "PUT", acted = true }
    fault{ kind = "status", status = 403, method = "GET" }
    local client = messages.client()
    local err = has_failed("api", "unknown", client.sms.send(params()))
    assert.equal(3, err.attempts)
    assert.equal("POST PUT GET", messages.wire())
    is_delivered(client.sms.send{ draft_id = err.draft_id })
    assert.equal("POST PUT GET GET", messages.wire())
  end)

  it("of the look does so, too, after an answer that cannot be read", function()
    fault{ kind = "body", method = "PUT", body = "<html>" }
    fault{ kind = "status", status = 403, method = "GET" }
    has_failed("api", "unknown", messages.client().sms.send(params()))
  end)

  it("by a rate limit past the deadline ends the send at once", function()
    local client = messages.client()
    fault{ kind = "status", status = 429, method = "PUT",
      headers = { ["Retry-After"] = "3600",
        RateLimit = "limit=9, remaining=0, reset=3600" } }
    local err = has_failed("rate_limited", "rejected",
      client.sms.send(params()))
    assert.equal(3600, err.retry_after)
    assert.equal("draft", messages.find(err.draft_id).status)
  end)
end)

describe("a send that ends unknown", function()
  for _, acted in ipairs{ true, false } do
    it("goes on with its draft, " .. (acted and "" or "not ") .. "promoted",
      function()
        fault{ kind = "reset", method = "PUT", acted = acted }
        fault{ kind = "status", status = 500, method = "GET", times = 1000 }
        local client = messages.client()
        local sms, err = client.sms.send(params(), { timeout = 0.6 })
        has_failed("server", "unknown", sms, err)
        assert.is_true(err.attempts >= 3)
        assert.equal("string", type(err.draft_id))
        server:clear_faults()
        local before = #server:requests()
        sms = assert(client.sms.send{ draft_id = err.draft_id })
        assert.equal(err.draft_id, sms.id)
        assert.equal(1, (messages.count()))
        assert.equal(acted and 1 or 2, #server:requests() - before)
        assert(client.sms.send{ draft_id = err.draft_id })
        assert.equal(1, (messages.count()))
      end)
  end
end)

-- ---- going on with a draft ----

describe("a send of a draft", function()
  it("looks at it and promotes it", function()
    local id = draft().id
    messages.client()
    local sms, err, response = messages.client().sms.send{ draft_id = id }
    is_delivered(sms, err, response)
    assert.equal(id, sms.id)
    assert.equal("POST GET PUT", messages.wire())
    assert.same({ status = "outbox" }, messages.requests "PUT"[1].json)
    assert.equal(2, response.attempts)
    assert.equal(0, response.stray_drafts)
  end)

  it("leaves alone what is promoted", function()
    local client = messages.client()
    for _, more in ipairs{ {}, { send_in = 50 },
      { date_scheduled = os.time() + 3600 } } do
      messages.reset()
      local first = assert(client.sms.send(params(more)))
      local sms, err, response = client.sms.send{ draft_id = first.id,
        text = "another text" }
      is_delivered(sms, err, response)
      assert.equal(first.id, sms.id)
      assert.equal("Hi!", sms.text)
      assert.equal("POST PUT GET", messages.wire())
      assert.equal(1, response.attempts)
    end
  end)

  it("schedules it by its own date", function()
    local client = messages.client()
    local sms = assert(client.sms.create{ status = "draft", text = "a",
      local_phone = "+14154445555", date_scheduled = "2031-01-01T08:00:00Z" })
    local sent = assert(client.sms.send{ draft_id = sms.id })
    assert.equal("scheduled", sent.status)
    assert.equal(sms.date_scheduled, sent.date_scheduled)
    assert.same({ status = "scheduled", date_scheduled = sms.date_scheduled },
      messages.requests "PUT"[1].json)
  end)

  it("looks again where the look cannot be read", function()
    for _, date in ipairs{ close.null, "2031-01-01T08:00:00.000000+00:00" } do
      messages.reset()
      local client = messages.client()
      local sms = assert(client.sms.create{ status = "draft", text = "a",
        local_phone = "+14154445555", date_scheduled = date })
      fault{ kind = "body", body = "<html>", method = "GET", times = 2 }
      local sent = assert(client.sms.send{ draft_id = sms.id })
      assert.equal(sms.date_scheduled, sent.date_scheduled)
      assert.equal("POST GET GET GET PUT", messages.wire())
    end
  end)

  it("sends it at once where the date is null", function()
    local client = messages.client()
    local sms = assert(client.sms.create{ status = "draft", text = "a",
      local_phone = "+14154445555", date_scheduled = "2031-01-01T08:00:00Z" })
    assert(client.sms.send{ draft_id = sms.id, date_scheduled = close.null })
    assert.equal("sent", messages.find(sms.id).status)
    assert.same({ status = "outbox" }, messages.requests "PUT"[1].json)
  end)

  it("schedules it by the date that is given", function()
    local client = messages.client()
    local sms = assert(client.sms.create{ status = "draft", text = "a",
      local_phone = "+14154445555", date_scheduled = "2031-01-01T08:00:00Z" })
    local sent = assert(client.sms.send{ draft_id = sms.id,
      date_scheduled = "2032-01-01T08:00:00Z" })
    assert.matches("^2032", sent.date_scheduled)
  end)

  it("changes what else is given, but for what is fixed", function()
    local id = draft().id
    local given = { draft_id = id, text = "new", lead_id = LEAD, send_in = 50,
      direction = "outbound", source = "External", created_by_id = "user_1",
      date_created = 0, organization_id = "orga_1", contact_id = close.null,
      attachments = {}, extra = { brand_new = 1 } }
    local before = support.copy(given)
    local sms = assert(messages.client().sms.send(given))
    assert.same(before, given)
    assert.equal("new", sms.text)
    local request = messages.requests "PUT"[1]
    assert.same({ status = "outbox", send_in = 50, text = "new",
      lead_id = LEAD, contact_id = json.null, attachments = {}, brand_new = 1 },
      request.json)
    assert.matches('"attachments":%[%]', request.body)
  end)

  it("sends what was given, whatever becomes of that", function()
    local id, attachments = draft().id, { support.attachment() }
    local extra = { deep = { a = 1 } }
    local client = messages.client()
    local got, callback = messages.collector()
    assert(client.sms.send_async({ draft_id = id, attachments = attachments,
      extra = extra }, callback))
    attachments[1].filename, attachments[2] = "another", "nonsense"
    extra.deep.a = print
    client:wait(10)
    is_delivered(got.value, got.err, got.response)
    local body = messages.requests "PUT"[1].json
    assert.same({ support.attachment() }, body.attachments)
    assert.same({ a = 1 }, body.deep)
  end)

  it("is unknown where there is none any more", function()
    local client = messages.client()
    local err = has_failed("not_found", "unknown",
      client.sms.send{ draft_id = "acti_none" })
    assert.equal("acti_none", err.draft_id)
    assert.equal("GET", messages.wire())
  end)

  it("is rejected where it is an SMS that was received", function()
    local client = messages.client()
    local sms = assert(client.sms.create(params{ status = "inbox" }))
    local err = has_failed("api", "rejected",
      client.sms.send{ draft_id = sms.id })
    assert.equal(sms.id, err.draft_id)
    assert.equal("Only drafts can be modified.", err.errors[1].message)
    assert.equal("inbox", messages.find(sms.id).status)
  end)

  it("is unknown where the look fails", function()
    local id = draft().id
    local client = messages.client()
    fault{ kind = "status", status = 500, method = "GET", times = 100 }
    local sms, err = client.sms.send({ draft_id = id }, { max_retries = 1 })
    has_failed("server", "unknown", sms, err)
    assert.equal(2, err.attempts)
    assert.equal(id, err.draft_id)
    assert.equal("POST GET GET", messages.wire())
  end)

  it("is rejected without a look where the refusal is not about it", function()
    for status, kind in pairs{ [401] = "authentication",
      [429] = "rate_limited" } do
      messages.reset()
      local id = draft().id
      fault{ kind = "status", status = status, method = "PUT", times = 9,
        headers = { ["Retry-After"] = "3600",
          RateLimit = "limit=9, remaining=9, reset=3600" } }
      local err = has_failed(kind, "rejected",
        messages.client().sms.send{ draft_id = id })
      assert.equal(id, err.draft_id)
      assert.equal("POST GET PUT", messages.wire())
    end
  end)

  it("is delivered once where each of its steps breaks", function()
    for _, broken in ipairs(BROKEN) do
      if broken.place == nil and (broken.kind ~= "stall" or broken.acted) then
        for _, method in ipairs{ "GET", "PUT" } do
          messages.reset()
          local id = draft().id
          fault(of(method, broken))
          local client = messages.client{ attempt_timeout = SHORT }
          is_delivered(client.sms.send{ draft_id = id })
          client:close()
        end
      end
    end
  end)

  it("is no refusal where somebody else has promoted it meanwhile", function()
    -- An earlier send's request that was on its way for long, say.
    local function body(status)
      return { status = 200, body = json.encode{ id = "acti_1",
        status = status } }
    end
    local client = support.new(scripted)
    for _, status in ipairs{ "sent", "outbox", "scheduled" } do
      scripted:script{ body "draft", { status = 400 }, body(status) }
      local sms, err, response = client.sms.send{ draft_id = "acti_1" }
      assert(sms, tostring(err))
      assert.equal(status, sms.status)
      assert.equal(3, response.attempts)
    end
    scripted:script{ body "draft", { status = 400 }, { status = 403 } }
    has_failed("api", "unknown", client.sms.send{ draft_id = "acti_1" })
    scripted:script{ body "draft", { status = 400 }, body "draft" }
    has_failed("api", "rejected", client.sms.send{ draft_id = "acti_1" })
  end)

  it("at once with another of the same is one delivery", function()
    local id = draft().id
    local one, other = messages.client(), messages.client()
    local first, tell_first = messages.collector()
    local second, tell_second = messages.collector()
    assert(one.sms.send_async({ draft_id = id }, tell_first))
    assert(other.sms.send_async({ draft_id = id }, tell_second))
    assert.is_true(messages.eventually(function()
      one:poll()
      return first.calls + second.calls == 2
    end, other))
    assert.equal(1, (messages.count()))
    assert(first.value, tostring(first.err))
    assert(second.value, tostring(second.err))
  end)
end)

-- ---- strays ----

describe("a stray", function()
  local ACTED = { kind = "reset", method = "POST", acted = true }
  local LOST = { kind = "reset", method = "POST" }

  -- A send with a lead that has left strays, as the fault says.
  local function send(broken, more, client)
    fault(broken)
    more = more or {}
    if more.lead_id == nil then more.lead_id = LEAD end
    client = client or messages.client()
    local sms, err, response = client.sms.send(params(more))
    is_delivered(sms, err, response)
    return response, sms
  end

  it("is found by its lead, and deleted", function()
    local response, sms = send(ACTED)
    assert.equal(0, response.stray_drafts)
    assert.equal("POST POST PUT LIST DELETE", messages.wire())
    assert.equal(5, response.attempts)
    local list = messages.requests "GET"[1]
    assert.equal(LEAD, list.query.lead_id)
    assert.equal(1, #server:messages())
    assert.equal("sent", messages.find(sms.id).status)
  end)

  it("is found where there are several", function()
    local response = send{ kind = "reset", method = "POST", acted = true,
      times = 3 }
    assert.equal(0, response.stray_drafts)
    assert.equal(1, #server:messages())
  end)

  it("is found where the lead has more SMS than a page holds", function()
    local client = messages.client()
    for _ = 1, 101 do
      assert(client.sms.create(params{ status = "sent", lead_id = LEAD,
        date_created = 0 }))
    end
    local before = #server:messages()
    fault(ACTED)
    local _, err, response = client.sms.send(params{ lead_id = LEAD })
    assert.is_nil(err)
    assert.equal(0, response.stray_drafts)
    assert.equal(before + 1, #server:messages())
  end)

  it("is not missed where there is none", function()
    local response = send(LOST)
    assert.equal(0, response.stray_drafts)
    assert.equal("POST POST PUT LIST", messages.wire())
  end)

  it("is not looked for on a good day", function()
    assert(messages.client().sms.send(params{ lead_id = LEAD }))
    assert.equal("POST PUT", messages.wire())
  end)

  it("is counted where there is no lead", function()
    for _, lead in ipairs{ false, close.null, "a&_limit=1", "a b", "", "a#",
      "\0", ("x"):rep(70000) } do
      messages.reset()
      local response = send(ACTED, { lead_id = lead })
      assert.equal(1, response.stray_drafts)
      assert.equal("POST POST PUT", messages.wire())
      assert.equal(2, #server:messages())
    end
  end)

  it("is one of a template or of a scheduled message, too", function()
    local response = send(ACTED, { text = false, template_id = "smstmpl_1",
      date_scheduled = os.time() + 3600 })
    assert.equal(0, response.stray_drafts)
    assert.equal(1, #server:messages())
  end)

  it("is deleted where the message was rejected", function()
    fault(ACTED)
    fault{ kind = "status", status = 400, method = "POST" }
    local client = messages.client()
    local err = has_failed("api", "rejected",
      client.sms.send(params{ lead_id = LEAD }))
    assert.equal(0, err.stray_drafts)
    assert.equal(4, err.attempts)
    assert.equal("POST POST LIST DELETE", messages.wire())
    assert.equal(0, #server:messages())
    messages.reset()
    fault(ACTED)
    fault{ kind = "status", status = 400, method = "PUT" }
    err = has_failed("api", "rejected",
      client.sms.send(params{ lead_id = LEAD }))
    assert.equal(0, err.stray_drafts)
    assert.equal(1, #server:messages())
    assert.equal("draft", messages.find(err.draft_id).status)
  end)

  it("may stay where it cannot be deleted", function()
    for _, broken in ipairs{
      { kind = "status", status = 403, method = "DELETE" },
      { kind = "status", status = 403, method = "GET" },
      { kind = "body", body = '{"data": [], "has_more": true}',
        method = "GET" },
    } do
      messages.reset()
      fault(broken)
      local response = send(ACTED)
      assert.equal(1, response.stray_drafts)
      assert.equal(2, #server:messages())
    end
  end)

  it("counts as gone where it is", function()
    fault{ kind = "reset", method = "DELETE", acted = true }
    assert.equal(0, send(ACTED).stray_drafts)
    assert.equal(1, #server:messages())
  end)

  it("is looked for again where the list cannot be read", function()
    for _, body in ipairs{ "[]", '{"data": 5}', "<html>" } do
      messages.reset()
      fault{ kind = "body", body = body, method = "GET" }
      assert.equal(0, send(ACTED).stray_drafts)
      assert.equal(1, #server:messages())
    end
  end)

  it("does not make of what is delivered an error", function()
    for _, broken in ipairs{ { kind = "status", status = 500 },
      { kind = "body", body = "[]" }, { kind = "stall", seconds = 5 } } do
      messages.reset()
      broken.method, broken.times = "GET", 1000
      fault(broken)
      fault(ACTED)
      local sms, err, response = messages.client().sms.send(
        params{ lead_id = LEAD }, { timeout = 1.5 })
      assert(sms, tostring(err))
      assert.equal(1, response.stray_drafts)
      server:clear_faults()
    end
  end)

  -- What another has there. The stray of ours is never it.
  local function keeps(others, broken, more)
    messages.reset()
    local ids = {}
    for i, other in ipairs(others) do
      local given = params{ lead_id = LEAD, status = "draft" }
      for name, value in pairs(other) do
        if value == false then value = nil end
        given[name] = value
      end
      ids[i] = assert(messages.client().sms.create(given)).id
    end
    local response = send(broken, more)
    for i, id in ipairs(ids) do
      assert(messages.find(id), ("%d is gone"):format(i))
    end
    return response
  end

  it("is not what differs", function()
    local now = os.time()
    local others = {
      { text = "Hi" }, { text = "Hi! " }, { text = false },
      { remote_phone = "+18183334445" }, { remote_phone = false },
      { local_phone = "+14154445556" }, { contact_id = "cont_1" },
      { lead_id = "lead_1" }, { direction = "inbound" },
      { status = "inbox" }, { status = "outbox", send_in = 50 },
      { date_created = now - 6 },
    }
    for _, other in ipairs(others) do
      messages.reset()
      local given = params{ lead_id = LEAD, status = "draft" }
      for name, value in pairs(other) do
        if value == false then value = nil end
        given[name] = value
      end
      local id = assert(messages.client().sms.create(given)).id
      fault(LOST)
      local client = messages.client()
      assert(client.sms.send(params{ lead_id = LEAD }))
      assert(messages.find(id), json.encode(other))
      client:close()
    end
  end)

  it("is found among others", function()
    local response = keeps({ { text = "Hi" }, { date_created = 0 },
      { remote_phone = "+18183334445" }, { status = "inbox" } }, ACTED, {
      send_in = 50 })
    assert.equal(0, response.stray_drafts)
    assert.equal(5, #server:messages())
  end)

  it("is left alone where there are more than ours can be", function()
    -- Who made the second one?
    local response = keeps({ {} }, ACTED)
    assert.equal(1, response.stray_drafts)
    assert.equal(3, #server:messages())
  end)

  it("is not what the template of another wrote, nor its picture", function()
    local client = messages.client()
    for _, more in ipairs{ { template_id = "smstmpl_1" },
      { attachments = { support.attachment() } } } do
      for _, other in ipairs{ {}, { text = false, template_id = "smstmpl_2" },
        { text = false, attachments = { support.attachment{
          filename = "b.png" } } },
        { attachments = { support.attachment() } } } do
        messages.reset()
        local given = params{ lead_id = LEAD, status = "draft",
          text = other.text, template_id = other.template_id,
          attachments = other.attachments }
        local id = assert(client.sms.create(given)).id
        fault(LOST)
        fault{ kind = "status", status = 400, method = "POST" }
        more.text, more.lead_id = false, LEAD
        has_failed("api", "rejected", client.sms.send(params(more)))
        assert(messages.find(id), json.encode{ more, other })
      end
    end
  end)

  it("of a message with a date of its own has that date", function()
    local function dated(more)
      messages.reset()
      local old = assert(messages.client().sms.create(params{ status = "draft",
        lead_id = LEAD, date_created = "2020-06-01T00:00:00Z" })).id
      local new = assert(messages.client().sms.create(params{ status = "draft",
        lead_id = LEAD })).id
      fault(more.fault)
      local client = messages.client()
      local sms, _, response = client.sms.send(params{ lead_id = LEAD,
        date_created = "2020-01-01T00:00:00Z" })
      assert(messages.find(old) and messages.find(new))
      assert.equal("sent", messages.find(sms.id).status)
      assert.equal(0, response.stray_drafts)
      assert.equal(3, #server:messages())
    end
    dated{ fault = LOST }
    dated{ fault = ACTED }
    for _, date in ipairs{ "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
      -62167219200 } do
      messages.reset()
      fault(LOST)
      assert(calmly(messages.client().sms.send, params{ lead_id = LEAD,
        date_created = date }))
    end
  end)

  it("is not the draft of the same that is being sent", function()
    local client = messages.client()
    fault{ kind = "reset", method = "POST", acted = true }
    local first, tell_first = messages.collector()
    local second, tell_second = messages.collector()
    assert(client.sms.send_async(params{ lead_id = LEAD }, tell_first))
    assert(client.sms.send_async(params{ lead_id = LEAD, send_in = 30 },
      tell_second))
    client:wait(10)
    assert(first.value, tostring(first.err))
    assert(second.value, tostring(second.err))
    local delivered, drafts = messages.count()
    assert.equal(2, delivered)
    assert.is_true(drafts <= first.response.stray_drafts +
      second.response.stray_drafts)
  end)

  it("is not the draft that another send goes on with", function()
    local client = messages.client()
    local id = assert(client.sms.create(params{ status = "draft",
      lead_id = LEAD })).id
    -- Its promotion takes its time, while the other send cleans up.
    fault{ kind = "stall", seconds = 1.2, method = "PUT", path = id }
    local got, callback = messages.collector()
    assert(client.sms.send_async({ draft_id = id }, callback))
    assert.is_true(messages.eventually(function()
      return messages.wire() == "POST GET PUT"
    end, client))
    fault(LOST)
    assert(client.sms.send(params{ lead_id = LEAD }))
    assert(messages.find(id))
    client:wait(10)
    assert(got.value, tostring(got.err))
    assert.equal(2, (messages.count()))
  end)

  -- A send of the same with its promotion held; returns what it will get.
  local function held(client, more)
    fault{ kind = "stall", seconds = 1.2, method = "PUT" }
    local got, callback = messages.collector()
    more = more or {}
    more.lead_id = LEAD
    assert(client.sms.send_async(params(more), callback))
    assert.is_true(messages.eventually(function()
      return messages.wire() == "POST PUT"
    end, client))
    return got
  end

  it("is not looked for before all of the same are over", function()
    local client = messages.client()
    local got = held(client)
    assert(client.sms.send(params{ lead_id = LEAD }))
    fault(LOST)
    assert(client.sms.send(params{ lead_id = LEAD }))
    client:wait(10)
    assert(got.value, tostring(got.err))
    assert.same({ 3, 0 }, { messages.count() })
  end)

  it("is not a draft of the same that is not answered yet", function()
    local client = messages.client()
    fault{ kind = "delay", seconds = 1.2, method = "POST" }
    local got, callback = messages.collector()
    assert(client.sms.send_async(params{ lead_id = LEAD }, callback))
    assert.is_true(messages.eventually(function()
      return #server:messages() == 1
    end, client))
    fault(LOST)
    assert(client.sms.send(params{ lead_id = LEAD }))
    client:wait(10)
    assert(got.value, tostring(got.err))
    assert.same({ 2, 0 }, { messages.count() })
  end)

  it("is not another's draft that Close has made the same", function()
    local client = messages.client()
    local got = held(client, { contact_id = "cont_1" })
    local filled = support.copy(server:messages()[1])
    filled.id = "acti_elsewhere"
    fault(LOST)
    fault{ kind = "body", body = json.encode(filled), method = "POST" }
    has_failed("not_found", "rejected",
      client.sms.send(params{ lead_id = LEAD }))
    assert.matches("LIST", messages.wire())
    client:wait(10)
    assert(got.value, tostring(got.err))
    assert.equal(1, (messages.count()))
  end)

  it("is looked for again once the others are over", function()
    -- Whatever ended them: nothing of them is left behind.
    local client = messages.client()
    local message = params{ lead_id = LEAD }
    fault{ kind = "status", status = 400, method = "POST" }
    assert.is_nil((client.sms.send(message)))
    fault{ kind = "status", status = 400, method = "PUT" }
    assert.is_nil((client.sms.send(message)))
    fault{ kind = "reset", method = "PUT" }
    fault{ kind = "status", status = 403, method = "GET" }
    assert.is_nil((client.sms.send(message)))
    assert.is_nil((client.sms.send(message, { timeout = 1e-9 })))
    assert.is_nil((client.sms.send(message, { timeout = 0 })))
    assert.is_nil((client.sms.send_async(message)))
    for _ = 1, 2 do
      local got, callback = messages.collector()
      local request = assert(client.sms.send_async(message, callback))
      request:cancel()
      client:wait(5)
      assert.equal("cancelled", got.err.kind)
    end
    server:reset()
    local response = send(ACTED, nil, client)
    assert.equal(0, response.stray_drafts)
    assert.equal("POST POST PUT LIST DELETE", messages.wire())
  end)
end)

describe("what is kept of a send", function()
  -- Plays the answers to a send's requests to it, without a network; returns
  -- what it keeps while it goes on, and at its end.
  local function play(given, answers)
    local transport = { sending = {}, tell = function() end }
    local call = assert(sends.to_call(given, transport))
    call.timeout, call.unsure, call.retries = 10, 0, 0
    call.due, call.path = core.now() + 10, "/activity/sms/"
    call.started()
    local kept, request = 0, nil
    for _, answer in ipairs(answers) do
      if next(transport.sending) then kept = kept + 1 end
      local response = { status = 200, attempts = 1, body = answer.body }
      request = call.follow(call, answer.body and response or nil,
        not answer.body and { attempts = 1, outcome = answer.outcome,
          kind = "api", status = answer.status } or nil)
    end
    assert.is_nil(request)
    assert.equal(#answers, kept)
    return transport.sending
  end

  it("is nothing, once it is over", function()
    local drafted = { body = '{"id": "acti_1", "status": "draft"}' }
    local sent = { body = '{"id": "acti_1", "status": "sent"}' }
    local refused = { outcome = "rejected", status = 400 }
    local lost = { outcome = "unknown" }
    for _, answers in ipairs{ { drafted, sent }, { refused }, { lost },
      { { body = "" } }, { drafted, refused }, { drafted, lost, lost },
      { drafted, lost, sent }, { drafted, lost, drafted } } do
      assert.same({}, play(params(), answers))
    end
    for _, answers in ipairs{ { sent }, { refused }, { lost },
      { { body = "" } }, { drafted, sent }, { drafted, refused, sent },
      { drafted, lost, lost } } do
      assert.same({}, play({ draft_id = "acti_1" }, answers))
    end
  end)
end)

-- ---- odd answers ----

describe("an odd answer", function()
  local function answer(more)
    local body = { id = "acti_1", status = "draft", lead_id = LEAD,
      date_created = "2026-11-23T08:00:01.186000+00:00" }
    for name, value in pairs(more or {}) do body[name] = value end
    return { status = 200, body = json.encode(body) }
  end
  local SENT = { status = 200, body = '{"id": "acti_1", "status": "sent"}' }

  it("to the draft does no harm", function()
    for _, more in ipairs{ { lead_id = {} }, { lead_id = 5 },
      { lead_id = "a&b" }, { lead_id = true }, { date_created = 5 },
      { date_created = {} }, { date_created = "soon" }, { text = { 1 } } } do
      scripted:reset()
      scripted:script{ { reset = true }, answer(more), SENT,
        { status = 200, body = '{"data": []}' } }
      local client = support.new(scripted)
      local sms, err = calmly(client.sms.send, params{ lead_id = LEAD })
      assert(sms, tostring(err))
      client:close()
    end
  end)

  it("to the draft sends nothing elsewhere", function()
    for _, id in ipairs{ "", "..", "a/b", "a?b", "../../lead/x" } do
      scripted:reset()
      scripted:default(answer{ id = id })
      local client = support.new(scripted, { max_retries = 0 })
      has_failed("protocol", "not_sent", client.sms.send(params()))
      assert.equal(1, #scripted:ledger())
      client:close()
    end
  end)

  it("to the look for strays deletes nothing", function()
    for _, data in ipairs{ { 5, "x", {}, json.null }, { {
      id = "../lead/x", status = "draft", lead_id = LEAD,
      date_created = "2026-11-23T08:00:01.186000+00:00" } },
      { { id = "acti_2", status = "draft", lead_id = LEAD,
        date_created = "2026-11-23T07:00:00+00:00" } },
      { { id = "acti_2", status = "draft", lead_id = LEAD,
        date_created = 5 } }, { { id = "acti_2", status = "draft",
        lead_id = LEAD } } } do
      scripted:reset()
      scripted:script{ { reset = true }, answer(), SENT,
        { status = 200, body = json.encode{ data = data } } }
      local client = support.new(scripted)
      assert(calmly(client.sms.send, params{ lead_id = LEAD }))
      assert.equal(4, #scripted:ledger())
      client:close()
    end
  end)

  it("that says nothing of the status is looked behind", function()
    for _, more in ipairs{ { status = json.null }, { status = 5 },
      { status = {} }, { status = "draft" }, { status = "inbox" } } do
      scripted:reset()
      scripted:script{ answer(), answer(more), SENT }
      local client = support.new(scripted)
      local sms, _, response = client.sms.send(params())
      assert.equal("sent", sms.status)
      assert.equal(3, response.attempts)
      client:close()
    end
  end)

  it("with a status that is new counts as sent", function()
    scripted:script{ answer(), answer{ status = "queued" } }
    local sms = assert(support.new(scripted).sms.send(params()))
    assert.equal("queued", sms.status)
    assert.equal(2, #scripted:ledger())
  end)
end)

-- ---- cancelling, closing ----

-- Each step, held: what is there when the send is ended in it, and what is
-- true then.
local STEPS = {
  { name = "the draft", wire = "POST", outcome = "not_sent", strays = 1,
    faults = { { kind = "stall", seconds = 5, method = "POST" } } },
  { name = "the draft that is made", wire = "POST", outcome = "not_sent",
    strays = 1, faults = { { kind = "delay", seconds = 5, method = "POST" } } },
  { name = "the promotion", wire = "POST PUT", outcome = "unknown",
    draft = true, strays = 0,
    faults = { { kind = "stall", seconds = 5, method = "PUT" } } },
  { name = "the promotion that is made", wire = "POST PUT", draft = true,
    outcome = "unknown", strays = 0,
    faults = { { kind = "delay", seconds = 5, method = "PUT" } } },
  { name = "the look", wire = "POST PUT GET", outcome = "unknown",
    draft = true, strays = 0, faults = {
      { kind = "reset", method = "PUT" },
      { kind = "stall", seconds = 5, method = "GET" } } },
  { name = "the pause before another try", wire = "POST PUT GET",
    outcome = "unknown", draft = true, strays = 0, settled = true, faults = {
      { kind = "status", status = 503, method = "PUT",
        headers = { ["Retry-After"] = "5" } } } },
  { name = "the look for strays", wire = "POST POST PUT LIST", sent = true,
    strays = 1, faults = {
      { kind = "reset", method = "POST", acted = true },
      { kind = "stall", seconds = 5, method = "GET" } } },
  { name = "a stray's end", wire = "POST POST PUT LIST DELETE", sent = true,
    strays = 1, faults = {
      { kind = "reset", method = "POST", acted = true },
      { kind = "stall", seconds = 5, method = "DELETE" } } },
}

-- Begins a send that is held in a step; returns the client, what its callback
-- gets, and the request.
local function held_in(step, options)
  for _, broken in ipairs(step.faults) do fault(broken) end
  local client = messages.client(options)
  local got, callback = messages.collector()
  local request = assert(client.sms.send_async(params{ lead_id = LEAD },
    callback))
  assert.is_true(messages.eventually(function()
    return messages.wire() == step.wire
  end, client))
  if step.settled then client:wait(0.05) end
  assert.equal(0, got.calls)
  return client, got, request
end

local function ends_as(step, client, got)
  assert.equal(1, got.calls)
  assert.equal(0, client:pending())
  if step.sent then
    assert(got.value, tostring(got.err))
    assert.equal("outbox", got.value.status)
    assert.equal(step.strays, got.response.stray_drafts)
  else
    local err = has_failed("cancelled", step.outcome, got.value, got.err)
    assert.equal(step.draft or false, err.draft_id ~= nil)
    assert.equal(step.strays, err.stray_drafts)
    if err.draft_id then
      server:clear_faults()
      assert(messages.client().sms.send{ draft_id = err.draft_id })
    end
  end
  assert.equal(step.outcome ~= "not_sent" and 1 or 0, (messages.count()))
end

describe("a send that is cancelled in", function()
  for _, step in ipairs(STEPS) do
    it(step.name, function()
      local client, got, request = held_in(step)
      assert.is_true(request:cancel())
      assert.equal(0, got.calls)
      client:wait(5)
      assert.is_false(request:cancel())
      ends_as(step, client, got)
    end)
  end

  it("on_event, when its draft is there", function()
    local request, cancelled
    local client = messages.client{ on_event = function(event)
      if event.draft_id then cancelled = request:cancel() end
    end }
    local got, callback = messages.collector()
    request = assert(client.sms.send_async(params(), callback))
    client:wait(5)
    assert.is_true(cancelled)
    local err = has_failed("cancelled", "not_sent", got.value, got.err)
    assert.equal("draft", messages.find(err.draft_id).status)
    assert.equal("POST", messages.wire())
    assert.equal(1, err.attempts)
  end)
end)

describe("a client that is closed in", function()
  for _, step in ipairs(STEPS) do
    for _, with in ipairs{ "a key", "a function for its token" } do
      it(step.name .. ", with " .. with, function()
        local client, got = held_in(step, with ~= "a key" and {
          access_token = function() return server.access_token end } or nil)
        client:close()
        ends_as(step, client, got)
      end)
    end
  end

  it("on_event ends the send, too", function()
    local client
    client = messages.client{ on_event = function(event)
      if event.draft_id then client:close() end
    end }
    local got, callback = messages.collector()
    assert(client.sms.send_async(params(), callback))
    client:wait(5)
    local err = has_failed("cancelled", "not_sent", got.value, got.err)
    assert.equal("draft", messages.find(err.draft_id).status)
    assert.equal(0, client:pending())
    assert.equal("POST", messages.wire())
  end)
end)

-- ---- retries, credentials, clients ----

describe("max_retries", function()
  local function attempts(broken, max_retries, how, given)
    messages.reset()
    local id = given and draft().id
    fault(broken)
    local options = { max_retries = max_retries }
    local client = messages.client(how == "client" and options or nil)
    local sms, err = client.sms.send(id and { draft_id = id } or params(),
      how == "call" and options or nil)
    assert.is_nil(sms)
    assert.equal(err.attempts, #server:requests() - (id and 1 or 0))
    return err, messages.wire()
  end

  for _, how in ipairs{ "client", "call" } do
    it("of the " .. how .. " bounds each step", function()
      local broken = { kind = "status", status = 500, times = 100,
        method = "POST" }
      local err, wire = attempts(broken, 0, how)
      assert.equal("not_sent", err.outcome)
      assert.equal("POST", wire)
      err, wire = attempts(broken, 1, how)
      assert.equal("POST POST", wire)
      assert.equal(2, err.stray_drafts)
      broken = { kind = "body", body = "", times = 100, method = "POST" }
      err, wire = attempts(broken, 0, how)
      assert.equal("protocol", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.equal("POST", wire)
      assert.equal(1, err.stray_drafts)
      err, wire = attempts(broken, 1, how)
      assert.equal("POST POST", wire)
      assert.equal(2, err.stray_drafts)
      broken = { kind = "status", status = 500, times = 100, method = "PUT" }
      err, wire = attempts(broken, 0, how)
      assert.equal("server", err.kind)
      assert.equal("unknown", err.outcome)
      assert.equal("string", type(err.draft_id))
      assert.equal("POST PUT GET", wire)
      err, wire = attempts(broken, 1, how)
      assert.equal("unknown", err.outcome)
      assert.equal("POST PUT GET PUT GET", wire)
      broken = { kind = "status", status = 500, times = 100, method = "GET" }
      err, wire = attempts(broken, 1, how, true)
      assert.equal("unknown", err.outcome)
      assert.equal("POST GET GET", wire)
      broken = { kind = "body", body = "", times = 100, method = "GET" }
      err, wire = attempts(broken, 1, how, true)
      assert.equal("protocol", err.kind)
      assert.equal("unknown", err.outcome)
      assert.equal("POST GET GET", wire)
    end)
  end

  it("of a call wins over the client's", function()
    fault{ kind = "reset", method = "POST", times = 2 }
    local client = messages.client{ max_retries = 0 }
    assert(client.sms.send(params(), { max_retries = 2 }))
    assert.equal("POST POST POST PUT", messages.wire())
  end)

  it("that nobody gives is none: the timeout is the bound", function()
    fault{ kind = "status", status = 500, method = "POST", times = 4 }
    is_delivered(messages.client().sms.send(params()))
    assert.equal("POST POST POST POST POST PUT", messages.wire())
  end)
end)

describe("a function for the token", function()
  -- A client whose function gives the right token; the second time what renew
  -- returns, where that is given.
  local function renewing(renew, options)
    local asked = 0
    options = options or {}
    options.access_token = function()
      asked = asked + 1
      if asked > 1 and renew then return renew() end
      return server.access_token
    end
    return messages.client(options), function() return asked end
  end

  local function refuse(method)
    if method == "GET" then
      fault{ kind = "reset", method = "PUT", acted = true }
    end
    fault{ kind = "status", status = 401, method = method }
  end

  for _, method in ipairs{ "POST", "PUT", "GET" } do
    it("is asked again after a 401 to " .. method, function()
      refuse(method)
      local client, asked = renewing()
      is_delivered(client.sms.send(params()))
      assert.equal(2, asked())
    end)

    it("that fails then ends the send at " .. method, function()
      for _, renew in ipairs{ function() return nil end,
        function() error "no" end, function() return 5 end } do
        messages.reset()
        refuse(method)
        local client = renewing(renew)
        local err = has_failed("authentication",
          method == "GET" and "unknown" or "rejected",
          client.sms.send(params()))
        assert.equal(401, err.status)
        assert.equal(method ~= "POST", err.draft_id ~= nil)
        assert.equal(method == "GET" and 1 or 0, (messages.count()))
        client:close()
      end
    end)

    it("may close the client after a 401 to " .. method, function()
      refuse(method)
      local client
      client = renewing(function()
        client:close()
        return server.access_token
      end)
      local got, callback = messages.collector()
      assert(client.sms.send_async(params(), callback))
      client:wait(5)
      assert.equal(1, got.calls)
      has_failed("authentication", method == "GET" and "unknown" or "rejected",
        got.value, got.err)
      assert.equal(0, client:pending())
    end)
  end

  it("is asked once where each step meets a 401 of its own", function()
    refuse "POST"
    refuse "PUT"
    local client, asked = renewing()
    is_delivered(client.sms.send(params()))
    assert.equal(3, asked())
  end)

  it("is not asked for a pause, too", function()
    fault{ kind = "status", status = 503, method = "PUT",
      headers = { ["Retry-After"] = "2" } }
    refuse "PUT"
    is_delivered(renewing().sms.send(params()))
    local requests = messages.requests "PUT"
    assert.is_true(requests[2].time - requests[1].time > 1.8)
    assert.is_true(requests[3].time - requests[2].time < 1.8)
  end)

  it("that fails from the start sends nothing", function()
    local client = messages.client{ access_token = function() end }
    local err = has_failed("authentication", "not_sent",
      client.sms.send(params{ lead_id = LEAD }))
    assert.equal(0, err.attempts)
    assert.equal("", messages.wire())
    local id = draft().id
    err = has_failed("authentication", "unknown",
      client.sms.send{ draft_id = id })
    assert.equal(id, err.draft_id)
  end)

  it("that is not asked again, by max_retries, ends it", function()
    refuse "PUT"
    local client, asked = renewing(nil, { max_retries = 0 })
    has_failed("authentication", "rejected", client.sms.send(params()))
    assert.equal(1, asked())
  end)
end)

describe("two clients", function()
  it("send the same, each once", function()
    local one, other = messages.client(), messages.client()
    fault{ kind = "reset", method = "PUT", times = 2 }
    local first, tell_first = messages.collector()
    local second, tell_second = messages.collector()
    assert(one.sms.send_async(params{ lead_id = LEAD }, tell_first))
    assert(other.sms.send_async(params{ lead_id = LEAD }, tell_second))
    assert.is_true(messages.eventually(function()
      one:poll()
      return first.calls + second.calls == 2
    end, other))
    assert(first.value, tostring(first.err))
    assert(second.value, tostring(second.err))
    assert.are_not.equal(first.value.id, second.value.id)
    local delivered, drafts = messages.count()
    assert.equal(2, delivered)
    assert.equal(0, drafts)
  end)

  it("do not take each other's drafts for strays", function()
    local one, other = messages.client(), messages.client()
    fault{ kind = "reset", method = "POST", acted = true, times = 2 }
    local first, tell_first = messages.collector()
    local second, tell_second = messages.collector()
    assert(one.sms.send_async(params{ lead_id = LEAD }, tell_first))
    assert(other.sms.send_async(params{ lead_id = LEAD, text = "Another" },
      tell_second))
    assert.is_true(messages.eventually(function()
      one:poll()
      return first.calls + second.calls == 2
    end, other))
    assert(first.value, tostring(first.err))
    assert(second.value, tostring(second.err))
    local delivered, drafts = messages.count()
    assert.equal(2, delivered)
    assert.equal(0, drafts)
  end)
end)
