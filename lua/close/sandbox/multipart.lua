-- A body of multipart/form-data (RFC 7578) taken apart. Strict: what no client
-- should send is refused instead of guessed at.

local multipart = {}

--- The boundary that a Content-Type names.
---@param content_type string?
---@return string? boundary nil: it is no form
function multipart.boundary(content_type)
  local kind, rest = (content_type or ""):match "^%s*([^;%s]+)%s*;(.*)$"
  if not kind or kind:lower() ~= "multipart/form-data" then return nil end
  return rest:match '[Bb][Oo][Uu][Nn][Dd][Aa][Rr][Yy]="([^"]+)"'
    or rest:match "[Bb][Oo][Uu][Nn][Dd][Aa][Rr][Yy]=([^;%s\"]+)"
end

-- The value of a header's parameter. Browsers and libcurl write a quote, a
-- line feed and a carriage return in it in percent.
local function parameter(header, name)
  local value = header:match(";%s*" .. name .. '="([^"]*)"')
  return value and value:gsub("%%(%x%x)", function(hex)
    local byte = string.char(tonumber(hex, 16))
    return byte:find '["\r\n]' and byte or nil
  end)
end

-- One part, from after its boundary's line to before the next one.
local function read_part(text)
  local head, body = text:match "^(.-\r\n)\r\n(.*)$"
  if not head then return nil end
  local headers = {}
  for name, value in head:gmatch "([^:\r\n]+):[ \t]*([^\r\n]*)\r\n" do
    headers[name:lower()] = value
  end
  local disposition = headers["content-disposition"] or ""
  local is_form = disposition:match "^form%-data"
  local name = is_form and parameter(disposition, "name")
  if not name then return nil end
  return {
    name = name, filename = parameter(disposition, "filename"),
    content_type = headers["content-type"], body = body,
  }
end

--- Takes a form apart.
---@param body string
---@param boundary string
---@return table[]? parts name, body, filename?, content_type?; nil: malformed
function multipart.parse(body, boundary)
  local mark, parts = "\r\n--" .. boundary, {}
  body = "\r\n" .. body
  local first, last = body:find(mark, 1, true)
  if first ~= 1 then return nil end
  while body:sub(last + 1, last + 2) ~= "--" do
    if body:sub(last + 1, last + 2) ~= "\r\n" then return nil end
    local from = last + 3
    first, last = body:find(mark, from, true)
    local part = first and read_part(body:sub(from, first - 1))
    if not part then return nil end
    parts[#parts + 1] = part
  end
  return parts
end

return multipart
