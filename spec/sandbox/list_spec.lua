-- Reading: the fields that are asked for, and lists: their order, their pages
-- and their filters.

local support = require "spec.support.sandbox_client"

local SMS, DRAFT = support.SMS, support.DRAFT

local copy = support.copy
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

describe("close.sandbox reading", function()
  it("answers only the _fields asked for", function()
    local sms = client:create(DRAFT)
    local _, one = client:call("GET", SMS .. sms.id .. "/?_fields=id,text")
    assert.same({ id = sms.id, text = "Hello" }, one)
    local _, page = client:call("GET", SMS .. "?_fields=id")
    assert.same({ { id = sms.id } }, page.data)
  end)

  describe("a list", function()
    local function texts(query)
      local status, page = client:call("GET", SMS .. "?" .. (query or ""))
      assert.equal(200, status)
      local found = {}
      for i, sms in ipairs(page.data) do found[i] = sms.text end
      return table.concat(found, " "), page.has_more, page
    end

    local function make(text, changes)
      return client:create(copy({ status = "draft", text = text }, changes))
    end

    it("is empty with a real empty array", function()
      local _, _, _, text = client:call("GET", SMS)
      assert.equal('{"data":[],"has_more":false}', text)
    end)

    it("comes newest first", function()
      make "a"
      make("old", { date_created = "2001-01-01T00:00:00Z" })
      make "b"
      assert.equal("b a old", (texts()))
      local same = { date_created = "2000-01-01T00:00:00Z" }
      make("first", same)
      make("second", same)
      assert.equal("b a old second first", (texts()))
    end)

    it("comes in pages", function()
      for _, text in ipairs { "a", "b", "c" } do make(text) end
      for query, expected in pairs {
        ["_limit=2"] = { "c b", true },
        ["_limit=2&_skip=2"] = { "a", false },
        ["_limit=3"] = { "c b a", false },
        ["_limit=0"] = { "", true },
        ["_skip=5"] = { "", false },
      } do
        local found, more = texts(query)
        assert.same(expected, { found, more }, query)
      end
    end)

    it("has 100 to a page if nothing else is asked for", function()
      for i = 1, 101 do make(tostring(i)) end
      local _, more, page = texts()
      assert.equal(100, #page.data)
      assert.is_true(more)
    end)

    it("takes comma lists of ids, leads, contacts and users", function()
      local a = make("a", { lead_id = "l1", contact_id = "c1",
        user_id = "u1" })
      local b = make("b", { lead_id = "l2", contact_id = "c2",
        user_id = "u2" })
      make("c", { lead_id = "l3", contact_id = "c3", user_id = "u3" })
      assert.equal("b a", (texts("id__in=" .. a.id .. "," .. b.id)))
      assert.equal("b a", (texts "lead_id=l1,l2"))
      assert.equal("b a", (texts "contact_id=c1,c2"))
      assert.equal("b a", (texts "user_id=u1%2Cu2"))
      assert.equal("a", (texts "lead_id=l1&user_id=u1,u2"))
    end)

    it("takes an organization", function()
      make("a", { organization_id = "orga_a" })
      make "b"
      assert.equal("a", (texts "organization_id=orga_a"))
    end)

    it("takes bounds of dates", function()
      for year = 2001, 2003 do
        local at = year .. "-01-01T00:00:00Z"
        make(tostring(year), { date_created = at, activity_at = at })
      end
      for _, field in ipairs { "date_created", "activity_at" } do
        local bound = "=2002-01-01T01:00:00%2B01:00"
        assert.equal("2003 2002", (texts(field .. "__gte" .. bound)))
        assert.equal("2003", (texts(field .. "__gt" .. bound)))
        assert.equal("2002 2001", (texts(field .. "__lte" .. bound)))
        assert.equal("2001", (texts(field .. "__lt" .. bound)))
      end
    end)

    it("compares dates to the microsecond, however they are written",
      function()
        for micros = 1, 3 do
          make(tostring(micros), { date_created =
            ("2026-11-23T08:00:00.18600%dZ"):format(micros) })
        end
        for _, bound in ipairs{ "2026-11-23T08:00:00.186002Z",
          "2026-11-23T09:00:00.186002%2B01:00",
          "2026-11-23T07:30:00.186002000-00:30" }
        do
          bound = "=" .. bound
          assert.equal("3 2", (texts("date_created__gte" .. bound)))
          assert.equal("3", (texts("date_created__gt" .. bound)))
          assert.equal("2 1", (texts("date_created__lte" .. bound)))
          assert.equal("1", (texts("date_created__lt" .. bound)))
        end
        local between = "=2026-11-23T08:00:00.1860021Z"
        assert.equal("3", (texts("date_created__gte" .. between)))
        assert.equal("2 1", (texts("date_created__lte" .. between)))
      end)

    it("forgets what was deleted", function()
      make "a"
      local b = make "b"
      make "c"
      client:call("DELETE", SMS .. b.id .. "/")
      assert.equal("c a", (texts()))
    end)

    it("has a ceiling for _skip", function()
      assert.equal("", (texts "_skip=10000"))
      local status, body = client:call("GET", SMS .. "?_skip=10001")
      assert.equal(400, status)
      assert.not_nil(body["field-errors"]._skip)
    end)

    it("refuses numbers and dates that are none", function()
      for _, query in ipairs { "_limit=x", "_skip=-1",
        "date_created__gte=2002-01-01T00:00:00+00:00" }
      do
        local status, body = client:call("GET", SMS .. "?" .. query)
        assert.equal(400, status, query)
        assert.not_nil(body["field-errors"][query:match "^[^=]+"])
      end
    end)
  end)
end)
