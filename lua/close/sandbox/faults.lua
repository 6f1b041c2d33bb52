-- Faults on demand: what is to fail, in which request, and at which place of
-- the exchange. Keeps and matches them; server.lua carries them out.

local json = require "close.sandbox.json"

--- Unknown members are refused.
---@class close.sandbox.Fault
---@field kind "status"|"body"|"close"|"reset"|"stall"|"delay"
---@field place close.sandbox.Place? where in the exchange (see DEFAULTS)
---@field share number? of the matching requests it meets this share, chosen at
---  random: 0 < share <= 1
---@field times integer? how many matching requests it meets: 1; without end
---  where there is a share
---@field after integer? how many matching requests it lets pass before: 0
---@field method string? only requests of this method
---@field path string? only paths in which this Lua pattern is found
---@field acted boolean? whether the server does its work (stores the SMS)
---  before it fails; places "read" and kind "status" only, false if not given
---@field seconds number? of silence at the place, before the rest of the fault;
---  needed by "stall" and "delay"
---@field status integer? of the answer: needed by kind "status"
---@field body string? of the answer: needed by kind "body"
---@field content_type string? of the answer; "" for none
---@field headers table<string, string>? of the answer, over the usual ones

---@alias close.sandbox.Place
---| "accept" # right after a connection was accepted, whatever it will ask for
---| "before" # after the request line, before anything else is read
---| "headers" # after the header fields
---| "half" # after half of the body (its first chunk, if it is chunked)
---| "read" # after all of the request, before an answer
---| "answer" # in the middle of the answer
---| "after" # after the answer, on a connection that was to be kept

local ENDS = { accept = true, before = true, headers = true, half = true,
  read = true, answer = true, after = true }

local MAX_TIMES = 1e15 -- no end

-- Each kind's places, the place it has if none is given, and what it needs.
local KINDS = {
  status = { places = { headers = true, read = true }, place = "read",
    needs = "status" },
  body = { places = { read = true }, place = "read", needs = "body" },
  close = { places = ENDS, place = "read" },
  reset = { places = ENDS, place = "read" },
  stall = { places = { accept = true, before = true, headers = true,
    half = true, read = true, answer = true }, place = "read",
    needs = "seconds" },
  delay = { places = { read = true }, place = "read", needs = "seconds" },
}

local TYPES = {
  kind = "string", place = "string", times = "number", after = "number",
  share = "number",
  method = "string", path = "string", acted = "boolean", seconds = "number",
  status = "number", body = "string", content_type = "string",
  headers = "table",
}

-- Places at which the server always, or never, does its work.
local ALWAYS = { answer = true, after = true }
local NEVER = { accept = true, before = true, headers = true, half = true }

-- Statuses whose answers have no body (RFC 9110, 6.4.1).
local BODILESS = { [204] = true, [304] = true }

---@class close.sandbox.Faults
---@field private list table[]
---@field private state integer
local Faults = {}
Faults.__index = Faults

local faults = {}

---@param seed integer of what is chosen at random
---@return close.sandbox.Faults
function faults.new(seed)
  return setmetatable({ list = {}, state = seed % 2147483646 + 1 }, Faults)
end

-- The minimal standard generator: the same on every Lua. At least 0, below 1.
function Faults:random()
  self.state = self.state * 48271 % 2147483647
  return (self.state - 1) / 2147483646
end

local function check_types(fault)
  for name, value in pairs(fault) do
    if not TYPES[name] then
      return nil, ("unknown fault parameter %q"):format(tostring(name))
    end
    if type(value) ~= TYPES[name] then
      return nil, ("fault parameter %q must be a %s"):format(name, TYPES[name])
    end
  end
  for name, value in pairs(fault.headers or {}) do
    local line = tostring(name) .. tostring(value)
    if type(name) ~= "string" or line:find "[\r\n]" then
      return nil, "fault parameter \"headers\" must map names to values, "
        .. "without line breaks"
    end
  end
  return true
end

local function is_count(value, least, most)
  return value >= least and value <= most and value % 1 == 0
end

