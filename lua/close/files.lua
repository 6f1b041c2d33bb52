-- Files that become attachments: the caller's params, and the two requests of
-- an upload. Close names an address and the fields of a form; the form with the
-- file goes there, without credentials. Source:
-- developer.close.com/api/resources/files

local core = require "close.core"
local errors = require "close.errors"
local json = require "close.json"
local memory = require "close.memory"
local raw_pairs = require "close.raw_pairs"
local requests = require "close.request"
local resource = require "close.resource"
local storage = require "close.storage"

local PATH = "/files/upload/"
local ENDPOINT = { method = "POST", group = "POST " .. PATH }
local MAX_FILE = 16 * 1024 * 1024 -- bytes; as of any request's body
local CHUNK = 64 * 1024

-- Content types by a filename's ending, of those that an attachment may have.
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

local files = {}

-- ---- the params ----

local HOW = "the path of a file, or {data = \"...\"} for bytes"

local function violation(list, field, code, ...)
  list[#list + 1] = { field = field, code = code,
    message = field .. " " .. (...):format(select(2, ...)) }
end

local function open(path) return io.open(path, "rb") end

-- The bytes of a file; stops reading once it is too large.
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

-- Whether a path may be shown; it may be bytes, given by mistake.
local function is_plain(path) return #path <= 200 and not path:find "%c" end

local function check_size(bytes, list, field)
  if bytes == "" then
    violation(list, field, "range", "is empty: there is nothing to send")
  elseif #bytes > MAX_FILE then
    violation(list, field, "range",
      "is larger than %d bytes, which is the most", MAX_FILE)
  end
end

-- The bytes of the file at a path, or nil and why not.
local function read_path(path)
  if path == "" then return nil, "there is no path" end
  if path:find "%z" then return nil, "it has a byte 0, so it is no path" end
  if core.is_special(path) then
    return nil, "it is no file, but a directory, a pipe or a device"
  end
  local ok, file, why = memory.try(open, path) -- some hosts throw
  if not ok then return nil, "this host does not let it be opened" end
  if not file then return nil, why end
  local bytes
  bytes, why = read_file(file)
  file:close()
  return bytes, why
end

-- The reason at the end of "path: reason". Greedy: bytes that were given as a
-- path may have megabytes and as many colons.
local function reason_of(why) return why:match "^.*: (.*)$" or why end

local function read_string(path, list)
  local bytes, why = read_path(path)
  if bytes then
    check_size(bytes, list, "source")
    return bytes
  end
  violation(list, "source", "format", "cannot be read: %s: %s; give %s",
    is_plain(path) and '"' .. path .. '"' or "that path",
    reason_of(tostring(why)), HOW)
end

local function read_data(source, list)
  local count = 0
  for name in raw_pairs(source) do
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
      core.type_name(data))
  end
  return data
end

-- The bytes to upload, and the filename if the source has one.
local function read_source(source, list)
  if type(source) == "string" then
    local filename = is_plain(source) and source:match "[^/]+$" or nil
    return read_string(source, list), filename
  elseif type(source) == "table" then
    return read_data(source, list)
  elseif source == nil then
    violation(list, "source", "required", "is required: %s", HOW)
  else
    violation(list, "source", "type", "must be %s, got %s", HOW,
      core.type_name(source))
  end
end

-- A copy of info, with defaults from the filename.
local function read_info(info, filename, list)
  local copy = {}
  if info ~= nil and type(info) ~= "table" then
    violation(list, "info", "type",
      "must be a table such as {content_type = \"image/png\"}, got %s",
      core.type_name(info))
    return nil
  end
  for name, value in raw_pairs(info or copy) do copy[name] = value end
  if copy.filename == nil then copy.filename = filename end
  if copy.content_type == nil and type(copy.filename) == "string" then
    local ending = copy.filename:match "%.(%w+)$"
    copy.content_type = ending and TYPES[ending:lower()]
  end
  local fine, wrong, unlisted = core.check_upload(copy, json.host_null)
  if fine then return copy end
  for _, item in ipairs(wrong) do list[#list + 1] = item end
  return nil, unlisted
end

-- Checks what a caller gave, and reads the file.
-- -> bytes, info | nil, nil, err
local function read_given(source, info)
  local list = {}
  local bytes, filename = read_source(source, list)
  local checked, unlisted = read_info(info, filename, list)
  if list[1] then return nil, nil, errors.validation(list, unlisted) end
  return bytes, checked
end

-- ---- the verb, see resource.lua ----
-- Its task is one table: bytes, until they are sent; info; address, once known.

local upload = { name = "upload", example = 'upload("photo.png")',
  arguments = 2, goes_on = true }

function upload.prepare(_, source, info)
  local bytes, checked, err = read_given(source, info)
  if not bytes then return nil, nil, err end
  local text, why = json.encode_body(checked)
  if not text then
    return nil, nil, errors.validation { { field = "info", code = "type",
      message = "info cannot be written as JSON: " .. tostring(why) } }
  end
  return requests.new(ENDPOINT, PATH, text), { bytes = bytes, info = checked }
end

function upload.step(operation, response, failure, state)
  local task = operation.task
  local bytes = task.bytes
  task.bytes = nil -- so that a kept handle keeps no file
  if failure or not bytes then return nil, response, failure end
  task.address, failure = storage.read(response, state.settings.plain)
  if not task.address then return nil, response, failure end
  operation.due = math.min(operation.due, core.now() + storage.WINDOW)
  return storage.request(task.address, bytes, task.info)
end

function upload.read(_, task)
  return { content_type = task.info.content_type,
    filename = task.info.filename, url = task.address.download }
end

function upload.explain(err, response, task)
  if task.address then storage.explain(err, response, task.address) end
end

local VERBS = { upload }

--- The names of the resource's functions.
files.NAMES = resource.names(VERBS)

--- The resource of one client.
---@param state table the client's
---@return close.Files
function files.new(state) return resource.new(state, "files", VERBS) end

return files
