-- The main job from end to end, for an installation that is to be tried: a
-- sandbox, a message through it, an error, the end. Exits 0 where all is well.

local close = require "close"
local sandbox = require "close.sandbox"

local server = assert(sandbox.start {})
local client = assert(close.new {
  base_url = server.url,
  api_key = server.api_key,
})
for i = 1, tonumber(arg[1] or 3) do
  local sms, err = client.sms.create {
    status = "outbox",
    local_phone = "+14154445555",
    remote_phone = "+18183334444",
    text = "message " .. i,
    attachments = i % 2 == 0 and { {
      content_type = "image/png", filename = "a.png", url = "https://x.example",
    } } or nil,
  }
  assert(sms and sms.text == "message " .. i, tostring(err))
end
local none, err = client.sms.create { status = "outbox", text = "\255" }
assert(not none and err.kind == "validation" and #err.errors == 3)
server:fault { kind = "status", status = 500, body = "<html>" }
none, err = client.sms.create { status = "draft" }
assert(not none and err.outcome == "unknown", tostring(err))
server:stop()
none, err = client.sms.create({ status = "draft" }, { max_retries = 0 })
assert(not none and err.outcome == "not_sent", tostring(err))
client:close()
print("smoke: ok", close._VERSION)
