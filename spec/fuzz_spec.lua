-- Random values for every public function: each call returns a value, or nil
-- and a complete error. The values are the same each time.
local close = require "close"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"
local calmly = support.calmly

local ROUNDS = 3000

local server

setup(function() server = raw.start{} end)
teardown(function()
  server:stop()
  support.close_all()
end)

local function boom() error("a metamethod ran", 0) end

-- A generator of whole numbers from 1 to n (Park and Miller's).
local function generator(seed)
  return function(n)
    seed = seed * 16807 % 2147483647
    return seed % n + 1
  end
end

local SCALARS = {
  0, 1, -1, 0.5, 2 ^ 31, 2 ^ 53, 1e300, -1e300, 0 / 0, math.huge, -math.huge,
  true, false, "", " ", "x", "\0", "\255", "\n", "outbox", "scheduled",
  "draft", "inbox", "+14154445555", "2026-11-23T08:00:00Z", "phon_1",
  "image/png", "http://127.0.0.1:1", "https://[::1", "blocking", "poll",
  ("x"):rep(70000), ("\195\164"):rep(300), close.null, tostring, io.stdout,
  coroutine.create(function() end), boom,
}

local NAMES = {
  "status", "text", "local_phone", "remote_phone", "attachments", "extra",
  "send_in", "send_to_inbox", "date_scheduled", "activity_at", "template_id",
  "direction", "source", "content_type", "filename", "url", "lead_id", "to",
  "api_key", "access_token", "timeout", "attempt_timeout",
  "connect_timeout", "max_retries", "max_in_flight", "max_response_bytes",
  "ca_file", "proxy", "user_agent", "loop", "on_event", "x\ny", "\255",
  ("n"):rep(500),
}

local KEYS = { 1, 2, 3, 5, 0.5, -1, true, print }

local META = { __index = boom, __newindex = boom, __len = boom, __call = boom,
  __pairs = boom, __tostring = boom, __eq = boom, __concat = boom }

local function junk(random, depth)
  if depth == 0 or random(3) == 1 then return SCALARS[random(#SCALARS)] end
  local value = {}
  for i = 1, random(6) - 1 do
    local kind, key = random(4), i
    if kind == 1 then key = KEYS[random(#KEYS)] end
    if kind > 2 then key = NAMES[random(#NAMES)] end
    value[key] = junk(random, depth - 1)
  end
  local kind = random(12)
  if kind == 1 then setmetatable(value, META) end
  if kind == 2 then rawset(value, NAMES[random(#NAMES)], value) end
  return value
end

-- A table of options, so that nothing leaves this machine whatever else it
-- says; its calls are short.
local function safe(options)
  if type(options) ~= "table" then return options end
  rawset(options, "base_url", server.url)
  if type(rawget(options, "timeout")) == "number" then
    rawset(options, "timeout", 5)
  end
  return options
end

local function anything(random)
  if random(8) == 1 then return nil end
  return junk(random, 3)
end

describe("any public function", function()
  it("takes junk for its parameters", function()
    local random, client = generator(1), support.new(server)
    assert(close.configure{ api_key = "k", base_url = server.url })
    for _ = 1, ROUNDS do
      local params, options = anything(random), { max_retries = 0 }
      calmly(client.sms.validate, params)
      calmly(client.sms.create, params, options)
      calmly(close.sms.validate, params)
      calmly(close.sms.create, params, options)
    end
  end)

  it("takes junk within parameters that are right", function()
    local random, client = generator(2), support.new(server)
    for _ = 1, ROUNDS do
      local params = support.params()
      for _ = 1, random(3) do
        params[NAMES[random(22)]] = junk(random, 3)
      end
      local ok = calmly(client.sms.validate, params)
      assert.is_true(ok == true or ok == nil)
      local sms = calmly(client.sms.create, params)
      assert.equal(ok == true, sms ~= nil)
    end
  end)

  it("takes junk for the options of a call", function()
    local random, client = generator(3), support.new(server)
    for _ = 1, ROUNDS / 10 do
      calmly(client.sms.create, support.params(), safe(anything(random)))
    end
  end)

  it("takes junk for the options of a client", function()
    local random = generator(4)
    for _ = 1, ROUNDS do
      local options = anything(random)
      if type(options) == "table" then
        for _ = 1, random(3) do
          local name = NAMES[random(#NAMES)]
          rawset(options, name, junk(random, 2))
        end
      end
      local client = calmly(close.new, safe(options))
      if client then
        assert.equal("string", type(tostring(client)))
        client:close()
      end
    end
  end)

  it("takes junk within options that are right, up to the call", function()
    local random = generator(5)
    for _ = 1, ROUNDS / 10 do
      local options = { api_key = "k", base_url = server.url }
      local name = NAMES[18 + random(#NAMES - 18)]
      options[name] = junk(random, 1)
      local client = calmly(close.new, safe(options))
      if client then
        calmly(client.sms.create, support.params(), { max_retries = 0 })
        client:close()
      end
    end
  end)

  it("takes junk for close.configure, and works on afterwards", function()
    local random = generator(6)
    for _ = 1, ROUNDS / 10 do
      calmly(close.configure, safe(anything(random)))
    end
    assert(close.configure{ api_key = "k", base_url = server.url })
    assert(close.sms.create(support.params()))
  end)

  it("takes junk in the place of a client", function()
    local random, client = generator(7), support.new(server)
    for _ = 1, ROUNDS / 10 do calmly(client.close, anything(random)) end
    assert(client.sms.create(support.params()))
  end)
end)
