-- Interrupts in the fault matrix: each fault is met by a call that a debug hook
-- ends at some instruction, as Ctrl-C would. No message goes out twice, and
-- nothing of the call stays behind. The seed is printed, and taken from
-- CLOSE_SPEC_SEED.
local socket = require "socket"
local callers = require "spec.support.faults.caller"
local matrices = require "spec.support.faults.matrix"
local parts = require "spec.support.faults.columns"
local servers = require "spec.support.faults.server"

local INSTRUCTIONS = 3000 -- about what a call takes, so that most are struck
local PATIENCE = 0.3      -- seconds, where a server is silent
local TURNS = 8           -- of the server, to accept and read what has left

-- The server alone, over HTTP/1.1, by a new and a kept connection.
local alone = parts[1]
local part = { list = alone.list,
  columns = { alone.columns[1], alone.columns[2] } }

local seed = tonumber(os.getenv "CLOSE_SPEC_SEED") or os.time()
local struck, pending, left = 0, 0, 0
local server

setup(function() server = servers.start() end)
teardown(function() server:stop() end)

local function strike()
  debug.sethook()
  error("interrupted!", 0)
end

-- How many requests the server has taken whole.
local function taken()
  local n = 0
  for _, entry in pairs(server:ledger().messages) do n = n + entry.taken end
  return n
end

-- Whether something leaves a client of which nothing is pending.
local function goes_on(client)
  socket.sleep(0.02) -- for what is on its way
  local before
  for _ = 1, TURNS do before = taken() end
  for _ = 1, 10 do
    client:poll()
    socket.sleep(0.003)
  end
  return taken() > before
end

-- A caller like the library's, whose call with a status is interrupted.
local function interrupted(...)
  local caller = callers.close(...)
  local create = caller.create
  function caller:create(text, options)
    if not options.status then return create(self, text, options) end
    local ok, result = pcall(function()
      debug.sethook(strike, "", math.random(INSTRUCTIONS))
      local said = create(self, text, options)
      debug.sethook()
      return said
    end)
    if ok then return result end
    assert(result == "interrupted!", result)
    struck = struck + 1
    pending = pending + self.client:pending()
    if goes_on(self.client) then left = left + 1 end
    return { letter = "I", seconds = 0 }
  end
  return caller
end

describe("a call that is interrupted", function()
  it("goes out once at most, whatever fault it meets", function()
    math.randomseed(seed)
    local played = matrices.new(server, interrupted,
      { judge_letters = false, patience = PATIENCE, brief = true })
    played:play_all(part)
    server:arm()
    local violations = played:judge()
    io.stdout:write(("\ninterrupts, seed %d: %d cells, %d interrupted, "
      .. "%d violations\n"):format(seed, #played.played, struck, #violations))
    assert(#violations == 0, table.concat(violations, "\n"))
    assert.equal(0, pending)
    assert.equal(0, left)
    assert.is_true(struck > #played.played / 4)
  end)
end)
