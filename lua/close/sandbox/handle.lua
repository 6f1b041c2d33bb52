-- The caller's side of a started sandbox: calls its control endpoints. It keeps
-- one connection, because a fault at place "accept" meets the next new one.

local http = require "close.sandbox.http"
local json = require "close.sandbox.json"
local socket = require "socket"

local TIMEOUT_S = 10

-- The pipes of running sandboxes. The collector closes a pipe that nothing
-- refers to, and that would end its sandbox.
local running = {} -- luacheck: ignore 241

--- A sandbox that runs in a process of its own. Its methods block, for the
--- moment that the answer takes.
---@class close.sandbox.Handle
---@field url string ready to be a client's base_url
---@field port integer
---@field api_key string
---@field access_token string
---@field private pipe file*?
---@field private host string
---@field private sock table?
local Handle = {}
Handle.__index = Handle

local handle = {}

---@param pipe file* closing it ends the sandbox
---@param info { url: string, port: integer }
---@param options close.sandbox.Options
---@return close.sandbox.Handle
function handle.new(pipe, info, options)
  running[pipe] = true
  return setmetatable({
    url = info.url, port = info.port, api_key = options.api_key,
    access_token = options.access_token, pipe = pipe, host = options.host,
  }, Handle)
end

function Handle:connect()
  if self.sock then return self.sock end
  local sock, problem = socket.connect(self.host, self.port)
  if not sock then return nil, problem end
  sock:settimeout(TIMEOUT_S, "t")
  sock:setoption("tcp-nodelay", true)
  self.sock = sock
  return sock
end

-- Reads an answer of our own server, which always has a Content-Length. The
-- third result: whether the server ends the connection after it.
local function read_answer(sock)
  local line, problem = sock:receive "*l"
  local status = line and tonumber(line:match "^HTTP/1%.1 (%d%d%d)")
  if not status then return nil, problem or line end
  local length, ends
  repeat
    line, problem = sock:receive "*l"
    if not line then return nil, problem end
    local name, value = line:lower():match "^([^:]+): *(.*)$"
    if name == "content-length" then length = tonumber(value) end
    if name == "connection" then ends = value == "close" end
  until line == ""
  local body
  body, problem = sock:receive(length)
  if not body then return nil, problem end
  return status, body, ends
end

local function exchange(sock, method, path, body)
  local bytes = ("%s /_sandbox/%s HTTP/1.1\r\nHost: localhost\r\n"
    .. "Content-Length: %d\r\n\r\n%s"):format(method, path, #body, body)
  local sent, problem = sock:send(bytes)
  if not sent then return nil, problem end
  return read_answer(sock)
end

--- Calls a control endpoint.
---@private
---@param method string
---@param path string below /_sandbox/
---@param body string? JSON
---@return table? answer decoded
---@return string? problem
function Handle:ask(method, path, body)
  if not self.pipe then return nil, "close.sandbox: it was stopped" end
  local sock, problem = self:connect()
  local status, answer, ends
  if sock then
    status, answer, ends = exchange(sock, method, path, body or "")
    problem = answer
  end
  if sock and (ends or not status) then
    sock:close()
    self.sock = nil
  end
  if not status then
    return nil, "close.sandbox: no answer: " .. tostring(problem)
  end
  local decoded = json.decode(answer)
  if status == 200 and decoded then return decoded end
  return nil, "close.sandbox: " .. (decoded and decoded.error
    or http.reason(status))
end

local function rows(answer, problem)
  if not answer then return nil, problem end
  return json.plain(answer.data)
end

--- Sets a fault for requests to come.
---@param fault close.sandbox.Fault
---@return true? ok
---@return string? problem
function Handle:fault(fault)
  if type(fault) ~= "table" then
    return nil, "close.sandbox: a fault must be a table"
  end
  local ok, encoded = pcall(json.encode, fault)
  if not ok then
    return nil, "close.sandbox: a fault must be made of strings, booleans, "
      .. "finite numbers and tables: " .. encoded:gsub("^.-:%d+: ", "")
  end
  local answer, problem = self:ask("POST", "faults", encoded)
  return answer and true, problem
end

--- Forgets the faults that have not happened yet.
---@return true? ok
---@return string? problem
function Handle:clear_faults()
  local answer, problem = self:ask("DELETE", "faults")
  return answer and true, problem
end

--- The requests it took whole, in order.
---@return close.sandbox.Record[]? requests
---@return string? problem
function Handle:requests()
  return rows(self:ask("GET", "requests"))
end

--- The SMS it holds, oldest first, as the API shows them (a JSON null is an
--- absent member), and `send_to_inbox`.
---@return table[]? messages
---@return string? problem
function Handle:messages()
  return rows(self:ask("GET", "messages"))
end

--- Forgets everything: SMS, leads, requests, faults, used-up limits.
---@return true? ok
---@return string? problem
function Handle:reset()
  local answer, problem = self:ask("POST", "reset")
  return answer and true, problem
end

--- Ends the sandbox and waits until its process is gone. May be called again.
---@return true
function Handle:stop()
  if self.sock then self.sock:close() end
  local pipe = self.pipe
  self.sock, self.pipe = nil, nil
  if pipe then
    running[pipe] = nil
    pipe:close()
  end
  return true
end

-- Refuses calls with a dot.
for name, method in pairs(Handle) do
  if type(method) == "function" then
    Handle[name] = function(self, ...)
      if getmetatable(self) == Handle then return method(self, ...) end
      return nil, ("close.sandbox: call it as server:%s()"):format(name)
    end
  end
end

function Handle:__tostring()
  return "close.sandbox: " .. self.url .. (self.pipe and "" or " (stopped)")
end

return handle
