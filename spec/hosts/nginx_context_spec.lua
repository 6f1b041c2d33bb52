-- The user's functions in a real nginx run in timers of their own: never in the
-- request that happens to drive the engine, each exactly once, also while there
-- are no timers.
local nginx_host = require "spec.support.nginx_host"
local raw_server = require "spec.support.raw_server"
local socket = require "socket"

local CALLS = 1000

-- Each /begin starts 100 calls, one in ten of which reaches the server; /busy
-- waits for a call and for all callbacks, /poll polls. All of them have an
-- ngx.ctx that no callback may see.
local LOCATIONS = [[
  location = /begin { content_by_lua_block {
    ngx.ctx.owner = "a request"
    for i = 1, 100 do
      local params = i % 10 == 0 and app.params "async" or {}
      local again = false
      assert(app.client.sms.create_async(params, function()
        if again then table.insert(seen.strange, "called again") end
        again = true
        seen.callbacks = seen.callbacks + 1
        see("a callback")
        if i % 10 == 0 then ngx.log(ngx.NOTICE, "called: ", i, ".") end
        if i == 50 then ngx.sleep(0.1) end
        seen.ended = seen.ended + 1
        if i == 60 and not shared then ngx.exit(500) end
      end))
    end
    ngx.say "{}"
  } }
  location = /exits { content_by_lua_block {
    for _ = 1, 200 do
      assert(app.client.sms.create_async({}, function()
        seen.callbacks = seen.callbacks + 1
        ngx.exit(0)
      end))
    end
    ngx.say "{}"
  } }
  location = /endless { content_by_lua_block {
    endless = require "close".new { api_key = "k", max_retries = 0,
      base_url = "http://127.0.0.1:1/api/v1", on_event = function()
        seen.events = seen.events + 1
        endless.sms.create(app.params "again")
      end }
    for _ = 1, 2000 do
      endless.sms.create_async(app.params "first", function() end)
    end
    ngx.say "{}"
  } }
  location = /end { content_by_lua_block { endless:close() ngx.say "{}" } }
  location = /busy { content_by_lua_block {
    ngx.ctx.owner = "a request"
    local sms = app.client.sms.create(app.params "busy")
    app.client:poll()
    app.client:wait(0.1)
    ngx.say(sms and '"sent"' or '"not sent"')
  } }
  location = /wait { content_by_lua_block {
    ngx.ctx.owner = "a request"
    ngx.say(app.client:wait(10))
  } }
  location = /hog { content_by_lua_block {
    for _ = 1, 4 do
      ngx.timer.at(0, function() ngx.sleep(0.6) end)
      ngx.sleep(0.005)
    end
    ngx.timer.at(0.6, function() end) -- pending until then
    ngx.say "{}"
  } }
  location = /slow { content_by_lua_block {
    ngx.timer.at(0, function()
      ngx.ctx.owner = "a slow timer"
      for _ = 1, 3 do
        assert(app.client.sms.create_async({}, function()
          seen.callbacks = seen.callbacks + 1
          see("a callback")
        end))
        app.client:poll()
        local till = os.clock() + 0.1
        repeat until os.clock() > till
      end
    end)
    ngx.say "{}"
  } }
  location = /seen { content_by_lua_block {
    ngx.say(require("cjson").encode(seen))
  } }
]]

-- What on_event and the callbacks saw. In a request ngx.say answers somebody.
local INIT = [[
  seen = { callbacks = 0, ended = 0, events = 0, strange = {} }
  function see(who)
    local phase, owner = ngx.get_phase(), ngx.ctx.owner
    if phase ~= "timer" or owner and (not shared or owner == "a request") then
      table.insert(seen.strange, who .. " in " .. phase .. " saw " ..
        tostring(owner))
    end
    ngx.ctx.owner = who
    pcall(ngx.say, "a callback's secret")
  end
]]

local OPTIONS = [[heard = function()
  seen.events = seen.events + 1
  ngx.ctx.owner = nil -- events share a context
  see "on_event"
end]]

