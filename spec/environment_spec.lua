-- Which environment variables are read, and which are not. They are set for a
-- child, so that no test depends on those of this process.
local json = require("cjson").new()
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)

describe("the environment", function()
  -- Runs code in a child that has these variables and no others of ours; code
  -- has close and say(value, err), which prints it as JSON.
  local function run(variables, code)
    local words = { "env", "-u", "CLOSE_API_KEY", "-u", "CLOSE_ACCESS_TOKEN",
      "-u", "CLOSE_BASE_URL" }
    for name, value in pairs(variables) do
      words[#words + 1] = name .. "=" .. value
    end
    for _, word in ipairs(process.lua([[
      local close = require "close"
      local function say(value, err)
        print(require("cjson").encode{ value = value and tostring(value),
          kind = err and err.kind, message = err and tostring(err) })
      end
    ]] .. code)) do
      words[#words + 1] = word
    end
    return json.decode(process.capture(words))
  end

  local SEND = 'local sms, err = close.sms.create{ status = "draft" }\n'
    .. "say(sms and sms.id, err)"

  local function authorization()
    return server:ledger()[1].headers.authorization
  end

  it("may hold the key and the address", function()
    local said = run({ CLOSE_API_KEY = "from_env",
      CLOSE_BASE_URL = server.url }, SEND)
    assert.matches("^acti_", said.value)
    assert.equal("Basic " .. support.base64("from_env:"), authorization())
  end)

  it("may hold an access token", function()
    run({ CLOSE_ACCESS_TOKEN = "from_env", CLOSE_BASE_URL = server.url }, SEND)
    assert.equal("Bearer from_env", authorization())
  end)

  it("may hold both credentials: the key comes first", function()
    local said = run({ CLOSE_API_KEY = "from_env",
      CLOSE_ACCESS_TOKEN = "token", CLOSE_BASE_URL = server.url }, SEND)
    assert.matches("^acti_", said.value)
    assert.equal("Basic " .. support.base64("from_env:"), authorization())
  end)

  it("holds nothing where a variable is empty", function()
    local said = run({ CLOSE_API_KEY = "", CLOSE_ACCESS_TOKEN = "token",
      CLOSE_BASE_URL = server.url }, SEND)
    assert.matches("^acti_", said.value)
    assert.equal("Bearer token", authorization())
    said = run({ CLOSE_API_KEY = "k", CLOSE_BASE_URL = "" },
      "say(close.new())")
    assert.is_string(said.value)
  end)

  it("gives way to options", function()
    run({ CLOSE_API_KEY = "from_env", CLOSE_BASE_URL = "http://127.0.0.1:1" },
      ("close.configure{ access_token = 'mine', base_url = %q }\n"):format(
        server.url) .. SEND)
    assert.equal("Bearer mine", authorization())
  end)

  it("without a credential makes an error that says what to do", function()
    local said = run({ CLOSE_BASE_URL = server.url }, SEND)
    assert.equal("config", said.kind)
    assert.matches("CLOSE_API_KEY", said.message)
    assert.equal("config", run({}, "say(close.new())").kind or
      run({}, "say(close.new{})").kind)
  end)

  it("is held to the same rules", function()
    for _, variables in ipairs{
      { CLOSE_API_KEY = "k", CLOSE_BASE_URL = "http://example.com/" },
      { CLOSE_API_KEY = "a:b", CLOSE_BASE_URL = server.url },
      { CLOSE_ACCESS_TOKEN = "a b", CLOSE_BASE_URL = server.url },
    } do
      assert.equal("config", run(variables, SEND).kind)
    end
  end)

  it("cannot send the key through a proxy", function()
    local dead = "http://127.0.0.1:9"
    run({ CLOSE_API_KEY = "k", CLOSE_BASE_URL = server.url,
      http_proxy = dead, all_proxy = dead, ALL_PROXY = dead,
      HTTP_PROXY = dead, no_proxy = "" }, SEND)
    assert.equal("/api/v1/activity/sms/", server:ledger()[1].target)
  end)

  it("cannot send the key past the proxy that was named", function()
    for _, name in ipairs{ "no_proxy", "NO_PROXY" } do
      for _, hosts in ipairs{ "*", "127.0.0.1,localhost" } do
        server:reset()
        server:default{ status = 403 }
        run({ CLOSE_API_KEY = "k", CLOSE_BASE_URL = "https://127.0.0.1:9",
          [name] = hosts }, ([[
          close.configure{ proxy = "http://127.0.0.1:%d", max_retries = 0 }
        ]]):format(server.port) .. SEND)
        local first = server:ledger()[1]
        assert.equal("127.0.0.1:9", first and first.target)
      end
    end
  end)

  it("cannot bring other credentials, nor curl's settings", function()
    local dir = process.tempdir()
    for name, text in pairs{
      [".netrc"] = "machine 127.0.0.1 login theirs password theirs\n",
      [".curlrc"] = 'user-agent = "theirs"\nuser = "theirs:theirs"\n',
    } do
      local file = assert(io.open(dir .. "/" .. name, "w"))
      file:write(text)
      file:close()
    end
    for _, key in ipairs{ "CLOSE_API_KEY", "CLOSE_ACCESS_TOKEN" } do
      server:reset()
      run({ [key] = "ours", CLOSE_BASE_URL = server.url, HOME = dir,
        CURL_HOME = dir, XDG_CONFIG_HOME = dir, NETRC = dir .. "/.netrc",
        CURL_SSL_BACKEND = "theirs" }, SEND)
      assert.equal(key == "CLOSE_ACCESS_TOKEN" and "Bearer ours" or
        "Basic " .. support.base64("ours:"), authorization())
      assert.is_nil(
        server:ledger()[1].headers["user-agent"]:find("theirs", 1, true))
    end
    process.remove(dir)
  end)

  it("leaves the address at Close's own where nobody says", function()
    server:default{ status = 403 }
    run({ CLOSE_API_KEY = "k" }, ([[
      close.configure{ proxy = "http://127.0.0.1:%d", max_retries = 0 }
    ]]):format(server.port) .. SEND)
    assert.equal("api.close.com:443", server:ledger()[1].target)
    assert.matches("https://api.close.com/api/v1",
      run({ CLOSE_API_KEY = "k" }, "say(close.new())").value, 1, true)
  end)
end)
