-- The handle that an _async function returns, with which a call can be
-- cancelled.

local errors = require "close.errors"

local CANCEL = {} -- the key of a handle's function

local Request = {}
Request.__index = Request
Request.__name = "close.Request"

--- Cancels the call; its callback gets an error of kind "cancelled", with the
--- outcome so far. Returns false if it was over already.
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
