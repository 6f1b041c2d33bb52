-- make bench: create(), from table to table, against bare libcurl that posts
-- the same bytes on one kept connection. Both in turn, pair by pair, so that a
-- machine whose speed drifts is the same for both; medians are what counts.
--   lua5.4 bench/bench.lua LUA CURL_POST   (the server's variables are set)

local LUA, CURL_POST = arg[1], arg[2]
local CALLS, WARMUP = 5000, 500
local MANY, AT_ONCE = 10000, 64   -- calls, and how many of them at once
local IN_FLIGHT, STEPS = 1000, 500 -- of the tick, 50 steps a second
local PAIRS = tonumber(os.getenv "CLOSE_BENCH_PAIRS" or 15)
local CA = assert(os.getenv "CLOSE_BENCH_CA", "start it with make bench")

local function numbers(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  assert(pipe:close(), command .. " failed")
  local found = {}
  for word in text:gmatch "%S+" do found[#found + 1] = tonumber(word) end
  return found
end

local function median(list)
  table.sort(list)
  local middle = #list // 2
  if #list % 2 == 1 then return list[middle + 1] end
  return (list[middle] + list[middle + 1]) / 2
end

local function ours(...)
  return numbers(table.concat({ LUA, "bench/create.lua", ... }, " "))
end

local body = os.tmpname()
assert(os.execute(("%s bench/create.lua body > %s"):format(LUA, body)))

-- Medians of wall and CPU seconds, and of their ratios.
local function compare(base, mode, calls, ...)
  local url = os.getenv(base)
  local seen = { wall = {}, cpu = {}, curl_wall = {}, curl_cpu = {},
    wall_ratio = {}, cpu_ratio = {} }
  for i = 1, PAIRS do
    local curl = numbers(table.concat({ CURL_POST, url .. "/activity/sms/", CA,
      calls, body, WARMUP, ... }, " "))
    local lua = ours(mode, url, CA, calls, WARMUP, ...)
    seen.wall[i], seen.cpu[i] = lua[1], lua[2]
    seen.curl_wall[i], seen.curl_cpu[i] = curl[1], curl[2]
    seen.wall_ratio[i], seen.cpu_ratio[i] = lua[1] / curl[1], lua[2] / curl[2]
  end
  local ratios = seen.wall_ratio
  table.sort(ratios)
  local result = { low = ratios[1], high = ratios[#ratios] }
  for name, list in pairs(seen) do result[name] = median(list) end
  return result
end

local function microseconds(seconds, calls) return seconds / calls * 1e6 end

local function row(...) print(("%-22s %12s %12s %8s  %s"):format(...)) end

local function show(name, unit, own, curl, ratio, note)
  row(name, ("%.1f %s"):format(own, unit), ("%.1f %s"):format(curl, unit),
    ("%.3f"):format(ratio), note)
end

-- The lines of one comparison; returns the microseconds of one of our calls.
local function show_pair(name, goal, base, mode, calls, ...)
  local r = compare(base, mode, calls, ...)
  local own = microseconds(r.wall, calls)
  show(name .. ", wall", "us", own, microseconds(r.curl_wall, calls),
    r.wall_ratio, ("min %.3f max %.3f"):format(r.low, r.high) ..
    (goal and (", goal %.2f"):format(goal) or ""))
  show(name .. ", CPU", "us", microseconds(r.cpu, calls),
    microseconds(r.curl_cpu, calls), r.cpu_ratio, "")
  return own
end

print(("%s, %d pairs of %d calls, medians; a call is create() from table to " ..
  "table"):format(LUA, PAIRS, CALLS))
row("", "close", "libcurl", "ratio", "")
local plain = show_pair("http", 1.15, "CLOSE_BENCH_HTTP", "calls", CALLS)
show_pair("TLS", 1.08, "CLOSE_BENCH_HTTPS", "calls", CALLS)
show_pair("TLS, HTTP/2", nil, "CLOSE_BENCH_H2", "calls", CALLS)
print(("the same with create_async and libcurl's multi, %d calls, %d at once")
  :format(MANY, AT_ONCE))
show_pair("http", 1.25, "CLOSE_BENCH_HTTP", "many", MANY, AT_ONCE)
show_pair("TLS", nil, "CLOSE_BENCH_HTTPS", "many", MANY, AT_ONCE)
show_pair("TLS, HTTP/2", 1.25, "CLOSE_BENCH_H2", "many", MANY, AT_ONCE)

print(("a tick, %d calls in flight that take 0.5 s, 50 steps a second"):format(
  IN_FLIGHT))
for _, case in ipairs { { "http", "CLOSE_BENCH_HTTP" },
  { "TLS", "CLOSE_BENCH_HTTPS" }, { "TLS, HTTP/2", "CLOSE_BENCH_H2" } } do
  local url = os.getenv(case[2]):gsub("/api/v1$", "/slow")
  local got = ours("tick", url, CA, IN_FLIGHT, STEPS)
  print(("%-22s one poll: %.2f ms at the 99th percentile (goal 2), %.2f ms " ..
    "at worst (goal 5); %.1f kB a call (goal 48)"):format(case[1], got[1],
    got[2], got[3]))
end

local checks = {}
for i = 1, 5 do checks[i] = ours("validate", 200000)[1] / 200000 * 1e6 end
local check = median(checks)
print(("%-22s %9.2f us   %.2f %% of a call over http, goal 2 %%"):format(
  "validate() alone", check, check / plain * 100))

local memory = ours("memory", os.getenv "CLOSE_BENCH_HTTP", CA)
print(("%-22s %9d kB   after 10,000 calls, %d kB after 100,000"):format(
  "resident", memory[1], memory[2]))
os.remove(body)
