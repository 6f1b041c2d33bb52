-- Calls from nginx, by the client and by a bare cosocket in turn, round by
-- round; medians are what counts. bench/nginx_host.sh starts it.
--   lua5.4 bench/nginx_host.lua LOAD PORT WORKER SECONDS ROUNDS

local LOAD, PORT, WORKER = arg[1], arg[2], arg[3]
local SECONDS, ROUNDS = tonumber(arg[4]), tonumber(arg[5])

local function load(path, clients, seconds, other)
  local pipe = assert(io.popen(("%s %s %s %d %g %s"):format(
    LOAD, PORT, path, clients, seconds, other or "")))
  local found = {}
  for word in pipe:read "a":gmatch "%S+" do
    found[#found + 1] = tonumber(word)
  end
  assert(pipe:close(), path .. " failed")
  return { rate = found[1], p50 = found[2], p99 = found[3], longest = found[4],
    count = found[5], static = found[6] }
end

-- Seconds that the worker has run: the scheduler counts nanoseconds; where it
-- does not tell, the clock's ticks of 10 ms must do.
local function cpu()
  local file = io.open(("/proc/%s/schedstat"):format(WORKER))
  local text = file and file:read "a" or ""
  if file then file:close() end
  local spent = tonumber(text:match "^%d+")
  if spent and spent > 0 then return spent / 1e9 end
  file = assert(io.open(("/proc/%s/stat"):format(WORKER)))
  text = file:read "a":match "%) (.*)$"
  file:close()
  local user, system = text:match(("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (user + system) / 100
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

-- Without the static location, whose CPU is not the calls'; then with it.
local function measure(path, clients)
  load(path, clients, 0.5)
  local before = cpu()
  local result = load(path, clients, SECONDS)
  result.cpu = (cpu() - before) / result.count * 1e6
  result.static = load(path, clients, SECONDS, "/static").static
  return result
end

local function medians(results)
  local all = {}
  for name in pairs(results[1]) do
    local list = {}
    for i, result in ipairs(results) do list[i] = result[name] end
    all[name] = median(list)
  end
  return all
end

local function row(name, r)
  print(("%-22s %9.1f %9.2f %9.2f %9.1f %12.2f"):format(name, r.rate, r.p50,
    r.p99, r.cpu, r.static))
end

print(("nginx, one worker, an upstream of 100 ms; medians of %d rounds of " ..
  "%g s"):format(ROUNDS, SECONDS))
print(("%-22s %9s %9s %9s %9s %12s"):format("", "calls/s", "p50 ms", "p99 ms",
  "CPU us", "static p99"))
for _, clients in ipairs { 20, 100 } do
  local seen = { close = {}, cosocket = {} }
  for i = 1, ROUNDS do
    seen.close[i] = measure("/close", clients)
    seen.cosocket[i] = measure("/cosocket", clients)
  end
  local ours, bare = medians(seen.close), medians(seen.cosocket)
  row(clients .. " clients, close", ours)
  row(clients .. " clients, cosocket", bare)
  print(("%-22s %8.3fx %9s %+9.2f %8.2fx"):format("", ours.rate / bare.rate,
    "", ours.p99 - bare.p99, ours.cpu / bare.cpu))
end
-- How often a worker wakes that has a client and nothing to do, after the last
-- checks of loop/ngx.lua.
local function wakeups(seconds)
  local function switches()
    local file = assert(io.open(("/proc/%s/status"):format(WORKER)))
    local text = file:read "a"
    file:close()
    return tonumber(text:match "\nvoluntary_ctxt_switches:%s*(%d+)")
  end
  os.execute "sleep 25"
  local before = switches()
  os.execute("sleep " .. seconds)
  return switches() - before
end

print(("%-22s %9d wakeups in 5 s"):format("idle, with a client", wakeups(5)))
-- One call after the other; the worker waits.
row("20 clients, blocking", measure("/blocking", 20))
print "goals: 0.98x, p99 +5 ms, CPU 1.5x, static p99 5 ms"
