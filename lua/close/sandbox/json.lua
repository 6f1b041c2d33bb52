-- JSON for the sandbox, by lua-cjson, and two things that Debian's lua-cjson
-- 2.1.0 lacks: it writes every empty table as {}, and accepts bytes that are
-- not UTF-8. Members are sorted, so that equal answers are equal bytes.

local cjson = require "cjson"

-- An instance of our own: its settings are not shared with other users.
local codec = cjson.new()
codec.decode_invalid_numbers(false)

local json = { null = cjson.null }

local Array = {}

-- The well-formed byte sequences (RFC 3629, section 4), longest first.
local SEQUENCES = {
  "\240[\144-\191][\128-\191][\128-\191]",
  "[\241-\243][\128-\191][\128-\191][\128-\191]",
  "\244[\128-\143][\128-\191][\128-\191]",
  "\224[\160-\191][\128-\191]",
  "[\225-\236\238\239][\128-\191][\128-\191]",
  "\237[\128-\159][\128-\191]",
  "[\194-\223][\128-\191]",
}

local function is_utf8(text)
  for _, sequence in ipairs(SEQUENCES) do
    if not text:find "[\128-\255]" then return true end
    text = text:gsub(sequence, " ")
  end
  return not text:find "[\128-\255]"
end

--- Marks a sequence, so that it is written as an array even when empty.
---@generic T: table
---@param list T
---@return T
function json.array(list)
  return setmetatable(list, Array)
end

local encode

local function encode_array(list)
  local items = {}
  for i, item in ipairs(list) do items[i] = encode(item) end
  return "[" .. table.concat(items, ",") .. "]"
end

local function encode_object(object)
  local names, members = {}, {}
  for name in pairs(object) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    members[i] = codec.encode(name) .. ":" .. encode(object[name])
  end
  return "{" .. table.concat(members, ",") .. "}"
end

--- Writes a value. A table is an array if json.array marked it, otherwise an
--- object, whose names must be strings.
---@param value any
---@return string
function encode(value)
  if type(value) ~= "table" then return codec.encode(value) end
  if getmetatable(value) == Array then return encode_array(value) end
  return encode_object(value)
end
json.encode = encode

--- Reads a text; JSON null becomes json.null.
---@param text string
---@return any value
---@return string? problem
function json.decode(text)
  local ok, value = pcall(codec.decode, text)
  if not ok then return nil, value end
  return value
end

--- Reads a text that must be an object, and UTF-8.
---@param text string
---@return table? object
---@return "invalid"|"other"|nil problem other: JSON, but not an object
function json.decode_object(text)
  if not is_utf8(text) then return nil, "invalid" end
  local value, problem = json.decode(text)
  if problem then return nil, "invalid" end
  -- An empty array and an empty object decode to equal tables.
  if type(value) ~= "table" or not text:find "^%s*{" then
    return nil, "other"
  end
  return value
end

--- A decoded value as Lua has it: nulls are absent, and whole numbers are
--- integers, which lua-cjson 2.1.0 makes floats.
---@param value any
---@return any
function json.plain(value)
  if value == json.null then return nil end
  if type(value) == "number" then
    return value % 1 == 0 and math.floor(value) or value
  end
  if type(value) ~= "table" then return value end
  local copy = {}
  for name, member in pairs(value) do copy[name] = json.plain(member) end
  return copy
end

return json
