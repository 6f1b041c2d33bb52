-- The client in a real nginx: workers that start and end, and visitors that
-- leave.
local nginx_host = require "spec.support.nginx_host"
local raw_server = require "spec.support.raw_server"

local path, texts = nginx_host.path, nginx_host.texts
local once_each = nginx_host.once_each
local CALLS = 200

local LOCATIONS = [[
  location = /late {
    content_by_lua_block { ngx.sleep(1) app.answer() }
  }
  location = /log {
    content_by_lua_block { ngx.say "{}" }
    log_by_lua_block {
      app.client.sms.create_async(app.params "async", function(sms)
        ngx.log(ngx.NOTICE, "async call: ", sms and "sent")
      end)
    }
  }
  location = /checked {
    lua_check_client_abort on;
    content_by_lua_block { app.answer() }
  }
]]

local function sent(answers)
  local n = 0
  for _, answer in ipairs(answers) do
    if answer.id then n = n + 1 end
  end
  return n
end

describe("the client in nginx's workers", function()
  local upstream, host

  setup(function() upstream = raw_server.start() end)

  before_each(function() upstream:reset() end)

  after_each(function()
    local complaints = host:complaints()
    host:stop()
    assert.same({}, complaints)
  end)

  teardown(function() upstream:stop() end)

  local function start(workers, init)
    host = nginx_host.start { upstream = upstream.url, locations = LOCATIONS,
      workers = workers, init = init }
  end

  it("works in each of them", function()
    start(2)
    upstream:default { delay = 0.02 }
    local seen, n = {}, 0
    nginx_host.eventually(function()
      for _, answer in ipairs((host:many(8, "/create"))) do
        assert.matches("^acti_", answer.id)
        if not seen[answer.worker] then n = n + 1 end
        seen[answer.worker] = true
      end
      return n == 2
    end)
    assert.equal(2, n)
    for _, worker in ipairs(host:workers()) do
      assert.is_true(seen[worker])
    end
  end)

  it("answers every call, once, while they are replaced", function()
    start(2)
    upstream:default { delay = 0.1 }
    local old = host:workers()
    local answers, failures = host:many(CALLS, path, 40, function(n)
      if n == CALLS / 4 or n == CALLS / 2 then host:signal "HUP" end
    end)
    assert.same({}, failures)
    assert.equal(CALLS, sent(answers))
    assert.same(once_each(CALLS), texts(upstream:ledger()))
    local replaced = nginx_host.eventually(function()
      local now = host:workers()
      for _, worker in ipairs(now) do
        if worker == old[1] or worker == old[2] then return false end
      end
      return #now == 2
    end)
    assert.is_true(replaced)
    assert.matches("^acti_", host:json("/create").id)
  end)

  it("finishes what is in flight when nginx is told to quit", function()
    start()
    upstream:default { delay = 0.5 }
    local open = {}
    for i = 1, 20 do open[i] = host:open(path(i)) end
    host:get "/log" -- one that no request waits for
    assert.truthy(upstream:wait(21))
    open[21] = host:open "/late" -- one that begins its call later
    assert.equal(0, host:json("/state").begun - 20)
    host:signal "QUIT"
    for _, sock in ipairs(open) do
      assert.matches('"id":"acti_', (sock:receive "*a"))
      sock:close()
    end
    assert.equal(0, host.child:wait(10))
    assert.equal(22, #upstream:ledger())
    assert.matches("async call: sent", host:error_log())
  end)

  for _, case in ipairs { { "noticed", "/checked" }, { "not noticed",
    "/create" } } do
    it("sends all the same when a client goes away, " .. case[1], function()
      start(1, "jit.off()") -- traces would count as memory
      local worker = host:workers()[1]

      -- As many rounds of twenty requests whose clients do not wait.
      local function leave(rounds)
        local state = host:idle_state()
        for _ = 1, rounds do
          local open, wanted = {}, state.begun + 20
          for i = 1, 20 do open[i] = host:open(case[2]) end
          assert.truthy(nginx_host.eventually(function()
            return host:json("/state").begun == wanted
          end))
          for _, sock in ipairs(open) do sock:close() end
          state = host:idle_state()
        end
        return state
      end

      -- What is kept for good is there after these, with as many connections
      -- as there will ever be: all of a round are under way at once.
      upstream:default { delay = 0.5 }
      leave(1)
      upstream:default { delay = 0.02 }
      local early = leave(4)
      local memory, files = host.holds(worker)
      local late = leave(CALLS / 20)
      local memory_later, files_later = host.holds(worker)
      assert.equal(CALLS + 100, late.begun)
      assert.equal(CALLS + 100, late.answered)
      assert.equal(CALLS + 100, #upstream:ledger())
      assert.is_true(files_later <= files + 2)
      assert.is_true(late.lua_kilobytes < early.lua_kilobytes + 64)
      assert.is_true(memory_later < memory + 1024)
      assert.matches("^acti_", host:json("/create").id)
    end)
  end
end)
