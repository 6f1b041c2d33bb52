-- One SMS as the API shows it: every member of the schema SMSActivity, and
-- the newer ones, each there in every answer, null where it is not set.

local json = require "close.sandbox.json"
local phones = require "close.sandbox.phones"

local activity = {}

local MEMBERS = {
  "_type", "activity_at", "agent_action_reason", "agent_config_id",
  "attachments", "caller_id_mode", "caller_id_reason", "contact_id", "cost",
  "created_by", "created_by_name", "date_created", "date_scheduled",
  "date_sent", "date_updated", "direction", "error_message", "id", "lead_id",
  "local_country_iso", "local_phone", "local_phone_formatted",
  "organization_id", "remote_country_iso", "remote_phone",
  "remote_phone_formatted", "sequence_id", "sequence_name",
  "sequence_subscription_id", "source", "status", "template_id", "text",
  "updated_by", "updated_by_name", "user_id", "user_name", "users",
}

-- The members that follow from others.
local DERIVED = {
  _type = function() return "SMS" end,
  local_country_iso = function(sms)
    return sms.local_phone and phones.country(sms.local_phone)
  end,
  local_phone_formatted = function(sms)
    return sms.local_phone and phones.format(sms.local_phone)
  end,
  remote_country_iso = function(sms)
    return sms.remote_phone and phones.country(sms.remote_phone)
  end,
  remote_phone_formatted = function(sms)
    return sms.remote_phone and phones.format(sms.remote_phone)
  end,
  users = function(sms) return json.array { sms.user_id } end,
}

local function attachment(item)
  local image = item.content_type:find "^image/"
  return {
    content_type = item.content_type, filename = item.filename,
    url = item.url, size = item.size, media_id = item.media_id,
    thumbnail_url = image and item.url .. "?thumbnail" or json.null,
  }
end

local function attachments(sms)
  local items = json.array {}
  for i, item in ipairs(sms.attachments or {}) do
    items[i] = attachment(item)
  end
  return items
end
DERIVED.attachments = attachments

--- Shows an SMS.
---@param sms table as sms.lua keeps it
---@return table members ready for json.encode
function activity.show(sms)
  local shown = {}
  for _, name in ipairs(MEMBERS) do
    local derive, value = DERIVED[name], sms[name]
    if derive then value = derive(sms) end
    shown[name] = value == nil and json.null or value
  end
  return shown
end

return activity
