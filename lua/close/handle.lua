-- What the caller of an _async function holds: the way to cancel its call.

local errors = require "close.errors"

local CANCEL = {} -- where a handle keeps its function: not to be seen

local Request = {}
Request.__index = Request
Request.__name = "close.Request"

--- Ends the call; its callback gets an error of kind "cancelled", with the
--- outcome that is true by then. False where it was over already.
function Request:cancel()
  local cancel = type(self) == "table" and rawget(self, CANCEL)
  if not cancel then return nil, errors.config "call it as request:cancel()" end
  return cancel()
end

local handle = {}

--- Makes a handle.
---@param cancel fun(): boolean says whether the call was still pending
---@return close.Request
function handle.new(cancel)
  return setmetatable({ [CANCEL] = cancel }, Request)
end

return handle
