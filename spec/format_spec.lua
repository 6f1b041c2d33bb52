-- The formats of phone numbers and dates; the schema's own validator says for
-- each date whether it is one.
local schema = require "spec.support.schema"
local sms = require("close").sms
local support = require "spec.support.client"

teardown(schema.stop)

local function refuses_field(field, value, code)
  local ok, err = sms.validate{ status = "draft", [field] = value }
  assert.is_nil(ok)
  assert.same({ field .. ": " .. code }, support.faults(err))
  return err.message
end

local function accepts(params)
  local ok, err = sms.validate(params)
  assert(ok == true, tostring(err))
end

describe("phone numbers", function()
  it("are E.164", function()
    for _, number in ipairs{ "+14154445555", "+4930123456", "+8613812345678",
      "+123456789012345" } do
      accepts{ status = "draft", local_phone = number, remote_phone = number }
    end
    for _, number in ipairs{ "", "+", "14154445555", "+04154445555",
      "+1234567890123456", "+1415444555a", "phon_1234", " +14154445555",
      "+14154445555\n", "+1415444\0", "++4154445555", "sip:+14154445555" } do
      refuses_field("local_phone", number, "format")
      refuses_field("remote_phone", number, "format")
    end
  end)

  it("come with their E.164 form where that is near", function()
    for _, number in ipairs{ "+1 415 444 5555", "+1 (415) 444-5555",
      "+1.415.444.5555", "+1-415-444-5555" } do
      assert.matches("+14154445555",
        refuses_field("local_phone", number, "format"), 1, true)
    end
  end)
end)

describe("dates", function()
  local VALID = {
    "2026-11-23T08:00:00Z", "2026-11-23t08:00:00z", "2024-02-29T00:00:00Z",
    "2026-11-23T08:00:00.186000+00:00", "2026-11-23T08:00:00-08:00",
    "2026-11-23T23:59:59.1+23:59", "2016-12-31T23:59:60Z",
    "2016-12-31T15:59:60-08:00", "2000-02-29T00:00:00-00:00",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
  }
  local INVALID = {
    "", "soon", "2026-11-23", "2026-11-23T08:00:00", "1795334400",
    "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-00T00:00:00Z",
    "2026-11-23T24:00:00Z", "2026-11-23T08:60:00Z", "2026-11-23T08:00:61Z",
    "2026-11-23T08:00:60Z", "2026-11-23T08:00:00+0800", "26-11-23T08:00:00Z",
    "2026-11-23T08:00:00+08", "2026-11-23T08:00:00+24:00",
    "2026-11-23T08:00Z", "2026-11-23T08:00:00.Z", "2026-11-23T08:00:00Z ",
    " 2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z\0", "2026-1-23T08:00:00Z",
    "2026-11-23T08:00:00,5Z", "2026-11-23T08:00:00+00:000",
    "2026-11-23T08:00:00+00:00Z", "2026-11-23T08:00:00ZZ",
    "20261123T080000Z", "2026-11-23_08:00:00Z",
  }
  local DATES = { "activity_at", "date_created", "date_scheduled" }

  local function schema_takes(date)
    return schema.check("create", ('{"status": "draft", "activity_at": "%s"}')
      :format((date:gsub("%z", "\\u0000")))) == true
  end

  it("are RFC 3339 with an offset, on days that exist", function()
    for _, date in ipairs(VALID) do
      assert(schema_takes(date), date)
      for _, field in ipairs(DATES) do
        accepts{ status = "draft", [field] = date }
      end
    end
  end)

  it("are refused in all other forms", function()
    for _, date in ipairs(INVALID) do
      assert(not schema_takes(date), date)
      for _, field in ipairs(DATES) do refuses_field(field, date, "format") end
    end
    assert.matches("offset",
      refuses_field("activity_at", "2026-11-23T08:00:00", "format"))
  end)

  it("as numbers lie in the years that four digits can say", function()
    for _, date in ipairs{ 0, -62167219200, 253402300799, 1.5 } do
      accepts{ status = "draft", activity_at = date }
    end
    for _, date in ipairs{ 0 / 0, math.huge, -math.huge, 253402300800,
      -62167219201, 1795334400000, 1e300 } do
      refuses_field("activity_at", date, "range")
    end
  end)
end)
