-- The states of an SMS: how it gets from one to the next by itself, by an
-- update, or not at all, and how it goes.

local cjson = require "cjson"
local socket = require "socket"
local support = require "spec.support.sandbox_client"

local SMS, DRAFT, OUTBOX = support.SMS, support.DRAFT, support.OUTBOX
local LATER = "2099-01-01T00:00:00Z"

local copy, eventually = support.copy, support.eventually
local sometimes = support.sometimes
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

describe("close.sandbox sending", function()
  local function get(id)
    local _, sms = client:call("GET", SMS .. id .. "/")
    return sms
  end

  local function becomes_sent(id)
    return eventually(function() return get(id).status == "sent" end)
  end

  it("answers outbox, and shows sent when read next", function()
    local sms = client:create(OUTBOX)
    assert.equal("outbox", sms.status)
    assert.equal(cjson.null, sms.date_sent)
    sms = get(sms.id)
    assert.equal("sent", sms.status)
    assert.equal("string", type(sms.date_sent))
  end)

  it("waits for send_in", function()
    local sms
    assert.is_true(sometimes(function() -- it is asked in that time
      sms = client:create(copy(OUTBOX, { send_in = 0.3 }))
      return get(sms.id).status == "outbox"
    end))
    assert.is_true(becomes_sent(sms.id))
  end)

  it("waits for date_scheduled, and sends at that time", function()
    local sms
    assert.is_true(sometimes(function() -- it is asked in that time
      local at = socket.gettime() + 0.5
      sms = client:create(copy(OUTBOX, { status = "scheduled",
        date_scheduled = os.date("!%Y-%m-%dT%H:%M:%S", math.floor(at))
          .. (".%03dZ"):format(math.floor(at % 1 * 1000)) }))
      return sms.status == "scheduled" and get(sms.id).status == "scheduled"
    end))
    assert.is_true(becomes_sent(sms.id))
    assert.equal(sms.date_scheduled, get(sms.id).date_sent)
  end)

  it("takes date_scheduled only where something is scheduled", function()
    local sms = client:create(copy(OUTBOX, { date_scheduled = LATER }))
    assert.equal(cjson.null, sms.date_scheduled)
    sms = client:create(copy(DRAFT, { date_scheduled = LATER }))
    assert.equal("2099-01-01T00:00:00.000000+00:00", sms.date_scheduled)
  end)

  it("dates a logged one by its activity_at", function()
    local at = "2019-02-05T13:18:43.000000+00:00"
    local sms = client:create { status = "sent", activity_at = at }
    assert.equal(at, sms.date_sent)
    sms = client:create { status = "sent" }
    assert.equal(sms.date_created, sms.date_sent)
  end)

  it("leaves logged ones as they are", function()
    for _, status in ipairs { "inbox", "sent", "error", "draft" } do
      assert.equal(status, get(client:create({ status = status }).id).status)
    end
  end)
end)

