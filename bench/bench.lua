-- make bench: create(), from table to table, against its yardsticks in the same
-- minutes: libcurl alone in C, which posts the same bytes on one kept
-- connection, and a bare binding of libcurl with lua-cjson (binding.lua).
-- "core" is our C part with lua-cjson: what a call takes beyond that is the
-- work that Lua has with it. They run in turn, round by round, so that a
-- machine whose speed drifts is the same for all; medians are what counts.
--   lua5.4 bench/bench.lua LUA CURL_POST   (the server's variables are set)

local LUA, CURL_POST = arg[1], arg[2]
local CALLS, WARMUP = 3000, 500
local MANY, AT_ONCE = 10000, 64   -- calls, and how many of them at once
local IN_FLIGHT, STEPS = 1000, 500 -- of the tick, 50 steps a second
local ROUNDS = tonumber(os.getenv "CLOSE_BENCH_ROUNDS" or 7)
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

-- The yardsticks' commands, and ours.
local function commands(mode, base, calls, ...)
  local url = os.getenv(base)
  local same = table.concat({ url .. "/activity/sms/", CA, calls, body, WARMUP,
    ... }, " ")
  return {
    libcurl = CURL_POST .. " " .. same,
    binding = mode == "calls" and LUA .. " bench/binding.lua " .. same or nil,
    core = table.concat({ LUA, "bench/create.lua core", url, CA, calls, WARMUP,
      ... }, " "),
    close = table.concat({ LUA, "bench/create.lua", mode, url, CA, calls,
      WARMUP, ... }, " "),
  }
end

-- Seconds of wall, CPU and user CPU, a list of each with one for each round.
local function measure(...)
  local all = {}
  for name in pairs(commands(...)) do
    all[name] = { wall = {}, cpu = {}, user = {} }
  end
  for i = 1, ROUNDS do
    for name, command in pairs(commands(...)) do
      local got, seen = numbers(command), all[name]
      seen.wall[i], seen.cpu[i], seen.user[i] = got[1], got[2], got[3]
    end
  end
  return all
end

local function ratio(a, b, what)
  local list = {}
  for i = 1, #a[what] do list[i] = a[what][i] / b[what][i] end
  return median(list)
end

-- The clock of user CPU has ticks of 10 ms: only the sum of all rounds counts.
local function sum(list)
  local all = 0
  for _, value in ipairs(list) do all = all + value end
  return all
end

local function microseconds(seconds, calls) return seconds / calls * 1e6 end

local function row(...) print(("%-24s %8s %8s %8s %9s %9s %9s"):format(...)) end

local function show(name, seen, base, calls)
  if #seen.wall == 0 then
    return row(name, "not", "installed", "", "", "", "")
  end
  local function us(seconds)
    return ("%.1f"):format(microseconds(seconds, calls))
  end
  row(name, us(median { table.unpack(seen.wall) }),
    us(median { table.unpack(seen.cpu) }), us(sum(seen.user) / ROUNDS),
    ("%.3f"):format(ratio(seen, base, "wall")),
    ("%.3f"):format(ratio(seen, base, "cpu")),
    ("%.2f"):format(sum(seen.user) / sum(base.user)))
end

-- One table: microseconds of a call, and how often those of libcurl's. Returns
-- the wall microseconds of our calls.
local function compare(name, mode, base, calls, ...)
  local all = measure(mode, base, calls, ...)
  for _, who in ipairs { "libcurl", "binding", "core", "close" } do
    if all[who] then show(name .. ", " .. who, all[who], all.libcurl, calls) end
  end
  if all.binding and #all.binding.wall > 0 then
    row(name .. ", close / binding", "", "", "",
      ("%.3f"):format(ratio(all.close, all.binding, "wall")),
      ("%.3f"):format(ratio(all.close, all.binding, "cpu")),
      ("%.2f"):format(sum(all.close.user) / sum(all.binding.user)))
  end
  return microseconds(median(all.close.wall), calls)
end

print(("%s, %d rounds of %d calls, medians; us a call, and over libcurl's")
  :format(LUA, ROUNDS, CALLS))
row("one after the other", "wall", "CPU", "user", "wall", "CPU", "user")
local plain = compare("http", "calls", "CLOSE_BENCH_HTTP", CALLS)
compare("TLS", "calls", "CLOSE_BENCH_HTTPS", CALLS)
row(("%d at once"):format(AT_ONCE), "wall", "CPU", "user", "wall", "CPU",
  "user")
compare("http", "many", "CLOSE_BENCH_HTTP", MANY, AT_ONCE)
compare("HTTP/2", "many", "CLOSE_BENCH_H2", MANY, AT_ONCE)

print(("a tick, %d calls in flight that take 0.5 s, 50 steps a second"):format(
  IN_FLIGHT))
for _, case in ipairs { { "http", "CLOSE_BENCH_HTTP" },
  { "TLS", "CLOSE_BENCH_HTTPS" }, { "TLS, HTTP/2", "CLOSE_BENCH_H2" } } do
  local url = os.getenv(case[2]):gsub("/api/v1$", "/slow")
  local got = ours("tick", url, CA, IN_FLIGHT, STEPS)
  print(("%-22s one poll: %.2f ms at the 99th percentile (goal 2), %.2f ms " ..
    "at worst (goal 5); %.1f kB a call (goal 24)"):format(case[1], got[1],
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
