-- The fault server's HTTP/1.1: requests, read stage by stage and written into
-- the ledger; answers, whole or broken.
local gzip = require "spec.support.gzip"
local ledger = require "spec.support.faults.ledger"
local plan = require "spec.support.faults.plan"
local stream = require "spec.support.faults.stream"

local http1 = {}

local MAX_ENDLESS = 64 * 1024 * 1024
local GOOD = { status = 200, body = "@sms" }

-- ---- requests ----

local function read_head(self, request)
  local head = self:take_until("\r\n\r\n")
  if not head then return false end
  local headers = {}
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    headers[name] = (headers[name] and headers[name] .. ", " or "") .. value
  end
  request.method, request.target = head:match("^(%S+) (%S+) HTTP/1%.%d\r\n")
  request.headers, request.head = headers, head
  request.length = tonumber(headers["content-length"] or 0)
  request.close = (headers.connection or ""):lower():find("close", 1, true)
  return request.method ~= nil and request.length ~= nil
end

local function read_half(self, request)
  request.half = self:take(math.floor(request.length / 2))
  return request.half
end

local function read_rest(self, request)
  local rest = self:take(request.length - math.floor(request.length / 2))
  if not rest then return false end
  request.body, request.half = request.half .. rest, nil
  request.entry = ledger.take(request.body, request.headers.authorization)
  ledger.keep(request, self.number)
  return true
end

local READERS = { headers = read_head, half = read_half, body = read_rest }
local STAGES = { "headers", "half", "body" }

-- Reads to the end of a stage; false where the stream ends before.
local function read_to(self, request, place)
  if place == "accept" then return true end
  for _, stage in ipairs(STAGES) do
    if not request[stage .. "_read"] then
      if not READERS[stage](self, request) then return false end
      request[stage .. "_read"] = true
    end
    if stage == place then return true end
  end
end

-- ---- answers ----

-- A list of {name, value} of a table: name -> value, several of them, or a
-- function of the value that is known only now. False leaves a header out that
-- would be added.
local function header_list(headers, elsewhere)
  local list, seen = {}, {}
  for name, values in pairs(headers or {}) do
    seen[name:lower()] = true
    if type(values) ~= "table" then values = { values } end
    for _, value in ipairs(values) do
      if type(value) == "function" then value = value() end
      if value then
        value = value:gsub("^@elsewhere", elsewhere or "")
        list[#list + 1] = { name, value }
      end
    end
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list, seen
end

-- Fills in what a step leaves open: the activity, headers. Returns the body and
-- a list of headers.
function http1.fill_in(answer, entry)
  local body = (answer.body or ""):gsub("^@gzip$", function()
    return gzip.pack(ledger.activity(entry))
  end):gsub("^@sms", function() return ledger.activity(entry) end)
  local elsewhere = plan.facts and plan.facts.elsewhere
  local headers, seen = header_list(answer.headers, elsewhere)
  local status = answer.status or 200
  local bare = status < 200 or status == 204 or status == 304
  if body ~= "" and not seen["content-type"] then
    headers[#headers + 1] = { "Content-Type", "application/json" }
  end
  if answer.trailers then
    headers[#headers + 1] = { "Transfer-Encoding", "chunked" }
  elseif not (bare or seen["content-length"] or seen["transfer-encoding"]) then
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
  local body, headers = http1.fill_in(answer, entry)
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

-- Bytes, and between them seconds to wait.
local function send_chunks(self, chunks)
  for _, chunk in ipairs(chunks) do
    if type(chunk) == "number" then
      stream.sleep(chunk)
    elseif not self:send(chunk) then
      return false
    end
  end
  return true
end

-- Sends an answer as far as it goes; true where the connection may go on.
function http1.send(self, answer, entry)
  if answer.raw then return self:send(answer.raw) end
  if answer.chunks then return send_chunks(self, answer.chunks) end
  if answer.endless then
    send_endless(self, answer.endless)
    return false
  end
  for _, status in ipairs(answer.interim or {}) do
    self:send(("HTTP/1.1 %d Wait\r\nX-Wait: 1\r\n\r\n"):format(status))
    stream.sleep(0.002)
  end
  if answer.status == false then return true end
  local head, body = final_bytes(answer, entry)
  if answer.cut == "status" then return self:send(head:sub(1, 12)) end
  if answer.cut == "headers" then
    return self:send(head:sub(1, math.floor(#head * 0.7)))
  end
  return self:send(head .. body)
end

-- ---- a connection ----

local function respond(self, answer, request, acted)
  local entry = request.entry
  if entry and acted then ledger.act(entry) end
  if entry and answer.status then ledger.answer(entry, answer.status) end
  local fit = http1.send(self, answer, entry)
  if fit then ledger.answered(request) end
  return fit
end

-- Does what a step wants; true where the connection goes on.
local function play(self, step, request)
  if step.delay then stream.sleep(step.delay) end
  local fit = true
  if step.answer then
    fit = respond(self, step.answer, request, step.acted)
  elseif step.acted then
    ledger.act(request.entry)
  end
  if step.ending then
    self:finish(step.ending)
    return false
  end
  if not (fit and read_to(self, request, "body")) then return false end
  if not step.answer then fit = respond(self, GOOD, request, true) end
  return fit and not request.close
end

-- One request and what it gets; true where the connection goes on.
local function exchange(self, own)
  local request = {}
  for _, stage in ipairs(STAGES) do
    if not read_to(self, request, stage) then return false end
    local step = plan.at(stage, own)
    if step then return play(self, step, request) end
  end
  return respond(self, GOOD, request, true) and not request.close
end

-- Serves a connection to its end; with what happens first, if anything.
function http1.serve(self, first)
  local going = not first or play(self, first, {})
  while going do
    self:wait_readable()
    local step = plan.at("readable")
    if step then return play(self, step, {}) end
    if self.size == 0 and not self:fill() then return end
    going = exchange(self, plan.next())
  end
end

return http1
