-- Every rule of validation from Lua, through validate and through create:
-- which field, which code, and nothing on the wire.
local close = require "close"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

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

local function refuses_field(field, value, code, status)
  local params = { status = status or "draft", [field] = value }
  return refuses(params, { field .. ": " .. code }).errors[1].message
end

local function accepts(params)
  local ok, err = client.sms.validate(params)
  assert(ok == true, tostring(err))
end

-- What is to be sent now or later; text = false: without a text.
local function with(status, more)
  return support.params{ status = status, text = more.text,
    date_scheduled = status == "scheduled" and "2026-11-23T08:00:00Z" }
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
      template_id = "smstmpl_1", date_scheduled = "2026-11-23T08:00:00Z",
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

describe("types", function()
  it("hold for every field", function()
    local wrong = { 5, true, {}, print, io.stdout,
      coroutine.create(function() end) }
    for _, field in ipairs{
      "contact_id", "created_by_id", "direction", "lead_id", "local_phone",
      "organization_id", "remote_phone", "source", "template_id", "text",
      "user_id",
    } do
      for _, value in ipairs(wrong) do refuses_field(field, value, "type") end
    end
    for _, value in ipairs(wrong) do
      refuses({ status = value }, { "status: type" })
    end
  end)

  it("hold for dates, numbers and booleans", function()
    for _, value in ipairs{ true, {}, print } do
      refuses_field("activity_at", value, "type")
      refuses_field("date_created", value, "type")
      refuses_field("date_scheduled", value, "type")
      refuses({ status = "inbox", send_to_inbox = 1 }, {
        "send_to_inbox: type" })
      refuses(support.params{ send_in = value }, { "send_in: type" })
    end
    refuses(support.params{ send_in = "5" }, { "send_in: type" })
    refuses({ status = "inbox", send_to_inbox = "true" }, {
      "send_to_inbox: type" })
  end)

  it("hold for attachments and their items", function()
    for _, value in ipairs{ "a.png", 5, true, support.attachment(), print,
      { "a", [3] = "b" }, { [0] = support.attachment() } } do
      refuses_field("attachments", value, "type")
    end
    refuses({ status = "draft", attachments = { "x", 5, support.attachment(),
      close.null } }, { "attachments[1]: type", "attachments[2]: type",
      "attachments[4]: type" })
  end)

  it("allow null where the schema does, and only there", function()
    accepts{ status = "draft", activity_at = close.null, text = close.null,
      attachments = close.null, contact_id = close.null,
      local_phone = close.null, remote_phone = close.null,
      lead_id = close.null, user_id = close.null, template_id = close.null,
      created_by_id = close.null, date_created = close.null,
      organization_id = close.null }
    refuses({ status = close.null }, { "status: type" })
    refuses_field("direction", close.null, "type")
    refuses_field("source", close.null, "type")
    for _, name in ipairs{ "content_type", "filename", "url" } do
      refuses({ status = "draft", attachments = {
        support.attachment{ [name] = close.null } } },
        { "attachments[1]." .. name .. ": type" })
    end
  end)
end)

describe("lists of values", function()
  it("hold, letter by letter", function()
    for _, value in ipairs{ "", "Outbox", "outbox ", "out", "outbox\0" } do
      refuses({ status = value }, { "status: enum" })
    end
    refuses_field("direction", "Inbound", "enum")
    refuses_field("source", "close.io", "enum")
    refuses({ status = "draft", attachments = {
      support.attachment{ content_type = "image/PNG" },
      support.attachment{ content_type = "image/svg+xml" } } }, {
      "attachments[1].content_type: enum",
      "attachments[2].content_type: enum" })
  end)

  it("come with what was probably meant", function()
    assert.matches('"outbound"', refuses_field("direction", "outgoing", "enum"))
    local err = refuses({ status = "send" }, { "status: enum" })
    assert.matches('mean "outbox"', err.message)
  end)
end)

describe("what a status needs", function()
  it("is a date for scheduled", function()
    refuses(support.params{ status = "scheduled" }, {
      "date_scheduled: required" })
    refuses(support.params{ status = "scheduled",
      date_scheduled = close.null }, { "date_scheduled: required" })
    accepts(with("scheduled", {}))
  end)

  it("is a number to send from, for outbox and scheduled", function()
    for _, number in ipairs{ false, close.null } do
      for _, status in ipairs{ "outbox", "scheduled" } do
        local params = with(status, {})
        params.local_phone = number or nil
        refuses(params, { "local_phone: required" })
      end
    end
  end)

  it("is somebody to send to, for outbox and scheduled", function()
    for _, status in ipairs{ "outbox", "scheduled" } do
      for _, nobody in ipairs{ false, close.null, "" } do
        local params = with(status, {})
        params.remote_phone = nobody ~= "" and nobody or nil
        params.contact_id, params.lead_id = nobody or nil, nil
        local err = refuses(params, { "remote_phone: required" })
        assert.matches("contact_id or lead_id", err.message, 1, true)
        params.contact_id = "cont_1"
        accepts(params)
        params.contact_id, params.lead_id = nil, "lead_1"
        accepts(params)
        params.lead_id, params.text = nil, nil
        params.template_id = "smstmpl_1"
        refuses(params, { "remote_phone: required" })
        params.remote_phone, params.template_id = "+18183334444", ""
        refuses(params, { "text: required" })
      end
    end
  end)

  it("is something to send, for outbox and scheduled", function()
    for _, status in ipairs{ "outbox", "scheduled" } do
      for _, text in ipairs{ false, close.null } do
        local params = with(status, { text = text })
        refuses(params, { "text: required" })
        params.attachments = {}
        refuses(params, { "text: required" })
        params.attachments = { support.attachment() }
        accepts(params)
        params.attachments, params.template_id = nil, "smstmpl_1"
        accepts(params)
      end
    end
  end)

  it("is nothing for the others", function()
    for _, status in ipairs{ "inbox", "draft", "sent", "error" } do
      accepts{ status = status }
      accepts{ status = status, text = "" }
    end
  end)
end)

