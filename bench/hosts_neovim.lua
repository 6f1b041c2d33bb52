-- Neovim with 100 calls at once: the longest time for which its loop was held,
-- in milliseconds, by the gaps between the turns of a timer of 1 ms. A frame,
-- 16 ms, is the goal. Runs inside of it, the server's variables set:
--   nvim --headless --clean -S bench/hosts_neovim.lua
-- luacheck: globals vim

local close = require "close"

local uv = vim.loop
local CALLS, ROUNDS, PATIENCE = 100, 9, 20000
local BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

local HTTP = os.getenv "CLOSE_BENCH_HTTP"
local HTTPS = os.getenv "CLOSE_BENCH_HTTPS"
local H2 = os.getenv "CLOSE_BENCH_H2"
local CA = os.getenv "CLOSE_BENCH_CA"

local params = {
  status = "outbox", local_phone = "+14154445555",
  remote_phone = "+18183334444", text = "Hi! See you at noon.",
}

-- The system's authorities and the server's, as one file.
local function whole_bundle()
  local lines = vim.fn.readfile(BUNDLE)
  vim.list_extend(lines, vim.fn.readfile(CA))
  local path = vim.fn.tempname()
  vim.fn.writefile(lines, path)
  return path
end

local function watch()
  local timer, last, longest = uv.new_timer(), uv.hrtime(), 0
  local function look()
    local now = uv.hrtime()
    longest, last = math.max(longest, now - last), now
  end
  timer:start(1, 1, look)
  return function()
    look()
    timer:close()
    return longest / 1e6
  end
end

-- One round: milliseconds to begin them all, the longest hold, all of it.
local function round(url, options, calls)
  local client = assert(close.new(vim.tbl_extend("force", {
    base_url = url, api_key = "api_bench", max_retries = 0,
  }, options)))
  local done, sent = 0, 0
  vim.wait(20) -- quiet
  collectgarbage()
  local ended, begun = watch(), uv.hrtime()
  for _ = 1, calls do
    assert(client.sms.create_async(params, function(sms)
      done, sent = done + 1, sent + (sms and 1 or 0)
    end))
  end
  local starting = (uv.hrtime() - begun) / 1e6
  vim.wait(calls > 0 and PATIENCE or 100, function()
    return calls > 0 and done == calls
  end, 1)
  local held, total = ended(), (uv.hrtime() - begun) / 1e6
  client:close()
  return starting, held, total, sent
end

local function middle(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local function measure(name, url, options, calls)
  local starting, held, total, sent = {}, {}, {}, 0
  for i = 1, ROUNDS do
    local n
    starting[i], held[i], total[i], n = round(url, options, calls)
    sent = sent + n
  end
  local median = middle(held)
  io.write(("%-36s %7.1f %8.1f %8.1f %8.1f %8d\n"):format(name,
    middle(starting), median, held[ROUNDS], middle(total), sent / ROUNDS))
  return held[ROUNDS]
end

local function all()
  io.write(("%-36s %7s %8s %8s %8s %8s\n"):format(
    "Neovim, 100 calls at once; ms", "begin", "held p50", "worst", "total",
    "sent"))
  local bundle = whole_bundle()
  measure("nothing, for 100 ms", HTTP, {}, 0)
  measure("http", HTTP, {}, CALLS)
  measure("https, its own ca_file", HTTPS, { ca_file = CA }, CALLS)
  measure("HTTP/2, its own ca_file", H2, { ca_file = CA, http2 = true },
    CALLS)
  measure("https, the system's bundle as file", HTTPS, { ca_file = bundle },
    CALLS)
  measure("HTTP/2, the system's bundle as file", H2,
    { ca_file = bundle, http2 = true }, CALLS)
  measure("https, system's authorities: refused", HTTPS, {}, CALLS)
  os.remove(bundle)
end

local ok, why = xpcall(all, debug.traceback)
if not ok then io.stderr:write(why, "\n") end
vim.cmd(ok and "qall!" or "cquit!")
