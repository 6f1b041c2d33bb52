-- The account that the sandbox plays: one organization, one user, one phone
-- number. And the ids of what is made in it.

local json = require "close.sandbox.json"
local phones = require "close.sandbox.phones"

local account = {}

local SUFFIX = "sandbox" .. ("0"):rep(36)

account.USER = "user_" .. SUFFIX
account.USER_NAME = "Sandbox User"
account.ORGANIZATION = "orga_" .. SUFFIX
account.LEAD_STATUS = "stat_" .. SUFFIX -- the default

local PHONE = "+14154445555"
local SINCE = "2024-01-01T00:00:00.000000+00:00"

--- The user, as /me/ shows it.
account.me = {
  id = account.USER, email = "user@sandbox.example", first_name = "Sandbox",
  last_name = "User", image = json.null, date_created = SINCE,
  date_updated = SINCE, organizations = json.array {
    { id = account.ORGANIZATION, name = "Sandbox" },
  },
}

--- The phone numbers, as /phone_number/ lists them.
account.phone_numbers = { {
  id = "phon_" .. SUFFIX, number = PHONE,
  number_formatted = phones.format(PHONE), country = phones.country(PHONE),
  type = "internal", label = "Sandbox", sms_enabled = true,
  mms_enabled = true, is_group_number = false, user_id = account.USER,
  organization_id = account.ORGANIZATION, date_created = SINCE,
  date_updated = SINCE,
} }

local ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
  .. "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
local ID_LENGTH = 43

-- From the system, because the seed of Lua's random generator belongs to the
-- program that runs the sandbox. Two runs never share an id.
local source
local function random_byte()
  source = source or io.open("/dev/urandom", "rb") or {}
  return source.read and source:read(1):byte() or math.random(0, 255)
end

--- An id as Close makes them: a prefix, and 43 letters and digits.
---@param prefix string "acti_", "media_"
---@return string
function account.new_id(prefix)
  local letters = {}
  for i = 1, ID_LENGTH do
    local index = random_byte() % #ALPHABET + 1
    letters[i] = ALPHABET:sub(index, index)
  end
  return prefix .. table.concat(letters)
end

return account
