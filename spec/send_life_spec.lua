-- The life of a send: unusual answers, cancel and close, retries, its token,
-- and two clients at once.
local json = require("cjson").new()
local messages = require "spec.support.messages"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local sends = require "close.send"
local support = require "spec.support.client"
local calmly = support.calmly
local params, fault = messages.params, messages.fault
local is_delivered, has_failed = messages.is_delivered, messages.has_failed
local draft = messages.draft
local sends_of = require("spec.support.sends").of

local LEAD = messages.LEAD

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

describe("a send in the child of a fork", function()
  it("is unknown: the parent goes on with it", function()
    local request, task = assert(sends.prepare(nil, params()))
    local failure = { kind = "cancelled", outcome = "unknown", attempts = 1,
      is_from_parent = true }
    local following, _, ended = sends.step({ task = task, request = request },
      nil, failure)
    assert.is_nil(following)
    assert.equal("unknown", ended.outcome)
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
      scripted:script{ { reset = true }, answer(more), SENT }
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
  local err = has_failed("cancelled", step.outcome, got.value, got.err)
  assert.equal(step.draft or false, err.draft_id ~= nil)
  assert.equal(step.strays, err.stray_drafts)
  if err.draft_id then
    server:clear_faults()
    assert(messages.client().sms.send{ draft_id = err.draft_id })
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

  local FAILS = { kind = "status", status = 500, times = 100 }
  local EMPTY = { kind = "body", body = "", times = 100 }
  -- What a step is answered, max_retries, and what becomes of it.
  local ROWS = {
    { FAILS, "POST", 0, "POST", "server", "not_sent", 1 },
    { FAILS, "POST", 1, "POST POST", "server", "not_sent", 2 },
    { EMPTY, "POST", 0, "POST", "protocol", "not_sent", 1 },
    { EMPTY, "POST", 1, "POST POST", "protocol", "not_sent", 2 },
    { FAILS, "PUT", 0, "POST PUT GET", "server", "unknown", 0 },
    { FAILS, "PUT", 1, "POST PUT GET PUT GET", "server", "unknown", 0 },
    { FAILS, "GET", 1, "POST GET GET", "server", "unknown", 0 },
    { EMPTY, "GET", 1, "POST GET GET", "protocol", "unknown", 0 },
  }

  for _, how in ipairs{ "client", "call" } do
    it("of the " .. how .. " bounds each step", function()
      for _, row in ipairs(ROWS) do
        local broken, method = row[1], row[2]
        local err, wire = attempts(sends_of(method, broken), row[3], how,
          method == "GET")
        assert.equal(row[4], wire)
        assert.same({ row[5], row[6], row[7] },
          { err.kind, err.outcome, err.stray_drafts })
        assert.equal(method ~= "POST", err.draft_id ~= nil)
      end
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

describe("a send that is cancelled by the function for the token", function()
  it("goes no further", function()
    local asked, got
    assert.is_true(process.sometimes(function() -- the 401 comes in that time
      messages.reset()
      asked = 0
      local request
      local client = messages.client{ access_token = function()
        asked = asked + 1
        if asked == 2 then assert.is_true(request:cancel()) end
        return server.access_token
      end }
      assert(client.sms.list{})
      -- Another call's 401 takes the token away while the draft is made.
      fault{ kind = "status", status = 401, method = "DELETE" }
      fault{ kind = "delay", seconds = 0.3, method = "POST" }
      local callback
      got, callback = messages.collector()
      request = assert(client.sms.send_async(params(), callback))
      client:wait(0.1)
      client.sms.delete_async("acti_x", function() end, { max_retries = 0 })
      client:wait(5)
      return asked == 2
    end))
    has_failed("cancelled", "not_sent", got.value, got.err)
    assert.is_string(got.err.draft_id)
    assert.equal(2, asked)
  end)
end)

describe("an answer about", function()
  local function send_to(steps, given, options)
    scripted:script(steps)
    local client = support.new(scripted, { max_retries = 1 })
    local sms, err, response = calmly(client.sms.send, given, options)
    assert.equal(0, client:pending())
    return sms, err, response
  end
  local function body(more)
    local shown = { id = "acti_1", status = "draft" }
    for name, value in pairs(more or {}) do shown[name] = value end
    return { status = 200, body = json.encode(shown) }
  end

  it("another SMS is none about ours", function()
    local sms = send_to({ body(), body{ id = "acti_7", status = "outbox" },
      body{ status = "outbox" } }, params())
    assert.equal("acti_1", sms.id)
    assert.equal(3, #scripted:ledger())
    scripted:reset()
    sms = send_to({ body{ id = "acti_7", status = "sent" }, body(),
      body{ status = "outbox" } }, { draft_id = "acti_1" })
    assert.equal("outbox", sms.status)
  end)

  it("a draft that is sent already is believed after a refusal", function()
    local sms = send_to({ body{ status = "outbox" }, { status = 400 },
      body{ status = "sent" } }, params())
    assert.equal("sent", sms.status)
    assert.equal(3, #scripted:ledger())
  end)

  it("an odd date of a draft leaves it out", function()
    for _, date in ipairs{ 5, {}, { { {} } }, "soon", true } do
      scripted:reset()
      local sms, err = send_to({ body{ date_scheduled = date },
        body{ status = "outbox" } }, { draft_id = "acti_1", text = "new" })
      assert(sms, tostring(err))
      local put = json.decode(scripted:ledger()[2].body)
      assert.same({ status = "outbox", text = "new" }, put)
    end
  end)
end)

describe("a draft that somebody else sends meanwhile", function()
  it("is delivered, and no refusal", function()
    local client, inner
    client = messages.client{ on_event = function(event)
      if event.draft_id and not inner then
        inner = assert(client.sms.send{ draft_id = event.draft_id })
      end
    end }
    local sms, err = client.sms.send(params())
    assert(sms, tostring(err))
    assert.equal("outbox", inner.status)
    assert.equal(1, (messages.count()))
  end)
end)

describe("whoever is told of a draft", function()
  it("may wait", function()
    local client, left
    client = messages.client{ on_event = function(event)
      if event.draft_id then left = client:wait(5) end
    end }
    assert(client.sms.send(params()))
    assert.equal(0, left)
    assert.equal(0, client:pending())
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
end)
