-- JSON by lua-cjson, in an instance of our own: its settings are not shared
-- with other users of lua-cjson.

local core = require "close.core"
local memory = require "close.memory"
local raw_pairs = require "close.raw_pairs"

-- Where the host has functions of lua-cjson's names, as Neovim does. musl's
-- dlopen() cannot do it: there lua-cjson has to be linked to call its own.
for template in package.cpath:gmatch "[^;]+" do
  local path = template:gsub("%?", "cjson")
  if core.load_apart(path, "strbuf_append_string") then break end
end

local cjson = require "cjson"

-- Another module may have loaded it before.
local ESCAPED, PLAIN = '["\\"\\n\\\\"]', '"\n\\'
assert(cjson.encode { PLAIN } == ESCAPED and
  cjson.decode(ESCAPED)[1] == PLAIN,
  "lua-cjson does not work here: it calls functions of the same names that " ..
  "this program has; require close before other modules that use lua-cjson, " ..
  "or link lua-cjson with -Wl,-Bsymbolic, which musl needs")

local json = { null = cjson.null }

local vim = rawget(_G, "vim")

--- Neovim's own null, next to cjson.null and ngx.null, which are the same.
json.host_null = type(vim) == "table" and vim.NIL or nil

-- lua-cjson has one decimal point for the whole process, that of the locale at
-- the last cjson.new(). If the locale changes, it writes 0,5 and cannot read
-- numbers. Another cjson.new() would break programs that rely on the current
-- one.
local decode = cjson.decode
local function agrees()
  local ok, value = pcall(decode, "0.5")
  return ok and value == 0.5
end

-- Calls f(value), as memory.try does, while lua-cjson and the locale use the
-- same decimal point.
local function protected(f, value)
  if agrees() then return memory.try(f, value) end
  core.c_locale(true)
  if not agrees() then -- it has a comma, which is of use to no program
    core.c_locale(false)
    cjson.new()
    return memory.try(f, value)
  end
  local ok, result = pcall(f, value)
  core.c_locale(false)
  if not ok and memory.is_out_of_memory(result) then error(result, 0) end
  return ok, result
end

local _, instance = protected(cjson.new)
-- 14 digits, the default, would round large integers; old versions allow no
-- more.
pcall(instance.encode_number_precision, 16)
instance.encode_invalid_numbers(false)
-- A finalizer that writes JSON while this does would change a shared buffer,
-- and so a message.
instance.encode_keep_buffer(false)
instance.decode_invalid_numbers(false)

local decode_own = instance.decode

local MAX_DEPTH = 900 -- of what is encoded; lua-cjson's own is 1000

--- Decodes JSON. Nulls are absent in tables. Whole numbers are integers where
--- Lua has those; those above 2^53 are strings of their digits. Half an emoji,
--- which lua-cjson refuses, becomes U+FFFD.
--- A wrong decimal point makes no other number of one, but a failure: only
--- then is that looked into.
---@param text string
---@return any value nil where text is not JSON; json.null for null alone
---@return boolean|nil is_object whether it is an object's
function json.decode(text)
  local read, is_object, must_clean = core.readable_json(text)
  local ok, value = pcall(decode_own, read)
  if not ok then
    if memory.is_out_of_memory(value) then error(value, 0) end
    ok, value = protected(decode_own, read)
    if not ok then return nil end
  end
  return must_clean and core.clean(value) or value, is_object
end

--- Decodes a JSON object.
---@param text string
---@return table|nil object nil where text is not a JSON object
function json.decode_object(text)
  local value, is_object = json.decode(text)
  return is_object and value or nil
end

--- Encodes a table of strings: no decimal point can be wrong in it.
---@type fun(value: table): string
json.encode_strings = instance.encode

--- Encodes any table.
---@return string|nil text, string? why
function json.encode(value)
  local ok, text = protected(instance.encode, value)
  if ok then return text end
  return nil, text
end

--- A number outside of JSON, as in a query, with a decimal point in any locale.
---@param number number
---@return string|nil text nil for NaN and infinities
function json.number(number)
  if math.type and math.type(number) == "integer" then
    return tostring(number)
  end
  if number ~= number or math.abs(number) == math.huge then return nil end
  if number % 1 == 0 and math.abs(number) <= 2 ^ 53 then
    return ("%.0f"):format(number)
  end
  return (("%.14g"):format(number):gsub("[^%d%+%-e]+", "."))
end

-- Whether a whole number has more digits than are written. Other numbers are
-- written with 14 or 16 digits.
local function loses_digits(number)
  if number > -1e14 and number < 1e14 or number % 1 ~= 0 then return false end
  local _, text = protected(instance.encode, number)
  local ok, read = protected(instance.decode, text)
  if text:find "^-?%d+$" and text == tostring(number) then return false end
  return ok and read ~= number
end

local MOST = 2 ^ 53 -- sizes stop there: larger integers could overflow

--- The least number of bytes of value's JSON: lua-cjson ends the process if out
--- of memory, so it must not get large values. A table that is in it twice
--- counts twice, and is read once.
---@return number|nil bytes, string? why
function json.min_size(value, seen, depth)
  if type(value) == "string" then return #value end
  if type(value) == "number" and loses_digits(value) then
    return nil, "a whole number in it has too many digits: give it as a string"
  end
  if type(value) ~= "table" then return 1 end
  seen, depth = seen or {}, depth or 1
  if seen[value] then return seen[value] end
  if seen[value] == false then return nil, "a table in it contains itself" end
  if depth > MAX_DEPTH then return nil, "it is nested too deeply" end
  seen[value] = false -- not known yet
  local bytes = 2
  for key, item in raw_pairs(value) do
    local more, why = json.min_size(item, seen, depth + 1)
    if not more then return nil, why end
    bytes = bytes + more + (type(key) == "string" and #key or 1)
    bytes = math.min(bytes, MOST)
  end
  seen[value] = bytes
  return bytes
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
  return json.encode(body)
end

return json
