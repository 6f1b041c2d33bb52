-- Starting a sandbox: what start takes and refuses, what it tells where it
-- fails, and that it leaves nothing behind.

local ports = require "spec.support.ports"
local process = require "spec.support.process"
local sandbox = require "close.sandbox"
local support = require "spec.support.sandbox_client"

local PATIENCE, SMS = support.PATIENCE, support.SMS

local elapsed = support.elapsed
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

describe("close.sandbox", function()
  it("says what to install if LuaSocket or lua-cjson is not there", function()
    local script = 'package.preload.%s = function() error("gone", 0) end '
      .. 'print(select(2, pcall(require, "close.sandbox")))'
    for module, words in pairs {
      socket = "package lua-socket, or the rock luasocket\ngone",
      cjson = "package lua-cjson, or the rock lua-cjson\ngone",
    } do
      local said = process.capture(process.lua(script:format(module)))
      assert.matches(words, said, 1, true)
    end
  end)
end)

describe("close.sandbox start", function()
  it("returns a server that takes connections", function()
    assert.is_true(ports.open(server.port))
    assert.equal(("http://127.0.0.1:%d/api/v1"):format(server.port),
      server.url)
  end)

  it("has a key and a token if none are given", function()
    assert.equal("api_sandbox", server.api_key)
    assert.equal("token_sandbox", server.access_token)
  end)

  it("starts a second one beside the first", function()
    local second = assert(sandbox.start())
    assert.not_equal(server.port, second.port)
    assert.equal(200, (client:call("GET", SMS)))
    second:stop()
    assert.equal(200, (client:call("GET", SMS)))
  end)

  it("leaves the caller's options as they are", function()
    local options = { api_key = "k" }
    local other = assert(sandbox.start(options))
    other:stop()
    assert.same({ api_key = "k" }, options)
  end)

  it("names an unknown option", function()
    local none, problem = sandbox.start { prot = 1 }
    assert.is_nil(none)
    assert.matches('unknown option "prot"', problem, 1, true)
  end)

  it("refuses values an option cannot have", function()
    for name, value in pairs {
      port = 65536, host = "0.0.0.0", api_key = "", access_token = 1,
      rate_limit = { limit = 0, window = 1 }, max_body_bytes = 0.5,
      receive_buffer = "big", interpreter = false, timeout = 0,
    } do
      local none, problem = sandbox.start { [name] = value }
      assert.is_nil(none)
      assert.matches(("option %q must be"):format(name), problem, 1, true)
    end
  end)

  it("refuses every host but loopback", function()
    for _, host in ipairs { "192.0.2.1", "example.com", "::", "127.1" } do
      assert.is_nil((sandbox.start { host = host }))
    end
  end)

  it("tells the child's own words when a port is taken", function()
    local none, problem
    local took = elapsed(function()
      none, problem = sandbox.start { port = server.port }
    end)
    assert.is_nil(none)
    assert.matches("address already in use", problem, 1, true)
    assert.is_true(took < PATIENCE)
  end)

  it("takes the interpreter it is given", function()
    local other = assert(sandbox.start {
      interpreter = process.interpreter(),
    })
    assert.is_true(ports.open(other.port))
    other:stop()
  end)

  it("refuses an interpreter that is none", function()
    local none, problem = sandbox.start { interpreter = "/bin/cat" }
    assert.is_nil(none)
    assert.matches("/bin/cat cannot be run as a Lua interpreter", problem, 1,
      true)
  end)

  it("finds an interpreter where `arg` names none", function()
    local saved = rawget(_G, "arg")
    for _, word in ipairs { "script", "/nowhere/lua" } do
      rawset(_G, "arg", { [0] = word })
      local other, problem = sandbox.start()
      rawset(_G, "arg", saved)
      assert(other, problem)
      other:stop()
    end
  end)

  it("gives up on a child that never gets ready", function()
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write("case \"$2\" in io.write*) printf '", _VERSION, "' ;;\n",
      "*) echo stuck >&2; exec sleep 60 ;; esac\n")
    file:close()
    process.run { "chmod", "+x", script }
    local none, problem
    local took = elapsed(function()
      none, problem = sandbox.start { interpreter = script, timeout = 0.3 }
    end)
    os.remove(script)
    assert.is_nil(none)
    assert.matches("not ready after 0.3 s: stuck", problem, 1, true)
    assert.is_true(took < PATIENCE)
  end)

  it("leaves no temporary file behind", function()
    local names, original = {}, os.tmpname
    os.tmpname = function() -- luacheck: ignore
      local name = original()
      names[#names + 1] = name
      return name
    end
    local other = sandbox.start()
    os.tmpname = original -- luacheck: ignore
    other:stop()
    assert.is_true(#names > 0)
    for _, name in ipairs(names) do assert.is_nil((io.open(name))) end
  end)
end)

describe("a sandbox's method", function()
  it("that is called with a dot says how to call it", function()
    for _, name in ipairs { "messages", "requests", "fault", "clear_faults",
      "reset", "stop" } do
      for _, given in ipairs { false, {}, "close" } do
        local ok, none, problem = pcall(server[name], given or nil)
        assert.is_true(ok)
        assert.is_nil(none)
        assert.equal(("close.sandbox: call it as server:%s()"):format(name),
          problem)
      end
    end
  end)
end)

describe("close.sandbox serve", function()
  it("refuses options that only start has", function()
    local none, problem = sandbox.serve { interpreter = "lua" }
    assert.is_nil(none)
    assert.matches('unknown option "interpreter"', problem, 1, true)
  end)

  it("says so when it cannot bind", function()
    local none, problem = sandbox.serve { port = server.port }
    assert.is_nil(none)
    assert.matches("address already in use", problem, 1, true)
  end)
end)
