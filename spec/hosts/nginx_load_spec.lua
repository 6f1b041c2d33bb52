-- The client in a real nginx with many requests at once: connections are
-- shared, a fault only affects its own request, and callbacks delay no other
-- one.
local files = require "spec.support.files"
local nginx = require "spec.support.nginx"
local nginx_host = require "spec.support.nginx_host"
local raw_server = require "spec.support.raw_server"
local socket = require "socket"

local path, texts = nginx_host.path, nginx_host.texts
local once_each = nginx_host.once_each
local MANY = 50

local LOCATIONS = [[
  location = /impatient {
    content_by_lua_block { app.answer { timeout = 3 } }
  }
  location = /later {
    content_by_lua_block {
      app.client.sms.create_async(app.params "later", function() end)
      ngx.say "{}"
    }
  }
  location = /async {
    content_by_lua_block {
      for i = 1, 20 do
        app.client.sms.create_async(app.params("async " .. i), function(sms)
          app.notes[#app.notes + 1] = app.facts(sms)
          if i == 1 then error "a callback that throws" end
          if i == 2 then ngx.sleep(0.5) app.note("slept", sms) end
          if i == 3 then
            app.note("nested", app.client.sms.create(app.params "nested"))
          end
        end)
      end
      ngx.say("[", app.client:wait(0.3), "]")
    }
  }
  location = /meet {
    content_by_lua_block {
      local begun, ended = 0, 0
      for i = 1, 10 do
        app.client.sms.create_async(app.params "meet", function()
          begun = begun + 1
          local till = ngx.now() + 5
          while begun < 10 and ngx.now() < till do ngx.sleep(0.01) end
          ended = ended + 1
          if ended == 10 then app.notes.met = ngx.now() < till end
        end)
      end
      app.notes.met = nil
      ngx.say "{}"
    }
  }
]]

-- How many calls ended in which way.
local function endings(answers)
  local seen = {}
  for _, answer in ipairs(answers) do
    local name = answer.id and "sent" or answer.kind .. " " .. answer.outcome
    seen[name] = (seen[name] or 0) + 1
  end
  return seen
end

-- How often the worker woke in a tenth of a second: the fewest of three.
local function fewest_wakes(host)
  local status = ("/proc/%s/status"):format(host:workers()[1])
  local function wakes()
    return tonumber(files.read(status)
      :match "\nvoluntary_ctxt_switches:%s*(%d+)")
  end
  local fewest = math.huge
  for _ = 1, 3 do
    local before = wakes()
    socket.sleep(0.1)
    fewest = math.min(fewest, wakes() - before)
  end
  return fewest
end

describe("many calls at once in nginx", function()
  local upstream, host

  setup(function()
    upstream = raw_server.start()
    host = nginx_host.start { upstream = upstream.url, locations = LOCATIONS }
  end)

  before_each(function() upstream:reset() end)

  after_each(function()
    assert.equal(0, host:idle_state().pending)
    assert.same({}, host:complaints())
  end)

  teardown(function()
    host:stop()
    upstream:stop()
  end)

  it("share one engine and its connections", function()
    upstream:default { delay = 0.05 }
    for _ = 1, 3 do
      local answers, failures = host:many(MANY, path)
      assert.same({}, failures)
      assert.equal(MANY, #answers)
      for _, answer in ipairs(answers) do
        assert.matches("^acti_", answer.id)
      end
    end
    assert.equal(3 * MANY, #upstream:ledger())
    assert.is_true(upstream:connections() <= MANY)
    upstream:default { delay = 0.01 }
    local before = upstream:connections()
    host:many(4 * MANY, path, 5)
    assert.equal(before, upstream:connections())
  end)

  it("share one connection with http2", function()
    local front = nginx.start { upstream = upstream.url }
    local second = nginx_host.start {
      upstream = front.h2,
      options = ('http2 = true, ca_file = "%s"'):format(front.ca_file),
    }
    assert.truthy(second:json("/create?text=first").id)
    upstream:default { delay = 0.05 }
    local answers, failures = second:many(2 * MANY, path)
    second:stop()
    local lines = front:access_log(2 * MANY + 1)
    front:stop()
    assert.same({}, failures)
    assert.equal(2 * MANY, #answers)
    local connections = {}
    for _, line in ipairs(lines) do
      assert.equal("h2", line.http2)
      connections[line.connection] = true
    end
    assert.truthy(next(connections))
    assert.is_nil(next(connections, (next(connections))))
    local expected = once_each(2 * MANY)
    expected.first = 1
    assert.same(expected, texts(upstream:ledger()))
  end)

  it("end as each of them was dealt with", function()
    local steps = {}
    for i = 1, 20 do
      steps[3 * i - 2] = { reset = true }
      steps[3 * i - 1] = { delay = 20 }
      steps[3 * i] = { status = 503, body = "Unavailable" }
    end
    upstream:script(steps)
    local slowest = 0
    local answers, failures = host:many(80, function(i)
      return "/impatient?text=m" .. i
    end, nil, function()
      local begun = socket.gettime()
      host:get "/static"
      slowest = math.max(slowest, socket.gettime() - begun)
    end)
    assert.same({}, failures)
    assert.same({ sent = 20, ["connection unknown"] = 20,
      ["timeout unknown"] = 20, ["server unknown"] = 20 }, endings(answers))
    assert.is_true(slowest < 2, ("static took %.3f s"):format(slowest))
    assert.same(once_each(80), texts(upstream:ledger()))
  end)

  it("wait for a rate limit that some of them met, and are sent", function()
    upstream:default { delay = 0.05 }
    upstream:script { { status = 429, headers = { ["Retry-After"] = "1" },
      body = { error = "Too many" } } }
    host:json "/later"
    nginx_host.eventually(function() return upstream:ledger()[1] end)
    -- While nothing is under way, the worker sleeps for longer.
    local fewest = fewest_wakes(host)
    assert.is_true(fewest < 20, ("woken %d times in 0.1 s"):format(fewest))
    local answers, failures = host:many(20, path)
    assert.same({}, failures)
    assert.same({ sent = 20 }, endings(answers))
    local twice = 0
    for _, n in pairs(texts(upstream:ledger())) do
      assert.is_true(n <= 2)
      if n == 2 then twice = twice + 1 end
    end
    assert.equal(1, twice)
  end)

  it("hold nobody up in their callbacks", function()
    host:json "/async"
    local state
    local function called()
      local n = 0
      for i = 1, 20 do
        if state.notes[tostring(i)] then n = n + 1 end
      end
      return n
    end
    nginx_host.eventually(function()
      state = host:json "/state"
      return state.notes.slept and state.notes.nested and called() == 20
    end)
    assert.truthy(state.notes.slept)
    assert.matches("^acti_", state.notes.nested.id)
    assert.equal(21, #upstream:ledger())
    assert.equal(20, called())
  end)

  it("have callbacks that may sleep at the same time, again and again",
    function()
      for _ = 1, 5 do
        host:json "/meet"
        local met
        nginx_host.eventually(function()
          met = host:json "/state".notes.met
          return met ~= nil
        end)
        assert.is_true(met)
      end
    end)

  it("end where nginx had no timer left for them, too", function()
    local second = nginx_host.start {
      upstream = upstream.url, http = "lua_max_running_timers 1;",
      locations = [[
        location = /occupy {
          content_by_lua_block {
            ngx.timer.at(0, function() ngx.sleep(4) end)
            ngx.say "{}"
          }
        }
      ]],
    }
    second:json "/occupy"
    local answers = second:many(20, path)
    local complaints = second:complaints()
    second:stop()
    assert.same({ sent = 20 }, endings(answers))
    assert.truthy(complaints[1]) -- of nginx: it drops a timer with each
    for _, line in ipairs(complaints) do
      assert.matches("lua_max_running_timers", line)
    end
  end)
end)
