-- The walk over all pages of a list, without I/O: which page to ask for next,
-- and which items of a page are new.
--
-- _skip alone would miss or repeat items when others are added or removed
-- meanwhile. But a list is newest first, and an SMS keeps its date_created. So
-- the next page begins at the last one's last date_created (date_created__lte),
-- without the items already known. _skip is only used when all items of a page
-- have one date_created, to get further within it. A "moment" below is a
-- date_created.

local core = require "close.core"
local raw_pairs = require "close.raw_pairs"

local PAGE = 100 -- items, unless the caller gives _limit
local MAX_FRUITLESS = 3 -- pages in a row that bring nothing new

local EMPTY = "an empty page of SMS that is not the last one"
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
  for name, value in raw_pairs(query) do filters[name] = value end
  if filters._fields then filters._fields = with_needed(filters._fields) end
  local start = filters._skip or 0
  -- Two at least: pages within one moment overlap by one.
  filters._limit = math.max(filters._limit or PAGE, 2)
  filters._skip = nil
  return setmetatable({
    filters = filters,
    over = false,   -- whether the last page was taken
    -- The window: its bound, as a string and as a number; the _skip at which it
    -- began, and the current one; the id that the next page must begin with;
    -- the known ids of the bound's moment.
    bound = nil, bound_at = nil,
    start = start, skip = start, expected = nil,
    known = {}, known_count = 0,
    fruitless = 0,  -- pages in a row that brought nothing new
  }, Walk)
end

--- The query of the page to ask for; nil after the last.
function Walk:ask()
  if self.over then return nil end
  local query = {}
  for name, value in raw_pairs(self.filters) do query[name] = value end
  if self.skip > 0 then query._skip = self.skip end
  if self.bound then query.date_created__lte = self.bound end
  return query
end

-- A date in microseconds, exact up to the year 2255; nil if it is no date.
local function moment(date)
  local seconds = type(date) == "string" and core.seconds(date)
  return seconds and math.floor(seconds * 1e6 + 0.5) or nil
end

-- The items' moments; nil if they are not newest first, or one of them has no
-- id or no date.
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

-- Moves past a page whose items all have the window's moment.
function Walk:skip_further(data)
  local n = #data
  for _, sms in ipairs(data) do self:know(sms.id) end
  self.skip = self.skip + math.max(n - 1, 1)
  self.expected = n > 1 and data[n].id or nil
  -- What was skipped is known; more means that pages repeat.
  return self.skip - self.start <= self.known_count
end

-- Moves the window to the moment of a page's last item.
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

-- Items of the moment were added or removed: reads it again.
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
  -- If the caller's _skip began within a moment, a new window would return what
  -- was skipped.
  if at[n] == self.bound_at or self.start > 0 and at[n] == at[1] then
    if not self:skip_further(data) then return nil, REPEATED end
  else
    self:move(data, at)
    -- Items older than all before should be new: known ids mean that it
    -- repeats.
    if #fresh == 0 and count_fruitless(self) then return nil, REPEATED end
  end
  return fresh
end

return walk
