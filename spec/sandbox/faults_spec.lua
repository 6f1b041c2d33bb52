-- Faults: those that end a connection, with a FIN or an RST, at every place of
-- an exchange; which requests a fault meets and which it spares; and what is
-- refused as a fault.

local support = require "spec.support.sandbox_client"

local SMS, PATH, DRAFT = support.SMS, support.PATH, support.DRAFT
local POST = support.bytes("POST", PATH)
-- At each place: what was taken, and what was done.
local PLACES = {
  accept = { 0, 0 }, before = { 0, 0 }, headers = { 0, 0 },
  half = { 0, 0 }, read = { 1, 0 },
}

local answer = support.answer
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

-- Sends a request and says how its connection ends, how many requests were
-- taken and how many SMS are held.
local function meet()
  return client:provoke(POST), #server:requests(), #server:messages()
end

describe("close.sandbox a fault", function()
  for kind, how in pairs { close = "fin", reset = "rst" } do
    describe("of kind " .. kind, function()
      for place, expected in pairs(PLACES) do
        it("ends the connection at " .. place, function()
          client:fault { kind = kind, place = place }
          assert.same({ how, expected[1], expected[2] }, { meet() })
          assert.equal(200, (client:call("POST", SMS, DRAFT)))
        end)
      end

      it("ends it at read if no place is given", function()
        client:fault { kind = kind }
        assert.same({ how, 1, 0 }, { meet() })
      end)

      it("ends it after the work where it is told so", function()
        client:fault { kind = kind, acted = true }
        assert.same({ how, 1, 1 }, { meet() })
        assert.is_true(server:requests()[1].acted)
      end)

      it("ends it in the middle of the answer", function()
        client:fault { kind = kind, place = "answer" }
        local sock = client:open(POST)
        local status, problem, partial = answer(sock)
        assert.is_nil(status)
        assert.equal("closed", problem)
        assert.matches('^{"_type"', partial)
        assert.equal(how, support.how_closed(sock))
        sock:close()
        assert.equal(1, #server:messages())
      end)

      it("ends it after an answer that promised to stay", function()
        client:fault { kind = kind, place = "after" }
        local sock = client:open(POST)
        local status, headers = answer(sock)
        assert.same({ 200, "keep-alive" }, { status, headers.connection })
        assert.equal(how, support.ending(sock))
        sock:close()
      end)
    end)
  end

  it("ends a chunked request at half, after its first chunk", function()
    client:fault { kind = "close", place = "half" }
    assert.equal("fin", client:provoke(support.chunked "1\r\n{"))
  end)

  it("acts on the next connection at accept, without a byte", function()
    client:fault { kind = "close", place = "accept" }
    local sock = client:open()
    assert.equal("fin", support.ending(sock))
    sock:close()
  end)

  it("acts at before once the request line is there", function()
    client:fault { kind = "reset", place = "before" }
    assert.equal("rst", client:provoke("POST " .. PATH .. " HTTP/1.1\r\n"))
  end)

  describe("meets", function()
    local function statuses(count, method)
      local found = {}
      for i = 1, count do
        found[i] = client:call(method or "POST", SMS, DRAFT)
      end
      return found
    end

    for name, row in pairs {
      ["the next request alone"] = { {}, 500, 200 },
      ["as many as `times` says"] = { { times = 2 }, 500, 500, 200 },
      ["those that come after `after` others"] = { { after = 2 }, 200, 200,
        500, 200 },
      ["nothing where its pattern turns out to be none"] = { { path = "sms(" },
        200 },
    } do
      it(name, function()
        local given = table.remove(row, 1)
        given.kind, given.status = "status", 500
        client:fault(given)
        assert.same(row, statuses(#row))
      end)
    end

    it("a share of them, the same ones for the same seed", function()
      local function met(seed)
        local first = client
        local own, others = support.start { seed = seed }
        client = others
        client:fault { kind = "status", status = 500, share = 0.3 }
        local list = statuses(100)
        client = first
        own:stop()
        return list
      end
      local list, count = met(7), 0
      for _, status in ipairs(list) do
        count = count + (status == 500 and 1 or 0)
      end
      assert.is_true(count > 10 and count < 50, count)
      assert.same(list, met(7))
      assert.are_not.same(list, met(8))
    end)

    it("one method only", function()
      client:fault { kind = "status", status = 500, method = "POST" }
      assert.same({ 200 }, statuses(1, "GET"))
      assert.same({ 500 }, statuses(1))
    end)

    it("paths with a pattern only", function()
      client:fault { kind = "status", status = 500, path = "/acti_%w+/$" }
      assert.same({ 200 }, statuses(1))
      local id = server:messages()[1].id
      assert.equal(500, (client:call("GET", SMS .. id .. "/")))
    end)

    it("requests in the order in which faults were set", function()
      client:fault { kind = "status", status = 500 }
      client:fault { kind = "status", status = 502 }
      assert.same({ 500, 502, 200 }, statuses(3))
    end)

    it("no control request", function()
      client:fault { kind = "close", place = "before" }
      assert.same({}, server:requests())
      assert.same({}, server:messages())
      assert.equal("fin", client:provoke(POST))
    end)

    it("no request on a connection there is, at accept", function()
      local sock = client:open(POST)
      assert.equal(200, (answer(sock)))
      client:fault { kind = "close", place = "accept" }
      sock:send(POST)
      assert.equal(200, (answer(sock)))
      sock:close()
      assert.equal("fin", client:provoke(POST))
    end)

    it("nothing once it is cleared, or all is reset", function()
      client:fault { kind = "status", status = 500 }
      assert.is_true(server:clear_faults())
      client:fault { kind = "status", status = 500 }
      server:reset()
      assert.same({ 200 }, statuses(1))
    end)
  end)

  it("answers any bytes", function()
    local bytes = "\0\255\128\237\160\189 \"\\\r\n"
    client:fault { kind = "status", status = 500, body = bytes }
    local _, _, body = client:exchange(POST)
    assert.equal(bytes, body)
  end)

  it("answers more than a request to the API may have", function()
    local own, others = support.start { max_body_bytes = 1 }
    others:fault { kind = "status", status = 500, body = ("x"):rep(2 ^ 21) }
    local _, _, body = others:exchange(support.bytes("GET", PATH))
    own:stop()
    assert.equal(2 ^ 21, #body)
  end)

  it("is refused where it is too large, and the next one is taken", function()
    local none, problem = server:fault { kind = "status", status = 500,
      body = ("x"):rep(2 ^ 24 + 4096) }
    assert.is_nil(none)
    assert.matches("Content Too Large", problem, 1, true)
    client:fault { kind = "status", status = 500 }
    assert.same({}, server:messages())
  end)

  it("is refused where it makes no sense", function()
    for expected, wrong in pairs {
      ["must be a table"] = "close",
      ["must be in capitals"] = { kind = "close", method = "post" },
      ["status 204 has no \"body\""] = { kind = "status", status = 204,
        body = "{}" },
      ["a fault must be made of strings, booleans, finite numbers and tables: "
        .. "Cannot serialise number"] = { kind = "stall", seconds = 0 / 0 },
      ["unknown fault parameter \"knd\""] = { knd = "close" },
      ["\"kind\" must be one of"] = { kind = "explode" },
      ["\"times\" must be a number"] = { kind = "close", times = "2" },
      ["\"times\" must be a whole"] = { kind = "close", times = 0 },
      ["\"share\" must be above 0"] = { kind = "close", share = 0 },
      ["at most 1"] = { kind = "close", share = 1.5 },
      ["\"after\" must be a whole"] = { kind = "close", after = 0.5 },
      ["has no place \"nowhere\""] = { kind = "close", place = "nowhere" },
      ["needs \"status\""] = { kind = "status" },
      ["needs \"body\""] = { kind = "body" },
      ["needs \"seconds\""] = { kind = "stall" },
      ["from 200 to 599"] = { kind = "status", status = 99 },
      ["from 0 to 86400"] = { kind = "stall", seconds = -1 },
      ["Lua pattern"] = { kind = "close", path = "[" },
      ["no method or path"] = { kind = "close", place = "accept",
        method = "POST" },
      ["has no \"status\""] = { kind = "close", status = 500 },
      ["cannot have acted = true"] = { kind = "close", place = "half",
        acted = true },
      ["cannot have acted = false"] = { kind = "close", place = "answer",
        acted = false },
      ["without line breaks"] = { kind = "status", status = 500,
        headers = { a = "b\r\nc" } },
      ["close.sandbox: "] = { kind = print },
    } do
      local none, problem = server:fault(wrong)
      assert.is_nil(none, expected)
      assert.matches(expected, problem, 1, true)
    end
  end)
end)
