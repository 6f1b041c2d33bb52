-- examples/openresty in the real nginx: the form, filled in over HTTP.
local http = require "socket.http"
local ltn12 = require "ltn12"
local json = require("cjson").new()
local process = require "spec.support.process"
local sandbox = require "close.sandbox"
local socket = require "socket"
local url = require "socket.url"

-- What run.sh prints first, and the process.
local function start(environment)
  local words = { "env", "-u", "LD_PRELOAD", "-u", "CLOSE_API_KEY", "-u",
    "CLOSE_ACCESS_TOKEN", "-u", "CLOSE_BASE_URL", "-u", "CLOSE_LOCAL_PHONE",
    "-u", "CLOSE_COUNTRY_CODES" }
  for _, word in ipairs(environment) do words[#words + 1] = word end
  words[#words + 1] = "examples/openresty/run.sh"
  local child = process.start(words, { stdout = "pipe" })
  local line = child.stdout:read "*l"
  return child, line and line:match "^the form is at (http://%S+)$"
end

describe("the OpenResty example", function()
  local server, child, page

  setup(function()
    server = assert(sandbox.start {})
    child, page = start { "CLOSE_API_KEY=" .. server.api_key,
      "CLOSE_BASE_URL=" .. server.url, "CLOSE_LOCAL_PHONE=+14154445555" }
    assert.truthy(page)
  end)

  before_each(function() server:reset() end)

  teardown(function()
    child:stop()
    server:stop()
  end)

  -- Sends the form: status, page. Each time from another address, unless one is
  -- given: the form has a limit for each.
  local addresses = 1
  local function fill_in(name, phone, address)
    addresses = addresses + 1
    address = address or "127.0.0." .. addresses
    local body = ("name=%s&phone=%s"):format(url.escape(name),
      url.escape(phone))
    local pieces = {}
    local _, status = http.request {
      url = page, method = "POST", source = ltn12.source.string(body),
      sink = ltn12.sink.table(pieces),
      create = function()
        local connection = socket.tcp()
        connection:bind(address, 0)
        return connection
      end,
      headers = {
        ["content-type"] = "application/x-www-form-urlencoded",
        ["content-length"] = #body,
      },
    }
    return status, table.concat(pieces)
  end

  it("shows a form", function()
    local text, status = http.request(page)
    assert.equal(200, status)
    assert.truthy(text:find('<input id="phone" name="phone"', 1, true))
    assert.is_nil(text:find('class="', 1, true))
  end)

  it("texts whoever fills it in", function()
    local status, text = fill_in("Zoë & <Ada>", "+18183334444")
    assert.equal(200, status)
    assert.truthy(text:find("Your text is on its way.", 1, true))
    local requests = server:requests()
    assert.equal(2, #requests)
    assert.equal('{"status":"outbox"}', requests[2].body)
    local message = json.decode(requests[1].body)
    assert.equal("+14154445555", message.local_phone)
    assert.equal("+18183334444", message.remote_phone)
    assert.matches("^Hi Zoë & <Ada>!", message.text)
  end)

  it("shows what is wrong beside the field, and keeps the rest", function()
    local status, text = fill_in('"><b>Ada', "0818 333")
    assert.equal(422, status)
    assert.matches('value="0818 333"[^>]*>\n<p class="fault">Please give your '
      .. "number with its country code", text)
    assert.truthy(text:find('value="&quot;&gt;&lt;b&gt;Ada"', 1, true))
    assert.is_nil(text:find("<b>", 1, true))
    assert.is_nil(text:find('class="notice"', 1, true))
    assert.equal(0, #server:requests())
  end)

  it("asks for a name", function()
    local status, text = fill_in(" ", "+18183334444")
    assert.equal(422, status)
    assert.matches('name="name"[^>]*>\n<p class="fault">Please', text)
    assert.equal(0, #server:requests())
  end)

  it("sends no message of a stranger's in place of a name", function()
    for _, name in ipairs { "Ada, see example.org", "http:\\", "call 555",
      ("Ada "):rep(20) } do
      local status, text = fill_in(name, "+18183334444")
      assert.equal(422, status)
      assert.matches('name="name"[^>]*>\n<p class="fault">Please', text)
    end
    assert.equal(0, #server:requests())
  end)

  it("takes a number as people write it", function()
    for i, phone in ipairs { "+1 (818) 333-4444",
      "\226\128\170+1\194\160818\226\128\145333-4444\226\128\172" } do
      assert.equal(200, (fill_in("J. R. Ada", phone)))
      assert.equal("+18183334444", server:messages()[i].remote_phone)
    end
  end)

  it("texts the countries it was told of, and no others", function()
    for _, phone in ipairs { "+447911123456", "+8818333444" } do
      local status, text = fill_in("Ada", phone)
      assert.equal(422, status)
      assert.truthy(text:find("numbers that begin with +1.", 1, true))
    end
    assert.equal(0, #server:requests())
  end)

  it("texts nobody for an address that asks too often", function()
    local address = "127.0.1.1"
    for _ = 1, 2 do
      assert.equal(200, (fill_in("Ada", "+18183334444", address)))
    end
    local status, text = fill_in("Ada", "+18183334444", address)
    assert.equal(429, status)
    assert.truthy(text:find("Please wait a minute", 1, true))
    assert.equal(2, #server:messages())
    assert.equal(200, (fill_in("Ada", "+18183334444")))
    assert.equal(200, (select(2, http.request(page))))
  end)

  it("says in its own words what Close refused", function()
    local function refuse(field)
      assert(server:fault { kind = "status", status = 400,
        body = ('{"field-errors": {"%s": "cannot be <here>"}}'):format(field) })
      local status, text = fill_in("Ada", "+18183334444")
      assert.is_nil(text:find("cannot be", 1, true))
      return status, text
    end
    local status, text = refuse "remote_phone"
    assert.equal(422, status)
    assert.matches('name="phone".-<p class="fault">Please give your', text)
    status, text = refuse "lead_id"
    assert.equal(502, status)
    assert.truthy(text:find("The message was not sent.", 1, true))
  end)

  it("says so where nobody knows whether it was sent", function()
    assert(server:fault { kind = "reset", acted = true, method = "PUT" })
    assert(server:fault { kind = "status", status = 403, method = "GET" })
    local status, text = fill_in("Ada", "+18183334444")
    assert.equal(502, status)
    assert.truthy(text:find("We cannot tell whether", 1, true))
    assert.equal(1, #server:messages())
  end)

  it("sends once where an answer is lost", function()
    assert(server:fault { kind = "reset", acted = true, method = "PUT" })
    local status = fill_in("Ada", "+18183334444")
    assert.equal(200, status)
    assert.equal(1, #server:messages())
  end)

  it("says that nothing was sent where that is so", function()
    assert(server:fault { kind = "status", status = 403 })
    local status, text = fill_in("Ada", "+18183334444")
    assert.equal(502, status)
    assert.truthy(text:find("The message was not sent.", 1, true))
  end)

  it("starts with a sandbox of its own, and ends with all of it", function()
    local other
    local first = page
    other, page = start { "CLOSE_COUNTRY_CODES=+1 +44" }
    assert.truthy(page)
    local status, text = fill_in("Ada", "+447911123456")
    local port = tonumber(page:match ":(%d+)/")
    page = first
    assert.equal(200, status)
    assert.truthy(text:find("Your text is on its way.", 1, true))
    other:kill()
    assert.equal(0, other:wait(5))
    assert.is_nil(socket.connect("127.0.0.1", port))
  end)

  it("does not send for real from a number that it made up", function()
    local status = process.run {
      "env", "CLOSE_API_KEY=api_x", "CLOSE_LOCAL_PHONE=", "sh", "-c",
      "exec examples/openresty/run.sh 2>/dev/null" }
    assert.is_false(status)
  end)
end)