local function check_ranges(fault)
  if fault.status and not is_count(fault.status, 200, 599) then
    return nil, "fault parameter \"status\" must be from 200 to 599"
  end
  for _, name in ipairs { "times", "after" } do
    local least = name == "times" and 1 or 0
    if fault[name] and not is_count(fault[name], least, math.huge) then
      return nil, ("fault parameter %q must be a whole number >= %d"):format(
        name, least)
    end
  end
  if fault.share and not (fault.share > 0 and fault.share <= 1) then
    return nil, "fault parameter \"share\" must be above 0 and at most 1"
  end
  if fault.seconds and not (fault.seconds >= 0 and fault.seconds <= 86400) then
    return nil, "fault parameter \"seconds\" must be from 0 to 86400"
  end
  if fault.method and not fault.method:find "^%u+$" then
    return nil, "fault parameter \"method\" must be in capitals, as in \"POST\""
  end
  if not pcall(string.find, "", fault.path or "") then
    return nil, "fault parameter \"path\" must be a Lua pattern"
  end
  return true
end

-- Refuses parameters without an effect: a test must not pass because its fault
-- did not happen.
local function check_effect(fault, kind, place)
  if not kind.places[place] then
    return nil, ("a fault of kind %q has no place %q"):format(
      fault.kind, place)
  end
  if kind.needs and fault[kind.needs] == nil then
    return nil, ("a fault of kind %q needs %q"):format(fault.kind, kind.needs)
  end
  if place == "accept" and (fault.method or fault.path) then
    return nil, "at place \"accept\" there is no method or path yet"
  end
  for _, name in ipairs { "status", "body", "content_type", "headers" } do
    local shapes = fault.kind == "status"
      or fault.kind == "body" and name ~= "status"
    if fault[name] ~= nil and not shapes then
      return nil, ("a fault of kind %q has no %q"):format(fault.kind, name)
    end
  end
  if BODILESS[fault.status] and (fault.body or "") ~= "" then
    return nil, ("an answer of status %d has no \"body\""):format(fault.status)
  end
  local works = ALWAYS[place] or fault.kind == "body" or fault.kind == "delay"
  if fault.acted == false and works or fault.acted and NEVER[place] then
    return nil, ("a fault of kind %q at place %q cannot have acted = %s")
      :format(fault.kind, place, tostring(fault.acted))
  end
  return true, works
end

--- Checks a fault and fills in what was left out.
---@param fault close.sandbox.Fault
---@return table? complete a copy
---@return string? problem
function faults.complete(fault)
  if type(fault) ~= "table" then return nil, "a fault must be a table" end
  local ok, problem = check_types(fault)
  if ok then ok, problem = check_ranges(fault) end
  if not ok then return nil, problem end
  local kind = KINDS[fault.kind]
  if not kind then
    return nil, "fault parameter \"kind\" must be one of status, body, close, "
      .. "reset, stall, delay"
  end
  local place = fault.place or kind.place
  local sane, works = check_effect(fault, kind, place)
  if not sane then return nil, works end
  local complete = {}
  for name, value in pairs(fault) do complete[name] = value end
  complete.place = place
  complete.times = fault.times or fault.share and MAX_TIMES or 1
  complete.after = fault.after or 0
  complete.acted = fault.acted or works or false
  return complete
end

--- Adds a fault, after those that are there.
---@param fault close.sandbox.Fault
---@return table? complete
---@return string? problem
function Faults:add(fault)
  local complete, problem = faults.complete(fault)
  if complete then self.list[#self.list + 1] = complete end
  return complete, problem
end

local function matches(fault, request)
  if not request then return fault.place == "accept" end
  if fault.place == "accept" then return false end
  if fault.method and fault.method ~= request.method then return false end
  if not fault.path then return true end
  -- Some malformed patterns only show when they are used.
  local ok, found = pcall(string.find, request.path, fault.path)
  return ok and found ~= nil
end

-- Counts a request that matches. Whether the fault happens to it.
local function is_due(fault)
  if fault.after > 0 then
    fault.after = fault.after - 1
    return false
  end
  fault.times = fault.times - 1
  return true
end

--- The fault that happens to a request, if any. Counts the request.
---@param request close.sandbox.Request? nil: a new connection
---@return table?
function Faults:match(request)
  for i, fault in ipairs(self.list) do
    local is_chosen = matches(fault, request)
      and (not fault.share or self:random() < fault.share)
    if is_chosen and is_due(fault) then
      if fault.times == 0 then table.remove(self.list, i) end
      return fault
    end
  end
  return nil
end

--- Those still to come.
---@return table[]
function Faults:pending()
  local list = json.array {}
  for i, fault in ipairs(self.list) do list[i] = fault end
  return list
end

function Faults:clear()
  self.list = {}
end

return faults
