-- A created SMS: all that the sandbox answers, in Close's own formats, and what
-- it makes of fields that it was not given.

local activity = require "spec.support.activity"
local cjson = require "cjson"
local core = require "close.core"
local schema = require "spec.support.schema"
local support = require "spec.support.sandbox_client"

local SMS, DRAFT, OUTBOX = support.SMS, support.DRAFT, support.OUTBOX
local ISO = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%d%+00:00$"

local copy = support.copy
local server, client

setup(function() server, client = support.start() end)
teardown(function()
  support.stop_all()
  schema.stop()
end)
before_each(function() assert(server:reset()) end)

describe("close.sandbox creating an SMS", function()
  describe("answers", function()
    it("every member of the schema, with its type", function()
      for _, body in ipairs {
        OUTBOX, DRAFT, { status = "inbox" }, { status = "sent" },
      } do
        local _, sms, _, text = client:call("POST", SMS, body)
        local ok, errors = schema.check("activity", text)
        assert(ok, table.concat(errors or {}, "\n"))
        for name in pairs(cjson.decode(activity)) do
          assert.not_nil(sms[name], name)
        end
        assert.matches(ISO, sms.date_created)
      end
    end)

    it("real nulls and real empty arrays", function()
      local _, _, _, text = client:call("POST", SMS,
        [[{"status": "draft", "user_id": null}]])
      assert.matches('"users":[]', text, 1, true)
      assert.matches('"attachments":[]', text, 1, true)
      assert.matches('"cost":null', text, 1, true)
      assert.matches('"user_id":null', text, 1, true)
    end)

    it("an id like Close's, never the same", function()
      local one, other = client:create(DRAFT), client:create(DRAFT)
      assert.matches("^acti_%w+$", one.id)
      assert.equal(5 + 43, #one.id)
      assert.not_equal(one.id, other.id)
    end)

    it("what was sent", function()
      local body = copy(OUTBOX, {
        lead_id = "lead_any", contact_id = "cont_any", user_id = "user_any",
        organization_id = "orga_any", created_by_id = "user_other",
        direction = "inbound", source = "External",
      })
      local sms = client:create(body)
      for name, value in pairs(body) do
        assert.equal(value, sms[name == "created_by_id" and "created_by"
          or name])
      end
      assert.same({ "user_any" }, sms.users)
      assert.equal("SMS", sms._type)
    end)

    it("dates as Close writes them, in UTC", function()
      local sms = client:create(copy(DRAFT, {
        activity_at = "2019-02-05T14:18:43.186+01:00",
        date_created = "2019-02-05T13:18:43Z",
      }))
      assert.equal("2019-02-05T13:18:43.186000+00:00", sms.activity_at)
      assert.equal("2019-02-05T13:18:43.000000+00:00", sms.date_created)
    end)

    it("phone numbers formatted, with their countries", function()
      local sms = client:create(OUTBOX)
      assert.equal("+1 650-517-2539", sms.local_phone_formatted)
      assert.equal("US", sms.local_country_iso)
      assert.equal("+44 7911123456", sms.remote_phone_formatted)
      assert.equal("GB", sms.remote_country_iso)
      sms = client:create(copy(DRAFT, { local_phone = "+99912345" }))
      assert.equal(cjson.null, sms.local_country_iso)
      assert.equal("+99912345", sms.local_phone_formatted)
    end)

    it("attachments with what Close adds", function()
      local item = { content_type = "image/png", filename = "a.png",
        url = "https://example.com/a.png" }
      local sms = client:create(copy(DRAFT, { attachments = { item } }))
      local shown = sms.attachments[1]
      for name, value in pairs(item) do assert.equal(value, shown[name]) end
      assert.equal("number", type(shown.size))
      assert.matches("^media_%w+$", shown.media_id)
      assert.equal("string", type(shown.thumbnail_url))
    end)

    it("a text byte for byte", function()
      local text = "a\0b \240\159\152\128 \"\\/\r\n\t\127 \226\130\172"
      local sms = client:create(copy(DRAFT, { text = text }))
      assert.equal(text, sms.text)
      local _, found = client:call("GET", SMS .. sms.id .. "/")
      assert.equal(text, found.text)
      assert.equal(text, server:messages()[1].text)
    end)

    it("a text rendered from a template", function()
      local sms = client:create { status = "draft", template_id = "smstmpl_x" }
      assert.equal("smstmpl_x", sms.template_id)
      assert.matches("smstmpl_x", sms.text, 1, true)
      sms = client:create { status = "draft", template_id = "t", text = "mine" }
      assert.equal("mine", sms.text)
    end)
  end)

  describe("defaults", function()
    it("the direction to inbound for inbox, else to outbound", function()
      assert.equal("inbound", client:create({ status = "inbox" }).direction)
      for _, status in ipairs { "draft", "sent", "error" } do
        assert.equal("outbound", client:create({ status = status }).direction)
      end
    end)

    it("the source to Close.io", function()
      assert.equal("Close.io", client:create(DRAFT).source)
    end)

    it("what is null to what is absent", function()
      local sms = client:create(copy(DRAFT, {
        date_created = cjson.null, organization_id = cjson.null,
        attachments = cjson.null, text = cjson.null, send_in = cjson.null,
      }))
      assert.matches("^orga_", sms.organization_id)
      assert.matches(ISO, sms.date_created)
      assert.equal(cjson.null, sms.text)
    end)
  end)

  it("ignores fields it does not know", function()
    local sms = client:create(copy(DRAFT, { brand_new = 1 }))
    assert.is_nil(sms.brand_new)
    assert.matches("brand_new", server:requests()[1].body, 1, true)
  end)

  it("knows every field that the library sends, and answers it", function()
    local sms = client:create(DRAFT)
    for _, field in ipairs((core.fields())) do
      local name = field.name
      if not field.query then
        local status, answer = client:call("POST", SMS,
          copy(DRAFT, { [name] = true })) -- of no field's type
        assert.equal(400, status, name)
        assert.not_nil(answer["field-errors"][name], name)
      end
      if not field.query and name ~= "send_in" then
        assert.not_nil(sms[name == "created_by_id" and "created_by" or name],
          name)
      end
    end
  end)

  it("keeps nothing that it refused", function()
    client:call("POST", SMS, { status = "outbox" })
    assert.same({}, server:messages())
  end)

  it("records send_to_inbox for inbox only", function()
    client:call("POST", SMS .. "?send_to_inbox=true", { status = "inbox" })
    client:call("POST", SMS .. "?send_to_inbox=true", { status = "sent" })
    client:call("POST", SMS, { status = "inbox" })
    local flags = {}
    for i, message in ipairs(server:messages()) do
      flags[i] = message.send_to_inbox
    end
    assert.same({ true, false, false }, flags)
    assert.equal("true", server:requests()[1].query.send_to_inbox)
  end)
end)
