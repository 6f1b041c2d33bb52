-- A function for the credentials that waits, in a real nginx: called once for
-- all requests, in a timer, without delaying others.
local nginx_host = require "spec.support.nginx_host"
local raw_server = require "spec.support.raw_server"
local socket = require "socket"

local LOCATIONS = [[
  location = /asked { content_by_lua_block {
    ngx.say(require("cjson").encode {
      asked = asked, phases = phases, pending = app.client:pending() })
  } }
  location = /brief { content_by_lua_block {
    app.answer { timeout = 0.1 }
  } }
  location = /hog { content_by_lua_block {
    ngx.timer.at(0, function() ngx.sleep(0.5) end)
    ngx.say "{}"
  } }
  lua_check_client_abort on;
]]

-- The function takes a moment, the time of that number two seconds; where told
-- so it fails the first time.
local OPTIONS = [[access_token = function()
  asked = asked + 1
  phases[asked] = ngx.get_phase()
  local mine = asked
  ngx.sleep(mine == slow and 2 or 0.3)
  if fails and mine == 1 then return nil, "no network" end
  return "t" .. mine
end]]

describe("credentials that are waited for in nginx", function()
  local upstream, host

  setup(function() upstream = raw_server.start() end)
  before_each(function() upstream:reset() end)
  after_each(function() host:stop() end)
  teardown(function() upstream:stop() end)

  local function start(init, http)
    host = nginx_host.start { upstream = upstream.url, locations = LOCATIONS,
      options = "api_key = nil, " .. OPTIONS,
      http = "init_worker_by_lua_block { asked, phases = 0, {} " ..
        (init or "") .. " }" .. (http or "") }
  end

  -- Opens n requests for /create.
  local function open(n, path)
    local open_ones = {}
    for i = 1, n do open_ones[i] = host:open(path or "/create") end
    return open_ones
  end

  local function facts(sock)
    local text = sock:receive "*a"
    sock:close()
    return text:match "\r\n\r\n.*$" or ""
  end

  it("are asked for once, in a timer, for all requests", function()
    start "slow = 1"
    local first = open(1)[1]
    local others = open(19)
    first:close() -- its client goes away; the others want an answer
    local begun = socket.gettime()
    for _ = 1, 20 do host:get "/static" end
    assert.is_true(socket.gettime() - begun < 1.5)
    for i = 1, 19 do assert.matches("acti_", facts(others[i])) end
    local seen = host:json "/asked"
    assert.equal(1, seen.asked)
    assert.same({ "timer" }, seen.phases)
    for _, request in ipairs(upstream:ledger()) do
      assert.equal("Bearer t1", request.headers.authorization)
    end
    assert.same({}, host:complaints())
  end)

  it("hold up no request that has its own, after a 401", function()
    start "slow = 2"
    assert.matches("acti_", facts(open(1)[1]))
    upstream:script { { status = 401 } }
    local stale = open(1)[1]
    assert(upstream:wait(2))
    nginx_host.eventually(function() return host:json "/asked".asked == 2 end)
    local brief = host:open "/brief"
    local begun = socket.gettime()
    local ended = facts(brief)
    assert.is_true(socket.gettime() - begun < 1.5)
    assert.matches("timeout", ended) -- it needs the new ones; it ends alone
    assert.matches("not_sent", ended)
    assert.matches("acti_", facts(stale))
    assert.equal(2, host:json "/asked".asked)
  end)

  it("wait for a timer while there is none", function()
    start(nil, "lua_max_running_timers 1;")
    host:get "/hog"
    local all = open(5)
    for i = 1, 5 do assert.matches("acti_", facts(all[i])) end
    local seen = host:json "/asked"
    assert.equal(1, seen.asked)
    assert.same({ "timer" }, seen.phases)
  end)

  it("fail for all that wait, with one reason", function()
    start "fails = true"
    local all = open(5)
    for i = 1, 5 do
      local ended = facts(all[i])
      assert.matches("authentication", ended)
      assert.matches("no network", ended)
    end
    assert.matches("acti_", facts(open(1)[1]))
    assert.equal(2, host:json "/asked".asked)
    assert.equal(0, host:json "/asked".pending)
  end)
end)
