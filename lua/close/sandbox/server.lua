-- The server of a sandbox: accepts connections, reads one request after
-- another from each, carries out the faults, and writes the answers. api.lua
-- and control.lua decide what an answer says.

local api = require "close.sandbox.api"
local connection = require "close.sandbox.connection"
local control = require "close.sandbox.control"
local faults = require "close.sandbox.faults"
local http = require "close.sandbox.http"
local json = require "close.sandbox.json"
local ledger = require "close.sandbox.ledger"
local loops = require "close.sandbox.loop"
local socket = require "socket"

local BACKLOG = 1024
-- What select can watch, less one for another file of the process.
local MAX_DESCRIPTOR = (socket._SETSIZE or 1024) - 2

---@class close.sandbox.Server
---@field url string what a client takes as base_url
---@field port integer
---@field api close.sandbox.Api
---@field faults close.sandbox.Faults
---@field ledger close.sandbox.Ledger
---@field loop close.sandbox.Loop
---@field private listener table
---@field private max_body_bytes integer
---@field private log fun(line: string)
---@field private accepted integer
local Server = {}
Server.__index = Server

local server = {}

-- Before the port is bound: all accepted sockets inherit the size.
local function bind(options)
  local listener, problem
  if options.host:find(":", 1, true) then
    listener, problem = socket.tcp6()
  else
    listener, problem = socket.tcp4()
  end
  if not listener then return nil, problem end
  listener:setoption("reuseaddr", true)
  local ok
  -- A number from JSON would become "0.0" in Lua 5.3 and 5.4.
  ok, problem = listener:bind(options.host, ("%d"):format(options.port))
  if ok and options.receive_buffer then
    ok, problem = listener:setoption("recv-buffer-size",
      options.receive_buffer)
  end
  if ok then ok, problem = listener:listen(BACKLOG) end
  if not ok then
    listener:close()
    return nil, problem
  end
  return listener
end

--- Binds a port; nothing is accepted before run().
---@param options close.sandbox.Options complete
---@return close.sandbox.Server?
---@return string? problem
function server.new(options)
  local listener, problem = bind(options)
  if not listener then
    return nil, ("cannot listen on %s port %d: %s"):format(
      options.host, options.port, problem)
  end
  listener:settimeout(0)
  local _, port = listener:getsockname()
  local host = options.host:find(":", 1, true) and "[" .. options.host .. "]"
    or options.host
  local origin = ("http://%s:%d"):format(host, port)
  return setmetatable({
    url = origin .. api.ROOT,
    port = tonumber(port), listener = listener, loop = loops.new(),
    api = api.new(options, origin), faults = faults.new(options.seed),
    ledger = ledger.new(),
    max_body_bytes = options.max_body_bytes, accepted = 0,
    log = options.log or function() end,
  }, Server)
end

--- Forgets everything: what it holds, requests, faults, used-up limits.
function Server:reset()
  self.api:reset()
  self.ledger:clear()
  self.faults:clear()
end

-- Places at which a server that pauses would notice that the client ended the
-- connection. Before them it reads nothing while it pauses.
local READING = { read = true, answer = true, after = true }

-- Carries out what a fault does at a place. False: the connection has ended.
local function apply_fault(conn, fault, place)
  if not fault or fault.place ~= place then return true end
  if fault.seconds and not READING[place] then
    conn:pause_unread(fault.seconds)
  elseif fault.seconds and not conn:pause(fault.seconds) then
    return false
  end
  if fault.kind == "close" then
    conn:hang_up()
    return false
  elseif fault.kind == "reset" then
    conn:abort()
    return false
  end
  return true
end

-- The answer of a fault of kind "status", or an answer with what a fault of
-- kind "body" replaces.
local function fault_answer(fault, answer)
  local headers = {}
  for name, value in pairs(answer and answer.headers or {}) do
    headers[name] = value
  end
  headers["Content-Type"] = fault.content_type or headers["Content-Type"]
    or "application/json"
  if fault.content_type == "" then headers["Content-Type"] = nil end
  for name, value in pairs(fault.headers or {}) do
    for ours in pairs(headers) do
      if ours:lower() == name:lower() then headers[ours] = nil end
    end
    headers[name] = value
  end
  local status = fault.status or answer.status
  return {
    status = status, headers = headers,
    body = fault.body or json.encode { error = http.reason(status) },
  }
end

-- Does the work. An error in it is a bug of the sandbox: a 500 shows it.
function Server:act(request, record)
  local ok, answer = xpcall(function()
    return self.api:answer(request, socket.gettime())
  end, debug.traceback)
  if not ok then
    io.stderr:write("close.sandbox: ", answer, "\n")
    answer = { status = 500, headers = {}, body = "sandbox: " .. answer }
  end
  record.acted = answer.status < 300
  record.status = answer.status
  return answer
end

