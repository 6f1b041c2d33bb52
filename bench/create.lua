-- One measurement of ours, in a process of its own:
--   LUA bench/create.lua calls URL CA N WARMUP
--     -> wall, CPU and user CPU seconds of N
--   LUA bench/create.lua core URL CA N WARMUP [AT_ONCE]
--     -> the same without the work that Lua has with a call
--   LUA bench/create.lua validate N              -> wall seconds of N
--   LUA bench/create.lua memory URL CA           -> kB resident at 10k and 100k
--   LUA bench/create.lua many URL CA N WARMUP AT_ONCE   -> the same
--   LUA bench/create.lua tick URL CA AT_ONCE STEPS
--     -> of one poll the 99th percentile and the longest, in ms; kB for a call
-- bench/bench.lua starts it; the body is the one that curl_post posts.

local close = require "close"
local core = require "close.core"
local json = require "close.json"
local socket = require "socket"

local PARAMS = {
  status = "outbox",
  contact_id = "cont_q4xYmlGhA3060dEl0NDJuHRxPMuVjqLn30AFSzh1fRk",
  direction = "outbound",
  lead_id = "lead_iuSXNk1x3446ggPVwQS7ynmp8pGRIDieRYiCnuo4yFb",
  local_phone = "+14154445555",
  remote_phone = "+18183334444",
  source = "External",
  text = "Hi! This is a reminder that we have a call scheduled for 12pm PT " ..
    "today.",
}

local function port_of(url) return url and url:match ":(%d+)/" end

local function new_client(url, ca, options)
  options = options or {}
  options.api_key, options.base_url, options.ca_file = "api_bench", url, ca
  options.http2 = port_of(url) == port_of(os.getenv "CLOSE_BENCH_H2")
  return assert(close.new(options))
end

local function calls(client, n)
  local create = client.sms.create
  for _ = 1, n do assert(create(PARAMS)) end
end

local function resident()
  local file = assert(io.open "/proc/self/status")
  local kb = file:read "*a":match "VmRSS:%s*(%d+)"
  file:close()
  return tonumber(kb)
end

-- Seconds of this process without the kernel's; ticks of 10 ms.
local function user_time()
  local file = assert(io.open "/proc/self/stat")
  local ticks = file:read "*a":match("%) " .. ("%S+ "):rep(11) .. "(%d+)")
  file:close()
  return ticks / 100
end

-- Prints wall, CPU and user CPU seconds of f(...).
local function measure(f, ...)
  local user, cpu, wall = user_time(), os.clock(), socket.gettime()
  f(...)
  print(("%.6f %.6f %.2f"):format(socket.gettime() - wall, os.clock() - cpu,
    user_time() - user))
end

local modes = {}

function modes.calls(url, ca, n, warmup)
  local client = new_client(url, ca)
  calls(client, tonumber(warmup))
  measure(calls, client, tonumber(n))
end

-- The same calls by the C part and lua-cjson alone. Nothing keeps track of a
-- call in Lua, so an error, an interrupt or another call would lose it.
local function core_calls(engine, url, n, at_once)
  local pending = 0
  for i = 1, n + at_once do
    while pending == at_once or i > n and pending > 0 do
      local id, response, failure = engine:done()
      if id then
        assert(not failure and json.decode(response.body).id)
        pending = pending - 1
      else
        engine:step(nil, 1)
      end
    end
    if i <= n then
      local body = core.validate(PARAMS)
      engine:submit("POST", url, "POST /activity/sms/",
        json.encode_strings(body), "basic", "api_bench", core.now() + 60, 0)
      pending = pending + 1
    end
  end
end

function modes.core(url, ca, n, warmup, at_once)
  local engine = core.engine { user_agent = "close-bench", ca_file = ca,
    plain = url:find "^http:" ~= nil,
    http2 = port_of(url) == port_of(os.getenv "CLOSE_BENCH_H2"),
    connect_timeout = 10, attempt_timeout = 20, max_response_bytes = 2 ^ 20,
    max_in_flight = tonumber(at_once or 1), events = false }
  url, at_once = url .. "/activity/sms/", tonumber(at_once or 1)
  core_calls(engine, url, tonumber(warmup), at_once)
  measure(core_calls, engine, url, tonumber(n), at_once)
end

function modes.validate(n)
  local validate = close.sms.validate
  for _ = 1, 1000 do assert(validate(PARAMS)) end
  local wall = socket.gettime()
  for _ = 1, tonumber(n) do validate(PARAMS) end
  print(("%.6f"):format(socket.gettime() - wall))
end

function modes.memory(url, ca)
  local client = new_client(url, ca)
  calls(client, 10000)
  local early = resident()
  calls(client, 90000)
  print(early, resident())
end

-- Makes n calls, so many at once.
local function calls_at_once(client, n, at_once)
  local left, failed = n, nil
  local function next_one(_, err)
    if err then failed = tostring(err) end
    if left == 0 then return end
    left = left - 1
    assert(client.sms.create_async(PARAMS, next_one))
  end
  for _ = 1, math.min(n, at_once) do next_one() end
  client:wait()
  assert(not failed, failed)
end

function modes.many(url, ca, n, warmup, at_once)
  local client = new_client(url, ca, { max_in_flight = tonumber(at_once) })
  calls_at_once(client, tonumber(warmup), tonumber(at_once))
  measure(calls_at_once, client, tonumber(n), tonumber(at_once))
end

function modes.tick(url, ca, at_once, steps)
  at_once = tonumber(at_once)
  local client = new_client(url, ca, { loop = "poll",
    max_in_flight = at_once, timeout = 600, attempt_timeout = 600 })
  local failed, taken, most = 0, {}, 0
  local function again(sms)
    if not sms then failed = failed + 1 end
    assert(client.sms.create_async(PARAMS, again))
  end
  local early = resident()
  for _ = 1, at_once do assert(client.sms.create_async(PARAMS, again)) end
  local start = socket.gettime()
  for i = 1, tonumber(steps) do
    local before = socket.gettime()
    assert(client:poll() == at_once)
    taken[i] = (socket.gettime() - before) * 1000
    most = math.max(most, resident())
    socket.sleep(math.max(0, start + i * 0.02 - socket.gettime()))
  end
  assert(failed == 0, failed .. " calls failed")
  table.sort(taken)
  print(("%.3f %.3f %.1f"):format(taken[math.ceil(#taken * 0.99)],
    taken[#taken], (most - early) / at_once))
  os.exit(0) -- pending calls do not matter
end

function modes.body()
  io.write(json.encode_body(PARAMS))
end

modes[arg[1]]((table.unpack or unpack)(arg, 2)) -- luacheck: globals unpack
