-- The server's side of HTTP/1.1 (RFC 9112): reads a request from a connection,
-- step by step, and formats an answer. A step that fails returns the status to
-- refuse the request with. Knows nothing of Close.

local http = {}

local LINE_LIMIT = 8192
local HEAD_LIMIT = 65536
local CHUNK_LINE_LIMIT = 1024
local TOKEN = "^[!#$%%&'*+%-.^_`|~%w]+$"

local REASONS = {
  [100] = "Continue", [200] = "OK", [201] = "Created", [202] = "Accepted",
  [204] = "No Content", [301] = "Moved Permanently", [302] = "Found",
  [303] = "See Other", [304] = "Not Modified", [307] = "Temporary Redirect",
  [308] = "Permanent Redirect", [400] = "Bad Request", [401] = "Unauthorized",
  [402] = "Payment Required", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [408] = "Request Timeout", [409] = "Conflict",
  [410] = "Gone", [412] = "Precondition Failed",
  [413] = "Content Too Large", [414] = "URI Too Long",
  [415] = "Unsupported Media Type", [417] = "Expectation Failed",
  [422] = "Unprocessable Content", [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large", [500] = "Internal Server Error",
  [501] = "Not Implemented", [502] = "Bad Gateway",
  [503] = "Service Unavailable", [504] = "Gateway Timeout",
  [505] = "HTTP Version Not Supported",
}

---@class close.sandbox.Request
---@field method string
---@field path string without its query
---@field query table<string, string> decoded; of a repeated name, the last
---@field version "1.0"|"1.1"
---@field headers table<string, string> lower-case names; repeated: joined
---@field body string
---@field keep_alive boolean
---@field length integer? of the body, where announced
---@field chunked boolean

---@class close.sandbox.Answer
---@field status integer
---@field headers table<string, string>
---@field body string

---@param status integer
---@return string
function http.reason(status)
  return REASONS[status] or "Unknown"
end

--- Percent-decodes one part of a query.
---@param text string
---@return string
function http.unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function parse_query(text)
  local query = {}
  for pair in (text or ""):gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    query[http.unescape(name)] = http.unescape(value)
  end
  return query
end

--- Reads the request line; empty lines before it are skipped.
---@param conn close.sandbox.Connection
---@return close.sandbox.Request? request
---@return integer? status none: the client ended the connection
function http.read_line(conn)
  local line, problem
  repeat
    line, problem = conn:line(LINE_LIMIT)
  until line ~= ""
  if problem == "closed" then return nil end
  if problem == "long" then return nil, 414 end
  if not line then return nil, 400 end
  local method, target, version = line:match "^(%S+) (%S+) HTTP/(%d%.%d)$"
  if not method or not method:find(TOKEN) or target:find "[%c\128-\255]" then
    return nil, 400
  end
  if version ~= "1.1" and version ~= "1.0" then return nil, 505 end
  local path = target:gsub("^https?://[^/?]*", "")
  local before, query = path:match "^([^?]*)%??(.*)$"
  return {
    method = method, version = version, headers = {},
    path = before, query = parse_query(query), body = "",
  }
end

local function add_header(headers, line)
  local name, value = line:match "^([^:]*):[ \t]*(.-)[ \t]*$"
  if not name or not name:find(TOKEN) then return false end
  if value:find "[%z\1-\8\10-\31\127]" then return false end
  name = name:lower()
  -- Two of these would let two readers see two different requests.
  if headers[name] and (name == "host" or name == "content-length") then
    return false
  end
  headers[name] = headers[name] and headers[name] .. ", " .. value or value
  return true
end

-- Sets whether the body is chunked, or its length. Returns the status of an
-- error.
local function framing(request)
  local coding = request.headers["transfer-encoding"]
  local length = request.headers["content-length"]
  if coding then
    if length or request.version == "1.0" then return 400 end
    if coding:lower() ~= "chunked" then return 501 end
    request.chunked = true
  elseif length then
    if not length:find "^%d+$" or #length > 15 then return 400 end
    request.length = tonumber(length)
  end
  return nil
end

local function has_token(list, token)
  for item in (list or ""):lower():gmatch "[^,%s]+" do
    if item == token then return true end
  end
  return false
end

--- Reads the header fields into `request` and checks them.
---@param conn close.sandbox.Connection
---@param request close.sandbox.Request
---@return boolean ok
---@return integer? status none: the client ended the connection
function http.read_headers(conn, request)
  local size = 0
  while true do
    local line, problem = conn:line(HEAD_LIMIT)
    if problem == "closed" then return false end
    if problem == "long" then return false, 431 end
    if not line then return false, 400 end
    if line == "" then break end
    size = size + #line
    if size > HEAD_LIMIT then return false, 431 end
    if not add_header(request.headers, line) then return false, 400 end
  end
  local headers = request.headers
  if request.version == "1.1" and not headers.host then return false, 400 end
  if headers.expect and headers.expect:lower() ~= "100-continue" then
    return false, 417
  end
  request.keep_alive = not has_token(headers.connection, "close")
    and (request.version == "1.1"
      or has_token(headers.connection, "keep-alive"))
  local status = framing(request)
  return not status, status
end

-- The next chunk's size, 0 for the last.
local function chunk_size(conn)
  local line, problem = conn:line(CHUNK_LINE_LIMIT)
  if problem == "closed" then return nil end
  local digits = line and line:match "^(%x+)[ \t]*$"
    or line and line:match "^(%x+)[ \t]*;"
  if not digits or #digits > 8 then return nil, 400 end
  return tonumber(digits, 16)
end

-- Trailer fields are read and dropped.
local function skip_trailers(conn)
  local size = 0
  while true do
    local line, problem = conn:line(HEAD_LIMIT)
    if problem == "closed" then return false end
    if not line then return false, 400 end
    if line == "" then return true end
    size = size + #line
    if size > HEAD_LIMIT then return false, 431 end
  end
end

local function read_chunks(conn, request, limit, halfway)
  local pieces, total = {}, 0
  while true do
    local size, status = chunk_size(conn)
    if not size then return false, status end
    if size == 0 then break end
    total = total + size
    if total > limit then return false, 413 end
    local piece = conn:take(size)
    if not piece then return false end
    -- The body's length is not known yet: its first chunk counts as its half.
    if #pieces == 0 and not halfway() then return false end
    pieces[#pieces + 1] = piece
    local rest, problem = conn:line(#"\r")
    if rest ~= "" then return false, problem ~= "closed" and 400 or nil end
  end
  request.body = table.concat(pieces)
  return skip_trailers(conn)
end

local function read_length(conn, request, halfway)
  local half = math.floor(request.length / 2)
  local first = conn:take(half)
  if not first or not halfway() then return false end
  local second = conn:take(request.length - half)
  if not second then return false end
  request.body = first .. second
  return true
end

--- Reads the body into `request`. Sends 100 Continue to a client that waits for
--- it.
---@param conn close.sandbox.Connection
---@param request close.sandbox.Request
---@param limit integer the largest body taken
---@param halfway fun(): boolean called after half of a body; false: give up
---@return boolean ok
---@return integer? status none: the client, or `halfway`, ended it
function http.read_body(conn, request, limit, halfway)
  if not request.chunked and (request.length or 0) == 0 then return true end
  if (request.length or 0) > limit then return false, 413 end
  if request.headers.expect and request.version == "1.1"
    and not conn:has_more()
    and not conn:write "HTTP/1.1 100 Continue\r\n\r\n"
  then
    return false
  end
  if request.chunked then return read_chunks(conn, request, limit, halfway) end
  return read_length(conn, request, halfway)
end

-- The answer's headers, and the defaults that it does not have, in any case.
local function with_defaults(headers, defaults)
  local all, present = {}, {}
  for name, value in pairs(headers) do
    all[#all + 1] = name .. ": " .. tostring(value)
    present[name:lower()] = true
  end
  for name, value in pairs(defaults) do
    if not present[name:lower()] then all[#all + 1] = name .. ": " .. value end
  end
  table.sort(all)
  return all
end

--- Formats an answer.
---@param answer close.sandbox.Answer
---@param request close.sandbox.Request? what it answers, where known
---@return string head
---@return string body
function http.format(answer, request)
  local status, body = answer.status, answer.body
  local bodiless = status == 204 or status == 304
  local lines = with_defaults(answer.headers, {
    ["Date"] = os.date "!%a, %d %b %Y %H:%M:%S GMT",
    ["Server"] = "close-sandbox",
    ["Connection"] = request and request.keep_alive and "keep-alive"
      or "close",
    ["Content-Length"] = not bodiless and tostring(#body) or nil,
  })
  table.insert(lines, 1, ("HTTP/1.1 %d %s"):format(status, http.reason(status)))
  if bodiless or request and request.method == "HEAD" then body = "" end
  return table.concat(lines, "\r\n") .. "\r\n\r\n", body
end

return http
