-- Phone numbers: E.164, how Close formats them, and their countries, of which
-- it knows a few.

local phones = {}

local COUNTRIES = {
  ["1"] = "US", ["7"] = "RU", ["27"] = "ZA", ["30"] = "GR", ["31"] = "NL",
  ["32"] = "BE", ["33"] = "FR", ["34"] = "ES", ["39"] = "IT", ["41"] = "CH",
  ["43"] = "AT", ["44"] = "GB", ["45"] = "DK", ["46"] = "SE", ["47"] = "NO",
  ["48"] = "PL", ["49"] = "DE", ["52"] = "MX", ["55"] = "BR", ["61"] = "AU",
  ["64"] = "NZ", ["65"] = "SG", ["81"] = "JP", ["91"] = "IN",
  ["351"] = "PT", ["353"] = "IE", ["358"] = "FI", ["972"] = "IL",
}

---@param text string
---@return boolean
function phones.is_e164(text)
  return text:find "^%+[1-9]%d+$" ~= nil and #text <= 16
end

-- The country code, if it is known here. No code is the start of another.
local function country_code(phone)
  for digits = 1, 3 do
    local code = phone:sub(2, 1 + digits)
    if COUNTRIES[code] then return code end
  end
  return nil
end

--- +16505172539 as +1 650-517-2539; other countries' numbers with a space
--- after their code.
---@param phone string
---@return string
function phones.format(phone)
  local area, exchange, line = phone:match "^%+1(%d%d%d)(%d%d%d)(%d%d%d%d)$"
  if area then return ("+1 %s-%s-%s"):format(area, exchange, line) end
  local code = country_code(phone)
  return code and "+" .. code .. " " .. phone:sub(2 + #code) or phone
end

--- The ISO 3166 code of a number's country; +1 is taken for the US.
---@param phone string
---@return string?
function phones.country(phone)
  return COUNTRIES[country_code(phone)]
end

return phones
