-- Faults while a connection does not take all that is written to it: no message
-- goes out twice, and the error says whether it was sent. Whether a request has
-- left cannot be told by its first write then.
local json = require("cjson").new()
local process = require "spec.support.process"
local socket = require "socket"

local report = ""

teardown(function() io.stdout:write("\n", report, "\n") end)

-- What a worker counts in a process that has short_writes.c.
local function played()
  local dir = process.tempdir()
  local letters = dir .. "/letters"
  local main = ("require('spec.support.faults.writes').main(%q)"):format(
    letters)
  local command = { "env", "CLOSE_SPEC_WRITES=" .. letters, "LD_PRELOAD="
    .. (os.getenv "LD_PRELOAD" or "") .. ":build/short_writes.so" }
  for _, word in ipairs(process.lua(main)) do
    command[#command + 1] = word
  end
  io.open(letters, "w"):close()
  local worker = process.start(command, { stdout = "pipe" })
  local line = assert(worker.stdout:read "*l", "the worker has ended")
  worker:stop()
  process.remove(dir)
  return json.decode(line)
end

describe("short writes", function()
  it("never make a message go out twice", function()
    local begun = socket.gettime()
    local told = played()
    local sum = told.counts
    report = ("short writes: %d calls, %d violations, %.1f s: %d sent, "
      .. "%d not sent, %d rejected, %d unknown"):format(
      sum.S + sum.N + sum.R + sum.U, #told.violations,
      socket.gettime() - begun, sum.S, sum.N, sum.R, sum.U)
    assert(#told.violations == 0, table.concat(told.violations, "\n"))
    for url, calls in pairs(told.calls) do
      assert(told.met[url] > calls / 2, url .. " had no short writes")
    end
  end)
end)
