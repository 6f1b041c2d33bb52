-- One measurement of ours, in a process of its own:
--   LUA bench/create.lua calls URL CA N WARMUP   -> wall and CPU seconds of N
--   LUA bench/create.lua validate N              -> wall seconds of N
--   LUA bench/create.lua memory URL CA           -> kB resident at 10k and 100k
-- bench/bench.lua starts it; the body is the one that curl_post posts.

local close = require "close"
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

local function new_client(url, ca)
  return assert(close.new {
    api_key = "api_bench", base_url = url, ca_file = ca,
  })
end

local function calls(client, n)
  local create = client.sms.create
  for _ = 1, n do assert(create(PARAMS)) end
end

local function resident()
  local file = assert(io.open "/proc/self/status")
  local kb = file:read "*a":match "VmRSS:%s*(%d+)"
  file:close()
  return kb
end

local modes = {}

function modes.calls(url, ca, n, warmup)
  local client = new_client(url, ca)
  calls(client, tonumber(warmup))
  local cpu, wall = os.clock(), socket.gettime()
  calls(client, tonumber(n))
  print(("%.6f %.6f"):format(socket.gettime() - wall, os.clock() - cpu))
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

function modes.body()
  io.write(require("close.json").encode_body(PARAMS))
end

modes[arg[1]]((table.unpack or unpack)(arg, 2)) -- luacheck: globals unpack
