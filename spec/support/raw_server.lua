-- A server for what a client makes of any answer, by script, over HTTP/1.1. It
-- runs as a child (faults/child.lua); this is the test's end of it. The fault
-- matrix has more of the same child (faults/server.lua).
--
-- A step of the script says what one request, or one connection, gets:
--   at       how much is read before acting: "accept" (nothing), "headers",
--            "half" (half the body), "body" (all; the default)
--   delay    seconds to wait before answering
--   answer   bytes to send as they are; or chunks: {"bytes", 0.05, "bytes"}
--            with pauses; or status, headers, body (a table becomes JSON; a
--            Content-Length is added unless headers have their own, or false)
--   endless  "headers" or "body": an answer without end (64 MiB)
--   close    close the connection after that; reset: with a TCP reset
-- A step without an answer, close or reset answers 200 and a full SMSActivity,
-- once it has read the whole request; so does every request after the script.
local socket = require "socket"
local json = require("cjson").new()
local process = require "spec.support.process"

local raw = {}
local Server = {}
Server.__index = Server

local TIMEOUT, GRACE = 20, 2 -- seconds
local AT = { accept = true, headers = true, half = true, body = true }
local FIELDS = { close = "boolean", reset = "boolean", at = "string",
  delay = "number" }
-- name -> type, and its name in the child
local ANSWER = {
  answer = { "string", "raw" }, chunks = { "table", "chunks" },
  status = { "number", "status" }, headers = { "table", "headers" },
  body = { "string", "body" }, endless = { "string", "endless" },
}

-- As text: the way through JSON would make 2 into 2.0 on some Luas.
local function header_text(value)
  if type(value) == "table" then
    local copy = {}
    for i, item in ipairs(value) do copy[i] = tostring(item) end
    return copy
  end
  return value ~= false and tostring(value)
end

local function answer_of(step)
  local answer
  for name, value in pairs(step) do
    local field = ANSWER[name]
    if name == "body" and type(value) == "table" then
      value = json.encode(value)
    end
    if (field and field[1] or FIELDS[name]) ~= type(value) then
      error("raw server: bad step field " .. tostring(name), 5)
    end
    if field then
      answer = answer or {}
      answer[field[2]] = value
    end
  end
  if step.headers then
    answer.headers = {}
    for name, value in pairs(step.headers) do
      answer.headers[name] = header_text(value)
    end
  end
  return answer
end

-- A step as the child has it.
local function checked_step(step)
  local own = { at = step.at or "body", delay = step.delay,
    answer = answer_of(step) }
  if not AT[own.at] then error("raw server: bad at", 4) end
  if step.reset then
    own.ending = "reset"
  elseif step.close then
    -- What was not read would reset the connection under the answer.
    own.ending = own.answer and own.at ~= "body" and "close" or "abandon"
  end
  return own
end

-- Starts a server. Options: the array part is its first script;
-- receive_buffer, in bytes, makes a large request stay with its sender;
-- certificates: see the child.
function raw.start(options)
  options = options or {}
  local settings = json.encode{ receive_buffer = options.receive_buffer,
    certificates = options.certificates, keeps = true }
  local main = ("require('spec.support.faults.child').main(%q)"):format(
    settings)
  local child = process.start(process.unsanitized(process.lua(main)),
    { stdout = "pipe" })
  local line = child.stdout:read("*l")
  if not line then error("raw server: did not start", 2) end
  local self = setmetatable({ child = child, ports = json.decode(line) },
    Server)
  self.port = math.floor(self.ports.plain)
  self.url = ("http://127.0.0.1:%d/api/v1"):format(self.port)
  self.control = assert(
    socket.connect("127.0.0.1", math.floor(self.ports.control)))
  self.control:settimeout(TIMEOUT)
  self.control:setoption("tcp-nodelay", true)
  if options[1] then self:script(options) end
  return self
end

-- Has the child carry out a command of its list.
function Server:ask(command)
  local sent, err = self.control:send(json.encode(command) .. "\n")
  local line
  if sent then line, err = self.control:receive("*l") end
  if not line then
    local ended = err == "closed" and self.child:wait(GRACE)
    error(("raw server: %s at %s%s"):format(err, command.op,
      ended and ", its exit status is " .. ended or ""), 3)
  end
  local reply = json.decode(line)
  if reply.failure then error("raw server: " .. reply.failure, 3) end
  return reply.value
end

-- What the next requests get; forgets what is left of an earlier script.
function Server:script(steps)
  local copy = {}
  for i, step in ipairs(steps) do copy[i] = checked_step(step) end
  self:ask{ op = "script", steps = copy }
end

-- What every request gets after the script.
function Server:default(step)
  self:ask{ op = "default", step = checked_step(step or {}) }
end

-- The requests that were taken whole, in order: {raw, method, target, headers
-- (lower-case names), body, connection (its ordinal), time, and over HTTP/1.1
-- answered: whether all of its answer was written}.
function Server:ledger()
  local ledger = self:ask{ op = "requests" }
  for _, request in ipairs(ledger) do
    request.connection = math.floor(request.connection)
  end
  return ledger
end

-- Waits until the ledger has n requests, or, with answered, has answered the
-- nth, at most so many seconds (5 unless told). Returns it, or nil where that
-- did not come.
function Server:wait(n, seconds, answered)
  local deadline = socket.gettime() + (seconds or 5)
  repeat
    local ledger = self:ledger()
    if #ledger >= n and (not answered or ledger[n].answered) then
      return ledger
    end
    socket.sleep(0.002)
  until socket.gettime() > deadline
  return nil
end

-- How many connections were accepted.
function Server:connections()
  return math.floor(self:ask{ op = "connections" })
end

-- As new: no script, no ledger, no connection, the usual answer.
function Server:reset()
  self:ask{ op = "reset" }
end

-- May be called again.
function Server:stop()
  local status = self.child:stop()
  self.control:close()
  return status
end

return raw
