-- Faults that change an answer: its status, its headers and its body, before
-- the work is done or after.

local support = require "spec.support.sandbox_client"

local SMS, DRAFT = support.SMS, support.DRAFT
local POST = support.bytes("POST", support.PATH)

local answer = support.answer
local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

describe("close.sandbox a fault", function()
  describe("of kind status", function()
    it("answers that status instead of doing the work", function()
      client:fault { kind = "status", status = 500 }
      local status, body, headers = client:call("POST", SMS, DRAFT)
      assert.equal(500, status)
      assert.equal("Internal Server Error", body.error)
      assert.equal("application/json", headers["content-type"])
      assert.same({}, server:messages())
      local record = server:requests()[1]
      assert.same({ false, 500, "status@read" },
        { record.acted, record.status, record.fault })
    end)

    it("answers after the work where it is told so", function()
      client:fault { kind = "status", status = 500, acted = true }
      assert.equal(500, (client:call("POST", SMS, DRAFT)))
      assert.equal(1, #server:messages())
      assert.is_true(server:requests()[1].acted)
    end)

    it("answers the body and the type that it is given", function()
      for _, row in ipairs {
        { { status = 502, body = "<html>", content_type = "text/html" },
          "<html>", "text/html" },
        { { status = 504, body = "" }, "", "application/json" },
        { { status = 502, body = "x", content_type = "" }, "x", nil },
        { { status = 200, body = "{}", headers = { ["content-TYPE"] =
          "text/plain" } }, "{}", "text/plain" },
      } do
        row[1].kind = "status"
        client:fault(row[1])
        local status, _, headers, text = client:call("POST", SMS, DRAFT)
        assert.equal(row[1].status, status)
        assert.equal(row[2], text)
        assert.equal(row[3], headers["content-type"])
      end
    end)

    it("answers a 429 with the headers it is given, or none", function()
      client:fault { kind = "status", status = 429, headers = {
        RateLimit = "limit=1, remaining=0, reset=0.2", ["Retry-After"] = "1",
      } }
      client:fault { kind = "status", status = 429 }
      local status, _, headers = client:call("POST", SMS, DRAFT)
      assert.equal(429, status)
      assert.equal("limit=1, remaining=0, reset=0.2", headers.ratelimit)
      assert.equal("1", headers["retry-after"])
      status, _, headers = client:call("POST", SMS, DRAFT)
      assert.equal(429, status)
      assert.is_nil(headers.ratelimit)
      assert.is_nil(headers["retry-after"])
    end)

    it("has each header once, in the given case", function()
      client:fault { kind = "status", status = 200, body = "{}",
        headers = { SERVER = "nginx", ["content-LENGTH"] = "1" } }
      local sock = client:open(POST)
      local head = {}
      repeat
        head[#head + 1] = sock:receive "*l"
      until head[#head] == "" or #head > 20
      sock:close()
      local names = {}
      for i = 2, #head - 1 do
        names[i - 1] = head[i]:match "^[^:]+"
      end
      table.sort(names)
      assert.same({ "Connection", "Content-Type", "Date", "SERVER",
        "content-LENGTH" }, names)
    end)

    it("answers 204 without a body or a length", function()
      client:fault { kind = "status", status = 204 }
      local sock = client:open(POST)
      local status, headers = answer(sock)
      assert.equal(204, status)
      assert.is_nil(headers["content-length"])
      sock:send(POST)
      assert.equal(200, (answer(sock)))
      sock:close()
    end)

    it("waits before it, where seconds are given", function()
      client:fault { kind = "status", status = 504, seconds = 0.1 }
      local took = support.elapsed(function()
        client:call("POST", SMS, DRAFT)
      end)
      assert.is_true(took >= 0.1)
    end)

    it("answers before the body was taken, at headers", function()
      client:fault { kind = "status", status = 503, place = "headers" }
      local status, headers = client:exchange(POST:match "^(.-\r\n\r\n)")
      assert.same({ 503, "close" }, { status, headers.connection })
      assert.same({}, server:requests())
    end)
  end)

  describe("of kind body", function()
    it("replaces the answer's body and nothing else", function()
      client:fault { kind = "body", body = '{"id": "acti_' }
      local status, _, headers, text = client:call("POST", SMS, DRAFT)
      assert.same({ 200, "application/json", '{"id": "acti_' },
        { status, headers["content-type"], text })
      assert.not_nil(headers.ratelimit)
      assert.equal(1, #server:messages())
    end)

    it("makes it HTML", function()
      client:fault { kind = "body", body = "<html>",
        content_type = "text/html" }
      local status, _, headers, text = client:call("POST", SMS, DRAFT)
      assert.same({ 200, "text/html", "<html>" },
        { status, headers["content-type"], text })
    end)
  end)
end)
