-- One page of SMS: every filter and its violations, the request, and the
-- result.
local close = require "close"
local core = require "close.core"
local raw = require "spec.support.raw_server"
local sandbox = require "close.sandbox"
local support = require "spec.support.client"
local calmly = support.calmly

local EMPTY = '{"has_more":false,"data":[]}'
local DATE = "2026-11-23T08:00:00+01:00"

local server, client

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function()
  server:reset()
  server:default{ status = 200, body = EMPTY }
  client = support.new(server)
end)
after_each(support.close_all)

-- The query that filters become.
local function query_of(filters)
  local page, err = calmly(client.sms.list, filters)
  assert(page, tostring(err))
  local ledger = server:ledger()
  local request = ledger[#ledger]
  assert.equal("GET", request.method)
  return (request.target:gsub("^/api/v1/activity/sms/%??", ""))
end

-- The one error that filters meet in every way in.
local function refuses(filters, ...)
  local copy = support.copy(filters)
  local page, err = calmly(client.sms.list, filters)
  assert.is_nil(page)
  assert.equal("validation", err.kind)
  assert.equal("rejected", err.outcome)
  assert.same({ ... }, support.faults(err))
  local _, same = calmly(client.sms.each, filters)
  assert.equal(err.message, same.message)
  local told
  assert(client.sms.list_async(filters, function(_, why) told = why end))
  client:wait(5)
  assert.equal(err.message, told.message)
  for name, value in pairs(copy) do -- a NaN is not even the same as itself
    if value == value then assert.same(value, filters[name]) end
  end
  assert.equal(0, #server:ledger())
  return err.message
end

describe("filters", function()
  it("become a query, always in the same order", function()
    assert.equal("", query_of(nil))
    assert.equal("", query_of{})
    assert.equal("_limit=5&_skip=0&_fields=id,text&id__in=a,b&lead_id=l" ..
      "&contact_id=c,d&user_id=u&organization_id=o" ..
      "&date_created__gte=1970-01-01T00%3A00%3A00Z" ..
      "&date_created__lte=1970-01-01T00%3A00%3A00.250Z" ..
      "&date_created__gt=2026-11-23T08%3A00%3A00%2B01%3A00" ..
      "&date_created__lt=1969-12-31T23%3A59%3A59Z" ..
      "&activity_at__gte=2001-09-09T01%3A46%3A40Z" ..
      "&activity_at__lte=2026-11-23T08%3A00%3A00%2B01%3A00" ..
      "&activity_at__gt=2026-11-23T08%3A00%3A00%2B01%3A00" ..
      "&activity_at__lt=2026-11-23T08%3A00%3A00%2B01%3A00",
      (query_of{
        activity_at__lt = DATE, activity_at__gt = DATE, activity_at__lte = DATE,
        activity_at__gte = 1e9, date_created__lt = -1, date_created__gt = DATE,
        date_created__lte = 0.25, date_created__gte = 0, organization_id = "o",
        user_id = { "u" }, contact_id = "c, d ", lead_id = "l",
        id__in = { "a", "b" }, _fields = { "id", "text" }, _skip = 0,
        _limit = 5,
      }:gsub("%%2C", ",")))
  end)

  it("may have plain names", function()
    assert.equal("_limit=7&_skip=3&_fields=id%2Ctext",
      query_of{ fields = "id,text", skip = 3, limit = 7 })
  end)

  it("are escaped", function()
    for text, escaped in pairs{ ["a b"] = "a%20b", ["&x=y"] = "%26x%3Dy",
      ["#?/%"] = "%23%3F%2F%25", ["é"] = "%C3%A9", ["a\0b"] = "a%00b",
      ["+"] = "%2B", ["~-._"] = "~-._", ["\r\nX: y"] = "%0D%0AX%3A%20y" } do
      assert.equal("organization_id=" .. escaped,
        query_of{ organization_id = text })
      assert.equal("lead_id=" .. escaped, query_of{ lead_id = { text } })
    end
  end)

  it("are counted without an exponent", function()
    assert.equal("_limit=9007199254740991&_skip=1000000000000000",
      query_of{ _limit = 9007199254740991, _skip = 1e15 })
  end)

  it("are read raw", function()
    local function boom() error "a metamethod ran" end
    local meta = { __index = boom, __newindex = boom, __pairs = boom,
      __len = boom, __metatable = boom, __tostring = boom }
    assert.equal("lead_id=a%2Cb", query_of(setmetatable(
      { lead_id = setmetatable({ "a", "b" }, meta) }, meta)))
  end)

  -- Every case of each filter is in spec/c/test_filter.c.
  it("that break a rule are refused, by name", function()
    for _, row in ipairs{
      { { _limit = "5" }, "_limit: type" }, { { limit = 0 }, "limit: range" },
      { { skip = 0 / 0 }, "skip: range" }, { { skip = 1.5 }, "skip: range" },
      { { lead_id = print }, "lead_id: type" },
      { { lead_id = { [2] = "a" } }, "lead_id: type" },
      { { lead_id = { a = "b" } }, "lead_id: type" },
      { { lead_id = {} }, "lead_id: range" },
      { { lead_id = "a,,b" }, "lead_id: format" },
      { { lead_id = { "a", "b,c" } }, "lead_id[2]: format" },
      { { lead_id = { "a", 5, {} } }, "lead_id[2]: type", "lead_id[3]: type" },
      { { lead_id = { close.null } }, "lead_id[1]: type" },
      { { lead_id = { "a", "\192\128" } }, "lead_id[2]: format" },
      { { organization_id = { "o" } }, "organization_id: type" },
      { { organization_id = "\255" }, "organization_id: format" },
      { { activity_at__lt = true }, "activity_at__lt: type" },
      { { activity_at__lt = "2026-11-23" }, "activity_at__lt: format" },
      { { activity_at__lt = 1e15 }, "activity_at__lt: range" },
      { { _skip = 1, skip = 1 }, "skip: conflict" },
    } do
      refuses(row[1], (table.unpack or unpack)(row, 2))
    end
  end)

  it("that are null are refused, as nobody means all by it", function()
    for _, field in ipairs(core.filter_fields()) do
      local message = refuses({ [field.name] = close.null },
        field.name .. ": type")
      assert.matches(field.name .. " cannot be null: leave it out", message, 1,
        true)
    end
    refuses({ lead_id = { close.null } }, "lead_id[1]: type")
  end)

  it("that Close does not know are refused, with the right ones", function()
    for name, hint in pairs{ leadid = "lead_id", LEAD_ID = "lead_id",
      id = "id__in", user_id__in = "user_id", date_created_gte =
      "date_created__gte", date_created = "date_created__gte",
      _limits = "_limit" } do
      assert.matches(('"%s" is not a filter of SMS; did you mean "%s"?'):format(
        name, hint), refuses({ [name] = "x" }, name .. ": unknown_field"), 1,
        true)
    end
    for name, member in pairs{ status = "status", direction = "direction",
      local_phone = "local_phone", remote_phone = "remote_phone",
      text = "text", status__in = "status" } do
      assert.matches(("Close has no filter on %s; read the pages and select " ..
        "there"):format(member),
        refuses({ [name] = "x" }, name .. ": unknown_field"), 1, true)
    end
    assert.matches("there are id__in, lead_id",
      refuses({ colour = "x" }, "colour: unknown_field"), 1, true)
    local _, err = client.sms.list{ "lead_1" }
    assert.equal("unknown_field", err.errors[1].code)
  end)

  it("are all told of at once", function()
    refuses({ _limit = 0, lead_id = { "a", "" }, status = "x", order = 1,
      date_created__gt = "soon" }, "_limit: range",
      "date_created__gt: format", "lead_id[2]: format",
      "order: unknown_field", "status: unknown_field")
  end)

  it("that are no table are refused", function()
    for _, value in ipairs{ 5, "lead_1", true, print, close.null } do
      local _, err = calmly(client.sms.list, value)
      assert.same({ "filters: type" }, support.faults(err))
    end
    local _, err = calmly(client.sms.list, client.sms, {})
    assert.matches("dot", err.message)
    assert.is_nil((calmly(client.sms.list_async, client.sms)))
    assert.equal(0, #server:ledger())
  end)

  it("that are too long for a URL are refused", function()
    local ids = {}
    for i = 1, 3000 do ids[i] = ("acti_%040d"):format(i) end
    local _, err = calmly(client.sms.list, { id__in = ids })
    assert.same({ "filters: range" }, support.faults(err))
    assert.equal(0, #server:ledger())
    for i = 1, 2000 do ids[1001 + i] = nil end
    assert.is_true(#query_of{ id__in = ids } > 45000)
  end)

  it("in any number are told of, up to a bound", function()
    local filters = {}
    for i = 1, 3000 do filters["x" .. i] = i end
    local _, err = calmly(client.sms.list, filters)
    assert.equal(1000, #err.errors)
  end)
end)

describe("list", function()
  it("returns the page as Close answers it", function()
    server:default{ status = 200, body = '{"data":[{"id":"a","text":null,' ..
      '"n":1,"newer":{"x":[1]}},{"id":"b"}],"has_more":true,"cursor":"c"}' }
    local page, err, response = client.sms.list{}
    assert.is_nil(err)
    assert.same({ has_more = true, cursor = "c", data = {
      { id = "a", n = 1, newer = { x = { 1 } } }, { id = "b" } } }, page)
    assert.equal(200, response.status)
    server:default{ status = 200, body = EMPTY }
    assert.same({ has_more = false, data = {} }, (client.sms.list()))
  end)

  it("calls what is no page a protocol error", function()
    for _, body in ipairs{ "", "<html>", "[]", "5", '{"data":5}', "{}",
      '{"data":"x"}', '{"data":[5]}', '{"data":{"a":1}}', '{"data":[{}' } do
      server:default{ status = 200, body = body }
      local page, err, response = client.sms.list{}
      assert.is_nil(page)
      assert.equal("protocol", err.kind)
      assert.equal(body, response.body)
    end
  end)

  it("tells of Close's errors", function()
    server:default{ status = 400,
      body = '{"errors":[],"field-errors":{"_limit":"Too much."}}' }
    local page, err, response = client.sms.list{ _limit = 1000 }
    assert.is_nil(page)
    assert.equal("api", err.kind)
    assert.equal("_limit", err.errors[1].field)
    assert.equal(400, response.status)
  end)

  it("is tried again, whatever broke", function()
    for _, step in ipairs{ { status = 503 }, { reset = true },
      { at = "headers", reset = true },
      { answer = "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{",
        close = true },
      { status = 429, headers = { ["Retry-After"] = "0" } } } do
      server:script{ step }
      assert(client.sms.list{})
    end
    server:script{ { status = 500 } }
    local _, err = client.sms.list({}, { max_retries = 0 })
    assert.equal("server", err.kind)
  end)

  it("needs good options, and an open client", function()
    local _, err = calmly(client.sms.list, {}, { timeout = 0 })
    assert.equal("config", err.kind)
    client:close()
    _, err = calmly(client.sms.list, {})
    assert.equal("config", err.kind)
  end)

  it("has a twin that does not wait", function()
    local page, request
    request = assert(client.sms.list_async({ _limit = 3 }, function(...)
      page = { ... }
    end))
    assert.is_nil(page)
    client:wait(5)
    assert.same({ has_more = false, data = {} }, page[1])
    assert.equal(200, page[3].status)
    assert.is_false(request:cancel())
    local _, err = calmly(client.sms.list_async, {})
    assert.equal("config", err.kind)
  end)

  it("takes a query of 64 KiB, which is more once it is escaped", function()
    assert.is_true(#query_of{ id__in = ("a,"):rep(32000) .. "a" } > 65536)
  end)

  it("is of the default client, too", function()
    assert(close.configure{ base_url = server.url, api_key = support.KEY })
    assert.same({ has_more = false, data = {} }, (close.sms.list()))
    local _, err = close.sms:list()
    assert.matches("dot", err.message)
  end)
end)

describe("list of the sandbox", function()
  it("finds what the filters say", function()
    local box = assert(sandbox.start())
    client = support.new(box.url, { api_key = box.api_key })
    for i = 1, 5 do
      assert(client.sms.create{ status = "draft", text = tostring(i),
        lead_id = "lead_" .. i % 2, date_created = i })
    end
    local function texts(filters)
      local page, found = assert(client.sms.list(filters)), {}
      for i, sms in ipairs(page.data) do found[i] = sms.text end
      return table.concat(found, " ")
    end
    assert.equal("5 4 3 2 1", texts())
    assert.equal("5 3 1", texts{ lead_id = "lead_1" })
    assert.equal("5 4 3 2 1", texts{ lead_id = { "lead_0", "lead_1" } })
    assert.equal("4 3", texts{ _limit = 2, _skip = 1 })
    assert.equal("3 2", texts{ date_created__gte = 2, date_created__lt = 4 })
    -- It ignores what it does not know: then all are found.
    for _, filter in ipairs(core.filter_fields()) do
      local value = "none"
      if filter.kind == "date" then
        value = filter.name:find "__l" and -1 or 1e9
      end
      if filter.name:find "_" ~= 1 and not filter.plain then
        assert.equal("", texts{ [filter.name] = value }, filter.name)
      end
    end
    box:stop()
  end)
end)

describe("the query of a page", function()
  it("has whole numbers with all digits", function()
    local pages = require "close.pages"
    assert.equal("?_limit=10&_skip=100000000000000",
      pages.write{ _limit = 10, _skip = 1e14 })
    assert.equal("", pages.write{})
  end)
end)
