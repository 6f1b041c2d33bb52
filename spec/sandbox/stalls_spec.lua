-- Faults that take time: a silence at every place of an exchange, as a server
-- that hangs, and an answer that comes late.

local socket = require "socket"
local support = require "spec.support.sandbox_client"

local PATIENCE = support.PATIENCE
local SMS, PATH, DRAFT = support.SMS, support.PATH, support.DRAFT
local POST = support.bytes("POST", PATH)

local answer, elapsed = support.answer, support.elapsed
local eventually, sometimes = support.eventually, support.sometimes
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

-- Sends a request on a connection of its own and waits until it is taken.
local function open_taken()
  local sock = client:open(POST)
  assert.is_true(eventually(function() return #server:requests() == 1 end))
  return sock
end

describe("close.sandbox a fault", function()
  it("leaves a large body stuck in the client at headers", function()
    local _, other = support.start { receive_buffer = 4096 }
    other:fault { kind = "stall", place = "headers", seconds = 20 }
    local sock = other:open()
    sock:settimeout(0.2)
    sock:setoption("send-buffer-size", 4096)
    sock:send(("POST %s HTTP/1.1\r\nHost: a\r\n"
      .. "Content-Length: 1000000\r\n\r\n"):format(PATH))
    local sent, problem, partial = sock:send(("x"):rep(1000000))
    sock:close()
    assert.is_nil(sent)
    assert.equal("timeout", problem)
    -- Some ten times as much is taken with the usual buffer.
    assert.is_true(partial < 80000)
  end)

  describe("of kind stall", function()
    for _, place in ipairs { "accept", "before", "headers", "half", "read",
      "answer" }
    do
      it("is silent for a time at " .. place .. ", then goes on", function()
        client:fault { kind = "stall", place = place, seconds = 0.1 }
        local status
        local took = elapsed(function() status = client:exchange(POST) end)
        assert.equal(200, status)
        assert.is_true(took >= 0.1)
        assert.equal(1, #server:messages())
      end)
    end

    it("is silent for no longer than that", function()
      client:fault { kind = "stall", seconds = 0.05, times = 5 }
      local least = PATIENCE
      for _ = 1, 5 do
        least = math.min(least, elapsed(function()
          client:call("POST", SMS, DRAFT)
        end))
      end
      assert.is_true(least >= 0.05 and least < 1)
    end)

    it("begins the answer before it at answer", function()
      client:fault { kind = "stall", place = "answer", seconds = 20 }
      local sock = client:open(POST)
      assert.equal("HTTP/1.1 200 OK", (sock:receive "*l"))
      sock:close()
    end)

    it("does no work for a client that left meanwhile", function()
      assert.is_true(sometimes(function()
        assert(server:reset())
        client:fault { kind = "stall", seconds = 0.2 }
        local took = elapsed(function() open_taken():close() end)
        socket.sleep(0.25)
        if took > 0.15 then return false end -- it may have left too late
        assert.same({}, server:messages())
        assert.is_false(server:requests()[1].acted)
        return true
      end))
    end)

    it("has done it where it is told so", function()
      client:fault { kind = "stall", seconds = 0.3, acted = true }
      open_taken():close()
      assert.equal(1, #server:messages())
    end)

    it("does not hold others up", function()
      client:fault { kind = "stall", seconds = 20 }
      local sock = open_taken()
      local took = elapsed(function()
        assert.equal(200, (client:call("POST", SMS, DRAFT)))
      end)
      assert.is_true(took < 2)
      sock:close()
    end)

    it("does not keep stop waiting", function()
      local other, its_client = support.start()
      its_client:fault { kind = "stall", seconds = 20 }
      local sock = its_client:open(POST)
      local took = elapsed(function() other:stop() end)
      sock:close()
      assert.is_true(took < 2)
    end)
  end)

  describe("of kind delay", function()
    it("does the work, and answers later", function()
      assert.is_true(sometimes(function()
        assert(server:reset())
        client:fault { kind = "delay", seconds = 0.3 }
        local sock = client:open(POST)
        assert.is_true(eventually(function()
          return #server:messages() == 1
        end))
        sock:settimeout(0)
        local is_silent = select(2, sock:receive(1)) == "timeout"
        sock:settimeout(PATIENCE)
        if is_silent then assert.equal(200, (answer(sock))) end
        sock:close()
        return is_silent
      end))
    end)
  end)
end)
