-- What is refused when an SMS is created: the status, and messages that name
-- the field and the reason.

local cjson = require "cjson"
local support = require "spec.support.sandbox_client"

local SMS, DRAFT, OUTBOX = support.SMS, support.DRAFT, support.OUTBOX

local copy = support.copy
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

local function refused(body, field)
  local status, problem = client:call("POST", SMS, body)
  assert.equal(400, status)
  assert.not_nil(problem["field-errors"][field])
  return problem["field-errors"][field], problem
end

describe("close.sandbox creating an SMS refuses", function()
  it("a body without a status, in Close's words", function()
    local status, _, _, text = client:call("POST", SMS, "{}")
    assert.equal(400, status)
    assert.equal('{"errors":[],"field-errors":{"status":'
      .. '"This field is required."}}', text)
  end)

  it("what no field can be", function()
    for _, field in ipairs { "status", "direction", "source" } do
      assert.equal("Not a valid choice.",
        refused(copy(DRAFT, { [field] = "other" }), field))
      refused(copy(DRAFT, { [field] = 1 }), field)
      refused(copy(DRAFT, { [field] = cjson.null }), field)
    end
    for _, field in ipairs {
      "activity_at", "attachments", "contact_id", "created_by_id",
      "date_created", "date_scheduled", "lead_id", "local_phone",
      "organization_id", "remote_phone", "template_id", "text", "user_id",
    } do
      refused(copy(DRAFT, { [field] = 1 }), field)
      refused(copy(DRAFT, { [field] = { a = "b" } }), field)
    end
    refused(copy(OUTBOX, { send_in = "5" }), "send_in")
  end)

  it("dates that are none", function()
    for _, date in ipairs {
      "tomorrow", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z",
      "2023-01-01T24:00:00Z", "2023-01-01T00:00:00 00:00",
      "2023-01-01T00:00:00+24:00", "2023-01-01T00:00:00.Z",
    } do
      refused(copy(DRAFT, { activity_at = date }), "activity_at")
    end
  end)

  it("phone numbers that are not E.164", function()
    for _, phone in ipairs { "5551234", "+0155", "+1 650", "phon_x", "+",
      "+1234567890123456" }
    do
      refused(copy(OUTBOX, { local_phone = phone }), "local_phone")
    end
  end)

  it("what a status does not go with", function()
    for _, row in ipairs {
      { { status = "outbox", text = "x" }, "local_phone" },
      { { status = "scheduled", text = "x" }, "local_phone" },
      { { status = "outbox", local_phone = cjson.null }, "local_phone" },
      { copy(OUTBOX, { status = "scheduled" }), "date_scheduled" },
      { copy(OUTBOX, { send_in = 60 }), "send_in" },
      { copy(OUTBOX, { send_in = -1 }), "send_in" },
    } do
      refused(row[1], row[2])
    end
    client:create(copy(OUTBOX, { send_in = 59.9 }))
  end)

  it("attachments with something missing, each in its place", function()
    local problem = refused(copy(DRAFT, { attachments = {
      { content_type = "image/png", filename = "a", url = "https://a" },
      { content_type = "text/html", url = 1 }, "x",
    } }), "attachments")
    assert.is_nil(problem.errors["0"])
    assert.same({
      content_type = "Not a valid choice.",
      filename = "This field is required.",
      url = "Value must be of str type.",
    }, problem.errors["1"]["field-errors"])
    assert.not_nil(problem.errors["2"])
  end)

  it("all that is wrong at once", function()
    local _, problem = refused({ source = "x", text = 1 }, "status")
    assert.not_nil(problem["field-errors"].source)
    assert.not_nil(problem["field-errors"].text)
  end)

  it("what is no JSON object", function()
    for _, text in ipairs { "", "{", "{} x", '{"status": NaN}',
      '{"status": "draft", "text": "\255"}',
      '{"status": "draft", "text": "\237\160\128"}', "[]", "1", "null",
      '"x"' }
    do
      local status, body = client:call("POST", SMS, text)
      assert.equal(400, status, text)
      assert.equal("string", type(body.error))
    end
  end)

  it("another content type", function()
    for _, content_type in ipairs { "text/plain",
      "application/x-www-form-urlencoded", "application/jsonx" }
    do
      assert.equal(415, (client:call("POST", SMS, DRAFT,
        { ["content-type"] = content_type })))
    end
    assert.equal(200, (client:call("POST", SMS, DRAFT,
      { ["content-type"] = "Application/JSON; charset=utf-8" })))
  end)
end)
