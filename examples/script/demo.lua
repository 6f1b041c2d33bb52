-- make demo: starts the sandbox, sends a message through it, prints what went
-- out and what came back, stops the sandbox. No key is needed or used.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local close = require "close"
local sandbox = require "close.sandbox"
local show = require("setup").show

local params = {
  local_phone = "+14154445555",
  remote_phone = "+18183334444",
  lead_id = "lead_iuSXNk1x3446ggPVwQS7ynmp8pGRIDieRYiCnuo4yFb",
  text = "Hi! This is a reminder that we have a call at 12pm PT today. 👋",
}

local server = assert(sandbox.start {})
local client = assert(close.new {
  base_url = server.url,
  api_key = server.api_key,
})
print("-- a Close sandbox listens at " .. server.url)
show("params", params)

local sms, err, response = client.sms.send(params)
local requests = server:requests()
client:close()
server:stop()
assert(sms, err)

print("\n-- what went over the wire: a draft, then the word to send it")
for _, request in ipairs(requests) do
  print(request.method .. " " .. request.path)
  print(request.body)
end
print(("\n-- what came back: status %d after %.1f ms"):format(response.status,
  response.elapsed * 1000))
show("sms", sms)
print("\n-- the sandbox is stopped")
