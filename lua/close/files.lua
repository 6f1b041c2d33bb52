-- Files that become attachments: what a caller gives, and the two requests that
-- an upload takes. Close names an address and what to send along; the file goes
-- there as a form, without our credentials.
-- Source: developer.close.com/api/resources/files

local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"
local memory = require "close.memory"

local PATH = "/files/upload/"
local UPLOAD = "POST " .. PATH -- the group that a rate limit holds for
local STORAGE = "(storage)" -- where an event has its path; the real one may
                            -- hold what nobody else should read
local MAX_FILE = 16 * 1024 * 1024 -- bytes; as of any request's body
local MAX_FIELDS = 100 -- of a form; S3's have about ten
local CHUNK = 64 * 1024
local WINDOW = 60 -- seconds for which Close's address takes the file

-- What a filename's ending says, where that is one of the types that an
-- attachment may have.
local TYPES = {
  ["3g2"] = "video/3gpp2", ["3gp"] = "video/3gpp", ac3 = "audio/ac3",
  amr = "audio/amr", au = "audio/basic", bmp = "image/bmp", csv = "text/csv",
  gif = "image/gif", h261 = "video/H261", h263 = "video/H263",
  h264 = "video/H264", ics = "text/calendar", jpeg = "image/jpeg",
  jpg = "image/jpeg", m4a = "audio/mp4", m4v = "video/mp4",
  mov = "video/quicktime", mp3 = "audio/mpeg", mp4 = "video/mp4",
  mpeg = "video/mpeg", mpg = "video/mpeg", oga = "audio/ogg",
  ogg = "audio/ogg", pdf = "application/pdf", png = "image/png",
  qt = "video/quicktime", ra = "audio/vnd.rn-realaudio", rtf = "text/rtf",
  rtx = "text/richtext", snd = "audio/basic", tif = "image/tiff",
  tiff = "image/tiff", vcf = "text/vcard", wav = "audio/vnd.wave",
  weba = "audio/webm", webm = "video/webm",
}

local files = { NAMES = { "upload", "upload_async" } }

-- ---- what a caller gives ----

local HOW = "the path of a file, or {data = \"...\"} for bytes"

local function violation(list, field, code, ...)
  list[#list + 1] = { field = field, code = code,
    message = field .. " " .. (...):format(select(2, ...)) }
end

local function named_type(value)
  local kind = type(value)
  if kind == "userdata" then return "a null or another userdata" end
  return "a " .. kind
end

local function open(path) return io.open(path, "rb") end

