-- send with draft_id: the draft is read and promoted, once, with the other
-- fields that are given; and the result if that fails.
local json = require("cjson").new()
local close = require "close"
local messages = require "spec.support.messages"
local raw = require "spec.support.raw_server"
local sends = require "spec.support.sends"
local support = require "spec.support.client"
local params, fault = messages.params, messages.fault
local is_delivered, has_failed = messages.is_delivered, messages.has_failed
local draft, of = messages.draft, sends.of

local LEAD = messages.LEAD
local BROKEN, SHORT = sends.BROKEN, sends.SHORT

local scripted

setup(function()
  messages.start()
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
      local_phone = "+14154445555", lead_id = messages.LEAD,
      date_scheduled = "2031-01-01T08:00:00Z" })
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
        local_phone = "+14154445555", lead_id = messages.LEAD,
        date_scheduled = date })
      fault{ kind = "body", body = "<html>", method = "GET", times = 2 }
      local sent = assert(client.sms.send{ draft_id = sms.id })
      assert.equal(sms.date_scheduled, sent.date_scheduled)
      assert.equal("POST GET GET GET PUT", messages.wire())
    end
  end)

  it("sends it at once where the date is null", function()
    local client = messages.client()
    local sms = assert(client.sms.create{ status = "draft", text = "a",
      local_phone = "+14154445555", lead_id = messages.LEAD,
      date_scheduled = "2031-01-01T08:00:00Z" })
    assert(client.sms.send{ draft_id = sms.id, date_scheduled = close.null })
    assert.equal("sent", messages.find(sms.id).status)
    assert.same({ status = "outbox" }, messages.requests "PUT"[1].json)
  end)

  it("sends it in so many seconds where that is given", function()
    local client = messages.client()
    local sms = assert(client.sms.create{ status = "draft", text = "a",
      local_phone = "+14154445555", lead_id = messages.LEAD,
      date_scheduled = "2031-01-01T08:00:00Z" })
    assert(client.sms.send{ draft_id = sms.id, send_in = 50 })
    assert.same({ status = "outbox", send_in = 50 },
      messages.requests "PUT"[1].json)
  end)

  it("schedules it by the date that is given", function()
    local client = messages.client()
    local sms = assert(client.sms.create{ status = "draft", text = "a",
      local_phone = "+14154445555", lead_id = messages.LEAD,
      date_scheduled = "2031-01-01T08:00:00Z" })
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
      [404] = "not_found", [407] = "authentication",
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
