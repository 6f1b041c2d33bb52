-- The code in the README and in docs/hosts.md runs as it stands there, and
-- shows every failure in words. What needs a host is in
-- spec/hosts/snippets_spec.lua.
local files = require "spec.support.files"
local page = require "spec.support.page"
local process = require "spec.support.process"
local sandbox = require "close.sandbox"

local load = loadstring or load -- luacheck: ignore

local PAGES = { "README.md", "docs/from-scratch.md", "docs/hosts.md",
  "docs/reference.md", "docs/reliability.md", "docs/sandbox.md" }

-- What a page takes as given.
local GIVEN = [[
key = os.getenv "GIVEN_KEY"
messages = {}
for i = 1, 5 do
  messages[i] = { local_phone = "+14154445555", remote_phone = "+18183334444",
    text = "Hello " .. i }
end
params = messages[1]
function report(sms, err) print(sms and sms.id or err) end
]]

describe("the code in the documentation", function()
  local server, dir

  setup(function()
    server = assert(sandbox.start())
    dir = process.tempdir()
  end)

  before_each(function() server:reset() end)

  teardown(function()
    server:stop()
    process.remove(dir)
  end)

  -- Runs code in a process of its own: what it printed, and its exit status.
  local function run(code, environment)
    files.write(dir .. "/given.lua", GIVEN)
    files.write(dir .. "/snippet.lua", code)
    local lua = process.quote(process.interpreter())
    local pipe = assert(io.popen(("env -u CLOSE_API_KEY " ..
      "-u CLOSE_ACCESS_TOKEN CLOSE_BASE_URL=%s %s %s -e 'dofile(%q)' %s 2>&1" ..
      "; echo \"exit $?\""):format(server.url, environment or "", lua,
      dir .. "/given.lua", dir .. "/snippet.lua")))
    local text = pipe:read "*a"
    pipe:close()
    return text:match "^(.*)exit (%d+)\n$"
  end

  local function with_key(code)
    return run(code, ("CLOSE_API_KEY=%s GIVEN_KEY=%s"):format(server.api_key,
      server.api_key))
  end

  local function count(text, pattern)
    return select(2, text:gsub(pattern, ""))
  end

  it("is Lua", function()
    local checked = 0
    for _, path in ipairs(PAGES) do
      for _, block in ipairs(page.blocks(path)) do
        if block.lang == "lua" then
          assert(load(block.text, "@" .. path .. ": " .. block.heading))
          checked = checked + 1
        end
      end
    end
    assert.is_true(checked > 10)
  end)

  it("sends a message, by the README's first lines", function()
    local text, status = with_key(page.block("README.md", "close"))
    assert.equal("0", status, text)
    assert.matches("^accepted as acti_", text)
    assert.equal(1, #server:messages())
    text = run(page.block("README.md", "close"))
    assert.matches("^not_sent.*config.*CLOSE_API_KEY", text)
  end)

  it("prints what the README says it prints", function()
    local ran = 0
    for _, block in ipairs(page.blocks "README.md") do
      local said = {}
      for line in block.text:gmatch "%-%-+> ([^\n]*)" do
        said[#said + 1] = line
      end
      for line in block.text:gmatch "\n%-%- ([^\n]*)" do
        said[#said + 1] = line
      end
      if said[1] then
        local text = with_key('local close = require "close"\n' .. block.text)
        local lines = {}
        for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
        for i, line in ipairs(said) do -- "..." stands for the rest of a line
          local wanted = line:gsub("%s+", " "):gsub("%.%.%.$", "")
          local got = (lines[i] or ""):gsub("%s+", " ")
          assert.equal(wanted, got:sub(1, #wanted))
        end
        ran = ran + 1
      end
    end
    assert.equal(2, ran)
  end)

  it("sends many from a script, as docs/hosts.md has it", function()
    local code = page.block("docs/hosts.md", "A plain script")
    local text, status = with_key(code)
    assert.equal("0", status, text)
    assert.equal(5, count(text, "acti_%w+\n"))
    assert.equal(5, #server:messages())
    text, status = run(code)
    assert.equal("1", status)
    assert.matches("config: .*CLOSE_API_KEY", text)
    text = run(code, "GIVEN_KEY=api_wrong")
    assert.equal(5, count(text, "authentication: "))
  end)

  it("shows that it tries, as docs/hosts.md has it", function()
    local code = page.block("docs/hosts.md", "What a web handler answers")
    server:fault { kind = "status", status = 503 }
    local text, status = with_key(code ..
      "assert(assert(client, why).sms.send(params))")
    assert.equal("0", status, text)
    assert.matches("^POST failed: server, again in 0%.%d s\n$", text)
    assert.matches(": odd\n$", (with_key(code .. "assert(client, why)" ..
      ".sms.send_async(params, function() error 'odd' end) client:wait()")))
    assert.equal('{"errors":{}}', require "cjson".encode { errors = {} })
  end)

  it("sends from a tick, as docs/hosts.md has it", function()
    local code = page.block("docs/hosts.md", "A tick")
    local text, status = with_key('local close = require "close"\n' .. code)
    assert.equal("0", status, text)
    assert.matches("^acti_%w+\n$", text)
    text, status = run('local close = require "close"\n' .. code)
    assert.equal("1", status)
    assert.matches("config: .*CLOSE_API_KEY", text)
  end)
end)