-- All bytes of a file, and one more at most than it may have.
local function read_file(file)
  local chunks, size = {}, 0
  repeat
    local chunk, why = file:read(CHUNK)
    if why then return nil, why end
    chunks[#chunks + 1] = chunk
    size = size + (chunk and #chunk or 0)
  until not chunk or size > MAX_FILE
  return table.concat(chunks)
end

-- A path as a sentence names it; bytes should not be found in a log.
local function shown(path)
  if #path > 200 or path:find "%c" then return "that path" end
  return '"' .. path .. '"'
end

local function check_size(bytes, list, field)
  if bytes == "" then
    violation(list, field, "range", "is empty: there is nothing to send")
  elseif #bytes > MAX_FILE then
    violation(list, field, "range",
      "is larger than %d bytes, which is the most", MAX_FILE)
  end
end

local MAX_PATH = 4096 -- bytes, as of Linux

-- Whether a string can be nothing but bytes: pictures, PDF and vCards have
-- control characters, and paths have none.
local function is_bytes(source)
  return #source > MAX_PATH or source:find "%c" ~= nil
end

-- Whether a string that names no file, given with a filename of its own, was
-- meant as a path all the same. Sending the path would be the worse mistake.
local function looks_like_path(source)
  return source:find "^[~.]*/" ~= nil or source:find "%.%w+$" ~= nil
end

-- Reads the file of a path, or takes the string for the bytes that it is.
local function read_string(path, has_name, list)
  local bytes, ok, file, why
  if is_bytes(path) then
    bytes = path
  elseif core.is_special(path) then
    why = "it is no file, but a directory, a pipe or a device"
  else
    ok, file, why = memory.try(open, path) -- some hosts throw
    if not ok then
      why = "this host does not let it be opened"
    elseif file then
      bytes, why = read_file(file)
      file:close()
    elseif has_name and path ~= "" and not looks_like_path(path) then
      bytes = path
    end
  end
  if bytes then
    check_size(bytes, list, "source")
    return bytes
  end
  violation(list, "source", "format", "cannot be read: %s: %s; give %s",
    shown(path), tostring(why):match "[^:]*$":gsub("^ ", ""), HOW)
end

local function read_data(source, list)
  local count = 0
  for name in next, source do
    count = count + 1
    if name ~= "data" and count <= 10 then
      local plain = type(name) == "string" and name:match "^[%w_]+$" or "?"
      violation(list, "source." .. plain:sub(1, 40), "unknown_field",
        "is not known: source has data alone; filename and content_type go " ..
        "into the argument after it")
    end
  end
  local data = rawget(source, "data")
  if type(data) == "string" then
    check_size(data, list, "source.data")
  elseif data == nil then
    violation(list, "source.data", "required", "is required: the file's bytes")
  else
    violation(list, "source.data", "type", "must be a string, got %s",
      named_type(data))
  end
  return data
end

-- The bytes to upload, and the filename where the source has one.
local function read_source(source, info, list)
  if type(source) == "string" then
    local has_name = type(info) == "table" and rawget(info, "filename") ~= nil
    local name = not is_bytes(source) and source:match "[^/]+$" or nil
    return read_string(source, has_name, list), name
  elseif type(source) == "table" then
    return read_data(source, list)
  elseif source == nil then
    violation(list, "source", "required", "is required: %s", HOW)
  else
    violation(list, "source", "type", "must be %s, got %s", HOW,
      named_type(source))
  end
end

-- A copy of info, with what can be told without it.
local function read_info(info, filename, list)
  local copy = {}
  if info ~= nil and type(info) ~= "table" then
    violation(list, "info", "type",
      "must be a table such as {content_type = \"image/png\"}, got %s",
      named_type(info))
    return nil
  end
  for name, value in next, info or copy do copy[name] = value end
  if copy.filename == nil then copy.filename = filename end
  if copy.content_type == nil and type(copy.filename) == "string" then
    local ending = copy.filename:match "%.(%w+)$"
    copy.content_type = ending and TYPES[ending:lower()]
  end
  local fine, wrong, unlisted = core.check_upload(copy, json.host_null())
  if fine then return copy end
  for _, item in ipairs(wrong) do list[#list + 1] = item end
  return nil, unlisted
end

-- Checks what a caller gave, and reads the file.
---@return string|nil bytes, table info or an error
local function prepare(source, info, resource)
  if rawequal(source, resource) then
    return nil, errors.validation { {
      field = "source", code = "type",
      message = "source must be " .. HOW .. ": call with a dot, as in " ..
        "files.upload(...), not with a colon",
    } }
  end
  local list = {}
  local bytes, filename = read_source(source, info, list)
  local checked, unlisted = read_info(info, filename, list)
  if #list > 0 then return nil, errors.validation(list, unlisted) end
  return bytes, checked
end

-- ---- the two requests ----

-- A number as JSON has it, whatever the locale's decimal point; nil where it is
-- none that JSON has.
local function written(number)
  if number ~= number or math.abs(number) == math.huge then return nil end
  return (("%.14g"):format(number):gsub("[^%d%+%-e]+", "."))
end

-- The form's fields as a list; nil where one is of no use. In an order of its
-- own, so that equal forms are equal bytes.
local function read_fields(fields)
  local list = {}
  for name, value in pairs(fields) do
    if type(value) == "number" then value = written(value) end
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

-- What Close answers to the first request: {url, fields, download}.
local function read_address(response, plain)
  local answer = json.decode_object(response.body)
  local upload = member(answer, "upload", "table")
  local fields = member(upload, "fields", "table")
  local address = {
    url = member(upload, "url", "string"),
    fields = fields and read_fields(fields),
    download = member(member(answer, "download", "table"), "url", "string"),
  }
  if not (address.url and address.fields and address.download) then
    return nil, errors.no_address(response)
  end
  local fine, why = core.check_named_url(address.url, plain)
  if not fine then return nil, errors.bad_address(response, why) end
  return address
end

local function to_storage(address, bytes, info)
  return {
    method = "POST", url = address.url, path = STORAGE, group = STORAGE,
    anonymous = true, body = bytes,
    form = { fields = address.fields, filename = info.filename,
      content_type = info.content_type },
  }
end

-- The call that upload makes; or nil and an error.
local function to_upload(source, info, resource, plain)
  local bytes, checked = prepare(source, info, resource)
  if not bytes then return nil, checked end
  local text, why = json.encode_body(checked)
  if not text then
    return nil, errors.validation { { field = "info", code = "type",
      message = "info cannot be written as JSON: " .. tostring(why) } }
  end
  local address
  local call = { name = "upload", method = "POST", path = PATH,
    group = UPLOAD, query = "", body = text }

  function call.follow(_, response, failure)
    if failure then return nil, response, failure end
    call.follow = nil -- there is no third one
    address, failure = read_address(response, plain)
    if not address then return nil, response, failure end
    call.due = math.min(call.due, core.now() + WINDOW)
    return to_storage(address, bytes, checked)
  end

  function call.read(response, err, answer)
    call.body, call.form = nil, nil -- who keeps the request keeps no file
    call.follow, bytes = nil, nil
    if response then
      return { content_type = checked.content_type,
        filename = checked.filename, url = address.download }, nil, response
    end
    if address then err = errors.of_storage(err, answer, address.fields) end
    return nil, err, answer
  end

  return call
end

--- The resource for one client.
---@param transport table the client's perform, launch, and plain (http goes)
---@return close.Files
function files.new(transport)
  local resource = {}

  --- Uploads a file, so that an SMS can have it as an attachment.
  ---@param source string|close.FileData a path, or {data = "the bytes"}
  ---@param info close.FileInfo|nil
  ---@param call_options close.CallOptions|nil
  ---@return close.AttachmentParams|nil attachment
  ---@return close.Error|nil err
  ---@return close.Response|nil response
  function resource.upload(source, info, call_options)
    local call, why = to_upload(source, info, resource, transport.plain)
    return transport.perform(call, why, call_options)
  end

  --- The same without waiting: the callback gets what upload would return,
  --- exactly once and never before this function has returned. The file is
  --- read at once.
  ---@param source string|close.FileData
  ---@param info close.FileInfo|nil
  ---@param callback fun(attachment, err, response)
  ---@param call_options close.CallOptions|nil
  ---@return close.Request|nil request
  ---@return close.Error|nil err the callback will not be called
  function resource.upload_async(source, info, callback, call_options)
    local call, why = to_upload(source, info, resource, transport.plain)
    return transport.launch(call, why, callback, call_options)
  end

  return resource
end

return files
