-- A page of a list of SMS: its query, and the answer.
-- Source: developer.close.com/api/resources/activities/sms/list

local activity = require "close.activity"
local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"
local raw_pairs = require "close.raw_pairs"

local pages = {}

-- The names in a query, in a fixed order.
local names = {}
for _, filter in ipairs(core.filter_fields()) do
  if not filter.plain then names[#names + 1] = filter.name end
end

--- Writes a query for an address.
---@param query table as core.filters makes it
---@return string such as "?_limit=10", or ""
function pages.write(query)
  local parts = {}
  for _, name in ipairs(names) do
    local value = query[name]
    if type(value) == "number" then value = ("%.0f"):format(value) end
    if value then parts[#parts + 1] = name .. "=" .. core.escape(value) end
  end
  return parts[1] and "?" .. table.concat(parts, "&") or ""
end

-- Whether a decoded value is a list of tables.
local function is_list(value)
  if type(value) ~= "table" then return false end
  local count = 0
  for _ in raw_pairs(value) do count = count + 1 end
  for i = 1, count do
    if type(value[i]) ~= "table" then return false end
  end
  return true
end

--- The page in an answer, or nil.
---@param response close.Response
---@return close.Page|nil
function pages.decode(response)
  local page = json.decode_object(response.body)
  return page and is_list(page.data) and page or nil
end

--- Checks filters and makes a query from them, as a table.
---@param filters close.Filters|nil
---@return table|nil query
---@return close.Error|nil err
function pages.read_filters(filters)
  local query, wrong, unlisted = core.filters(filters, json.host_null)
  if query then return query end
  return nil, errors.validation(wrong, unlisted)
end

--- The request for a page.
function pages.request(query)
  return activity.of_all("GET", nil, pages.write(query))
end

--- The result for an answer with a page.
function pages.read(response)
  local page = pages.decode(response)
  if page then return page end
  return nil, errors.unreadable(response, "a page of SMS")
end

--- One page of SMS, newest first (resource.lua).
pages.list = { name = "list", example = "list{...}", arguments = 1,
  read = pages.read }

function pages.list.prepare(_, filters)
  local query, err = pages.read_filters(filters)
  if not query then return nil, nil, err end
  return pages.request(query)
end

return pages
