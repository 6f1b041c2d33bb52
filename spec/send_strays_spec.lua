-- The strays of a send, drafts that Close has made and told nobody of: they are
-- found by their lead and deleted, or counted; nothing else is ever deleted.
local json = require("cjson").new()
local close = require "close"
local messages = require "spec.support.messages"
local socket = require "socket"
local support = require "spec.support.client"
local calmly = support.calmly
local params, fault = messages.params, messages.fault
local is_delivered, has_failed = messages.is_delivered, messages.has_failed

local LEAD = messages.LEAD

local server

setup(function() server = messages.start() end)
teardown(messages.stop)
before_each(messages.reset)
after_each(support.close_all)

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
    assert.equal("POST POST PUT LIST GET DELETE", messages.wire())
    assert.equal(6, response.attempts)
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

  it("is counted where there is no draft to compare it with", function()
    fault(ACTED)
    fault{ kind = "status", status = 400, method = "POST" }
    local client = messages.client()
    local err = has_failed("api", "rejected",
      client.sms.send(params{ lead_id = LEAD }))
    assert.equal(1, err.stray_drafts)
    assert.equal("POST POST", messages.wire())
    assert.equal(1, #server:messages())
  end)

  it("is deleted where the message was rejected", function()
    fault(ACTED)
    fault{ kind = "status", status = 400, method = "PUT" }
    local err = has_failed("api", "rejected",
      messages.client().sms.send(params{ lead_id = LEAD }))
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
    assert.equal("POST POST PUT LIST GET DELETE", messages.wire())
  end)

  it("is not a draft that no request of the send has made", function()
    local client = messages.client()
    local mine = assert(client.sms.create(params{ status = "draft",
      lead_id = LEAD }))
    messages.fault{ kind = "status", status = 503, method = "POST", times = 3 }
    has_failed("server", "not_sent", client.sms.send(params{ lead_id = LEAD },
      { max_retries = 2 }))
    assert(messages.find(mine.id))
  end)

  it("is not the draft of a send that failed", function()
    local client = messages.client()
    local message = params{ lead_id = LEAD }
    fault{ kind = "reset", method = "POST" }
    fault{ kind = "stall", method = "PUT", seconds = 0.3 }
    local got, callback = messages.collector()
    assert(client.sms.send_async(message, callback))
    assert.is_true(messages.eventually(function()
      return messages.wire() == "POST POST PUT"
    end, client))
    fault{ kind = "status", status = 400, method = "PUT" }
    local err = select(2, client.sms.send(message))
    assert.equal("rejected", err.outcome)
    client:wait(5)
    assert(got.value, tostring(got.err))
    assert(messages.find(err.draft_id))
  end)

  it("is not what the same began while it is looked for", function()
    local client = messages.client()
    local message = params{ lead_id = LEAD }
    fault{ kind = "reset", method = "POST" }
    fault{ kind = "stall", method = "GET", seconds = 0.4 }
    local first, tell_first = messages.collector()
    assert(client.sms.send_async(message, tell_first))
    assert.is_true(messages.eventually(function()
      return #server:requests() == 3
    end, client))
    socket.sleep(0.15)
    fault{ kind = "stall", method = "PUT", seconds = 0.4 }
    local second, tell_second = messages.collector()
    message.send_in = 30
    assert(client.sms.send_async(message, tell_second))
    client:wait(10)
    assert(first.value, tostring(first.err))
    assert(second.value, tostring(second.err))
    assert.equal("outbox", messages.find(second.value.id).status)
  end)

  it("holds up what is delivered for some seconds at most", function()
    fault{ kind = "status", status = 500, method = "GET", times = 1000 }
    local before = socket.gettime()
    assert.equal(1, send(ACTED).stray_drafts)
    assert.is_true(socket.gettime() - before < 15)
  end)

  it("takes no processor's time while it waits, and no more than it may",
    function()
      local asked = 0
      local client = messages.client{ access_token = function()
        asked = asked + 1
        return asked == 1 and server.access_token or nil
      end }
      fault{ kind = "status", status = 401, method = "GET", times = 1000 }
      assert.equal(1, send(ACTED, nil, client).stray_drafts)
      assert.is_true(asked < 20)
    end)

  it("is given up where there are no credentials any more", function()
    local asked = 0
    local client = messages.client{ access_token = function()
      asked = asked + 1
      return asked == 1 and server.access_token or nil
    end }
    fault(ACTED)
    fault{ kind = "reset", method = "GET", seconds = 0.4 }
    fault{ kind = "status", status = 401, method = "DELETE" }
    local got, callback = messages.collector()
    assert(client.sms.send_async(params{ lead_id = LEAD }, callback))
    assert.is_true(messages.eventually(function()
      return messages.wire():find "LIST"
    end, client))
    -- Another call's 401 takes the token away while the list is waited for.
    client.sms.delete_async("acti_x", function() end, { max_retries = 0 })
    client:wait(10)
    assert(got.value, tostring(got.err))
    assert.equal(1, got.response.stray_drafts)
    assert.equal(2, asked)
  end)

  it("ends with the client, at once", function()
    local client = messages.client()
    fault(ACTED)
    fault{ kind = "stall", method = "GET", seconds = 8 }
    local got, callback = messages.collector()
    assert(client.sms.send_async(params{ lead_id = LEAD }, callback))
    assert.is_true(messages.eventually(function()
      return messages.wire():find "LIST"
    end, client))
    local before = os.clock()
    client:close()
    assert.is_true(os.clock() - before < 1)
    assert(got.value, tostring(got.err))
  end)

  it("is not what was made shortly before the send", function()
    local client = messages.client()
    local mine = assert(client.sms.create(params{ status = "draft",
      lead_id = LEAD }))
    socket.sleep(0.3)
    fault{ kind = "reset", method = "POST" }
    fault{ kind = "delay", method = "POST", seconds = 0.8, after = 0 }
    local response = assert(select(3, client.sms.send(
      params{ lead_id = LEAD })))
    assert.equal(0, response.stray_drafts)
    assert(messages.find(mine.id))
  end)
end)
