-- Ids as Close makes them: a prefix, and 43 letters and digits. Random, so
-- that two runs never share one, and drawn without Lua's random generator,
-- whose seed belongs to whoever runs the sandbox.

local ids = {}

local ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
  .. "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
local LENGTH = 43

local source
local function random_byte()
  source = source or io.open("/dev/urandom", "rb") or {}
  return source.read and source:read(1):byte() or math.random(0, 255)
end

---@param prefix string "acti_", "media_"
---@return string
function ids.new(prefix)
  local letters = {}
  for i = 1, LENGTH do
    local index = random_byte() % #ALPHABET + 1
    letters[i] = ALPHABET:sub(index, index)
  end
  return prefix .. table.concat(letters)
end

return ids
