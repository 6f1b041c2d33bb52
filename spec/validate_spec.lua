-- Validation from Lua, through validate and create: the type that a value has
-- for the core, one case of each rule, and nothing is sent. spec/c/test_sms.c
-- and the tests beside it have every case of the core's rules.
local close = require "close"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local WHEN = "2026-11-23T08:00:00Z"

local server, client

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function()
  server:reset()
  client = support.new(server)
end)
after_each(support.close_all)

-- Asserts that params break just these rules ("field: code", sorted); returns
-- the error.
local function refuses(params, faults)
  local ok, err = client.sms.validate(params)
  assert.is_nil(ok)
  assert.equal("validation", err.kind)
  assert.same(faults, support.faults(err))
  local sms, same, response = client.sms.create(params)
  assert.is_nil(sms)
  assert.is_nil(response)
  assert.equal("validation", same.kind)
  assert.same(err.errors, same.errors)
  assert.equal(0, server:connections())
  return err
end

local function refuses_field(field, value, code)
  local params = { status = "draft", [field] = value }
  return refuses(params, { field .. ": " .. code }).errors[1].message
end

local function accepts(params)
  local ok, err = client.sms.validate(params)
  assert(ok == true, tostring(err))
  assert.equal(1, select("#", client.sms.validate(params)))
end

