-- The sandbox's leads and contacts, its user and its phone number: what a
-- program needs that makes a lead and texts it.

local cjson = require "cjson"
local support = require "spec.support.sandbox_client"

local LEAD, CONTACT = "/lead/", "/contact/"
local ACME = {
  name = "Acme", contacts = { {
    name = "Wile", phones = { { phone = "+18183334444", type = "mobile" } },
    emails = { { email = "wile@acme.example" } },
  } },
}

local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

local function get(path)
  local status, body = client:call("GET", path)
  assert.equal(200, status)
  return body
end

local function create(path, body)
  local status, object = client:call("POST", path, body)
  assert.equal(200, status)
  return object
end

-- The field-errors of a body that is refused.
local function refused(path, body)
  local status, problem = client:call("POST", path, body)
  assert.equal(400, status)
  assert.same({}, problem.errors)
  return problem["field-errors"]
end

local function names(page)
  local list = {}
  for i, item in ipairs(page.data) do list[i] = item.name end
  return table.concat(list, " ")
end

describe("close.sandbox", function()
  it("creates a lead with its contacts, to be texted", function()
    local lead = create(LEAD, ACME)
    local contact = lead.contacts[1]
    assert.matches("^lead_%w+$", lead.id)
    assert.matches("^cont_%w+$", contact.id)
    assert.same({ "Acme", "Acme", "Wile", lead.id }, { lead.name,
      lead.display_name, contact.name, contact.lead_id })
    assert.same({ phone = "+18183334444", phone_formatted = "+1 818-333-4444",
      country = "US", type = "mobile" }, contact.phones[1])
    assert.same({ email = "wile@acme.example", type = "office" },
      contact.emails[1])
    assert.same(lead, get(LEAD .. lead.id .. "/"))
    assert.same(contact, get(CONTACT .. contact.id .. "/"))
    local sms = client:create { status = "outbox", text = "Hi",
      local_phone = get("/phone_number/").data[1].number,
      remote_phone = contact.phones[1].phone,
      lead_id = lead.id, contact_id = contact.id }
    assert.same({ lead.id, contact.id }, { sms.lead_id, sms.contact_id })
  end)

  it("shows an empty lead with nulls, empty arrays and a name", function()
    local _, _, _, text = client:call("POST", LEAD, '{"contacts": null}')
    for _, member in ipairs { '"contacts":[]', '"name":null', '"url":null',
      '"display_name":"Untitled"', '"status_id":"stat_' }
    do
      assert.matches(member, text, 1, true)
    end
  end)

  it("adds a contact to a lead, or to a new one of its name", function()
    local lead = create(LEAD, { name = "Acme" })
    local contact = create(CONTACT, { name = "Wile", lead_id = lead.id })
    assert.same({ contact }, get(LEAD .. lead.id .. "/").contacts)
    local other = create(CONTACT, { name = "Road" })
    assert.equal("Road", get(LEAD .. other.lead_id .. "/").name)
  end)

  it("lists leads, and the contacts of a lead, newest first", function()
    local lead = create(LEAD, ACME)
    create(CONTACT, { name = "Road" })
    create(CONTACT, { name = "Bugs", lead_id = lead.id })
    assert.equal("Road Acme", names(get(LEAD)))
    assert.equal("Bugs Road Wile", names(get(CONTACT)))
    assert.equal("Bugs Wile", names(get(CONTACT .. "?lead_id=" .. lead.id)))
    assert.same({ data = { { name = "Road" } }, has_more = true },
      get(LEAD .. "?_limit=1&_fields=name"))
  end)

  it("names the wrong fields of a lead, nested as Close does", function()
    assert.same({ name = "Value must be of str type." },
      refused(LEAD, { name = 1 }))
    local problems = refused(LEAD, { contacts = { { name = "x" },
      { phones = { { phone = "555" }, { type = "home" } } } } })
    assert.is_nil(problems.contacts.errors["0"])
    local phones = problems.contacts.errors["1"]["field-errors"].phones.errors
    assert.equal("Invalid phone number.", phones["0"]["field-errors"].phone)
    assert.equal("This field is required.", phones["1"]["field-errors"].phone)
  end)

  it("refuses a contact of a lead that is not there", function()
    local contact = create(LEAD, ACME).contacts[1]
    for _, id in ipairs { "lead_x", contact.id, 1 } do
      assert.not_nil(refused(CONTACT, { lead_id = id }).lead_id)
    end
    assert.equal("Wile", names(get(CONTACT)))
  end)

  it("answers 404 for an object that is not there", function()
    local lead = create(LEAD, ACME)
    for _, path in ipairs { LEAD .. "lead_x/", LEAD .. lead.contacts[1].id
      .. "/", CONTACT .. lead.id .. "/" }
    do
      local status, body = client:call("GET", path)
      assert.equal(404, status)
      assert.same({ error = "Object does not exist." }, body)
    end
  end)

  it("forgets leads and contacts at a reset", function()
    create(LEAD, ACME)
    assert(server:reset())
    assert.same({ 0, 0 }, { #get(LEAD).data, #get(CONTACT).data })
  end)

  it("shows its user and its phone number", function()
    local me, phones = get "/me/", get "/phone_number/"
    assert.matches("^user_", me.id)
    assert.matches("^orga_", me.organizations[1].id)
    assert.equal(me.id, create("/activity/sms/", support.DRAFT).user_id)
    assert.same({ id = me.id }, get "/me/?_fields=id")
    assert.matches("^phon_", phones.data[1].id)
    assert.equal("internal", phones.data[1].type)
    local number = phones.data[1].number:gsub("+", "%%2B")
    assert.same(phones, get("/phone_number/?number=" .. number))
    assert.same({}, get("/phone_number/?number=1").data)
  end)

  it("asks for a key, counts, and fails there as elsewhere", function()
    for _, path in ipairs { LEAD, CONTACT, "/me/", "/phone_number/" } do
      assert.equal(401, (client:call("GET", path, nil,
        { authorization = support.basic "wrong" })))
      local status, _, headers = client:call("DELETE", path)
      assert.equal(405, status)
      assert.matches("^GET", headers.allow)
      client:fault { kind = "status", status = 503, path = path .. "$" }
      assert.equal(503, (client:call("GET", path)))
      local _, _, got = client:call("GET", path)
      assert.matches("^limit=", got.ratelimit)
    end
  end)

  it("has acted where an answer is lost", function()
    client:fault { kind = "close", acted = true }
    assert.is_nil((client:call("POST", LEAD, cjson.encode(ACME))))
    assert.equal("Acme", names(get(LEAD)))
  end)
end)
