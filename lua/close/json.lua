-- JSON by lua-cjson, in an instance of our own: nobody's settings change ours,
-- and ours change nobody's.

local cjson = require "cjson"
local core = require "close.core"

local instance = cjson.new()
-- 14 digits, the default, would round large integers; older ones allow no more.
pcall(instance.encode_number_precision, 16)
instance.encode_invalid_numbers(false)
instance.decode_invalid_numbers(false)

local json = { null = cjson.null, encode = instance.encode }

--- Decodes a JSON object. Its nulls are absent in the table, its whole numbers
--- are integers where Lua has those.
---@param text string
---@return table|nil object nil where text is not a JSON object
function json.decode_object(text)
  local ok, value = pcall(instance.decode, text)
  if ok and type(value) == "table" and text:find("^%s*{") then
    return core.clean(value)
  end
  return nil
end

--- Encodes a request's body. An empty list is written as [], which lua-cjson
--- alone would write as {}.
---@param body table
---@return string|nil text, string? why
function json.encode_body(body)
  local attachments = body.attachments
  if attachments and type(attachments) == "table" and not next(attachments) then
    body.attachments = nil
    local text, why = json.encode_body(body)
    body.attachments = attachments
    if not text then return nil, why end
    local comma = next(body, next(body)) and "," or ""
    return text:sub(1, -2) .. comma .. '"attachments":[]}'
  end
  local ok, text = pcall(instance.encode, body)
  if ok then return text end
  return nil, text
end

return json
