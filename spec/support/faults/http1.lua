-- The fault server's HTTP/1.1: requests, read stage by stage and written into
-- the ledger; answers, whole or broken.
local gzip = require "spec.support.gzip"
local ledger = require "spec.support.faults.ledger"
local plan = require "spec.support.faults.plan"
local stream = require "spec.support.faults.stream"

local http1 = {}

local MAX_ENDLESS = 64 * 1024 * 1024
local GOOD = { body = "@sms" }

-- ---- requests ----

local function read_head(self, request)
  local head = self:take_until("\r\n\r\n")
  if not head then return false end
  request.target = head:match("^%u+ (%S+) ")
  request.length = 0
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    if name == "content-length" then request.length = tonumber(value) end
    if name == "authorization" then request.authorization = value end
    if name == "connection" then request.close = value:lower() == "close" end
  end
  return true
end

local function read_half(self, request)
  request.half = self:take(math.floor(request.length / 2))
  return request.half
end

local function read_rest(self, request)
  local rest = self:take(request.length - math.floor(request.length / 2))
  if not rest then return false end
  local body = request.half .. rest
  request.half = nil
  request.entry = ledger.take(body, request.authorization)
  return true
end

-- ---- answers ----

-- Fills in what the table of faults leaves open: the activity, an address, a
-- value that is known only now. Returns the body and a list of headers.
function http1.fill_in(answer, entry, elsewhere)
  local body = (answer.body or ""):gsub("^@gzip$", function()
    return gzip.pack(ledger.activity(entry))
  end):gsub("@sms", function() return ledger.activity(entry) end)
  local headers, typed = {}, false
  for name, value in pairs(answer.headers or {}) do
    if type(value) == "function" then value = value() end
    value = value:gsub("@elsewhere", elsewhere or "")
    headers[#headers + 1] = { name, value }
    typed = typed or name == "Content-Type"
  end
  if body ~= "" and not typed then
    headers[#headers + 1] = { "Content-Type", "application/json" }
  end
  if answer.trailers then
    headers[#headers + 1] = { "Transfer-Encoding", "chunked" }
  elseif answer.status ~= 204 then
    headers[#headers + 1] = { "Content-Length",
      ("%d"):format(#body + (answer.announce or 0)) }
  end
  return body, headers
end

-- A body in one chunk, and what comes after it (RFC 9112, 7.1).
local function chunked(body, trailers)
  local lines = { ("%x"):format(#body), body, "0" }
  for _, trailer in ipairs(trailers) do
    lines[#lines + 1] = trailer[1] .. ": " .. trailer[2]
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function final_bytes(answer, entry)
  local body, headers = http1.fill_in(answer, entry, plan.facts.elsewhere)
  if answer.trailers then body = chunked(body, answer.trailers) end
  local lines = { ("HTTP/1.1 %d Any"):format(answer.status or 200) }
  for _, header in ipairs(headers) do
    lines[#lines + 1] = header[1] .. ": " .. header[2]
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n", body
end

local function send_endless(self, what)
  local head, body = final_bytes({ body = '{"text": "', announce = 1e12 })
  local filler = ("x"):rep(60000)
  if what == "headers" then
    head, body = head:sub(1, -3), ""
    filler = ("X-Filler: " .. filler:sub(1, 1000) .. "\r\n"):rep(60)
  end
  local going = self:send(head .. body)
  local sent = 0
  while going and sent < MAX_ENDLESS do
    going, sent = self:send(filler), sent + #filler
  end
end

-- Sends an answer of the table, as far as it goes.
function http1.send(self, answer, entry)
  if answer.raw then return self:send(answer.raw) end
  if answer.endless then return send_endless(self, answer.endless) end
  for _, status in ipairs(answer.interim or {}) do
    self:send(("HTTP/1.1 %d Wait\r\nX-Wait: 1\r\n\r\n"):format(status))
    stream.sleep(0.002)
  end
  if answer.status == false then return end
  local head, body = final_bytes(answer, entry)
  if answer.cut == "status" then return self:send(head:sub(1, 12)) end
  if answer.cut == "headers" then
    return self:send(head:sub(1, math.floor(#head * 0.7)))
  end
  self:send(head .. body)
end

-- ---- a connection ----

-- Does what the fault wants; true where the connection goes on.
local function play(self, fault, request)
  local entry = request.entry
  local answer = fault.answer
  if entry and answer and answer.status then
    ledger.answer(entry, answer.status)
  end
  if fault.acted then ledger.act(entry) end
  if answer then http1.send(self, answer, entry) end
  if fault.ending then
    self:finish(fault.ending)
    return false
  end
  return not (answer and (answer.endless or answer.raw))
end

local STAGES = {
  { "headers", read_head }, { "half", read_half }, { "body", read_rest },
}

-- One request and what it gets; true where the connection goes on.
local function exchange(self)
  local request = {}
  for _, stage in ipairs(STAGES) do
    if not stage[2](self, request) then return false end
    local fault = plan.at(stage[1])
    if fault then return play(self, fault, request) and not request.close end
  end
  ledger.act(request.entry)
  ledger.answer(request.entry, 200)
  http1.send(self, GOOD, request.entry)
  return not request.close
end

-- Serves a connection to its end.
function http1.serve(self)
  repeat
    self:wait_readable()
    local fault = plan.at("readable")
    if fault then return play(self, fault, {}) end
    if self.size == 0 and not self:fill() then return end
  until not exchange(self)
end

return http1
