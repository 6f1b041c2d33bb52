-- send: its requests, what is refused before them, and the result if each of
-- its steps fails. In any case the message is delivered exactly once.
local json = require("cjson").new()
local close = require "close"
local messages = require "spec.support.messages"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local sends = require "spec.support.sends"
local support = require "spec.support.client"
local calmly = support.calmly
local params, fault = messages.params, messages.fault
local is_delivered, has_failed = messages.is_delivered, messages.has_failed
local draft = messages.draft
local of, name_of, settle = sends.of, sends.name_of, sends.settle
local has_acted, has_lost = sends.has_acted, sends.has_lost

local LEAD = messages.LEAD
local BROKEN, undisturbed = sends.BROKEN, sends.undisturbed

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

  it("is an error in the loop poll outside of a coroutine", function()
    local none, err = messages.client{ loop = "poll" }.sms.send(params())
    assert.is_nil(none)
    assert.equal("config", err.kind)
    assert.equal("", messages.wire())
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
    refuses({}, { "local_phone: required", "remote_phone: required",
      "text: required" })
    refuses(params{ remote_phone = false }, { "remote_phone: required" })
    refuses(params{ status = "outbox" }, { "status: unknown_field" })
    refuses(params{ send_to_inbox = true }, { "send_to_inbox: unknown_field" })
    refuses(params{ to = "x" }, { "to: unknown_field" })
    refuses(params{ date_scheduled = 0, send_in = 5 }, { "send_in: conflict" })
    refuses(params{ template_id = "a" }, { "template_id: conflict" })
  end)

  it("is told in the words of send", function()
    local client = support.new(scripted)
    local function says(part, given)
      local _, err = calmly(client.sms.send, given)
      assert.matches(part, err.message, 1, true)
      assert.is_nil(err.message:find("status", 1, true), err.message)
    end
    says('a table such as {remote_phone = "+14154445555", ...}', "Hi!")
    says("text is required to send an SMS: give text", {})
    says("send_in cannot go with date_scheduled",
      params{ date_scheduled = 0, send_in = 5 })
    says('"type" is not a field of an SMS; leave it out',
      params{ type = "outbox" })
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
    refuses({ draft_id = false }, { "draft_id: type" })
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
        local client = support.new(scripted)
        assert(calmly(client.sms.send, params{ extra = { [name] = value } }))
        client:close()
      end
    end
  end)

  it("is not a date or a delay that is a table in extra", function()
    for _, name in ipairs{ "date_scheduled", "send_in" } do
      scripted:reset()
      assert(calmly(support.new(scripted).sms.send,
        params{ extra = { [name] = { 1 } } }))
      local promotion = scripted:ledger()[2]
      assert.equal("PUT", promotion.method)
      assert.same({ status = "outbox" }, json.decode(promotion.body))
    end
  end)
end)

-- ---- each step broken at each place ----

