-- A process without free descriptors: the error names the reason, wherever a
-- descriptor was needed, and says that nothing was sent.
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)

local SCRIPT = [[
  local close = require "close"
  local client = assert(close.new { api_key = "api_x", max_retries = 0,
    base_url = %q, ca_file = %q, connect_timeout = 3 })
  local files, file, why = {} -- all are kept: a collected one would be closed
  repeat
    file, why = io.open "/dev/null"
    files[#files + 1] = file
  until not file
  print((why:match ": (.*)")) -- in the C library's words
  for _ = 1, %d do table.remove(files):close() end
  local function call()
    local sms, err = client.sms.create { status = "draft" }
    print(sms and "sent" or ("%%s, %%s: %%s"):format(err.kind, err.outcome,
      err.message))
  end
  call()
  for _, file in ipairs(files) do file:close() end
  if %s then call() end
]]

-- What a script prints that may have 60 descriptors.
local function limited(code)
  local argv = process.lua(code)
  for i, word in ipairs(argv) do argv[i] = process.quote(word) end
  return process.capture("ulimit -n 60; exec " .. table.concat(argv, " "))
end

-- The reason why there is no descriptor, and what a call comes to with so many
-- of them, and with again another one with plenty.
local function calls(url, spare, again)
  local text = limited(SCRIPT:format(url, "Makefile", spare,
    tostring(again or false)))
  local reason, said = text:match "^([^\n]+)\n(.*)$"
  return reason or text, said
end

local function names_the_reason(rest, reason, said)
  assert.matches("^connection, not_sent: .*" .. reason .. rest, said)
end

describe("a call without a descriptor", function()
  it("says so where it needs a socket, and the next one is sent", function()
    names_the_reason(".*\nsent$", calls(server.url, 0, true))
    assert.equal(1, #server:ledger())
  end)

  it("says so where it needs the file of authorities", function()
    local url = server.url:gsub("^http:", "https:")
    -- There is no certificate in the file; GnuTLS finds out later.
    names_the_reason(".*\n%a+, not_sent", calls(url, 1, true))
  end)

  it("says so where it looks up a name", function()
    names_the_reason("", calls("https://close.invalid/api/v1", 1))
  end)
end)

describe("a call to nobody", function()
  it("has the system's reason", function()
    local _, said = calls("http://127.0.0.1:1/api/v1", 10)
    assert.matches("Connection refused", said)
  end)
end)

describe("a client that was closed", function()
  it("has no descriptor any more", function()
    assert.equal("nil", limited(([[
      collectgarbage "stop" -- a collected file would be closed
      local close = require "close"
      local why
      for _ = 1, 100 do
        local client, err = close.new{ api_key = "x", base_url = %q,
          ca_file = "Makefile", max_retries = 0 }
        local sms, wrong
        if client then
          sms, wrong = client.sms.create{ status = "draft" }
          client:close()
        end
        if not sms then why = why or tostring(err or wrong) end
      end
      print(why)
    ]]):format(server.url)))
  end)
end)
