-- The client in a real nginx: the phases of a request, and in which of them a
-- call can wait.
local nginx_host = require "spec.support.nginx_host"
local process = require "spec.support.process"
local raw_server = require "spec.support.raw_server"
local socket = require "socket"

local LOCATIONS = [[
  location = /rewrite {
    rewrite_by_lua_block { app.answer() }
  }
  location = /access {
    access_by_lua_block { app.answer() }
  }
  location = /timer {
    content_by_lua_block {
      ngx.timer.at(0, function() app.try "timer" end)
      ngx.say "{}"
    }
  }
  location = /set {
    set_by_lua_block $ignored { app.try "set" return "" }
    content_by_lua_block { ngx.say "{}" }
  }
  location = /header_filter {
    content_by_lua_block { ngx.say "{}" }
    header_filter_by_lua_block { app.try "header_filter" }
  }
  location = /body_filter {
    content_by_lua_block { ngx.say "{}" }
    body_filter_by_lua_block {
      if ngx.arg[2] then app.try "body_filter" end
    }
  }
  location = /log {
    content_by_lua_block { ngx.say "{}" }
    log_by_lua_block { app.try "log" }
  }
  location = /wait {
    content_by_lua_block { ngx.say "{}" }
    log_by_lua_block { app.try_wait "wait" }
  }
]]

describe("the client in nginx's phases", function()
  local upstream, host

  local function note(name)
    return nginx_host.eventually(function()
      return host:json("/state").notes[name]
    end) or error("no note " .. name)
  end

  setup(function()
    upstream = raw_server.start()
    host = nginx_host.start {
      upstream = upstream.url, locations = LOCATIONS,
      init = [[
        app.try "init"
        app.note("init refused", nil,
          select(2, app.client.sms.send_async({}, print)))
      ]],
      http = 'init_worker_by_lua_block { app.try "init_worker" }',
    }
    -- The reset before each test would end a call that is under way.
    note "init_worker async"
  end)

  before_each(function() upstream:reset() end)

  teardown(function()
    host:stop()
    upstream:stop()
  end)

  for _, phase in ipairs { "rewrite", "access", "create" } do
    it("creates at " .. phase, function()
      local answer = host:json("/" .. phase)
      assert.matches("^acti_", answer.id)
      assert.equal(1, #upstream:ledger())
    end)
  end

  it("creates in a timer", function()
    host:json "/timer"
    assert.matches("^acti_", note("timer").id)
    assert.matches("^acti_", note("timer async").id)
  end)

  for _, phase in ipairs { "set", "header_filter", "body_filter", "log",
    "init_worker" } do
    it("cannot wait in " .. phase .. ", but begins a call there", function()
      if phase ~= "init_worker" then host:json("/" .. phase) end
      local refused = note(phase)
      assert.equal("config", refused.kind)
      assert.equal("not_sent", refused.outcome)
      assert.truthy(refused.message:find("phase " .. phase .. ":", 1, true))
      assert.matches("^acti_", note(phase .. " async").id)
    end)
  end

  it("can neither wait nor begin a call in init", function()
    for name, verb in pairs { init = "create", ["init async"] = "create_async",
      ["init refused"] = "send_async" } do -- its params are wrong, too
      local refused = note(name)
      assert.equal("config", refused.kind)
      assert.equal(1, refused.message:find(verb ..
        " does not work in nginx's phase init:", 1, true), refused.message)
    end
  end)

  it("does not wait for all where it cannot wait for one", function()
    host:json "/wait"
    local refused = note "wait"
    assert.equal("config", refused.kind)
    assert.truthy(refused.message:find("phase log:", 1, true))
  end)

  for _, path in ipairs { "/rewrite", "/access", "/create" } do
    it("answers others while " .. path .. " waits", function()
      assert.is_true(process.sometimes(function() -- that takes less than 1 s
        upstream:reset()
        upstream:script { { delay = 1 } }
        local waiting = host:open(path)
        assert.truthy(upstream:wait(1))
        for _ = 1, 20 do
          assert.equal("static", select(2, host:get "/static"))
        end
        local waits = #socket.select({ waiting }, nil, 0) == 0
        assert.matches("acti_", (waiting:receive "*a"))
        waiting:close()
        return waits
      end))
    end)
  end

  it("leaves no complaint in the error log", function()
    assert.same({}, host:complaints())
  end)
end)
