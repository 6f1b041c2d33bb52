-- How well calls keep to a rate limit: as many as N, one after the other,
-- against a sandbox that allows LIMIT a second by its RateLimit headers.
--   LUA bench/pacing.lua [N [LIMIT]]

local close = require "close"
local sandbox = require "close.sandbox"
local socket = require "socket"

local N, LIMIT = tonumber(arg[1] or 600), tonumber(arg[2] or 60)

local server = assert(sandbox.start {
  rate_limit = { limit = LIMIT, window = 1 },
})
local client = assert(close.new {
  base_url = server.url, api_key = server.api_key,
})
local start = socket.gettime()
for i = 1, N do
  assert(client.sms.create { status = "draft", text = "message " .. i })
end
local seconds = socket.gettime() - start
client:close()
local refused, made = 0, 0
for _, request in ipairs(assert(server:requests())) do
  if request.status == 429 then refused = refused + 1 end
  if request.acted then made = made + 1 end
end
server:stop()
assert(made == N, "not every message was made once")
print(("%-22s %9.1f calls a second of %d allowed: %.1f %%, %d answers of 429" ..
  " in %d calls"):format("pacing", N / seconds, LIMIT,
  N / seconds / LIMIT * 100, refused, N))
