--- Text messages through the Close CRM's API.
---
---     local close = require "close"
---     local sms, err = close.sms.create {
---       status = "outbox", local_phone = "+14154445555",
---       remote_phone = "+18183334444", text = "Hi!",
---     }
---
--- Nothing here throws: what fails returns nil and an error that says whether
--- Close has the message (err.outcome).

local client = require "close.client"
local core = require "close.core"
local errors = require "close.errors"
local files = require "close.files"
local json = require "close.json"
local resources = require "close.resource"
local sms = require "close.sms"

local close = {
  _VERSION = core.version,
  null = json.null,
  new = client.new,
}

local default -- the client behind close.sms, made when first needed

--- Makes a new default client, which close.sms uses, and closes the one before.
---@param options close.Options|nil
---@return close.Client|nil client, close.Error? err
function close.configure(options)
  local made, err = client.new(options)
  if not made then return nil, err end
  if default then default:close() end
  default = made
  return made
end

-- A resource of the default client, which is configured by close.configure or,
-- without it, by the environment.
local function of_default(resource, names)
  local proxy = {}
  for _, name in ipairs(names) do
    proxy[name] = function(first, ...)
      if not default then
        local made, err = close.configure()
        if not made then return nil, err end
      end
      if rawequal(first, proxy) then first = default[resource] end
      return default[resource][name](first, ...)
    end
  end
  return proxy
end

close.sms = of_default("sms", sms.NAMES)

--- Needs no key, so no default client.
function close.sms.validate(given)
  local wrong = resources.check_dot(given, close.sms, "sms", "validate{...}")
  if wrong then return nil, wrong end
  return sms.validate(given)
end

close.files = of_default("files", files.NAMES)

local function wrong_text(code, message)
  return nil, errors.validation {
    { field = "text", code = code, message = message },
  }
end

--- How a text travels as SMS: its encoding, and how many segments it takes.
---@param text string UTF-8
---@return close.Segments|nil segments, close.Error? err of kind "validation"
function close.segments(text)
  if type(text) ~= "string" then
    local hint = rawequal(text, close) and
      ": call with a dot, as in close.segments(text), not with a colon" or
      "; give the text of the SMS, as UTF-8"
    return wrong_text("type", "text must be a string, got " ..
      core.type_name(text) .. hint)
  end
  local found, place = core.segments(text)
  if found then return found end
  return wrong_text("format", ("text is not valid UTF-8: byte %d is 0x%02X; " ..
    "encode it as UTF-8 first"):format(place, text:byte(place)))
end

return close
