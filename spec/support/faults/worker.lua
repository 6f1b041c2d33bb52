-- A worker of the random faults: its own fault server, its own seed, and so
-- many creates, one after the other, each of which meets a fault at random. It
-- prints one line of JSON at its end: what it counted, and what was wrong.
local socket = require "socket"
local json = require("cjson").new()
local callers = require "spec.support.faults.caller"
local matrices = require "spec.support.faults.matrix"
local parts = require "spec.support.faults.columns"
local servers = require "spec.support.faults.server"

local worker = {}

-- Short ones mostly: a silence lasts as long as they do, and so do pauses.
local TIMEOUTS = { 0.03, 0.03, 0.05, 0.05, 0.05, 0.08, 0.15, 0.4 }
local STATUSES = { "outbox", "draft", "inbox" }
local TIMES = { 1, 1, 2, -1 }
local PARTS = { 1, 1, 2, 3 } -- of columns.lua
local SETTLE = 0.3           -- seconds for what is still on its way

local function any(list) return list[math.random(#list)] end

local function random_size()
  if math.random(50) == 1 then return 3e5 end
  return math.random(20, 2000)
end

local function random_cell()
  local part = parts[any(PARTS)]
  local what, column
  repeat
    what, column = any(part.list), any(part.columns)
  until matrices.meet(what, column)
  return {
    [what.from and "cut" or "fault"] = what, column = column.name,
    url = what.tls and column.tls_url or column.url, reused = column.reused,
    status = any(STATUSES), times = any(TIMES), size = random_size(),
    max_retries = math.random(0, 3), token = math.random(4) == 1,
    timeout = any(TIMEOUTS),
  }
end

-- settings, in JSON: seed, count.
function worker.main(settings)
  settings = json.decode(settings)
  math.randomseed(settings.seed)
  local server = servers.start()
  local played = matrices.new(server, callers.close,
    { judge_letters = false })
  for _ = 1, settings.count do played:play(random_cell()) end
  server:arm()
  socket.sleep(SETTLE)
  local violations = played:judge()
  local counts = played:counts()
  counts.elsewhere = server:ledger().elsewhere
  server:stop()
  print(json.encode{ counts = counts, violations = violations })
end

return worker
