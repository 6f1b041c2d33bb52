-- A name server that takes longer than the call's timeout: the deadline holds,
-- and the look-up that continues does no harm.

local process = require "spec.support.process"

local SCRIPT = [[
  local close = require "close"
  local socket = require "socket"
  local client = assert(close.new {
    api_key = "api_x", base_url = "https://close.example/api/v1",
  })
  local start = socket.gettime()
  local sms, err = client.sms.create({ status = "draft" },
    { timeout = 0.3, max_retries = %d })
  local seconds = socket.gettime() - start
  local ended = socket.gettime()
  client:close()
  print(sms, err.kind, err.outcome, seconds < 2, socket.gettime() - ended < 2)
]]

-- What the script prints in a process whose look-ups hang; the preloaded
-- libraries come after those that the process has already. version: what
-- libcurl says that it is, if not the truth.
local function run(retries, version)
  local preload = (os.getenv "LD_PRELOAD" or "") .. ":build/slow_dns.so"
  local command = { "env", "LD_PRELOAD=" .. preload }
  if version then
    command[2] = command[2] .. ":build/other_curl.so"
    command[3] = "CLOSE_SPEC_CURL_VERSION=" .. version
  end
  for _, word in ipairs(process.lua(SCRIPT:format(retries))) do
    command[#command + 1] = word
  end
  local words = {}
  for i, word in ipairs(command) do words[i] = process.quote(word) end
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1; echo $?"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

describe("a look-up that hangs", function()
  it("ends with the call's timeout, and close does not wait", function()
    assert.equal("nil\ttimeout\tnot_sent\ttrue\ttrue\n0\n", run(0))
  end)

  it("does so with retries as well", function()
    assert.equal("nil\ttimeout\tnot_sent\ttrue\ttrue\n0\n", run(3))
  end)

  it("does so with a libcurl that would wait for it", function()
    assert.equal("nil\ttimeout\tnot_sent\ttrue\ttrue\n0\n",
      run(3, "7.74.0"))
  end)
end)
