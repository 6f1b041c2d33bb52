-- The process of a sandbox: it ends with its parent and not before, finds its
-- modules, and keeps its secrets.

local ports = require "spec.support.ports"
local process = require "spec.support.process"
local socket = require "socket"
local support = require "spec.support.sandbox_client"

local PATIENCE = support.PATIENCE
local eventually = support.eventually

teardown(support.stop_all)
after_each(process.stop_all)

-- A program in an interpreter of its own, with these settings, "NAME=value",
-- in its environment.
local function run(code, settings)
  local words = { "env" }
  for _, setting in ipairs(settings or {}) do words[#words + 1] = setting end
  for _, word in ipairs { process.interpreter(), "-e", code } do
    words[#words + 1] = word
  end
  return process.start(words, { stdout = "pipe" })
end

describe("close.sandbox its process", function()
  it("shows no secret on a command line", function()
    support.start { api_key = "api_unseen", access_token = "token_unseen" }
    local lines = process.capture(
      "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")
    assert.matches("close.sandbox.child", lines, 1, true)
    assert.not_matches("_unseen", lines, 1, true)
  end)

  it("is gone when stop returns, and stop may be called twice", function()
    local other = support.start()
    assert.is_true(other:stop())
    assert.is_false(ports.open(other.port))
    assert.is_true(other:stop())
  end)

  it("answers no method after stop, without raising", function()
    local other = support.start()
    other:stop()
    local none, problem = other:requests()
    assert.is_nil(none)
    assert.matches("stopped", problem, 1, true)
  end)

  it("ends when its parent is killed", function()
    local parent = run [[
      local server = assert(require("close.sandbox").start())
      io.write(server.port, "\n")
      io.flush()
      require("socket").sleep(60)
    ]]
    local port = tonumber(parent.stdout:read "*l")
    assert.is_true(ports.open(port))
    parent:kill "KILL"
    assert.is_true(eventually(function() return not ports.open(port) end))
  end)

  it("ends with its parent even if another child has the pipe", function()
    local parent = run [[
      local server = assert(require("close.sandbox").start())
      os.execute("sleep 20 >/dev/null 2>&1 & echo $!")
      io.write(server.port, "\n")
      io.flush()
      require("socket").sleep(60)
    ]]
    local sleeper = parent.stdout:read "*l"
    local port = tonumber(parent.stdout:read "*l")
    parent:kill "KILL"
    local ended = eventually(function() return not ports.open(port) end)
    process.run { "kill", sleeper }
    assert.is_true(ended)
  end)

  it("ends with a parent that forgets it", function()
    local parent = run [[
      io.write(assert(require("close.sandbox").start()).port, "\n")
    ]]
    local port = tonumber(parent.stdout:read "*l")
    assert.equal(0, parent:wait(PATIENCE))
    assert.is_false(ports.open(port))
  end)

  it("outlives a handle that nobody kept", function()
    local parent = run [[
      local port = assert(require("close.sandbox").start()).port
      collectgarbage()
      collectgarbage()
      io.write(require("socket").connect("127.0.0.1", port) and "yes" or "no")
    ]]
    assert.equal("yes", parent.stdout:read "*l")
  end)

  it("does not need the caller's environment to find modules", function()
    local parent = run(([[
      package.path, package.cpath = %q, %q
      local server = assert(require("close.sandbox").start())
      io.write(server.port, "\n")
      server:stop()
    ]]):format(package.path, package.cpath), {
      "LUA_PATH=/nowhere/?.lua", "LUA_CPATH=/nowhere/?.so",
      "LUA_PATH_5_2=/nowhere/?.lua", "LUA_PATH_5_3=/nowhere/?.lua",
      "LUA_PATH_5_4=/nowhere/?.lua", "LUA_CPATH_5_4=/nowhere/?.so",
    })
    assert.matches("^%d+$", parent.stdout:read "*l")
  end)

  it("finds its modules when only a loader of the caller's does", function()
    local file = package.searchpath and package.searchpath("close.sandbox",
      package.path)
    local root = (file or "lua/close/sandbox.lua"):match "^(.*)close/sandbox"
    local parent = run(([[
      local saved = package.path
      package.path = %q .. "?.lua;" .. package.path
      local sandbox = require "close.sandbox"
      require "close.sandbox.child"
      require "close.sandbox.handle"
      package.path = saved
      io.write(assert(sandbox.start()).port, "\n")
    ]]):format(root), { "LUA_PATH=;;" })
    assert.matches("^%d+$", parent.stdout:read "*l")
  end)

  it("keeps none of the caller's sockets open", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local other = support.start()
    listener:close()
    local still = ports.open(tonumber(port))
    other:stop()
    assert.is_false(still)
  end)
end)
