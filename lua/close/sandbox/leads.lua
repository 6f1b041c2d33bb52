-- The leads and contacts that a sandbox holds: enough for a program that makes
-- whom it texts. Kept as the API shows them. Takes and returns Lua values, the
-- time included; knows nothing of HTTP.

local account = require "close.sandbox.account"
local dates = require "close.sandbox.dates"
local fields = require "close.sandbox.fields"
local json = require "close.sandbox.json"
local pages = require "close.sandbox.pages"
local phones = require "close.sandbox.phones"

local LEAD_FILTERS = { equal = {} }
local CONTACT_FILTERS = { equal = { lead_id = "lead_id" } }

---@class close.sandbox.Leads
---@field private leads table[] in the order of their creation
---@field private contacts table[] in the order of their creation
---@field private by_id table<string, table> both
local Leads = {}
Leads.__index = Leads

local leads = {}

---@return close.sandbox.Leads
function leads.new()
  return setmetatable({ leads = {}, contacts = {}, by_id = {} }, Leads)
end

-- nil where a body says null, or nothing.
local function given(value)
  if value ~= json.null then return value end
  return nil
end

-- A new object with these members of the body, null where not given.
local function new_object(prefix, values, names, now)
  local date = dates.format(now)
  local object = {
    id = account.new_id(prefix), organization_id = account.ORGANIZATION,
    date_created = date, date_updated = date,
    created_by = account.USER, updated_by = account.USER,
  }
  for _, name in ipairs(names) do object[name] = values[name] or json.null end
  return object
end

local function show_phone(item)
  return {
    phone = item.phone, phone_formatted = phones.format(item.phone),
    country = phones.country(item.phone) or json.null,
    type = given(item.type) or "office",
  }
end

local function show_email(item)
  return { email = item.email, type = given(item.type) or "office" }
end

local function map(list, show)
  local shown = json.array {}
  for i, item in ipairs(given(list) or {}) do shown[i] = show(item) end
  return shown
end

function Leads:add_contact(lead, values, now)
  local contact = new_object("cont_", values, { "name", "title" }, now)
  contact.lead_id = lead.id
  contact.phones = map(values.phones, show_phone)
  contact.emails = map(values.emails, show_email)
  self.contacts[#self.contacts + 1] = contact
  self.by_id[contact.id] = contact
  lead.contacts[#lead.contacts + 1] = contact
  return contact
end

function Leads:add_lead(values, now)
  local lead = new_object("lead_", values, { "name", "description", "url" },
    now)
  lead.status_id = given(values.status_id) or account.LEAD_STATUS
  lead.contacts = json.array {}
  for _, item in ipairs(given(values.contacts) or {}) do
    self:add_contact(lead, item, now)
  end
  local first = lead.contacts[1]
  lead.display_name = given(lead.name) or first and given(first.name)
    or "Untitled"
  self.leads[#self.leads + 1] = lead
  self.by_id[lead.id] = lead
  return lead
end

--- Creates a lead, and the contacts that are nested in it.
---@param body table decoded
---@param now number
---@return table? lead
---@return table? problem the body of a 400
function Leads:create_lead(body, now)
  local values, problems = fields.check(fields.lead, body)
  if next(problems) then return nil, fields.problem(problems) end
  return self:add_lead(values, now)
end

--- Creates a contact of a lead; without lead_id, of a new lead of its name.
---@param body table decoded
---@param now number
---@return table? contact
---@return table? problem the body of a 400
function Leads:create_contact(body, now)
  local values, problems = fields.check(fields.contact, body)
  local lead_id, lead = given(values.lead_id), nil
  if lead_id and not problems.lead_id then
    lead = self:find("lead_", lead_id)
    problems.lead_id = not lead and "Object does not exist." or nil
  end
  if next(problems) then return nil, fields.problem(problems) end
  lead = lead or self:add_lead({ name = values.name }, now)
  return self:add_contact(lead, values, now)
end

---@param prefix "lead_"|"cont_"
---@param id string
---@return table?
function Leads:find(prefix, id)
  return id:sub(1, #prefix) == prefix and self.by_id[id] or nil
end

---@param query table<string, string>
---@return table? page
---@return table? problem the body of a 400
function Leads:page_of_leads(query)
  return pages.page(self.leads, query, LEAD_FILTERS)
end

---@param query table<string, string>
---@return table? page
---@return table? problem the body of a 400
function Leads:page_of_contacts(query)
  return pages.page(self.contacts, query, CONTACT_FILTERS)
end

return leads
