-- Faults, met in a real Neovim by calls that wait and by calls that do not.
local endings = require "spec.support.endings"
local nginx = require "spec.support.nginx"
local nvim = require "spec.support.nvim"
local ports = require "spec.support.ports"
local raw_server = require "spec.support.raw_server"

describe("in Neovim a fault", function()
  local server, tls, editor

  setup(function()
    server = raw_server.start()
    -- Not its own answer: that may come, and end the stream, before the body.
    tls = nginx.start { upstream = server.url }
    editor = nvim.start()
  end)

  before_each(function() server:reset() end)

  teardown(function()
    editor:stop()
    tls:stop()
    server:stop()
  end)

  -- The facts of ten calls at once, and of one that waits.
  local function results(url, options)
    editor:lua([[
      local client = host.client(arg.url, arg.options)
      many = host.begin(client, 10)
      local one = host.facts(client.sms.create(host.params()))
      many.one, many.client = one, client
    ]], { url = url, options = options })
    editor:wait_for "return many.done == 10"
    local got = editor:lua [[
      many.client:close()
      many.results[11] = many.one
      return many.results
    ]]
    assert.equal(11, #got)
    return got
  end

  -- Their kinds and outcomes.
  local function outcomes(url, options)
    local seen = {}
    for _, facts in ipairs(results(url, options)) do
      seen[tostring(facts.kind) .. " " .. tostring(facts.outcome)] = true
    end
    return seen
  end

  for name, case in pairs {
    ["a reset"] = { { reset = true }, "connection", "unknown" },
    ["an end"] = { { close = true }, "connection", "unknown" },
    ["a reset in the body"] = { { status = 200, body = "{",
      headers = { ["Content-Length"] = 9 }, reset = true },
      "connection", "unknown" },
    ["silence"] = { { delay = 20 }, "timeout", "unknown", timeout = 1 },
    ["a 429"] = { { status = 429 }, "rate_limited", "rejected", timeout = 0.5 },
    ["a 429 before the others leave"] = { { status = 429 }, "rate_limited",
      "rejected", timeout = 0.5, max_in_flight = 1 },
    ["a 503"] = { { status = 503 }, "server", "unknown" },
    ["a page of HTML"] = { { status = 200, body = "<html>" },
      "protocol", "unknown" },
  } do
    it(name .. " has its outcome", function()
      server:default(case[1])
      endings.check(server, results(server.url, { max_retries = 0,
        timeout = case.timeout, max_in_flight = case.max_in_flight }),
        case[2], case[3])
    end)
  end

  it("nobody who listens has its outcome", function()
    local url = ("http://127.0.0.1:%d/api/v1"):format(ports.refusing())
    assert.same({ ["connection not_sent"] = true },
      outcomes(url, { max_retries = 0 }))
  end)

  it("a wrong certificate has its outcome", function()
    for _, name in ipairs { "wrong_host", "expired", "self_signed" } do
      assert.same({ ["tls not_sent"] = true }, outcomes(tls[name],
        { max_retries = 0, ca_file = tls.ca_file }))
    end
  end)

  it("of the TLS kind none is there with a good certificate", function()
    assert.same({ ["nil nil"] = true }, outcomes(tls.h2,
      { max_retries = 0, ca_file = tls.ca_file, http2 = true }))
  end)

  it("leaves nothing behind: no message, no handle, nothing on the screen",
    function()
      local left = editor:lua "host.close_all() return host.handles()"
      assert.same({ poll = 0, timer = 0 }, left)
      assert.equal("", editor:messages())
      assert.equal("", editor:said())
    end)
end)
