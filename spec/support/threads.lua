-- What each lua_State of threads.c runs: calls that wait and calls that do
-- not, refusals, and a client that is closed with a call in flight.
-- CLOSE_BASE_URL and CLOSE_API_KEY are a server's. Returns how many calls were
-- answered.
-- luacheck: globals thread
local close = require "close"

local CALLS = tonumber(os.getenv "THREADS_CALLS") or 20

local client = assert(close.new())
local answered = 0

local function count(sms, err)
  if not sms then error(tostring(err)) end
  answered = answered + 1
end

local function params(i)
  return { status = "draft", text = ("Hello %d of %d"):format(i, thread) }
end

for i = 1, CALLS do
  if i % 2 == 0 then
    count(client.sms.create(params(i)))
  else
    assert(client.sms.create_async(params(i), count))
  end
  assert(not client.sms.validate { text = ("x"):rep(i), to = "+1818333444" })
  assert(close.segments("Café " .. i).encoding)
end
client:wait()
client:close()

local told
local other = assert(close.new())
assert(other.sms.list_async({}, function(_, err) told = err and err.kind end))
other:close()
assert(told == "cancelled", told)

return tostring(answered)
