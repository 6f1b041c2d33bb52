-- The second request of an upload, to the storage that Close names: the
-- address, the form, and the storage's answer. Anybody with the address and its
-- signature can upload: neither is kept or shown. Source:
-- developer.close.com/api/resources/files; S3's POST object

local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"
local raw_pairs = require "close.raw_pairs"
local requests = require "close.request"

-- The path in an event: the real one may contain secrets.
local PATH = "(storage)"
local ENDPOINT = { method = "POST", group = PATH }
local MAX_FIELDS = 100 -- of a form; S3's have about ten
local MAX_KEPT = 16 * 1024 -- bytes of an answer
local MAX_MESSAGE = 250 -- bytes of the storage's message in an error
local WITHHELD = "[withheld: it may hold what lets others upload]"

local storage = {
  WINDOW = 60, -- seconds for which an address accepts the file
}

-- The form's fields as a list, sorted, so that equal forms are equal bytes; nil
-- if one cannot be sent.
local function read_fields(fields)
  local list = {}
  for name, value in raw_pairs(fields) do
    if type(value) == "number" then value = json.number(value) end
    if type(name) ~= "string" or name:find "%c" or
       type(value) ~= "string" or #list == MAX_FIELDS then
      return nil
    end
    list[#list + 1] = { name, value }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local function member(object, name, kind)
  local value = type(object) == "table" and object[name]
  return type(value) == kind and value or nil
end

-- Removes the body of an answer that may contain an address and its signature.
local function withhold(response)
  if response.body:find("upload", 1, true) then response.body = WITHHELD end
end

-- The error for a 2xx without an address.
local function no_address(response)
  local err = errors.unreadable(response, "an address to upload to")
  withhold(response)
  err.body = response.body
  return err
end

-- The error for an address that is not used.
local function bad_address(response, why)
  withhold(response)
  return errors.new {
    kind = "protocol",
    outcome = "not_sent",
    message = "the address that Close named for the file is not used: " .. why,
    status = response.status,
    body = response.body,
  }
end

--- Reads the answer to the first request: {url, fields, download}.
---@param response table its body is not kept where it names no good address
---@param plain boolean whether http may be used
---@return table|nil address
---@return close.Error|nil err
function storage.read(response, plain)
  local answer = json.decode_object(response.body)
  local upload = member(answer, "upload", "table")
  local fields = member(upload, "fields", "table")
  local address = {
    url = member(upload, "url", "string"),
    fields = fields and read_fields(fields),
    download = member(member(answer, "download", "table"), "url", "string"),
  }
  if not (address.url and address.fields and address.download) then
    return nil, no_address(response)
  end
  local fine, why = core.check_named_url(address.url, plain)
  if not fine then return nil, bad_address(response, why) end
  return address
end

--- The request that sends a file.
---@param address table as storage.read has it
---@param bytes string
---@param info table filename and content_type
---@return table request see request.lua
function storage.request(address, bytes, info)
  local request = requests.new(ENDPOINT, PATH, bytes)
  request.form = { url = address.url, fields = address.fields,
    filename = info.filename, content_type = info.content_type }
  return request
end

-- ---- the storage's answer ----

local ENTITIES = { lt = "<", gt = ">", quot = '"', apos = "'", amp = "&" }

-- Reads an error of S3: <Error><Code>...</Code><Message>...</Message>.
local function read_xml(body)
  local function element(name)
    local text = body:match("<" .. name .. ">([^<]*)</" .. name .. ">")
    return text and text:gsub("&(%a+);", ENTITIES)
  end
  local code, message = element "Code", element "Message"
  if not (code or message) then return {} end
  return { { code = code, message = message or code } }
end

local MIN_SECRET = 16 -- bytes; shorter fields are no signatures

local function blank_out(text, word)
  local parts, from = {}, 1
  local first, last = text:find(word, 1, true)
  while first do
    parts[#parts + 1] = text:sub(from, first - 1) .. "[redacted]"
    from = last + 1
    first, last = text:find(word, from, true)
  end
  return table.concat(parts) .. text:sub(from)
end

-- Removes the form's fields from an answer. S3 quotes them if a signature is
-- wrong, and what was signed also in hexadecimal: <StringToSignBytes>. A long
-- answer is cut, and its last bytes are dropped, as they may be a part of a
-- field.
local function redact(body, fields)
  local is_cut, longest = #body > MAX_KEPT, 0
  body = body:sub(1, MAX_KEPT)
  for _, field in ipairs(fields) do
    if #field[2] >= MIN_SECRET then body = blank_out(body, field[2]) end
    longest = math.max(longest, #field[2])
  end
  if is_cut then body = body:sub(1, -longest - 1) end
  return (body:gsub("<(%a+Bytes)>[^<]*", "<%1>[redacted]"))
end

local function describe(response, list)
  local text = "it answered " .. response.status
  if #list > 0 then return text .. ": " .. errors.summary(list) end
  if response.status >= 300 and response.status < 400 then
    return text .. ", a redirect, which is never followed"
  end
  return text .. (response.body == "" and " with an empty body" or
    " without a reason that can be read; see err.body")
end

--- Turns an error into one of the storage's.
---@param err close.Error from errors.from_call; changed
---@param response table|nil what the storage answered; changed: its body loses
---  what the form's fields held
---@param address table as storage.read has it
function storage.explain(err, response, address)
  local text = err.message
  if response then
    response.body = redact(response.body, address.fields)
    err.body, err.errors = response.body, read_xml(response.body)
    if not err.code and err.kind ~= "cancelled" then
      text = describe(response, err.errors)
    end
  end
  err.message = "the second step, sending the file to the storage that " ..
    "Close named, failed: " .. errors.one_line(text, MAX_MESSAGE) ..
    "; uploading again does no harm"
end

return storage
