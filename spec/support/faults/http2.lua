-- The fault server's HTTP/2 (RFC 9113), frame by frame and no more of it than
-- the faults need: the headers of a request are not decoded, and the windows
-- of a client are taken to be large.
local http1 = require "spec.support.faults.http1"
local ledger = require "spec.support.faults.ledger"
local plan = require "spec.support.faults.plan"

local http2 = {}

local PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
local MAX_ENDLESS = 64 * 1024 * 1024
local GOOD = { body = "@sms" }

local DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION =
  0, 1, 3, 4, 6, 7, 8, 9
local END_STREAM, END_HEADERS, PADDED = 1, 4, 8

local function has(flags, flag)
  return math.floor(flags / flag) % 2 == 1
end

local function number(n, bytes)
  local text = ""
  for _ = 1, bytes do
    text = string.char(n % 256) .. text
    n = math.floor(n / 256)
  end
  return text
end

local function frame(kind, flags, id, payload)
  return number(#payload, 3) .. string.char(kind, flags) .. number(id, 4)
    .. payload
end

-- ---- headers out (RFC 7541): literals without indexing, nothing packed ----

local function text(value)
  if #value < 127 then return string.char(#value) .. value end
  local rest, length = #value - 127, "\127"
  while rest > 127 do
    length = length .. string.char(rest % 128 + 128)
    rest = math.floor(rest / 128)
  end
  return length .. string.char(rest) .. value
end

-- Trailers have no status.
local function block(status, headers)
  local parts = {}
  if status then parts[1] = "\8" .. text(("%d"):format(status)) end
  for _, header in ipairs(headers) do
    parts[#parts + 1] = "\0" .. text(header[1]:lower()) .. text(header[2])
  end
  return table.concat(parts)
end

-- ---- answers ----

local function send_endless(self, id, what)
  local headers = { { "content-type", "application/json" } }
  local filler = block(200, headers)
  local sent, going = 0
  if what == "headers" then
    going = self:send(frame(HEADERS, 0, id, filler))
    filler = frame(CONTINUATION, 0, id,
      ("\0" .. text "x-filler" .. text(("x"):rep(1000))):rep(16))
  else
    going = self:send(frame(HEADERS, END_HEADERS, id, filler)
      .. frame(DATA, 0, id, '{"text": "'))
    filler = frame(DATA, 0, id, ("x"):rep(16000))
  end
  while going and sent < MAX_ENDLESS do
    going, sent = self:send(filler), sent + #filler
  end
end

local function send_frames(self, id, frames)
  if type(frames) == "string" then return self:send(frames) end
  for _, one in ipairs(frames) do
    if one[1] == "rst" then self:send(frame(RST, 0, id, number(one[2], 4))) end
    if one[1] == "goaway" then
      self:send(frame(GOAWAY, 0, 0, number(one[2], 4) .. number(one[3], 4)))
    end
  end
end

local function send(self, id, answer, entry)
  if answer.frames then return send_frames(self, id, answer.frames) end
  if answer.endless then return send_endless(self, id, answer.endless) end
  for _, status in ipairs(answer.interim or {}) do
    self:send(frame(HEADERS, END_HEADERS, id,
      block(status, { { "x-wait", "1" } })))
  end
  if answer.status == false then return end
  local body, headers = http1.fill_in(answer, entry)
  if answer.trailers then headers[#headers] = nil end -- it is HTTP/1.1's
  local head =
    frame(HEADERS, END_HEADERS, id, block(answer.status or 200, headers))
  if answer.cut == "status" then return self:send(head:sub(1, 5)) end
  if answer.cut == "headers" then
    return self:send(head:sub(1, math.floor(#head * 0.7)))
  end
  -- A body that is to go on has no end.
  local goes_on = answer.trailers or (answer.announce or 0) > 0
  self:send(head .. frame(DATA, goes_on and 0 or END_STREAM, id, body))
  if answer.trailers then
    self:send(frame(HEADERS, END_HEADERS + END_STREAM, id,
      block(nil, answer.trailers)))
  end
end

-- ---- requests ----

-- Does what the fault wants; true where the connection goes on.
local function play(self, fault, id, entry)
  local answer = fault.answer
  if entry and answer and answer.status then
    ledger.answer(entry, answer.status)
  end
  if fault.acted then ledger.act(entry) end
  if answer then send(self, id, answer, entry) end
  if fault.ending then
    self:finish(fault.ending)
    return false
  end
  return true
end

local on = {}

on[HEADERS] = function(self, id, flags)
  self.requests[id], self.last = { length = 0, parts = {} }, id
  local fault = plan.at("headers")
  if fault then
    self.requests[id] = nil
    return play(self, fault, id)
  end
  return not has(flags, END_STREAM) -- a request without a body has no mark
end

-- Gives back to the client's windows what it has sent.
local function give_back(self, id, n)
  if n == 0 then return end
  self:send(frame(WINDOW, 0, 0, number(n, 4))
    .. frame(WINDOW, 0, id, number(n, 4)))
end

on[DATA] = function(self, id, flags, payload)
  local request = self.requests[id]
  if not request then return true end -- of a stream that is reset
  local size = #payload
  if has(flags, PADDED) then
    payload = payload:sub(2, -1 - payload:byte())
  end
  request.parts[#request.parts + 1] = payload
  request.length = request.length + #payload
  if plan.waits("half") and request.length >= plan.facts.half then
    self.requests[id] = nil
    return play(self, plan.at("half"), id)
  end
  give_back(self, id, size)
  if not has(flags, END_STREAM) then return true end
  self.requests[id] = nil
  local entry = ledger.take(table.concat(request.parts))
  local fault = plan.at("body")
  if fault then return play(self, fault, id, entry) end
  ledger.act(entry)
  ledger.answer(entry, 200)
  send(self, id, GOOD, entry)
  return true
end

on[RST] = function(self, id)
  self.requests[id] = nil
  return true
end

on[SETTINGS] = function(self, _, flags)
  return has(flags, 1) or self:send(frame(SETTINGS, 1, 0, ""))
end

on[PING] = function(self, _, flags, payload)
  return has(flags, 1) or self:send(frame(PING, 1, 0, payload))
end

on[GOAWAY] = function() return false end

local function read_number(bytes)
  local n = 0
  for i = 1, #bytes do n = n * 256 + bytes:byte(i) end
  return n
end

-- Ends a connection that has nothing to do, as servers do. What comes first is
-- in a TLS record of its own.
function http2.leave(self)
  self:send(frame(PING, 0, 0, ("x"):rep(8)))
  self:send(frame(GOAWAY, 0, 0, number(self.last, 4) .. number(0, 4)))
  self:abandon()
end

-- Serves a connection to its end.
function http2.serve(self)
  self.requests, self.last = {}, 0
  local greeted = false
  while true do
    self:wait_readable()
    local fault = plan.at("readable")
    if fault then return play(self, fault, 1) end
    if not greeted then
      if self:take(#PREFACE) ~= PREFACE then return end
      greeted = self:send(frame(SETTINGS, 0, 0, ""))
    end
    local head = self:take(9)
    if not head then return end
    local payload = self:take(read_number(head:sub(1, 3)))
    if not payload then return end
    local act = on[head:byte(4)]
    local id = read_number(head:sub(6, 9))
    if act and not act(self, id, head:byte(5), payload) then return end
  end
end

return http2
