-- A locale with a decimal comma, set at any time: numbers are sent with a
-- point, and other users of lua-cjson see no change.
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"

local server, dir

-- What localedef makes of a locale that has a comma and no more (glibc's
-- locale/loadlocale.c): a magic number, the count of strings, their places.
local LC_NUMERIC = "\20\17\3\32" .. "\6\0\0\0" .. "\32\0\0\0" .. "\34\0\0\0"
  .. "\35\0\0\0" .. "\36\0\0\0" .. "\40\0\0\0" .. "\44\0\0\0"
  .. ",\0" .. "\0" .. "\0" .. "\44\0\0\0" .. "\0\0\0\0" .. "ANSI_X3.4-1968\0"

setup(function()
  server, dir = raw.start{}, process.tempdir()
  assert(process.run{ "mkdir", dir .. "/comma" })
  local file = assert(io.open(dir .. "/comma/LC_NUMERIC", "wb"))
  file:write(LC_NUMERIC)
  file:close()
end)
teardown(function()
  server:stop()
  process.remove(dir)
end)
before_each(function() server:reset() end)

describe("the decimal comma of a locale", function()
  -- Runs code in a child; what it prints.
  local function run(code)
    local words = { "env", "LOCPATH=" .. dir }
    for _, word in ipairs(process.lua(([[
      local function comma() assert(os.setlocale("comma", "numeric")) end
      local function point() assert(os.setlocale("C", "numeric")) end
      local function reads(cjson)
        local ok, value = pcall(cjson.decode, "[2.5]")
        return ok and value[1] == 2.5
      end
      local function send()
        local close = require "close"
        local client = assert(close.new{ base_url = %q, api_key = "k" })
        local sms, err = client.sms.create{ status = "outbox", send_in = 2.5,
          local_phone = "+14154445555", remote_phone = "+18183334444",
          date_created = 1.5, text = "Hi!", extra = { part = -0.25 } }
        client:close()
        return sms and sms.part == 0.75 or tostring(err)
      end
    ]]):format(server.url) .. code)) do
      words[#words + 1] = word
    end
    server:default{ body = '{"id": "acti_1", "part": 0.75}', headers = {
      RateLimit = "limit=10, remaining=9, reset=0.5" } }
    return process.capture(words)
  end

  local function travelled(count)
    local ledger = server:ledger()
    assert.equal(count, #ledger)
    for _, request in ipairs(ledger) do
      assert.matches('"send_in":2.5', request.body, 1, true)
      assert.matches('"part":-0.25', request.body, 1, true)
      assert.matches('"1970-01-01T00:00:01.5', request.body, 1, true)
    end
  end

  it("is none of ours, whenever it comes and goes", function()
    assert.equal("true\ttrue\ttrue", run[[
      local first = send()
      comma()
      local second = send()
      point()
      print(first, second, send())
    ]])
    travelled(3)
  end)

  it("is none of ours where it was there first", function()
    assert.equal("true\ttrue\ttrue", run[[
      comma()
      require "cjson"
      local first = send()
      point()
      local second = send()
      comma()
      print(first, second, send())
    ]])
    travelled(3)
  end)

  it("is not in a form's fields", function()
    server:script{ { body = ('{"upload": {"url": "%s/bucket", "fields": ' ..
      '{"part": 2.5}}, "download": {"url": "https://x.example/"}}'):format(
        server.url:match("^%a+://[^/]+")) }, { status = 204 } }
    assert.equal("true\tnil", run(([[
      comma()
      local close = require "close"
      local client = assert(close.new{ base_url = %q, api_key = "k" })
      local file, err = client.files.upload({ data = "x" },
        { filename = "a.png" })
      print(file ~= nil, err)
    ]]):format(server.url)))
    assert.matches("\r\n\r\n2.5\r\n", server:ledger()[2].body, 1, true)
  end)

  it("is not in a query", function()
    run(([[
      comma()
      local client = assert(require "close".new{ base_url = %q, api_key = "k" })
      client:request("GET", "/me/", { query = { part = 2.5, n = 1e15 } })
    ]]):format(server.url))
    assert.equal("/api/v1/me/?n=1000000000000000&part=2.5",
      server:ledger()[1].target)
  end)

  it("stays what it was for others", function()
    assert.equal("true\ttrue\ttrue\tcomma\ttrue", run[[
      local cjson = require "cjson"
      comma()
      local number = ("%.1f"):format(2.5) -- LuaJIT's always has a point
      local sent = send()
      local after = os.setlocale(nil, "numeric")
      local stays = number == ("%.1f"):format(2.5)
      point()
      local before = reads(cjson)
      print(sent, before, reads(cjson.new()), after, stays)
    ]])
    assert.equal("true\ttrue\ttrue\ttrue", run[[
      comma()
      local number = ("%.1f"):format(2.5)
      local cjson = require "cjson"
      local first, after = send(), reads(cjson)
      point()
      local second = send()
      comma()
      print(first, after, second, number == ("%.1f"):format(2.5))
    ]])
  end)
end)
