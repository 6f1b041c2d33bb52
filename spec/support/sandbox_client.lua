-- Sandboxes to test, and a client that sends them anything: by LuaSocket's
-- HTTP client where any client would do, and by bare sockets where the bytes
-- matter. Needs nothing of the library but close.sandbox.

local assert = require "luassert"
local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local mime = require "mime"
local process = require "spec.support.process"
local sandbox = require "close.sandbox"
local socket = require "socket"

local PATIENCE = 5

local support = {}
local Client = {}
Client.__index = Client
local started = {}

http.TIMEOUT = PATIENCE

support.PATIENCE = PATIENCE
support.SMS = "/activity/sms/"
support.PATH = "/api/v1" .. support.SMS
support.DRAFT = { status = "draft", text = "Hello" }
support.OUTBOX = {
  status = "outbox", local_phone = "+16505172539",
  remote_phone = "+447911123456", text = "Hello",
}

-- A copy with other values for some of its fields, or with more.
function support.copy(base, changes)
  local result = {}
  for name, value in pairs(base) do result[name] = value end
  for name, value in pairs(changes or {}) do result[name] = value end
  return result
end

-- The seconds that an action takes.
function support.elapsed(action)
  local begun = socket.gettime()
  action()
  return socket.gettime() - begun
end

support.eventually = process.eventually
support.sometimes = process.sometimes

function support.basic(key)
  return "Basic " .. mime.b64(key .. ":")
end

-- The bytes of a request's line and headers, up to its Content-Length.
local function head(method, path, extra)
  return ("%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n"
    .. "Content-Type: application/json\r\n%s")
    :format(method, path, support.basic "api_sandbox", extra or "")
end

-- A request in bytes. The body is a table, DRAFT unless given; a GET has none.
function support.bytes(method, path, body, extra)
  local text = cjson.encode(body or support.DRAFT)
  if method == "GET" then text = "" end
  return ("%sContent-Length: %d\r\n\r\n%s"):format(
    head(method, path, extra), #text, text)
end

-- A POST in bytes whose body is chunked, and so far these chunks.
function support.chunked(chunks)
  return head("POST", support.PATH, "Transfer-Encoding: chunked\r\n\r\n")
    .. chunks
end

-- Reads one answer: status, headers, body; or nil and why there is none.
function support.answer(sock)
  local line, problem = sock:receive "*l"
  if not line then return nil, problem end
  local headers = {}
  while true do
    local field
    field, problem = sock:receive "*l"
    if not field then return nil, problem end
    if field == "" then break end
    local name, value = field:match "^([^:]+): *(.*)$"
    headers[name:lower()] = value
  end
  local length = tonumber(headers["content-length"] or 0)
  local body, partial = "", nil
  if length > 0 then body, problem, partial = sock:receive(length) end
  if not body then return nil, problem, partial end
  return tonumber(line:match "^HTTP/1%.1 (%d+)"), headers, body
end

-- How a connection has ended, once nothing more comes: "fin" or "rst".
function support.how_closed(sock)
  -- Whoever has sent a FIN still takes bytes; an RST takes none.
  return sock:send "x" and "fin" or "rst"
end

-- How a connection ends: "fin", "rst", or what came instead.
function support.ending(sock)
  local data, problem, partial = sock:receive(1)
  if data or problem ~= "closed" then return data or problem end
  assert.equal("", partial)
  return support.how_closed(sock)
end

-- Starts a sandbox. Returns it, and a client of it.
function support.start(options)
  local server = assert(sandbox.start(options))
  started[#started + 1] = server
  return server, support.new(server)
end

-- Stops all that start has started; for teardown.
function support.stop_all()
  for _, server in ipairs(started) do server:stop() end
  started = {}
end

-- A client of a server: of anything with url and api_key.
function support.new(server)
  return setmetatable({ server = server }, Client)
end

-- Calls the API as any client would: status, decoded body, headers, raw body.
function Client:call(method, path, body, headers)
  headers = support.copy(headers or {})
  headers.authorization = headers.authorization
    or support.basic(self.server.api_key)
  if type(body) == "table" then body = cjson.encode(body) end
  if body then
    headers["content-type"] = headers["content-type"] or "application/json"
    headers["content-length"] = #body
  end
  local pieces = {}
  local done, status, received = http.request {
    url = self.server.url .. path, method = method, headers = headers,
    source = body and ltn12.source.string(body),
    sink = ltn12.sink.table(pieces), redirect = false,
  }
  if not done then return nil, status end
  local text = table.concat(pieces)
  local ok, decoded = pcall(cjson.decode, text)
  return status, ok and decoded or nil, received, text
end

-- Creates an SMS, which must succeed.
function Client:create(body)
  local status, sms = self:call("POST", support.SMS, body)
  assert.equal(200, status)
  return sms
end

-- Lets something go wrong, which must be a fault there is.
function Client:fault(wanted)
  assert(self.server:fault(wanted))
end

-- A bare connection, on which these bytes, if any, were sent. With a receive
-- buffer of few bytes, the server's answer stays with the server.
function Client:open(text, receive_buffer)
  local sock = assert(socket.tcp4()) -- which has options before it connects
  if receive_buffer then
    assert(sock:setoption("recv-buffer-size", receive_buffer))
  end
  assert(sock:connect("127.0.0.1", self.server.port))
  sock:settimeout(PATIENCE, "t")
  if text then assert(sock:send(text)) end
  return sock
end

-- Sends bytes on a connection of its own and reads the answer.
function Client:exchange(text)
  local sock = self:open(text)
  local status, headers, body = support.answer(sock)
  sock:close()
  return status, headers, body
end

-- Sends bytes on a connection of its own and says how that ends.
function Client:provoke(text)
  local sock, problem = socket.connect("127.0.0.1", self.server.port)
  -- An RST at once may be seen while still connecting.
  if not sock then return problem == "closed" and "rst" end
  sock:settimeout(PATIENCE)
  sock:send(text)
  local how = support.ending(sock)
  sock:close()
  return how
end

return support
