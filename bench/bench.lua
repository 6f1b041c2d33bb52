-- make bench: create(), from table to table, against bare libcurl that posts
-- the same bytes on one kept connection. Both in turn, pair by pair, so that a
-- machine whose speed drifts is the same for both; medians are what counts.
--   lua5.4 bench/bench.lua LUA CURL_POST   (the server's variables are set)

local LUA, CURL_POST = arg[1], arg[2]
local CALLS, WARMUP = 5000, 500
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

-- Medians of wall and CPU, in microseconds a call, and of their ratios.
local function compare(base)
  local url = os.getenv(base)
  local seen = { wall = {}, cpu = {}, curl_wall = {}, curl_cpu = {},
    wall_ratio = {}, cpu_ratio = {} }
  for i = 1, PAIRS do
    local curl = numbers(("%s %s/activity/sms/ %s %d %s %d"):format(
      CURL_POST, url, CA, CALLS, body, WARMUP))
    local lua = ours("calls", url, CA, CALLS, WARMUP)
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

local function microseconds(seconds) return seconds / CALLS * 1e6 end

local function row(...) print(("%-22s %12s %12s %8s  %s"):format(...)) end

local function show(name, unit, own, curl, ratio, note)
  row(name, ("%.1f %s"):format(own, unit), ("%.1f %s"):format(curl, unit),
    ("%.3f"):format(ratio), note)
end

print(("%s, %d pairs of %d calls, medians; a call is create() from table to " ..
  "table"):format(LUA, PAIRS, CALLS))
row("", "close", "libcurl", "ratio", "")
local plain
for _, case in ipairs {
  { "http", "CLOSE_BENCH_HTTP", 1.15 },
  { "TLS", "CLOSE_BENCH_HTTPS", 1.08 },
  { "TLS, HTTP/2", "CLOSE_BENCH_H2" },
} do
  local r = compare(case[2])
  plain = plain or r
  show(case[1] .. ", wall", "us", microseconds(r.wall),
    microseconds(r.curl_wall), r.wall_ratio,
    ("min %.3f max %.3f"):format(r.low, r.high) ..
    (case[3] and (", goal %.2f"):format(case[3]) or ""))
  show(case[1] .. ", CPU", "us", microseconds(r.cpu),
    microseconds(r.curl_cpu), r.cpu_ratio, "")
end

local checks = {}
for i = 1, 5 do checks[i] = ours("validate", 200000)[1] / 200000 * 1e6 end
local check = median(checks)
print(("%-22s %9.2f us   %.2f %% of a call over http, goal 2 %%"):format(
  "validate() alone", check, check / microseconds(plain.wall) * 100))

local memory = ours("memory", os.getenv "CLOSE_BENCH_HTTP", CA)
print(("%-22s %9d kB   after 10,000 calls, %d kB after 100,000"):format(
  "resident", memory[1], memory[2]))
os.remove(body)
