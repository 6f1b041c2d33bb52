-- The walk over all pages of a list, as values: which page to ask for next, and
-- what of an answered one is new. It does no I/O.
--
-- No position stays: what is added or removed meanwhile moves all that _skip
-- counts. But a list comes newest first, and an SMS keeps its date_created. So
-- the next page begins at the moment where the last one ended
-- (date_created__lte), and what is known of that moment is dropped. Only where
-- a page is all of one moment, _skip counts inside of that.

local core = require "close.core"

local PAGE = 100 -- items, where the caller names no _limit
local MAX_FRUITLESS = 3  -- times in a row that reading may bring nothing new

local EMPTY = "an empty page of SMS that is not to be the last"
local UNORDERED = "SMS that do not come newest first, or without id and " ..
  "date_created"
local REPEATED = "a page of SMS that repeats an earlier one"
local UNSTABLE = "pages of SMS that change faster than they can be read"

local Walk = {}
Walk.__index = Walk

local walk = {}

-- The caller's _fields, and those that the walk needs.
local function with_needed(list)
  for _, needed in ipairs { "id", "date_created" } do
    local found = false
    for name in list:gmatch "[^,]+" do found = found or name == needed end
    if not found then list = list .. "," .. needed end
  end
  return list
end

--- Begins a walk.
---@param query table as core.filters makes it; not changed
function walk.new(query)
  local filters = {}
  for name, value in pairs(query) do filters[name] = value end
  if filters._fields then filters._fields = with_needed(filters._fields) end
  local start = filters._skip or 0
  -- Two at least: pages inside of one moment overlap by one.
  filters._limit = math.max(filters._limit or PAGE, 2)
  filters._skip = nil
  return setmetatable({
    filters = filters,
    over = false,   -- whether the last page was taken
    -- The window: its bound as it came, and as a number; where _skip begins in
    -- it and where it is; the id that the next page must begin with; the ids
    -- that are known of the bound's moment.
    bound = nil, bound_at = nil,
    start = start, skip = start, expected = nil,
    known = {}, known_count = 0,
    fruitless = 0,  -- how often in a row something was read in vain
  }, Walk)
end

--- The query of the page to ask for; nil after the last.
function Walk:ask()
  if self.over then return nil end
  local query = {}
  for name, value in pairs(self.filters) do query[name] = value end
  if self.skip > 0 then query._skip = self.skip end
  if self.bound then query.date_created__lte = self.bound end
  return query
end

-- A date's microsecond, exact up to the year 2255; nil where it is none.
local function moment(date)
  local seconds = type(date) == "string" and core.seconds(date)
  return seconds and math.floor(seconds * 1e6 + 0.5) or nil
end

-- The items' moments; nil where they do not come newest first, or where one of
-- them has no id or no date.
local function moments(data)
  local at = {}
  for i, sms in ipairs(data) do
    at[i] = moment(sms.date_created)
    if not at[i] or type(sms.id) ~= "string" or i > 1 and at[i] > at[i - 1] then
      return nil
    end
  end
  return at
end

-- The items of a page that are new, each of them once.
function Walk:choose(data, at)
  local fresh, seen = {}, {}
  for i, sms in ipairs(data) do
    local is_old = self.known[sms.id] or
      self.bound_at and at[i] > self.bound_at
    if not seen[sms.id] and not is_old then fresh[#fresh + 1] = sms end
    seen[sms.id] = true
  end
  if #fresh > 0 then self.fruitless = 0 end
  return fresh
end

function Walk:know(id)
  if self.known[id] then return end
  self.known[id], self.known_count = true, self.known_count + 1
end

local function count_fruitless(self)
  self.fruitless = self.fruitless + 1
  return self.fruitless > MAX_FRUITLESS
end

-- Moves on, past a page that is all of the window's own moment.
function Walk:skip_further(data)
  local n = #data
  for _, sms in ipairs(data) do self:know(sms.id) end
  self.skip = self.skip + math.max(n - 1, 1)
  self.expected = n > 1 and data[n].id or nil
  -- There cannot be more of a moment than are known of it.
  return self.skip - self.start <= self.known_count
end

-- Moves the window to the moment that a page ends with.
function Walk:move(data, at)
  local n = #data
  self.bound, self.bound_at = data[n].date_created, at[n]
  self.start, self.skip, self.expected = 0, 0, nil
  self.known, self.known_count = {}, 0
  while n > 0 and at[n] == self.bound_at do
    self:know(data[n].id)
    n = n - 1
  end
end

-- Something was added to the moment, or removed from it: it is read again.
function Walk:read_again()
  self.skip, self.expected = self.start, nil
  if count_fruitless(self) then return nil, UNSTABLE end
  return {}
end

--- Takes the page that was asked for.
---@param page table {data, has_more}
---@return table|nil fresh the items that are new, in order; may be none
---@return string? why what is wrong with it
function Walk:take(page)
  if type(page.has_more) ~= "boolean" then
    return nil, "a page of SMS without has_more"
  end
  local data, at = page.data, moments(page.data)
  local n = #data
  if not at or n > 0 and self.bound_at and at[n] > self.bound_at then
    return nil, UNORDERED
  end
  if self.expected and not (n > 0 and data[1].id == self.expected) then
    return self:read_again()
  end
  if n == 0 and page.has_more then return nil, EMPTY end
  local fresh = self:choose(data, at)
  self.over = not page.has_more
  if self.over then return fresh end
  -- Where a caller's _skip began inside of a moment, its own window would bring
  -- what was skipped.
  if at[n] == self.bound_at or self.start > 0 and at[n] == at[1] then
    if not self:skip_further(data) then return nil, REPEATED end
  else
    self:move(data, at)
    -- What is older than all before is new, if its ids are true.
    if #fresh == 0 and count_fruitless(self) then return nil, REPEATED end
  end
  return fresh
end

return walk
