-- A worker that meets faults while its writes take nothing or only a part: each
-- call has a pattern for its first ones, in letters of short_writes.c, which
-- its process has preloaded. It prints one line of JSON at its end: what it
-- counted, and what was wrong.
local json = require("cjson").new()
local socket = require "socket"
local callers = require "spec.support.faults.caller"
local faults = require "spec.support.faults.table"
local files = require "spec.support.files"
local matrices = require "spec.support.faults.matrix"
local servers = require "spec.support.faults.server"

local writes = {}

local PATTERNS = { "E", "1", "h", "E1", "hE", ".E", "E.E", "1E1E1E" }
local BLOCKED = { "!", ".!" }
-- The server answers, now or to a second try; ends a connection that is idle,
-- before it reads, or afterwards.
local FAULTS = { "100, 103, then 200", "429, Retry-After 0", "503, not taken",
  "FIN at once", "reset at once", "FIN before reading", "reset before reading",
  "FIN after all of it", "reset after all of it", "FIN after all of it, 3 MB",
  "GOAWAY, last stream 0", "RST_STREAM, refused" }
local SILENCE = { "silence before reading" }
local LARGE = 1e5 -- bytes of a message, instead of 3 MB
local URLS = { { "raw1", "tls1" }, { "raw2" } } -- by version of HTTP
local SHORT = 0.15 -- seconds, a call's, unless it is to be answered
local SETTLE = 0.1 -- seconds for what is still on its way

-- Each pattern has columns of its own, so that a violation names it.
local function columns_of(letters, version)
  local columns = {}
  for _, url in ipairs(URLS[version]) do
    for _, state in ipairs{ "new", "kept" } do
      columns[#columns + 1] = { url = url, version = version,
        reused = state == "kept",
        name = ('%s, %s, writes "%s"'):format(url, state, letters) }
    end
  end
  return columns
end

-- Over HTTP/2, libcurl 7.88 may give up a connection that did not take its
-- first bytes ("bad write retry"). 8.14 may not see that one is closed whose
-- write would block: such calls end with their deadline.
local function find(name, version)
  local what = faults.find(name)
  local more = version == 2 and "N" or ""
  return setmetatable({
    expect = what.expect .. more, once = (what.once or what.expect) .. more,
    size = what.size and LARGE,
    deadline = what.deadline or not what.expect:find "[SR]" and SHORT or nil,
  }, { __index = what })
end

local path                -- of the file of letters
local pattern             -- of the calls that are made
local calls, met = {}, {} -- by URL: how many; how many took a letter

-- A caller like the library's, whose calls with a status have short writes.
local function with_short_writes(server, url, options)
  local caller = callers.close(server, url, options)
  local create = caller.create
  function caller:create(text, call)
    if not call.status then return create(self, text, call) end
    files.write(path, pattern)
    local result = create(self, text, call)
    calls[url] = (calls[url] or 0) + 1
    local took = pattern:find("!", 1, true) or files.read(path) ~= pattern
    met[url] = (met[url] or 0) + (took and 1 or 0)
    files.write(path, "")
    return result
  end
  return caller
end

-- Each of some faults, by name, with each of some patterns.
local function play(played, names, patterns)
  for _, letters in ipairs(patterns) do
    pattern = letters
    for version in ipairs(URLS) do
      local list = {}
      for i, name in ipairs(names) do list[i] = find(name, version) end
      played:play_all{ list = list, columns = columns_of(letters, version) }
    end
  end
end

-- letters: the path of the file that short_writes.c reads.
function writes.main(letters)
  path = letters
  local server = servers.start()
  local played = matrices.new(server, with_short_writes, { brief = true })
  play(played, FAULTS, PATTERNS)
  play(played, SILENCE, BLOCKED)
  server:arm()
  socket.sleep(SETTLE)
  local violations = played:judge()
  server:stop()
  print(json.encode{ calls = calls, met = met, counts = played:counts(),
    violations = violations })
end

return writes
