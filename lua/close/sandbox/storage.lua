-- The storage of uploads: does with a signed form what S3 does, as far as a
-- client can see. Takes requests and the time, returns answers; does no I/O.
-- It is not part of the API, refuses credentials, and answers in XML.

local account = require "close.sandbox.account"
local multipart = require "close.sandbox.multipart"

local FORM_LIFETIME_S = 60
local FILE_LIFETIME_S = 86400

---@class close.sandbox.Storage
---@field private origin string "http://127.0.0.1:8765"
---@field private files table<string, table> by key
local Storage = {}
Storage.__index = Storage

local storage = {
  ROOT = "/storage/",
  --- The largest form: a file of 16 MiB, and its fields.
  MAX_BODY = 16 * 1024 * 1024 + 65536,
}

---@param origin string
---@return close.sandbox.Storage
function storage.new(origin)
  return setmetatable({ origin = origin, files = {} }, Storage)
end

---@param path string
---@return boolean
function storage.is_for(path)
  return path:sub(1, #storage.ROOT) == storage.ROOT
end

--- A path without its key; safe to log.
function storage.template(path)
  return path == storage.ROOT and path or storage.ROOT .. "{key}"
end

--- Makes the form for an upload.
---@param filename string
---@param content_type string
---@param now number
---@return table answer what Close answers to files/upload/
function Storage:new_upload(filename, content_type, now)
  local key = account.new_id "file_"
  local fields = {
    key = key, ["Content-Type"] = content_type,
    policy = account.new_id "", ["x-amz-signature"] = account.new_id "",
    success_action_status = "201",
  }
  self.files[key] = {
    filename = filename, content_type = content_type, fields = fields,
    asked = now,
  }
  return {
    upload = { url = self.origin .. storage.ROOT, fields = fields },
    download = { url = self.origin .. storage.ROOT .. key },
  }
end

local function escape(text)
  local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }
  return (text:gsub("[&<>]", entities))
end

local function xml(status, text)
  return {
    status = status, headers = { ["Content-Type"] = "application/xml" },
    body = '<?xml version="1.0" encoding="UTF-8"?>\n' .. text,
  }
end

local function refusal(status, code, words)
  return xml(status, ("<Error><Code>%s</Code><Message>%s</Message></Error>")
    :format(code, escape(words)))
end

local function denied(words) return refusal(403, "AccessDenied", words) end

-- The form's fields by name, and its file; or the answer that refuses it.
local function read_form(request)
  local boundary = multipart.boundary(request.headers["content-type"])
  if not boundary then
    return nil, nil, refusal(412, "PreconditionFailed",
      "Bucket POST must be of the enclosure-type multipart/form-data")
  end
  local parts = multipart.parse(request.body, boundary)
  if not parts then
    return nil, nil, refusal(400, "MalformedPOSTRequest",
      "The body of your POST request is not well-formed multipart/form-data.")
  end
  local fields = {}
  for i, part in ipairs(parts) do
    if part.name == "file" and i == #parts then return fields, part.body end
    if part.name ~= "file" then fields[part.name] = part.body end
  end
  return nil, nil, refusal(400, "InvalidArgument",
    "POST requires exactly one file upload per request, as its last field.")
end

-- What is wrong with the fields of a form, as an answer; or nil.
local function check_fields(wanted, given)
  for name, value in pairs(wanted) do
    local signs = name == "policy" or name == "x-amz-signature"
    if given[name] ~= value and signs then
      return refusal(403, "SignatureDoesNotMatch", "The request signature we "
        .. "calculated does not match the signature you provided.")
    elseif given[name] ~= value then
      return denied('Invalid according to Policy: Policy Condition failed: '
        .. '["eq", "$' .. name .. '"]')
    end
  end
  for name in pairs(given) do
    if wanted[name] == nil then
      return denied("Invalid according to Policy: Extra input fields: " .. name)
    end
  end
end

function Storage:store(request, now)
  if request.headers.authorization then
    return refusal(400, "InvalidArgument",
      "Only one auth mechanism allowed: credentials do not belong here.")
  end
  local fields, bytes, refused = read_form(request)
  if refused then return refused end
  local file = self.files[fields.key or ""]
  if not file then return denied "Access Denied" end
  refused = check_fields(file.fields, fields)
  if refused then return refused end
  if now >= file.asked + FORM_LIFETIME_S then
    return denied "Invalid according to Policy: Policy expired."
  end
  file.bytes = bytes
  local location = self.origin .. storage.ROOT .. fields.key
  local answer = xml(201, ("<PostResponse><Location>%s</Location><Key>%s</Key>"
    .. "</PostResponse>"):format(location, fields.key))
  answer.headers.Location = location
  return answer
end

-- A file that can be fetched now; or nil and why not.
function Storage:available(key, now)
  local file = self.files[key]
  if not file or not file.bytes then return nil, "missing" end
  if now >= file.asked + FILE_LIFETIME_S then return nil, "expired" end
  return file
end

function Storage:fetch(key, now)
  local file, problem = self:available(key, now)
  if problem == "expired" then return denied "Request has expired" end
  if not file then
    return refusal(404, "NoSuchKey", "The specified key does not exist.")
  end
  return {
    status = 200, headers = { ["Content-Type"] = file.content_type },
    body = file.bytes,
  }
end

--- Answers one request below ROOT.
---@param request close.sandbox.Request
---@param now number
---@return close.sandbox.Answer
function Storage:answer(request, now)
  local key = request.path:sub(#storage.ROOT + 1)
  local method = request.method
  if key == "" and method == "POST" then return self:store(request, now) end
  if key ~= "" and method == "GET" then return self:fetch(key, now) end
  return refusal(405, "MethodNotAllowed",
    "The specified method is not allowed against this resource.")
end

--- Whether an attachment's url can be used.
---@param url string
---@param now number
---@return boolean usable false: it is an address of this storage without a file
---@return integer? size of a file of this storage
function Storage:look_up(url, now)
  local here = self.origin .. storage.ROOT
  if url:sub(1, #here) ~= here then return true end
  local file = self:available(url:sub(#here + 1), now)
  return file ~= nil, file and #file.bytes or nil
end

return storage
