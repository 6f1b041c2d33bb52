-- A list of SMS that pages are taken of, without a network: for walks in all
-- the orders in which something may be added or removed meanwhile.
local errors = require "close.errors"
local json = require("cjson").new()
local pages = require "close.pages"
local walk = require "close.walk"

local listing = {}
local Listing = {}
Listing.__index = Listing

local ORIGIN = 1262304000 -- 2010-01-01T00:00:00Z

--- A date as Close writes it; counts in microseconds from an origin.
function listing.date(micros)
  return os.date("!%Y-%m-%dT%H:%M:%S", ORIGIN + math.floor(micros / 1e6)) ..
    (".%06d+00:00"):format(micros % 1e6)
end

--- A list with these dates, in microseconds; the ids are their places.
function listing.new(dates)
  local self = setmetatable({ items = {}, made = 0, asked = {} }, Listing)
  for _, micros in ipairs(dates) do self:add(micros) end
  return self
end

--- Adds an SMS with a date; of one date the last one comes first.
function Listing:add(micros)
  self.made = self.made + 1
  local item = { id = "acti_" .. self.made, micros = micros,
    date_created = listing.date(micros) }
  local place = 1
  while self.items[place] and self.items[place].micros > micros do
    place = place + 1
  end
  table.insert(self.items, place, item)
  return item.id
end

--- Removes the one at a place, counted from the newest.
function Listing:remove(place)
  return table.remove(self.items, place).id
end

function Listing:ids()
  local ids = {}
  for i, item in ipairs(self.items) do ids[i] = item.id end
  return ids
end

local BOUNDS = {
  gte = function(a, b) return a >= b end,
  lte = function(a, b) return a <= b end,
  gt = function(a, b) return a > b end,
  lt = function(a, b) return a < b end,
}

local function passes(item, query)
  for name, compare in pairs(BOUNDS) do
    local bound = query["date_created__" .. name]
    if bound and not compare(item.date_created, bound) then return false end
  end
  return true
end

--- The page that a query asks for.
function Listing:page(query)
  local found, data = {}, {}
  for _, item in ipairs(self.items) do
    if passes(item, query) then found[#found + 1] = item end
  end
  local skip, limit = query._skip or 0, query._limit or 100
  for i = skip + 1, math.min(skip + limit, #found) do
    data[#data + 1] = { id = found[i].id, date_created = found[i].date_created }
  end
  return { data = data, has_more = skip + limit < #found }
end

-- A query's parts, as they were before they were escaped.
local function read_query(text)
  local query = {}
  for name, value in text:gmatch "([%w_]+)=([^&]*)" do
    value = value:gsub("%%(%x%x)", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    query[name] = (name == "_limit" or name == "_skip") and tonumber(value) or
      value
  end
  return query
end

--- A walk over the list, stepped as each is. Before page n, before(n) is
--- called; after it, answer(page, n) may give another one.
function Listing:each(filters, before, answer)
  local walker = walk.new(assert(pages.read_filters(filters)))
  local items, at = {}, 0

  local function fetch()
    local n = #self.asked + 1
    if before then before(n) end
    local query = read_query(pages.write(walker:ask()))
    self.asked[n] = query
    assert(n < 1000, "the walk does not end")
    local page = self:page(query)
    if answer then page = answer(page, n, query) or page end
    local body = type(page) == "string" and page or json.encode(page)
    local response = { status = 200, headers = {}, attempts = 1,
      body = body:gsub('"data":{}', '"data":[]') }
    local taken, err = pages.read(response)
    if not taken then return nil, err end
    local fresh, why = walker:take(taken)
    if fresh then return fresh end
    return nil, errors.bad_answer(response, why)
  end

  return function()
    while at == #items do
      if walker.over then return nil end
      local fresh, err = fetch()
      if not fresh then
        walker.over, items, at = true, {}, 0
        return false, err
      end
      items, at = fresh, 0
    end
    at = at + 1
    return items[at]
  end
end

--- The ids that a walk gives, and the error it ended with.
function listing.walk(step)
  local ids = {}
  while true do
    local sms, err = step()
    if sms == nil then return ids end
    if not sms then return ids, err, step() end
    ids[#ids + 1] = sms.id or "?"
    if #ids > 100000 then error "the walk does not end" end
  end
end

return listing