-- Sends, and checks what holds whatever a stall has done to it.
-- -> response, how many drafts were left
local function send_once(options, given, broken)
  local sms, err, response = messages.client(options).sms.send(given)
  is_delivered(sms, err, response)
  settle(broken)
  local delivered, drafts = messages.count()
  assert.equal(1, delivered)
  assert.is_true(drafts <= response.stray_drafts)
  assert.is_true(response.attempts >= #server:requests())
  return response, drafts
end

describe("a send whose first request breaks by", function()
  for _, broken in ipairs(BROKEN) do
    local function play(options, is_disturbed)
      messages.reset()
      fault(of("POST", broken))
      local response, drafts = send_once(options, params(), broken)
      if is_disturbed() then return false end
      assert.equal(has_lost(broken) and 1 or 0, drafts)
      if broken.place == nil or broken.place == "answer" then
        assert.equal("POST POST PUT", messages.wire())
        assert.equal(3, response.attempts)
        assert.equal(1, response.stray_drafts)
      end
    end

    it(name_of(broken), function() undisturbed(broken, play) end)
  end
end)

describe("a send whose second request breaks by #once", function()
  for _, broken in ipairs(BROKEN) do
    local function check_wire(response)
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
    end

    for _, more in ipairs{ {}, { date_scheduled = os.time() + 3600 } } do
      local function play(options, is_disturbed)
        messages.reset()
        fault(of("PUT", broken))
        local response, drafts = send_once(options, params(more), broken)
        if is_disturbed() then return false end
        assert.same({ 0, 0 }, { drafts, response.stray_drafts })
        check_wire(response)
      end

      local suffix = more.date_scheduled and ", scheduled" or ""
      if suffix == "" or broken.kind == "reset" and not broken.place then
        it(name_of(broken) .. suffix, function() undisturbed(broken, play) end)
      end
    end
  end
end)

describe("a send whose look breaks by #once", function()
  for i, broken in ipairs(BROKEN) do
    local function play(options, is_disturbed)
      local acted = i % 2 == 0
      messages.reset()
      fault{ kind = "reset", method = "PUT", acted = acted }
      fault(of("GET", broken))
      is_delivered(messages.client(options).sms.send(params()))
      settle(broken)
      local delivered, drafts = messages.count()
      assert.equal(1, delivered)
      if is_disturbed() then return false end
      assert.equal(0, drafts)
      assert.equal(acted and 1 or 2, #messages.requests "PUT")
    end

    it(name_of(broken), function() undisturbed(broken, play) end)
  end
end)

describe("a send", function()
  it("is delivered once, however often its steps break", function()
    local client = messages.client()
    for _, method in ipairs{ "POST", "PUT", "GET" } do
      fault{ kind = "reset", method = method, acted = true, times = 2 }
      fault{ kind = "status", status = 500, method = method }
    end
    local sms, err, response = client.sms.send(params{ lead_id = LEAD })
    is_delivered(sms, err, response)
    local delivered, drafts = messages.count()
    assert.equal(1, delivered)
    assert.equal(2, drafts) -- of the two POSTs whose answers were lost
    assert.equal(3, response.stray_drafts) -- the 500 may have made one, too
  end)

  it("deletes nothing, and shows how its strays are found", function()
    local client = messages.client()
    fault{ kind = "reset", method = "POST", acted = true }
    local sms, _, response = client.sms.send(params{ lead_id = LEAD })
    assert.equal(1, response.stray_drafts)
    assert.equal("POST POST PUT", messages.wire())
    local strays = {}
    for item in client.sms.each{ lead_id = LEAD } do
      if item.status == "draft" and item.text == sms.text then
        strays[#strays + 1] = item.id
      end
    end
    assert.equal(1, #strays)
    assert.are_not.equal(sms.id, strays[1])
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

  it("makes no storm of a server that asks for no pause", function()
    local past = "Sun, 06 Nov 1994 08:49:37 GMT"
    for _, asks in ipairs{
      { 503, "POST", { ["Retry-After"] = "0" } },
      { 503, "POST", { ["Retry-After"] = past } },
      { 503, "PUT", { ["Retry-After"] = "0" } }, -- its step tries again
      { 429, "POST", { ["Retry-After"] = past } },
      { 429, "PUT", { RateLimit = "limit=9, remaining=0, reset=0" } },
    } do
      messages.reset()
      fault{ kind = "status", status = asks[1], method = asks[2],
        headers = asks[3], times = 1000000 }
      local _, err = messages.client().sms.send(params(), { timeout = 0.3 })
      assert.is_true(err.outcome ~= nil)
      local requests = #messages.requests(asks[2])
      assert.is_true(requests <= 3, asks[2] .. ": " .. requests)
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
    assert.equal(60, err.retry_after)
    assert.is_true(os.time() - begun < 30)
    assert.equal("POST PUT GET", messages.wire())
  end)

  it("ends in time where nothing answers", function()
    for _, method in ipairs{ "POST", "PUT" } do
      local sms, err
      assert.is_true(process.sometimes(function() -- it comes so far in time
        messages.reset()
        fault{ kind = "stall", seconds = 5, method = method, times = 100 }
        local begun = os.time()
        sms, err = messages.client().sms.send(params(), { timeout = 0.4 })
        assert.is_true(os.time() - begun < 5)
        return #messages.requests(method) == 1
      end))
      has_failed("timeout", method == "POST" and "not_sent" or "unknown",
        sms, err)
      assert.not_matches("before it could start", err.message)
      assert.equal(method == "PUT", err.draft_id ~= nil)
      assert.equal(method == "POST" and 1 or 0, err.stray_drafts)
    end
  end)

  it("tells how the look failed, if there was time for one", function()
    local sms, err
    assert.is_true(process.sometimes(function()
      messages.reset()
      fault{ kind = "reset", method = "PUT" }
      fault{ kind = "stall", seconds = 5, method = "GET", times = 100 }
      sms, err = messages.client().sms.send(params(), { timeout = 0.4 })
      return #messages.requests "GET" == 1
    end))
    has_failed("timeout", "unknown", sms, err)
    assert.equal(3, err.attempts)
  end)
end)

describe("a send whose server is gone once the draft is there", function()
  it("has sent nothing", function()
    local gone = raw.start{ { headers = { Connection = "close" },
      status = 200, body = { id = "acti_1", status = "draft" } } }
    local holder
    local client = support.new(gone, { on_event = function(event)
      if not event.draft_id then return end
      gone:stop()
      holder = ports.refuse(gone.port)
    end })
    local sms, err = client.sms.send(params(), { max_retries = 1 })
    holder:close()
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
    local sms, err, response = messages.client().sms.send(params())
    has_failed("api", "rejected", sms, err)
    assert.is_nil(err.draft_id)
    assert.equal(2, err.attempts)
    assert.equal(1, err.stray_drafts)
    assert.equal(1, response.stray_drafts)
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
      -- Somebody else may have sent it: but where nobody looked, it looks.
      local looks = status ~= 401 and status ~= 404 and status ~= 429
      assert.equal(looks and 3 or 2, err.attempts)
      assert.equal("text", err.errors[1].field)
      assert.equal("draft", messages.find(err.draft_id).status)
      assert.equal(looks and "POST PUT GET" or "POST PUT", messages.wire())
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
    assert.equal(60, err.retry_after)
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
        local sms, err = client.sms.send(params(), { max_retries = 1 })
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
