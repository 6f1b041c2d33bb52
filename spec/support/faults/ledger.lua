-- What the fault server took whole: for each message, known by the mark that
-- its text begins with, how often a request with it was read to its end, how
-- often the server acted on it, and how each of those was answered. It keeps
-- the requests themselves where keeps is true.
local socket = require "socket"
local activity = require "spec.support.activity"

local ledger = { entries = {}, requests = {}, taken = 0, credentials = {} }

local MARK = "cell%-(%d+)%-"

-- The mark of a message that is to be found again; serial: a whole number.
function ledger.mark(serial) return ("cell-%d-"):format(serial) end

-- A request was read to its end. Returns its entry.
function ledger.take(body, authorization)
  local serial = body:sub(1, 4096):match(MARK) or "none"
  local entry = ledger.entries[serial]
  if not entry then
    entry = { serial = serial, taken = 0, acted = 0, answers = {} }
    ledger.entries[serial] = entry
  end
  entry.taken = entry.taken + 1
  entry.answers[entry.taken] = 0
  ledger.taken = ledger.taken + 1
  if authorization then ledger.credentials[authorization] = true end
  return entry
end

-- Keeps a request of a connection, where requests are kept.
function ledger.keep(request, connection)
  if not ledger.keeps then return end
  request.kept = {
    raw = request.head .. request.body, body = request.body,
    method = request.method, target = request.target,
    headers = request.headers, connection = connection,
    time = socket.gettime(),
  }
  ledger.requests[#ledger.requests + 1] = request.kept
end

-- All of its answer was written.
function ledger.answered(request)
  if request.kept then request.kept.answered = true end
end

-- The server made an SMS activity of it.
function ledger.act(entry) entry.acted = entry.acted + 1 end

-- The answer that the newest request of this message gets.
function ledger.answer(entry, status) entry.answers[entry.taken] = status end

-- The activity that the server answers; its id is the message's serial.
function ledger.activity(entry)
  if not entry or entry.serial == "none" then return activity end
  return (activity:gsub('"acti_%w+"', '"acti_' .. entry.serial .. '"'))
end

-- {entries, a list of {serial, taken, acted, answers}; credentials, a list of
-- the Authorization headers that came}.
function ledger.read()
  local list, credentials = {}, {}
  for _, entry in pairs(ledger.entries) do list[#list + 1] = entry end
  for value in pairs(ledger.credentials) do
    credentials[#credentials + 1] = value
  end
  return { entries = list, credentials = credentials }
end

return ledger
