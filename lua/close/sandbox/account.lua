-- The account that the sandbox plays: one organization, one user, one phone
-- number. And the ids of what is made in it.

local account = {}

local SUFFIX = "sandbox" .. ("0"):rep(36)

account.USER = "user_" .. SUFFIX
account.USER_NAME = "Sandbox User"
account.ORGANIZATION = "orga_" .. SUFFIX

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