describe("close.sandbox updating an SMS", function()
  local function update(id, body)
    return client:call("PUT", SMS .. id .. "/", body)
  end

  local function pending(status)
    return client:create(copy(OUTBOX, { status = status,
      send_in = status == "outbox" and 59 or nil,
      date_scheduled = status == "scheduled" and LATER or nil }))
  end

  it("changes what it names and nothing else", function()
    local sms = client:create(copy(DRAFT, { lead_id = "lead_a" }))
    local status, after = update(sms.id, { text = "New" })
    assert.equal(200, status)
    assert.equal("New", after.text)
    assert.equal("lead_a", after.lead_id)
    assert.equal("draft", after.status)
    assert.equal(sms.id, after.id)
  end)

  it("unsets what is null", function()
    local sms = client:create(copy(DRAFT, { lead_id = "lead_a" }))
    local _, after = update(sms.id, { lead_id = cjson.null })
    assert.equal(cjson.null, after.lead_id)
  end)

  it("leaves alone what only a creation can say", function()
    local sms = client:create(DRAFT)
    local _, after = update(sms.id, { direction = "inbound",
      source = "External", organization_id = "orga_x" })
    for _, name in ipairs { "direction", "source", "organization_id" } do
      assert.equal(sms[name], after[name])
    end
  end)

  it("sends a draft", function()
    local sms = client:create(copy(OUTBOX, { status = "draft" }))
    local status, after = update(sms.id, { status = "outbox" })
    assert.equal(200, status)
    assert.equal("outbox", after.status)
    assert.equal("sent", server:messages()[1].status)
  end)

  it("schedules a draft", function()
    local sms = client:create(copy(OUTBOX, { status = "draft" }))
    local status, after = update(sms.id,
      { status = "scheduled", date_scheduled = LATER })
    assert.equal(200, status)
    assert.equal("scheduled", after.status)
    assert.matches("^2099", after.date_scheduled)
  end)

  it("needs two numbers and a date for that", function()
    local sms = client:create(DRAFT)
    local status, body = update(sms.id, { status = "scheduled" })
    assert.equal(400, status)
    assert.same({ date_scheduled = "This field is required.",
      local_phone = "This field is required.",
      remote_phone = "This field is required." }, body["field-errors"])
    status = update(sms.id, { status = "outbox", local_phone = cjson.null })
    assert.equal(400, status)
    for _, name in ipairs { "remote_phone", "contact_id", "lead_id" } do
      assert.equal(200, (update(client:create(DRAFT).id, { status = "outbox",
        local_phone = "+16505172539", [name] = "+447911123456" })))
    end
  end)

  it("cancels what is scheduled or in outbox", function()
    for _, status in ipairs { "scheduled", "outbox" } do
      local sms = pending(status)
      local answered, after = update(sms.id, { status = "draft" })
      assert.equal(200, answered)
      assert.equal("draft", after.status)
      assert.equal(cjson.null, after.date_scheduled)
    end
  end)

  it("never sends what was cancelled", function()
    assert.is_true(sometimes(function() -- it is cancelled in that time
      assert(server:reset())
      local sms = client:create(copy(OUTBOX, { send_in = 0.2 }))
      if update(sms.id, { status = "draft" }) ~= 200 then return false end
      socket.sleep(0.25)
      assert.equal("draft", server:messages()[1].status)
      return true
    end))
  end)

  it("modifies only drafts", function()
    for _, sms in ipairs { pending "scheduled", pending "outbox",
      client:create { status = "sent" }, client:create { status = "inbox" },
      client:create { status = "error" } }
    do
      local status, body = update(sms.id, { text = "New" })
      assert.equal(400, status)
      assert.same({ "Only drafts can be modified." }, body.errors)
      assert.equal(400, (update(sms.id, { status = "outbox" })))
    end
  end)

  it("does not cancel what was sent", function()
    local sms = client:create(OUTBOX)
    assert.equal(400, (update(sms.id, { status = "draft" })))
  end)

  it("makes no draft a logged SMS", function()
    local sms = client:create(DRAFT)
    for _, status in ipairs { "sent", "inbox", "error" } do
      assert.equal(400, (update(sms.id, { status = status })))
    end
  end)

  it("checks types and enums as a creation does", function()
    local sms = client:create(DRAFT)
    local status, body = update(sms.id, { text = 1, status = "x" })
    assert.equal(400, status)
    assert.not_nil(body["field-errors"].text)
    assert.not_nil(body["field-errors"].status)
    assert.equal("Hello", server:messages()[1].text)
  end)

  it("keeps the date of a draft that stays one", function()
    local sms = client:create(copy(DRAFT, { date_scheduled = LATER }))
    local _, after = update(sms.id, { status = "draft", text = "New" })
    assert.matches("^2099", after.date_scheduled)
  end)
end)

describe("close.sandbox deleting an SMS", function()
  it("answers 200 and an empty object", function()
    local sms = client:create(DRAFT)
    local status, _, _, text = client:call("DELETE", SMS .. sms.id .. "/")
    assert.equal(200, status)
    assert.equal("{}", text)
    assert.equal(404, (client:call("GET", SMS .. sms.id .. "/")))
    assert.same({}, server:messages())
  end)
end)
