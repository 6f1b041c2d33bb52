-- get, update, cancel and delete: the request, what is refused before it, and
-- what a failure means.
local json = require("cjson").new()
local close = require "close"
local messages = require "spec.support.messages"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"
local calmly = support.calmly

local ID = "acti_9tRbXcV2nMkLqWzYpJhGfDsA4eUo6iTvCr1yPwBxQm8"

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

-- A draft in the sandbox, by a client that is returned, too.
local function draft(more)
  local client = messages.client()
  local params = support.params{ status = "draft" }
  for name, value in pairs(more or {}) do params[name] = value end
  local sms = assert(client.sms.create(params))
  return sms, client
end

-- Each verb, called with an id.
local VERBS = {
  get = function(sms, id, ...) return sms.get(id, nil, ...) end,
  update = function(sms, id, ...)
    return sms.update(id, { text = "a" }, ...)
  end,
  cancel = function(sms, id, ...) return sms.cancel(id, ...) end,
  delete = function(sms, id, ...) return sms.delete(id, ...) end,
}
local METHODS = { get = "GET", update = "PUT", cancel = "PUT",
  delete = "DELETE" }

-- Asserts that an error is one of validation with these faults, and that
-- nothing went out.
local function is_refused(faults, value, err, response)
  assert.is_nil(value)
  assert.is_nil(response)
  assert.equal("validation", err.kind)
  assert.equal("rejected", err.outcome)
  assert.same(faults, support.faults(err))
  for _, item in ipairs(err.errors) do
    assert.is_true(#item.message > 20 and #item.message < 600, item.message)
    assert.is_nil(item.message:find "%c")
  end
  assert.equal(0, scripted:connections())
  return err
end

describe("get", function()
  it("returns the SMS and the response", function()
    local sms, client = draft()
    local got, err, response = client.sms.get(sms.id)
    assert.is_nil(err)
    assert.same(sms, got)
    assert.equal(200, response.status)
    assert.equal(1, response.attempts)
    local requests = messages.requests "GET"
    assert.equal(1, #requests)
    assert.equal("/api/v1/activity/sms/" .. sms.id .. "/", requests[1].path)
    assert.same({}, requests[1].query)
    assert.equal("", requests[1].body)
  end)

  it("takes the fields as a list and as a string", function()
    local sms, client = draft()
    for _, fields in ipairs{ { "id", "status" }, "id,status" } do
      assert.same({ id = sms.id, status = "draft" },
        (client.sms.get(sms.id, { fields = fields })))
    end
    for _, fields in ipairs{ { "text" }, "text" } do
      assert.same({ text = "Hi!" }, -- an answer without an id
        (client.sms.get(sms.id, { fields = fields })))
    end
    assert.same(sms, (client.sms.get(sms.id, {})))
    local requests = messages.requests "GET"
    assert.equal("id,status", requests[1].query._fields)
    assert.equal("id,status", requests[2].query._fields)
    assert.equal("text", requests[4].query._fields)
    assert.is_nil(requests[5].query._fields)
  end)

  it("says so where there is none", function()
    local client = messages.client()
    local sms, err, response = client.sms.get "acti_none"
    assert.is_nil(sms)
    assert.equal("not_found", err.kind)
    assert.equal("rejected", err.outcome)
    assert.equal(404, response.status)
    assert.matches("Object does not exist", err.message, 1, true)
  end)

  it("does not take for an SMS what is none", function()
    local client = support.new(scripted)
    for _, body in ipairs{ "", "[]", "{}", "null", '{"id": 5}', "<html>" } do
      scripted:script{ { status = 200, body = body } }
      local sms, err, response = client.sms.get(ID)
      assert.is_nil(sms)
      assert.equal("protocol", err.kind)
      assert.equal("unknown", err.outcome)
      assert.equal(200, response.status)
    end
    scripted:script{ { status = 200, body = "[]" } }
    local sms, err = client.sms.get(ID, { fields = "text" })
    assert.is_nil(sms)
    assert.equal("protocol", err.kind)
  end)

  it("refuses params that are none", function()
    local client = support.new(scripted)
    for _, value in ipairs{ 5, "id", true, false, print, close.null } do
      local _, err = calmly(client.sms.get, ID, value)
      is_refused({ "params: type" }, nil, err)
      assert.matches("{fields = ", err.message, 1, true)
    end
  end)

  it("refuses fields that are none", function()
    local client = support.new(scripted)
    local itself = {}
    itself[1] = itself
    for _, fields in ipairs{ "", 5, true, false, print, close.null,
      { true }, { {} }, { "a", print }, { [2] = "a" }, { a = "b" }, itself,
      { "" }, { "a", "" }, "a,,b", ",a", { ("x"):rep(1e7) } } do
      local sms, err = calmly(client.sms.get, ID, { fields = fields })
      assert.is_nil(sms)
      assert.equal("validation", err.kind)
      assert.matches("^fi", err.errors[1].field) -- fields, or filters
    end
  end)

  it("tells of an id's character that cannot be seen", function()
    local client = support.new(scripted)
    for given, part in pairs{ [ID .. "\n"] = "U+000A at byte " .. #ID + 1,
      ["\226\128\139" .. ID] = "U+200B at byte 1",
      [" " .. ID] = "U+0020 at byte 1", [ID .. "\255"] = "0xFF at byte " } do
      for _, verb in ipairs{ "get", "cancel", "delete" } do
        local _, err = calmly(client.sms[verb], given)
        assert.matches("; it has " .. part, err.message, 1, true)
      end
      local _, err = calmly(client.sms.send, { draft_id = given })
      assert.matches("; it has " .. part, err.message, 1, true)
    end
  end)

  it("refuses fields that it does not know, all at once", function()
    local client = support.new(scripted)
    is_refused({ "timeout: unknown_field" },
      calmly(client.sms.get, ID, { timeout = 5, fields = "id" }))
    is_refused({ "filter: unknown_field", "id: format" },
      calmly(client.sms.get, "a/b", { filter = 5 }))
    for _, name in ipairs{ "lead_id", "leadid", "field", "text", "timeout" } do
      local _, err = calmly(client.sms.get, ID, { [name] = "x" })
      is_refused({ name .. ": unknown_field" }, nil, err)
      assert.matches("it takes fields alone", err.message, 1, true)
      assert.not_matches("did you mean", err.message, 1, true)
    end
    local many = {}
    for i = 1, 1500 do many[i] = true end
    local _, err = calmly(client.sms.get, "", many)
    assert.equal(1000, #err.errors)
  end)

  it("runs no metamethod", function()
    local function boom() error("a metamethod ran", 0) end
    local function hostile(value)
      local meta = {}
      for _, name in ipairs{ "index", "newindex", "pairs", "ipairs", "len",
        "tostring", "name", "eq", "lt", "concat", "call" } do
        meta["__" .. name] = boom
      end
      return setmetatable(value, meta)
    end
    local client = support.new(scripted)
    assert(calmly(client.sms.get, ID, hostile{ fields = hostile{ "id" } }))
    assert.equal("/api/v1/activity/sms/" .. ID .. "/?_fields=id",
      scripted:ledger()[1].target)
    for _, given in ipairs{ hostile{ fields = hostile{} },
      { fields = { hostile{} } }, { [hostile{}] = 1 } } do
      local value, err = calmly(client.sms.get, ID, given)
      assert.is_nil(value)
      assert.equal("validation", err.kind)
    end
    for name in pairs(METHODS) do
      local value, err = calmly(client.sms[name], hostile{})
      assert.is_nil(value)
      assert.equal("validation", err.kind)
    end
    assert(calmly(client.sms.update, ID, hostile{ text = "a",
      extra = hostile{ b = 1 } }))
    assert.equal(2, #scripted:ledger())
  end)
end)

describe("update", function()
  -- The body that params become.
  local function sent(params)
    local client = support.new(scripted)
    assert(client.sms.update(ID, params))
    local ledger = scripted:ledger()
    local request = ledger[#ledger]
    assert.equal("PUT", request.method)
    assert.equal("/api/v1/activity/sms/" .. ID .. "/", request.target)
    assert.equal("application/json", request.headers["content-type"])
    return json.decode(request.body), request.body
  end

  it("changes the draft and returns it", function()
    local sms, client = draft()
    local changed, err, response = client.sms.update(sms.id, {
      text = "Hello", remote_phone = "+447911123456", lead_id = "lead_1" })
    assert.is_nil(err)
    assert.equal(200, response.status)
    assert.equal(sms.id, changed.id)
    assert.equal("Hello", changed.text)
    assert.equal("lead_1", changed.lead_id)
    assert.equal("+447911123456", messages.find(sms.id).remote_phone)
    assert.equal("draft", changed.status)
  end)

  it("sends just the fields that were given", function()
    for _, params in ipairs{
      { text = "a" }, { status = "draft" }, { status = "outbox", send_in = 5 },
      { status = "scheduled", date_scheduled = "2026-11-23T08:00:00Z" },
      { activity_at = "2026-11-23T08:00:00Z", contact_id = "cont_1",
        lead_id = "lead_1", local_phone = "+14154445555", user_id = "user_1",
        remote_phone = "+18183334444", template_id = "smstmpl_1",
        attachments = { support.attachment() } },
    } do
      assert.same(params, (sent(params)))
    end
    local _, body = sent{}
    assert.equal("{}", body)
  end)

  it("sends numbers as dates, nulls as nulls, no list as one", function()
    local body, text = sent{ status = "scheduled", date_scheduled = 1795420799,
      activity_at = 0, text = close.null, lead_id = close.null,
      attachments = {} }
    assert.equal("2026-11-23T07:59:59Z", body.date_scheduled)
    assert.equal("1970-01-01T00:00:00Z", body.activity_at)
    assert.equal(json.null, body.text)
    assert.equal(json.null, body.lead_id)
    assert.matches('"attachments":%[%]', text)
    text = select(2, sent{ attachments = {} })
    assert.equal('{"attachments":[]}', text)
  end)

  it("sends what extra holds", function()
    assert.same({ text = "b", brand_new = { 1 } },
      (sent{ text = "a", extra = { brand_new = { 1 }, text = "b" } }))
  end)

  it("leaves the caller's tables as they are", function()
    local params = { status = "scheduled", date_scheduled = 1795420799,
      attachments = { support.attachment() }, extra = { a = { 1 } },
      lead_id = close.null }
    local before = support.copy(params)
    sent(params)
    assert.same(before, params)
    params = { attachments = {} }
    sent(params)
    assert.same({ attachments = {} }, params)
  end)

  it("reports all that is wrong at once, the id's too", function()
    local client = support.new(scripted)
    is_refused({ "date_scheduled: conflict", "direction: unknown_field",
      "id: format", "local_phone: format", "send_to_inbox: unknown_field",
      "template_id: conflict", "to: unknown_field" },
      calmly(client.sms.update, "a/b", { date_scheduled = 0, text = "a",
        template_id = "b", local_phone = "1", to = 1, direction = "outbound",
        send_to_inbox = true }))
    is_refused({ "id: required", "params: type" }, calmly(client.sms.update))
    is_refused({ "params: type" }, calmly(client.sms.update, ID))
    is_refused({ "params: type" }, calmly(client.sms.update, ID, "text"))
    is_refused({ "extra: type" }, calmly(client.sms.update, ID,
      { extra = { a = print } }))
    is_refused({ "extra: type", "id: type" }, calmly(client.sms.update, 5,
      { extra = "a" }))
    is_refused({ "draft_id: unknown_field" }, calmly(client.sms.update, ID,
      { draft_id = ID }))
    is_refused({ "status: enum" }, calmly(client.sms.update, ID,
      { status = "sent" }))
    is_refused({ "params: range" }, calmly(client.sms.update, ID,
      { text = ("x"):rep(17 * 1024 * 1024) }))
    is_refused({ "params: range" }, calmly(client.sms.update, ID,
      { text = ("\1"):rep(3 * 1024 * 1024) }))
  end)

  it("shows Close's reason where it is refused", function()
    local sms, client = draft()
    assert(client.sms.update(sms.id, { status = "outbox" }))
    local changed, err, response = client.sms.update(sms.id, { text = "a" })
    assert.is_nil(changed)
    assert.equal("api", err.kind)
    assert.equal("rejected", err.outcome)
    assert.equal(400, response.status)
    assert.equal("Only drafts can be modified.", err.errors[1].message)
    assert.equal("Hi!", messages.find(sms.id).text)
  end)
end)

describe("cancel", function()
  it("takes a scheduled message back to a draft", function()
    local sms, client = draft()
    assert(client.sms.update(sms.id, { status = "scheduled",
      date_scheduled = os.time() + 3600 }))
    local back, err, response = client.sms.cancel(sms.id)
    assert.is_nil(err)
    assert.equal("draft", back.status)
    assert.equal(sms.id, back.id)
    assert.equal(200, response.status)
    assert.equal("draft", messages.find(sms.id).status)
    local requests = messages.requests "PUT"
    assert.same({ status = "draft" }, requests[2].json)
  end)

  it("takes one in the outbox back that was not sent yet", function()
    local client = messages.client()
    local sms = assert(client.sms.create(support.params{ send_in = 50 }))
    assert.equal("draft", assert(client.sms.cancel(sms.id)).status)
    assert.equal(0, (messages.count()))
  end)

  it("is rejected where it comes too late", function()
    local client = messages.client()
    local sms = assert(client.sms.create(support.params()))
    local back, err = client.sms.cancel(sms.id)
    assert.is_nil(back)
    assert.equal("rejected", err.outcome)
    assert.equal("Only drafts can be modified.", err.errors[1].message)
    assert.equal("sent", messages.find(sms.id).status)
  end)
end)

describe("delete", function()
  it("returns true", function()
    local sms, client = draft()
    local gone, err, response = client.sms.delete(sms.id)
    assert.is_true(gone)
    assert.is_nil(err)
    assert.equal(200, response.status)
    assert.is_nil(messages.find(sms.id))
    local request = messages.requests "DELETE"[1]
    assert.equal("/api/v1/activity/sms/" .. sms.id .. "/", request.path)
    assert.equal("", request.body)
  end)

  it("takes any 2xx without a body, or with an object", function()
    local client = support.new(scripted)
    for _, step in ipairs{ { status = 204, headers = {} },
      { status = 200, body = "" }, { status = 202, body = "{}" } } do
      scripted:script{ step }
      assert.is_true((client.sms.delete(ID)))
    end
    scripted:script{ { status = 200, body = "<html>" } }
    local gone, err = client.sms.delete(ID)
    assert.is_nil(gone)
    assert.equal("protocol", err.kind)
    assert.equal("unknown", err.outcome)
  end)

  it("cannot be cancelled once it is answered", function()
    local request, cancelled, gone
    local client = support.new(scripted, { on_event = function()
      cancelled = request:cancel()
    end })
    scripted:script{ { status = 204, headers = {} } }
    request = client.sms.delete_async(ID, function(...) gone = ... end)
    assert.equal(0, client:wait(5))
    assert.same({ false, true }, { cancelled, gone })
  end)

  it("says so where there is none", function()
    local gone, err = messages.client().sms.delete "acti_none"
    assert.is_nil(gone)
    assert.equal("not_found", err.kind)
    assert.equal("rejected", err.outcome)
  end)

  it("is a success where its first try may have been one", function()
    local sms, client = draft()
    messages.fault{ kind = "reset", method = "DELETE", acted = true }
    local gone, err, response = client.sms.delete(sms.id)
    assert(gone == true, tostring(err))
    assert.is_nil(err)
    assert.equal(404, response.status)
    assert.equal(2, response.attempts)
    assert.is_nil(messages.find(sms.id))
  end)

  it("is one, too, where a 401 came in between", function()
    local calls = 0
    local client = support.new(scripted, { access_token = function()
      calls = calls + 1
      return "t" .. calls
    end })
    scripted:script{ { reset = true }, { status = 401 }, { status = 404 } }
    assert.is_true((client.sms.delete(ID)))
    scripted:script{ { status = 401 }, { status = 404 } }
    local gone, err = client.sms.delete(ID)
    assert.is_nil(gone)
    assert.equal("rejected", err.outcome)
  end)

  it("does not take another refusal for one", function()
    local client = support.new(scripted)
    scripted:script{ { reset = true }, { status = 403 } }
    local gone, err = client.sms.delete(ID)
    assert.is_nil(gone)
    assert.equal("api", err.kind)
    assert.equal("unknown", err.outcome)
  end)
end)

describe("an id", function()
  local WRONG = { "..", ".", "a/b", "/", "", "a?b", "a#b", "a%2Fb", "a b", " a",
    "a\n", "a\0b", "a;b", "a:b", "\195\164", ("x"):rep(201) }

  it("is needed", function()
    local client = support.new(scripted)
    for _, verb in pairs(VERBS) do
      is_refused({ "id: required" }, calmly(verb, client.sms, nil))
    end
  end)

  it("is a string", function()
    local client = support.new(scripted)
    for _, verb in pairs(VERBS) do
      for _, id in ipairs{ 5, true, false, {}, print, close.null } do
        is_refused({ "id: type" }, calmly(verb, client.sms, id))
      end
    end
    for _, id in ipairs{ 5, true, false, {}, print, close.null } do
      is_refused({ "draft_id: type" }, calmly(client.sms.send,
        { draft_id = id }))
    end
  end)

  it("that would change the path never leaves", function()
    local client = support.new(scripted)
    for _, id in ipairs(WRONG) do
      for _, verb in pairs(VERBS) do
        is_refused({ "id: format" }, calmly(verb, client.sms, id))
      end
      is_refused({ "draft_id: format" }, calmly(client.sms.send,
        { draft_id = id }))
    end
    is_refused({ "id: format" }, calmly(client.sms.get, ("x"):rep(1e6)))
  end)

  it("may have up to 200 letters, digits, _ and -", function()
    local client = support.new(scripted)
    for _, id in ipairs{ "a", "A-Z_09", ("x"):rep(200) } do
      assert(client.sms.get(id))
      local ledger = scripted:ledger()
      assert.equal("/api/v1/activity/sms/" .. id .. "/",
        ledger[#ledger].target)
    end
  end)
end)

describe("a call with a colon", function()
  it("is refused with a hint", function()
    local client = support.new(scripted)
    local sms = client.sms
    for _, name in ipairs{ "create", "get", "update", "cancel", "delete",
      "send", "validate" } do
      local value, err = calmly(sms[name], sms, ID, {})
      assert.is_nil(value)
      assert.same({ "params: type" }, support.faults(err))
      assert.matches("call with a dot, as in sms." .. name, err.message, 1,
        true)
    end
    for _, name in ipairs{ "get", "update" } do
      local got, callback = messages.collector()
      assert(calmly(sms[name .. "_async"], sms, ID, callback))
      client:wait(5)
      assert.equal(1, got.calls)
      assert.matches("with a dot", got.err.message)
    end
    assert.equal(0, scripted:connections())
  end)
end)

describe("a failure", function()
  -- A client with a function for its token.
  local function renewing(options)
    local calls = 0
    options = options or {}
    options.access_token = function()
      calls = calls + 1
      return "t" .. calls
    end
    return support.new(scripted, options)
  end

  local function failed(steps, client, verb, kind, outcome, attempts)
    scripted:reset()
    scripted:script(steps)
    scripted:default{ status = 500 }
    local value, err = VERBS[verb](client.sms, ID, { timeout = 20 })
    assert.is_nil(value)
    assert.equal(kind, err.kind)
    assert.equal(outcome, err.outcome)
    assert.equal(attempts, err.attempts)
    assert.equal(attempts, #scripted:ledger())
    assert.is_nil(support.fault_of(err))
    assert.is_nil(err.draft_id)
  end

  for _, verb in ipairs{ "update", "cancel" } do
    it("of " .. verb .. " is unknown once a try may have acted", function()
      local client = support.new(scripted)
      local acted = { reset = true }
      failed({ { status = 400 } }, client, verb, "api", "rejected", 1)
      failed({ acted, { status = 400 } }, client, verb, "api", "unknown", 2)
      failed({ { status = 500 }, { status = 404 } }, client, verb, "not_found",
        "unknown", 2)
      failed({ { status = 429, headers = { ["Retry-After"] = "0" } },
        { status = 400 } }, client, verb, "api", "rejected", 2)
    end)

    it("of " .. verb .. " is so with a 401 in between, too", function()
      local client = renewing()
      local acted = { reset = true }
      failed({ { status = 401 }, { status = 400 } }, client, verb, "api",
        "rejected", 2)
      failed({ acted, { status = 401 }, { status = 400 } }, client, verb,
        "api", "unknown", 3)
      failed({ { status = 401 }, acted, { status = 400 } }, client, verb,
        "api", "unknown", 3)
      failed({ acted, { status = 401 }, { status = 401 } }, client, verb,
        "authentication", "unknown", 3)
      failed({ acted, { status = 401 } }, support.new(scripted), verb,
        "authentication", "unknown", 2)
    end)
  end

  for name, method in pairs(METHODS) do
    it("without an answer lets " .. name .. " try again", function()
      local client = support.new(scripted)
      scripted:script{ { status = 503 } }
      local value, err = VERBS[name](client.sms, ID)
      assert(value, tostring(err))
      assert.equal(2, #scripted:ledger())
      assert.equal(method, scripted:ledger()[2].method)
      scripted:reset()
      scripted:default{ reset = true }
      value, err = VERBS[name](client.sms, ID, { max_retries = 1 })
      assert.is_nil(value)
      assert.equal("connection", err.kind)
      assert.equal("unknown", err.outcome)
      assert.equal(2, err.attempts)
      assert.equal(2, #scripted:ledger())
    end)
  end
end)

describe("the options of a call", function()
  for name in pairs(METHODS) do
    it("are those of " .. name .. ", too", function()
      local client, verb = support.new(scripted), VERBS[name]
      local value, err
      assert.is_true(process.sometimes(function() -- a stall may hold it back
        scripted:reset()
        scripted:default{ delay = 5 }
        value, err = verb(client.sms, ID, { timeout = 0.15 })
        return #scripted:ledger() == 1
      end))
      assert.is_nil(value)
      assert.equal("timeout", err.kind)
      assert.equal("unknown", err.outcome)
      scripted:reset()
      scripted:default{ status = 500 }
      value, err = verb(client.sms, ID, { max_retries = 0 })
      assert.is_nil(value)
      assert.equal("server", err.kind)
      assert.equal(1, err.attempts)
      assert.equal(1, #scripted:ledger())
      for _, options in ipairs{ 5, { timeout = 0 }, { max_retries = -1 },
        { fields = "id" } } do
        value, err = calmly(verb, client.sms, ID, options)
        assert.is_nil(value)
        assert.equal("config", err.kind)
        assert.equal("not_sent", err.outcome)
      end
      assert.equal(1, #scripted:ledger())
    end)
  end

  it("may have a timeout that is longer than the client's", function()
    local client = support.new(scripted, { timeout = 0.1 })
    scripted:default{ delay = 0.3 }
    assert(client.sms.get(ID, nil, { timeout = 10 }))
  end)
end)

describe("a rate limit", function()
  it("holds for a method and all ids together", function()
    local body = require "spec.support.activity"
    assert.is_true(process.sometimes(function()
      scripted:reset()
      scripted:script{ { status = 200, body = body, headers = {
        RateLimit = "limit=1, remaining=0, reset=1" } } }
      local client = support.new(scripted)
      assert(client.sms.get "acti_1")
      assert(client.sms.update("acti_1", { text = "a" }))
      assert(client.sms.get "acti_2")
      local ledger = scripted:ledger()
      assert.equal("PUT", ledger[2].method)
      assert.is_true(ledger[3].time - ledger[1].time > 0.9)
      return ledger[2].time - ledger[1].time < 0.9
    end))
  end)
end)

describe("the default client", function()
  it("has every verb", function()
    assert(close.configure{ base_url = server.url,
      api_key = server.api_key }) -- closed with the process
    local sms = assert(close.sms.create(support.params{ status = "draft" }))
    assert.equal(sms.id, assert(close.sms.get(sms.id)).id)
    assert.same({ id = sms.id },
      (close.sms.get(sms.id, { fields = "id" }, { timeout = 5 })))
    assert.equal("b", assert(close.sms.update(sms.id, { text = "b" })).text)
    assert(close.sms.update(sms.id, { status = "outbox", send_in = 50 }))
    assert.equal("draft", assert(close.sms.cancel(sms.id)).status)
    assert.is_true((close.sms.delete(sms.id)))
    assert(close.sms.send(messages.params()))
    local client = assert(close.configure{ base_url = server.url,
      api_key = server.api_key })
    local got, callback = messages.collector()
    assert(close.sms.get_async("acti_none", callback))
    assert(close.sms.delete_async("acti_none", callback))
    assert(close.sms.send_async(messages.params(), callback))
    client:wait(5)
    assert.equal(3, got.calls)
    for _, verb in ipairs{ "get", "validate" } do
      local _, err = calmly(close.sms[verb], close.sms, "a")
      assert.matches("with a dot, as in sms." .. verb, err.message, 1, true)
    end
    client:close()
    local _, err = calmly(close.sms.get, "a")
    assert.equal("config", err.kind)
  end)
end)

-- Each verb's twin: what it is called with before the callback, and wrong.
local ASYNC = {
  create = { { { status = "draft" } }, { {} } },
  get = { { ID, {} }, { "a/b", {} } },
  update = { { ID, { text = "a" } }, { ID, { textt = "a" } } },
  cancel = { { ID }, { 5 } },
  delete = { { ID }, { "" } },
  send = { { { text = "a", local_phone = "+14154445555",
    lead_id = "lead_1" } }, { {} } },
}

for name, arguments in pairs(ASYNC) do
  describe(name .. "_async", function()
    -- Calls it with a callback and options; returns what it returned.
    local function call(client, given, callback, options)
      local list = { unpack = nil }
      for i, value in ipairs(given) do list[i] = value end
      local n = #given
      list[n + 1], list[n + 2] = callback, options
      return client.sms[name .. "_async"](list[1], list[2], list[3], list[4])
    end

    it("calls back once, later, with what the verb returns", function()
      local client = support.new(scripted)
      local got, callback = messages.collector()
      assert(call(client, arguments[1], callback))
      assert.equal(0, got.calls)
      assert.equal(0, client:wait(10))
      assert.equal(1, got.calls)
      local verb = client.sms[name]
      assert.same(verb(arguments[1][1], arguments[1][2]), got.value)
    end)

    it("tells its callback what is wrong, and not before", function()
      local client = support.new(scripted)
      local got, callback = messages.collector()
      assert(call(client, arguments[2], callback))
      assert(call(client, arguments[1], callback, { timeout = 0 }))
      assert.equal(0, got.calls)
      assert.equal(2, client:pending())
      assert.equal(0, client:wait(5))
      assert.equal(2, got.calls)
      assert.equal("config", got.err.kind)
      got, callback = messages.collector()
      assert(call(client, arguments[2], callback))
      client:poll()
      assert.equal(1, got.calls)
      assert.equal("validation", got.err.kind)
      assert.is_nil(got.value)
      assert.is_nil(got.response)
      assert.equal(0, scripted:connections())
    end)

    it("needs a function", function()
      local client = support.new(scripted)
      for _, callback in ipairs{ 5, false } do
        local request, err = calmly(call, client, arguments[1],
          callback or nil)
        assert.is_nil(request)
        assert.equal("config", err.kind)
      end
      assert.equal(0, client:pending())
    end)

    it("takes options after the callback", function()
      scripted:default{ delay = 5 }
      local client = support.new(scripted)
      local got, callback = messages.collector()
      assert(call(client, arguments[1], callback, { timeout = 0.1 }))
      client:wait(5)
      assert.equal(1, got.calls)
      assert.equal("timeout", got.err.kind)
    end)
  end)
end

describe("get_async", function()
  it("may do without params", function()
    local client = support.new(scripted)
    local got, callback = messages.collector()
    assert(client.sms.get_async(ID, callback))
    assert(client.sms.get_async(ID, nil, callback))
    assert(client.sms.get_async(ID, callback, { timeout = 5 }))
    assert(client.sms.get_async(ID, { fields = "id" }, callback))
    client:wait(10)
    assert.equal(4, got.calls)
    local path, targets = "/api/v1/activity/sms/" .. ID .. "/", {}
    for i, request in ipairs(scripted:ledger()) do
      targets[i] = request.target
    end
    table.sort(targets)
    assert.same({ path, path, path, path .. "?_fields=id" }, targets)
    scripted:default{ delay = 5 }
    assert(client.sms.get_async(ID, callback, { timeout = 0.1 }))
    client:wait(5)
    assert.equal("timeout", got.err.kind)
  end)
end)