describe("a user's function in nginx", function()
  local upstream, host

  setup(function() upstream = raw_server.start() end)

  before_each(function() upstream:reset() end)

  after_each(function() host:stop() end)

  teardown(function() upstream:stop() end)

  local function start(http, init)
    host = nginx_host.start {
      upstream = upstream.url, locations = LOCATIONS, options = OPTIONS,
      http = http, init = INIT .. (init or ""),
    }
  end

  -- Begins the calls while other requests drive the engine.
  local function run()
    host:json "/begin"
    local waits, n = host:open "/wait", 1
    local answers, failures = host:many(27, function()
      n = n + 1
      return n % 3 == 1 and "/begin" or "/busy"
    end, 5)
    assert.same({}, failures)
    for _, answer in ipairs(answers) do
      assert.is_true(answer == "sent" or type(answer) == "table")
    end
    assert.matches("\r\n0\n", waits:receive "*a")
    waits:close()
    nginx_host.eventually(function()
      return host:json("/seen").ended == CALLS
    end)
    return host:json "/seen"
  end

  local function check(seen)
    assert.same({}, seen.strange)
    assert.equal(CALLS, seen.callbacks)
    assert.equal(CALLS, seen.ended)
    assert.is_true(seen.events >= CALLS / 10)
    assert.equal(0, host:idle_state().pending)
  end

  -- Those that reached the server, of one /begin.
  local function check_log()
    local called = {}
    for i in host:error_log():gmatch "called: (%d+)%." do
      called[#called + 1] = tonumber(i)
    end
    table.sort(called)
    assert.same({ 10, 20, 30, 40, 50, 60, 70, 80, 90, 100 }, called)
  end

  it("may call for ever, and holds no worker", function()
    start()
    host:json "/endless"
    local slowest = 0
    for _ = 1, 20 do
      local begun = socket.gettime()
      host:json "/seen"
      slowest = math.max(slowest, socket.gettime() - begun)
    end
    assert.is_true(slowest < 10, ("took %.3f s"):format(slowest))
    host:json "/end"
  end)

  it("has a context of its own", function()
    start()
    check(run())
    assert.same({}, host:complaints())
  end)

  it("has it also after a timer that worked for long", function()
    start()
    host:json "/slow"
    assert.truthy(nginx_host.eventually(function()
      return host:json("/seen").callbacks == 3
    end))
    assert.same({}, host:json("/seen").strange)
  end)

  it("may end its timer, and delays no other one by that", function()
    -- Nothing is collected that could tell how many have ended.
    start(nil, 'collectgarbage "stop"')
    host:json "/exits"
    assert.truthy(nginx_host.eventually(function()
      return host:json("/seen").callbacks == 200
    end))
  end)

  for _, http in ipairs { "lua_max_running_timers 1;",
    "lua_max_running_timers 2;", "lua_max_pending_timers 1;" } do
    it("waits while there are no timers: " .. http, function()
      start(http, "shared = true")
      host:json "/hog"
      check(run())
    end)
  end

  it("is called when the worker ends, too", function()
    start()
    upstream:default { delay = 1 }
    host:json "/begin"
    assert.truthy(nginx_host.eventually(function()
      return host:json("/seen").callbacks >= 90 -- more on a busy machine
    end))
    host:signal "QUIT"
    assert.equal(0, host.child:wait(10))
    check_log()
  end)

  it("is called by close() in exit_worker, where nothing may begin", function()
    start [[exit_worker_by_lua_block {
      local client = app.client
      client:close()
      local another = require "close".new { api_key = "x" }
      local _, err = another.sms.create_async({}, function() end)
      ngx.log(ngx.NOTICE, "begun: ", tostring(err))
    }]]
    upstream:default { delay = 20 }
    host:json "/begin"
    assert.truthy(upstream:wait(10))
    host:signal "TERM"
    host.child:wait(10)
    check_log()
    assert.matches("begun: close: config: create_async does not work in " ..
      "nginx's phase exit_worker", host:error_log())
  end)

  it("is called without a request that would ask for it", function()
    start("lua_max_running_timers 1;", "shared = true")
    host:json "/hog"
    host:json "/begin"
    assert.truthy(nginx_host.eventually(function()
      return host:json("/seen").ended == 100
    end))
    assert.same({}, host:json("/seen").strange)
  end)
end)