describe("what does not go together", function()
  it("is date_scheduled with what is not scheduled or draft", function()
    for _, status in ipairs{ "inbox", "outbox", "sent", "error" } do
      for _, date in ipairs{ "2026-11-23T08:00:00Z", 1795334400 } do
        refuses(support.params{ status = status, date_scheduled = date }, {
          "date_scheduled: conflict" })
      end
    end
    accepts{ status = "draft", date_scheduled = "2026-11-23T08:00:00Z" }
  end)

  it("is send_in with what is not outbox", function()
    for _, status in ipairs{ "inbox", "draft", "sent", "error" } do
      refuses({ status = status, send_in = 5 }, { "send_in: conflict" })
    end
    for _, seconds in ipairs{ 0, 0.5, 59.999 } do
      accepts(support.params{ send_in = seconds })
    end
    for _, seconds in ipairs{ -1, 60, 1e9, 0 / 0, math.huge, -math.huge } do
      refuses(support.params{ send_in = seconds }, { "send_in: range" })
    end
  end)

  it("is send_to_inbox with what is not inbox", function()
    for _, status in ipairs{ "draft", "sent", "error" } do
      refuses({ status = status, send_to_inbox = true }, {
        "send_to_inbox: conflict" })
    end
    accepts{ status = "inbox", send_to_inbox = true }
  end)

  it("is a text with a template", function()
    refuses(support.params{ template_id = "smstmpl_1" }, {
      "template_id: conflict" })
    accepts(support.params{ template_id = close.null })
  end)
end)

describe("unknown fields", function()
  it("are refused, with the right name for the known wrong ones", function()
    for wrong, right in pairs{ to = "remote_phone", from = "local_phone",
      body = "text", message = "text", phone = "remote_phone" } do
      local said = refuses_field(wrong, "x", "unknown_field")
      assert.matches('"' .. right .. '"', said, 1, true)
    end
  end)

  it("are refused with the nearest name", function()
    for wrong, right in pairs{ Text = "text", lead = "lead_id",
      remotephone = "remote_phone", local_fone = "local_phone",
      sheduled_date = false, date_schedule = "date_scheduled" } do
      local said = refuses_field(wrong, "x", "unknown_field")
      if right then assert.matches('"' .. right .. '"', said, 1, true) end
    end
  end)

  it("are refused with the nearest name of what can be seen", function()
    for shown, right in pairs{ ["to\\x0D"] = "remote_phone",
      ["bo\\xE2\\x80\\x8Bdy"] = "text" } do
      local wrong = shown:gsub("\\x(..)", function(byte)
        return string.char(tonumber(byte, 16))
      end)
      local err = refuses({ status = "draft", [wrong] = "x" }, {
        shown .. ": unknown_field" })
      assert.matches('"' .. right .. '"', err.message, 1, true)
    end
  end)

  it("are refused in an attachment, too", function()
    local err = refuses({ status = "draft", attachments = {
      support.attachment(), support.attachment{ file_name = "a" } } }, {
      "attachments[2].file_name: unknown_field" })
    assert.matches('"filename"', err.message, 1, true)
  end)

  it("go through in extra", function()
    accepts{ status = "draft", extra = { to = "anything" } }
    accepts{ status = "draft", extra = {} }
    refuses_field("extra", "x", "type")
    refuses_field("extra", { "a" }, "type")
  end)
end)

describe("nothing else", function()
  it("is refused", function()
    for _, params in ipairs{
      { status = "sent" }, -- without a local_phone, as recorded
      { status = "inbox", direction = "outbound" },
      { status = "sent", direction = "inbound", source = "Close.io" },
      support.params{ remote_phone = false, lead_id = "lead_1" },
      support.params{ contact_id = "", lead_id = "x y", user_id = "?" },
      support.params{ activity_at = "1999-01-01T00:00:00Z" },
      { status = "draft", attachments = {
        support.attachment{ filename = "", url = "not a url" } } },
    } do
      accepts(params)
    end
  end)
end)
