-- Several lua_States in threads of one process (spec/support/threads.c) share
-- nothing of the module but what libcurl shares.
local json = require("cjson").new()
local process = require "spec.support.process"
local sandbox = require "close.sandbox"

local THREADS, CALLS = 8, 20

local lua = os.getenv "CLOSE_SPEC_LUA" or process.interpreter()

describe("lua_States in threads", function()
  local server

  setup(function() server = assert(sandbox.start()) end)

  teardown(function() server:stop() end)

  -- What the program printed, and its exit status.
  local function run(tree, name)
    local root = process.capture "pwd"
    local pipe = assert(io.popen(("env -u LUA_PATH_5_2 -u LUA_PATH_5_3 " ..
      "-u LUA_PATH_5_4 -u LUA_CPATH_5_2 -u LUA_CPATH_5_3 -u LUA_CPATH_5_4 " ..
      "LUA_PATH='%s/lua/?.lua;;' LUA_CPATH='%s/%s/%s/?.so;;' " ..
      "CLOSE_BASE_URL=%s CLOSE_API_KEY=%s THREADS_CALLS=%d " ..
      "timeout 60 %s/%s/threads spec/support/threads.lua %d 2>&1; " ..
      "echo \"exit $?\""):format(root, root, tree, name, server.url,
      server.api_key, CALLS, tree, name, THREADS)))
    local text = pipe:read "*a"
    pipe:close()
    return text:match "^(.*)exit (%d+)\n$"
  end

  local function check(tree, name)
    server:reset()
    local text, status = run(tree, name)
    assert.equal("0", status, text)
    local lines, seen, n = {}, {}, 0
    for number, calls in text:gmatch "(%d+): ([^\n]*)\n" do
      lines[tonumber(number)] = calls
    end
    for i = 1, THREADS do assert.equal(tostring(CALLS), lines[i], text) end
    for _, request in ipairs(server:requests()) do
      if request.method == "POST" then
        local message = json.decode(request.body).text
        assert.is_nil(seen[message])
        seen[message], n = true, n + 1
      end
    end
    assert.equal(THREADS * CALLS, n)
  end

  it("call at the same time", function()
    check(os.getenv "CLOSE_SPEC_SANITIZED" and "build/sanitize" or "build", lua)
  end)

  -- gcc has none for a processor of 32 bits: it then knows no path.
  local detector = process.capture{ "gcc", "-print-file-name=libtsan.so" }
  if detector:find "/" then
    it("call at the same time under a race detector #once", function()
      check("build/tsan", "lua5.4")
    end)
  end
end)
