-- bin/close-sandbox in a shell: its arguments, what it prints and what it never
-- prints, and how it ends.

local process = require "spec.support.process"
local support = require "spec.support.sandbox_client"

local SMS, OUTBOX = support.SMS, support.OUTBOX

local server

setup(function() server = support.start() end)
teardown(support.stop_all)
after_each(process.stop_all)

-- The command line of the script, with what it prints in one stream.
local function command(arguments, environment)
  return ("env %s %s bin/close-sandbox %s 2>&1"):format(environment or "",
    process.quote(process.interpreter()), arguments)
end

-- What a run that ends by itself prints, and its exit status.
local function run(arguments)
  local text = process.capture(command(arguments) .. "; echo $?")
  local output, status = text:match "^(.-)(%d+)$"
  return tonumber(status), output
end

-- Starts one that serves. Returns its process, a client of it with that key,
-- and the line that it prints first.
local function serve(arguments, environment, api_key)
  local child = process.start(
    { "sh", "-c", "exec " .. command(arguments, environment) },
    { stdout = "pipe" })
  local line = assert(child.stdout:read "*l", "it ended")
  local url = line:match "export CLOSE_BASE_URL=(%S+) "
  local client = support.new { url = url, api_key = api_key or "api_sandbox" }
  return child, client, line
end

-- Ends one that serves. Returns what it has printed after its first line.
local function finish(child, signal)
  child:kill(signal)
  assert(child:wait(support.PATIENCE))
  return child.stdout:read "*a"
end

describe("close.sandbox bin/close-sandbox", function()
  it("prints how to point the client at it, and serves", function()
    local _, client, line = serve "--port 0"
    assert.matches("CLOSE_API_KEY=api_sandbox$", line)
    assert.equal(200, (client:call("GET", SMS)))
  end)

  it("logs a line per request, with nothing private in it", function()
    local child, client, line = serve("--port=0",
      "CLOSE_SANDBOX_API_KEY=api_hush CLOSE_SANDBOX_ACCESS_TOKEN=token_hush",
      "api_hush")
    local sms = client:create(OUTBOX)
    client:call("GET", SMS .. "?lead_id=%2B16505172539")
    client:call("GET", SMS .. sms.id .. "/")
    client:call("GET", "/Hello/+16505172539/")
    assert.equal(200, (client:call("GET", SMS, nil,
      { authorization = "Bearer token_hush" })))
    local printed = line .. "\n" .. finish(child)
    assert.matches("POST /api/v1/activity/sms/ %-> 200 in %d+ ms", printed)
    assert.matches("GET /api/v1/activity/sms/{id}/ -> 200", printed, 1, true)
    assert.matches("GET (other) -> 404", printed, 1, true)
    for _, private in ipairs { "_hush", "Hello", "6505172539", "7911" } do
      assert.not_matches(private, printed, 1, true)
    end
  end)

  it("logs nothing where it is told to be quiet", function()
    local child, client, line = serve "--port 0 --quiet"
    assert.equal(200, (client:call("GET", SMS)))
    assert.not_matches("GET", line .. "\n" .. finish(child), 1, true)
  end)

  it("ends quietly at Ctrl-C", function()
    assert.equal("", finish((serve "--port 0"), "INT"))
  end)

  it("limits the rate where it is asked to", function()
    local _, client = serve "--port 0 --rate-limit 1/30"
    local one, two = client:call("GET", SMS), client:call("GET", SMS)
    assert.same({ 200, 429 }, { one, two })
  end)

  it("prints its usage", function()
    local status, text = run "--help"
    assert.equal(0, status)
    assert.matches("--port N", text, 1, true)
  end)

  it("refuses arguments it does not know with status 2", function()
    for _, arguments in ipairs { "--nope", "x", "--port", "--port x",
      "--port 65536", "--host 0.0.0.0", "--rate-limit 0/1",
      "--api-key api_x" }
    do
      local status, text = run(arguments)
      assert.equal(2, status, arguments)
      assert.matches("^close%-sandbox: ", text)
    end
  end)

  it("says with status 1 that an address is in use", function()
    local status, text = run("--port " .. server.port)
    assert.equal(1, status)
    assert.matches("address already in use", text, 1, true)
  end)
end)
