-- The page of a list that a query asks for: filters, _limit, _skip, _fields.

local dates = require "close.sandbox.dates"
local fields = require "close.sandbox.fields"
local json = require "close.sandbox.json"

local pages = {}

local DEFAULT_LIMIT = 100
local MAX_SKIP = 10000

local COMPARISONS = {
  gte = function(a, b) return a >= b end,
  lte = function(a, b) return a <= b end,
  gt = function(a, b) return a > b end,
  lt = function(a, b) return a < b end,
}

--- The filters that a list has.
---@class close.sandbox.Filters
---@field equal table<string, string> by parameter, a comma list: the member
---  that must be one of its values
---@field dates table<string, boolean>? the members that name__gte and its like
---  compare

-- Takes the items whose member is in a comma list.
local function list_filter(member, list)
  local allowed = {}
  for value in list:gmatch "[^,]+" do allowed[value] = true end
  return function(item) return allowed[item[member]] end
end

-- The instant of an item's date. Each is parsed once.
local function instant_of(item, member)
  local date = item[member]
  if not date then return nil end
  local known = item.instants or {}
  item.instants = known
  known[date] = known[date] or dates.micros(date)
  return known[date]
end

-- Takes the items whose date compares with a bound.
local function date_filter(member, compare, bound)
  return function(item)
    local instant = instant_of(item, member)
    return instant and compare(instant, bound)
  end
end

local function parse_filters(query, known)
  local filters, problems = {}, {}
  for name, value in pairs(query) do
    local member, comparison = name:match "^(.*)__(%l+)$"
    local compare = known.dates and known.dates[member]
      and COMPARISONS[comparison]
    if known.equal[name] then
      filters[#filters + 1] = list_filter(known.equal[name], value)
    elseif compare then
      local bound = dates.micros(value)
      if not bound then problems[name] = "Invalid ISO 8601 datetime." end
      filters[#filters + 1] = date_filter(member, compare, bound)
    end
  end
  return filters, problems
end

local function parse_count(query, name, default, problems)
  local value = query[name]
  if not value then return default end
  if not value:find "^%d+$" then
    problems[name] = "Value must be of int type."
    return default
  end
  return tonumber(value)
end

local function passes(item, filters)
  for _, filter in ipairs(filters) do
    if not filter(item) then return false end
  end
  return true
end

--- The members of an object that _fields names; all, if it is not given.
---@param object table
---@param query table<string, string>
---@return table
function pages.pick(object, query)
  local names = query._fields
  if not names or names == "" then return object end
  local picked = {}
  for name in names:gmatch "[^,%s]+" do picked[name] = object[name] end
  return picked
end

--- The page of a list that a query asks for, newest first.
---@param items table[] oldest first
---@param query table<string, string>
---@param known close.sandbox.Filters
---@param show (fun(item: table): table)? the item as the API shows it
---@return table? page
---@return table? problem the body of a 400
function pages.page(items, query, known, show)
  local filters, problems = parse_filters(query, known)
  local limit = parse_count(query, "_limit", DEFAULT_LIMIT, problems)
  local skip = parse_count(query, "_skip", 0, problems)
  if skip > MAX_SKIP then
    problems._skip = ("Must be at most %d."):format(MAX_SKIP)
  end
  if next(problems) then return nil, fields.problem(problems) end
  local data, found = json.array {}, 0
  for i = #items, 1, -1 do
    if passes(items[i], filters) then
      found = found + 1
      if found > skip + limit then return { data = data, has_more = true } end
      if found > skip then
        local shown = show and show(items[i]) or items[i]
        data[#data + 1] = pages.pick(shown, query)
      end
    end
  end
  return { data = data, has_more = false }
end

return pages