-- The answer to a whole request; nil: a fault ended the connection.
function Server:answer(conn, request, record, fault)
  local answer
  if fault and fault.acted then answer = self:act(request, record) end
  if not apply_fault(conn, fault, "read") then return nil end
  if fault and fault.kind == "status" then
    answer = fault_answer(fault)
    record.status = answer.status
    return answer
  end
  answer = answer or self:act(request, record)
  if fault and fault.kind == "body" then
    answer = fault_answer(fault, answer)
  end
  return answer
end

-- Writes an answer. False: the connection has ended.
local function write(conn, request, answer, fault)
  local head, body = http.format(answer, request)
  local bytes = head .. body
  if not fault or fault.place ~= "answer" then return conn:write(bytes) end
  local half = body == "" and math.floor(#head / 2)
    or #head + math.floor(#body / 2)
  return conn:write(bytes:sub(1, half)) and apply_fault(conn, fault, "answer")
    and conn:write(bytes:sub(half + 1))
end

-- Answers a request that was not read whole, and ends the connection.
local function refuse(conn, request, status, answer)
  request.keep_alive = false
  answer = answer or {
    status = status, headers = { ["Content-Type"] = "application/json" },
    body = json.encode { error = http.reason(status) },
  }
  local head, body = http.format(answer, request)
  if conn:write(head .. body) then conn:drain() end
end

-- Reads the rest of a request, after its first line. False: the connection
-- has ended, or the request is to be refused with the status that follows.
function Server:read_rest(conn, request, fault)
  if not apply_fault(conn, fault, "before") then return false end
  local ok, status = http.read_headers(conn, request)
  if not ok then return false, status end
  if not apply_fault(conn, fault, "headers") then return false end
  if fault and fault.kind == "status" and fault.place == "headers" then
    return false, fault.status
  end
  local most = control.is_for(request) and control.MAX_BODY
    or api.most_bytes(request.path, self.max_body_bytes)
  return http.read_body(conn, request, most, function()
    return apply_fault(conn, fault, "half")
  end)
end

local function milliseconds(since)
  return math.floor((socket.gettime() - since) * 1000 + 0.5)
end

-- One request and its answer. False: the connection has ended.
function Server:exchange(conn)
  local request, status = http.read_line(conn)
  if not request then
    if status then refuse(conn, {}, status) end
    return false
  end
  local begun = socket.gettime()
  local is_control = control.is_for(request)
  local fault = not is_control and self.faults:match(request) or nil
  local ok
  ok, status = self:read_rest(conn, request, fault)
  if not ok then
    if status then
      local early = fault and fault.kind == "status" and fault_answer(fault)
      refuse(conn, request, status, early)
    end
    self:log_exchange(request, begun, status, fault)
    return false
  end
  if is_control then
    local answer = control.answer(self, request, socket.gettime())
    return write(conn, request, answer) and request.keep_alive
  end
  local record = self.ledger:add(request, socket.gettime(), conn.id, fault)
  local answer = self:answer(conn, request, record, fault)
  ok = answer and write(conn, request, answer, fault)
  self:log_exchange(request, begun, record.status, fault)
  return ok and request.keep_alive and apply_fault(conn, fault, "after")
end

-- Logs a line, with nothing in it that the client chose freely.
function Server:log_exchange(request, begun, status, fault)
  local known = request.method:find "^%u+$" and #request.method <= 7
  self.log(("%s %s -> %s in %d ms%s"):format(
    known and request.method or "(other)", api.template(request.path),
    status and ("%d"):format(status) or "no answer", milliseconds(begun),
    fault and " (fault: " .. fault.kind .. " at " .. fault.place .. ")" or ""))
end

-- A connection's whole life.
function Server:serve_connection(conn)
  local fault = self.faults:match(nil)
  if not apply_fault(conn, fault, "accept") then return end
  while self:exchange(conn) do
    -- A client that pipelines must not keep the others waiting.
    if conn:has_more() then conn:yield() end
  end
end

function Server:add_connection(sock)
  if sock:getfd() > MAX_DESCRIPTOR then
    sock:close()
    return
  end
  self.accepted = self.accepted + 1
  local conn = connection.new(self.loop, sock, self.accepted)
  self.loop:spawn(function() self:serve_connection(conn) end, function(problem)
    conn:close()
    if problem then io.stderr:write("close.sandbox: ", problem, "\n") end
  end)
end

-- Accepts connections for ever.
function Server:accept()
  while true do
    local sock, problem = self.listener:accept()
    if sock then
      self:add_connection(sock)
    elseif problem == "timeout" then
      self.loop:wait(self.listener, "read")
    else
      -- Out of descriptors, most likely: wait for some.
      self.loop:wait(nil, nil, 0.05)
    end
  end
end

--- Serves until loop:stop().
function Server:run()
  self.loop:spawn(function() self:accept() end, function(problem)
    error(problem or "close.sandbox: the listener ended", 0)
  end)
  self.loop:run()
end

--- Frees the port.
function Server:close()
  self.listener:close()
end

return server
