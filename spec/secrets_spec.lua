-- The key, the token, the text and the phone numbers are never shown: not in an
-- error, a response, an event, a log line, what the core returns, or anything
-- that the process prints.
local close = require "close"
local core = require "close.core"
local nginx = require "spec.support.nginx"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local KEY, TEXT, PHONE = "s3cretkey", "s3crettext", "+19998887777"
local SECRETS = { KEY, support.base64(KEY .. ":"), TEXT, PHONE }

local FAILURES = {
  { close = true }, { reset = true }, { at = "headers", reset = true },
  { at = "accept", reset = true }, { status = 302 }, { status = 400 },
  { status = 401 }, { status = 404 }, { status = 500 },
  { body = "{" }, { body = "<html>" }, { answer = "garbage\r\n\r\n" },
  { delay = 5 }, { endless = "body" }, { endless = "headers" },
  { status = 400, body = { error = "no" } },
  { status = 429 }, -- the last one: it holds those after it
}

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

local function keeps_them(...)
  for i = 1, select("#", ...) do
    for _, word in ipairs(SECRETS) do
      assert.is_false(support.tells((select(i, ...)), word))
    end
  end
end

local function params()
  return support.params{ text = TEXT, local_phone = PHONE }
end

-- Each kind of credentials, under the name of its option.
local function credentials()
  return { api_key = KEY, access_token = function() return KEY end }
end

describe("the key and the text", function()
  it("stand in no error, response or event, whatever fails", function()
    for name, secret in pairs(credentials()) do
      local events = {}
      local client = support.new(server, { [name] = secret, max_retries = 0,
        attempt_timeout = 0.2, max_response_bytes = 1e5,
        on_event = function(event) events[#events + 1] = event end })
      for _, step in ipairs(FAILURES) do
        server:script{ step, step }
        local sms, err, response = client.sms.create(params())
        assert.is_nil(sms)
        keeps_them(err, response, client)
      end
      assert.is_true(#events >= #FAILURES)
      keeps_them(events)
    end
  end)

  it("stand in no error where nobody answers", function()
    local client = support.new("http://127.0.0.1:" .. ports.refusing(), {
      api_key = KEY, max_retries = 0 })
    keeps_them(select(2, client.sms.create(params())), client)
    client = support.new("https://127.0.0.1:" .. server.port, {
      api_key = KEY, max_retries = 0, connect_timeout = 0.2 })
    keeps_them(select(2, client.sms.create(params())), client)
  end)

  it("stand in no error of a server that cannot be trusted", function()
    local front = nginx.start{ upstream = server.url }
    local client = support.new(front.h2, { api_key = KEY, max_retries = 0 })
    local _, err = client.sms.create(params())
    front:stop()
    assert.equal("tls", err.kind)
    keeps_them(err)
    assert.equal(0, #server:ledger())
  end)

  it("stand in no error of a call that is cancelled", function()
    server:script{ { status = 429, headers = { ["Retry-After"] = "5" } } }
    local client
    client = support.new(server, { api_key = KEY,
      on_event = function() client:close() end })
    local _, err = client.sms.create(params())
    assert.equal("cancelled", err.kind)
    keeps_them(err)
    keeps_them(select(2, client.sms.create(params()))) -- it is closed
  end)

  it("stand in no error of validation or of options", function()
    local client = support.new(server, { api_key = KEY })
    keeps_them(select(2, client.sms.create(support.params{ text = TEXT,
      template_id = "x", remote_phone = PHONE .. "x", send_in = 60 })))
    keeps_them(select(2, client.sms.create(support.params{
      text = TEXT .. "\255", status = "snet", body = TEXT })))
    keeps_them(select(2, client.sms.create(params(), { timeout = 0 })))
    keeps_them(select(2, close.new{ api_key = KEY, timeout = 0 }))
    keeps_them(select(2, close.new{ api_key = KEY, access_token = KEY }))
    keeps_them(select(2, close.new{ api_key = KEY .. "\r\nX: y" }))
    keeps_them(select(2, close.new{ access_token = KEY .. " " .. KEY }))
    keeps_them(select(2, close.new{ api_key = "x",
      base_url = "https://user:" .. KEY .. "@api.example.com/" }))
    keeps_them(select(2, close.new{ KEY }))
  end)

  it("stand not in the client, nor in its line", function()
    local client = support.new(server, { api_key = KEY })
    keeps_them(client)
    assert.is_nil(tostring(client):find("\n"))
  end)

  it("stand not in the URL", function()
    assert(support.new(server, { api_key = KEY }).sms.create(params()))
    for _, word in ipairs(SECRETS) do
      assert.is_nil(server:ledger()[1].target:find(word, 1, true))
    end
  end)
end)

-- Below the client: all that the C core hands to Lua of a failed call.
describe("the core's strings", function()
  local function ends(engine)
    local found = {}
    for _ = 1, 1000 do
      local id, response, failure = engine:done()
      if id then
        local event = engine:event()
        while event do
          found[#found + 1], event = event, engine:event()
        end
        return response, failure, found
      end
      engine:step(1, 1)
    end
    error "the call did not end"
  end

  it("hold neither", function()
    local engine = core.engine{ user_agent = "spec", plain = true,
      events = true, connect_timeout = 1, attempt_timeout = 0.2,
      max_response_bytes = 1e5, max_in_flight = 4 }
    for _, scheme in ipairs{ "basic", "bearer" } do
      for _, step in ipairs(FAILURES) do
        server:script{ step }
        engine:submit("POST", server.url .. "/activity/sms/", scheme, TEXT,
          scheme, KEY, core.now() + 10, 0)
        local response, failure, events = ends(engine)
        assert.equal(1, #events)
        assert(failure or response)
        keeps_them(response, failure, events)
      end
    end
    engine:close()
  end)
end)

describe("a process that fails", function()
  -- It may print what it gets; nobody else in it prints anything.
  local SCRIPT = [[
    io.stdout:setvbuf "line" -- stderr must not come in the middle of one
    local close = require "close"
    local url, key, text, phone = %q, %q, %q, %q
    local client = close.new{ base_url = url, api_key = key,
      attempt_timeout = 1, max_retries = 0, on_event = function(e)
        for name, value in pairs(e) do print("event", name, value) end
      end }
    for _ = 1, %d do
      local sms, err = client.sms.create{ status = "outbox", text = text,
        local_phone = phone, remote_phone = phone }
      print(sms, err, client, err and err.message)
    end
    print(select(2, client.sms.create{ text = text, body = text }))
    error(select(2, client.sms.create{ text = text, body = text }))
  ]]

  it("prints neither", function()
    server:script(FAILURES)
    local argv = process.lua(SCRIPT:format(server.url, KEY, TEXT, PHONE,
      #FAILURES))
    for i, word in ipairs(argv) do argv[i] = process.quote(word) end
    local printed = process.capture(table.concat(argv, " ") .. " 2>&1")
    local events = select(2, printed:gsub("event\tattempt", ""))
    assert.equal(#FAILURES, events, printed)
    assert.matches("close: validation", printed)
    for _, word in ipairs(SECRETS) do
      assert.is_nil(printed:find(word, 1, true), printed)
    end
  end)
end)
