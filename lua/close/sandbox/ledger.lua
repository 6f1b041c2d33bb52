-- The requests to the API that arrived whole, in order, and their results.

local json = require "close.sandbox.json"

--- One request.
---@class close.sandbox.Record
---@field method string
---@field path string
---@field query table<string, string>
---@field headers table<string, string> lower-case names
---@field body string
---@field time number seconds since 1970, when its last byte arrived
---@field connection integer the connection it came on
---@field acted boolean whether the server did what was asked (stored the SMS);
---  true also if the client got no answer
---@field status integer? of its answer
---@field fault string? "kind@place" of its fault

---@class close.sandbox.Ledger
---@field private list close.sandbox.Record[]
local Ledger = {}
Ledger.__index = Ledger

local ledger = {}

---@return close.sandbox.Ledger
function ledger.new()
  return setmetatable({ list = json.array {} }, Ledger)
end

---@param request close.sandbox.Request
---@param now number
---@param connection integer
---@param fault table?
---@return close.sandbox.Record
function Ledger:add(request, now, connection, fault)
  local record = {
    method = request.method, path = request.path, query = request.query,
    headers = request.headers, body = request.body, time = now,
    connection = connection, acted = false,
    fault = fault and fault.kind .. "@" .. fault.place or nil,
  }
  self.list[#self.list + 1] = record
  return record
end

---@return close.sandbox.Record[]
function Ledger:all()
  return self.list
end

function Ledger:clear()
  self.list = json.array {}
end

return ledger