describe("an error of validation", function()
  it("says what happened, and that nothing was sent", function()
    local err = refuses({}, { "status: required" })
    assert.equal("rejected", err.outcome)
    assert.equal(0, err.attempts or 0)
    assert.is_nil(err.status)
    assert.is_nil(err.body)
    assert.is_nil(err.code)
    assert.is_nil(support.fault_of(err))
    assert.matches("status", err.message)
  end)

  it("reports all that is wrong in one go", function()
    local err = refuses({
      status = "sent", local_phone = "12", remote_phone = 5, text = "a",
      template_id = "smstmpl_1", date_scheduled = WHEN,
      send_in = 5, send_to_inbox = true, direction = "up",
      activity_at = "soon", lead_id = true, to = "+14154445555",
      attachments = { support.attachment(), { url = 1, colour = 2 } },
    }, {
      "activity_at: format", "attachments[2].colour: unknown_field",
      "attachments[2].content_type: required",
      "attachments[2].filename: required", "attachments[2].url: type",
      "date_scheduled: conflict", "direction: enum", "lead_id: type",
      "local_phone: format", "remote_phone: type", "send_in: conflict",
      "send_to_inbox: conflict", "template_id: conflict",
      "to: unknown_field",
    })
    for _, item in ipairs(err.errors) do
      assert.is_true(#item.message > 20, item.field)
      assert.is_nil(item.message:find("%c"))
    end
  end)

  it("is returned by close.sms.validate, too", function()
    local ok, err = close.sms.validate{ status = "later" }
    assert.is_nil(ok)
    assert.same({ "status: enum" }, support.faults(err))
    assert.is_true(close.sms.validate{ status = "draft" })
  end)
end)

describe("a value", function()
  it("of the wrong type is named", function()
    local thread = coroutine.create(function() end)
    for _, row in ipairs{ { 5, "a number" }, { true, "a boolean" },
      { {}, "a table" }, { print, "a function" },
      { io.stdout, "a userdata" }, { thread, "a coroutine" } } do
      assert.matches("got " .. row[2], refuses_field("text", row[1], "type"))
    end
    for _, value in ipairs{ true, {}, print } do
      refuses_field("activity_at", value, "type")
      refuses(support.params{ send_in = value }, { "send_in: type" })
    end
    refuses({ status = "inbox", send_to_inbox = 1 }, { "send_to_inbox: type" })
  end)

  it("that is no list of attachments is named", function()
    for _, value in ipairs{ "a.png", 5, true, support.attachment(), print,
      { "a", [3] = "b" }, { [0] = support.attachment() } } do
      refuses_field("attachments", value, "type")
    end
    refuses({ status = "draft", attachments = { "x", 5, support.attachment(),
      close.null } }, { "attachments[1]: type", "attachments[2]: type",
      "attachments[4]: type" })
  end)

  it("may be null where the schema says so, and only there", function()
    accepts{ status = "draft", activity_at = close.null, text = close.null,
      attachments = close.null, contact_id = close.null,
      local_phone = close.null, remote_phone = close.null,
      lead_id = close.null, user_id = close.null, template_id = close.null,
      created_by_id = close.null, date_created = close.null,
      organization_id = close.null }
    refuses({ status = close.null }, { "status: type" })
    local item = support.attachment{ url = close.null }
    refuses({ status = "draft", attachments = { item } },
      { "attachments[1].url: type" })
  end)
end)

-- params, and the one rule that they break; false: none.
local RULES = {
  { { status = "outbox " }, "status: enum" },
  { { status = "outbox\0" }, "status: enum" },
  { { status = "draft", source = "close.io" }, "source: enum" },
  { { status = "draft", attachments = { support.attachment{
    content_type = "image/PNG" } } }, "attachments[1].content_type: enum" },
  { { status = "draft", local_phone = "+1415444\0" }, "local_phone: format" },
  { { status = "draft", activity_at = WHEN .. "\0" }, "activity_at: format" },
  { { status = "draft", activity_at = 253402300800 }, "activity_at: range" },
  { support.params{ send_in = 60 }, "send_in: range" },
  { support.params{ send_in = 0 / 0 }, "send_in: range" },
  { support.params{ send_in = math.huge }, "send_in: range" },
  { support.params{ send_in = 59.999 }, false },
  { support.params{ status = "scheduled" }, "date_scheduled: required" },
  { support.params{ status = "scheduled", date_scheduled = close.null },
    "date_scheduled: required" },
  { support.params{ status = "scheduled", date_scheduled = WHEN }, false },
  { support.params{ local_phone = false }, "local_phone: required" },
  { support.params{ remote_phone = false }, "remote_phone: required" },
  { support.params{ remote_phone = false, lead_id = "" },
    "remote_phone: required" },
  { support.params{ remote_phone = false, lead_id = "lead_1" }, false },
  { support.params{ text = false }, "text: required" },
  { support.params{ text = false, attachments = {} }, "text: required" },
  { support.params{ text = false, attachments = { support.attachment() } },
    false },
  { support.params{ date_scheduled = WHEN }, "date_scheduled: conflict" },
  { { status = "draft", send_in = 5 }, "send_in: conflict" },
  { { status = "draft", send_to_inbox = true }, "send_to_inbox: conflict" },
  { { status = "inbox", send_to_inbox = true }, false },
  { support.params{ template_id = "smstmpl_1" }, "template_id: conflict" },
  { support.params{ template_id = close.null }, false },
  { { status = "draft", extra = "x" }, "extra: type" },
  { { status = "draft", extra = { "a" } }, "extra: type" },
  { { status = "draft", extra = { to = "anything" } }, false },
  -- Close takes these, so they are not refused.
  { { status = "sent" }, false }, -- without a local_phone, as recorded
  { { status = "inbox", direction = "outbound" }, false },
  { support.params{ contact_id = "", lead_id = "x y", user_id = "?" }, false },
  { { status = "draft", attachments = {
    support.attachment{ filename = "", url = "not a url" } } }, false },
}

describe("each rule", function()
  for i, row in ipairs(RULES) do
    it(("holds: %d, %s"):format(i, row[2] or "nothing"), function()
      if row[2] then refuses(row[1], { row[2] }) else accepts(row[1]) end
    end)
  end
end)

describe("unknown fields", function()
  it("are refused with what was probably meant", function()
    local said = refuses_field("to", "x", "unknown_field")
    assert.matches('"remote_phone"', said, 1, true)
    local err = refuses({ status = "draft", ["bo\226\128\139dy"] = "x" }, {
      "bo\\xE2\\x80\\x8Bdy: unknown_field" })
    assert.matches('"text"', err.message, 1, true)
    assert.matches('mean "outbox"',
      refuses({ status = "send" }, { "status: enum" }).message)
  end)

  it("are refused in an attachment, too", function()
    local err = refuses({ status = "draft", attachments = {
      support.attachment(), support.attachment{ file_name = "a" } } }, {
      "attachments[2].file_name: unknown_field" })
    assert.matches('"filename"', err.message, 1, true)
  end)
end)
