-- examples/neovim, by its one command: the plugin in a real Neovim.
local http = require "socket.http"
local json = require("cjson").new()
local files = require "spec.support.files"
local nvim = require "spec.support.nvim"
local process = require "spec.support.process"

describe("the Neovim example", function()
  local editor, sandbox

  setup(function()
    editor = nvim.start { program = { "examples/neovim/run.sh" } }
    sandbox = editor:lua("return vim.env.CLOSE_BASE_URL")
      :gsub("/api/v1$", "/_sandbox")
    editor:lua [[
      function vim.notify(text, level, options)
        table.insert(told, { text = text, level = level,
          title = options.title })
      end
    ]]
  end)

  local function begin_anew()
    http.request(sandbox .. "/reset", "")
    editor:lua [[
      told = {}
      vim.cmd "silent! %bwipeout!"
    ]]
  end

  before_each(begin_anew)

  teardown(function() editor:stop() end)

  local function write(lines, filetype)
    editor:lua([[
      vim.api.nvim_buf_set_lines(0, 0, -1, false, arg.lines)
      if arg.filetype then vim.bo.filetype = arg.filetype end
    ]], { lines = lines, filetype = filetype })
  end

  local function told()
    return editor:wait_for "return told[1]"
  end

  local function messages()
    return json.decode((http.request(sandbox .. "/messages"))).data
  end

  -- What is wrong, as "line code".
  local function faults()
    return editor:lua [[
      local lines = {}
      for i, it in ipairs(vim.diagnostic.get(0)) do
        lines[i] = ("%d %s"):format(it.lnum, it.code)
      end
      table.sort(lines)
      return table.concat(lines, ", ")
    ]]
  end

  it("sends the line that the cursor is on", function()
    write { "one", "two", "three" }
    editor:keys "2G:CloseSms<CR>"
    assert.same({ text = "Sent to +18183334444.", level = 2, title = "Close" },
      told())
    local sent = messages()
    assert.equal(1, #sent)
    assert.same({ "two", "+14154445555", "+18183334444" },
      { sent[1].text, sent[1].local_phone, sent[1].remote_phone })
  end)

  it("sends the lines that are selected, to the number that is given",
    function()
      write { "one", "two ☕", "three" }
      editor:keys "1GVj:CloseSms +442071838750<CR>"
      assert.equal("Sent to +442071838750.", told().text)
      assert.equal("one\ntwo ☕", messages()[1].text)
    end)

  it("tells what is wrong, and sends nothing", function()
    write { "one" }
    editor:keys ":CloseSms 0123<CR>"
    local said = told()
    assert.equal(4, said.level)
    assert.matches("validation: remote_phone is not in E.164", said.text, 1,
      true)
    assert.matches("outcome: rejected", said.text, 1, true)
    assert.equal(0, #messages())
  end)

  it("tells where the message may have been sent", function()
    for _, fault in ipairs {
      '{"kind": "reset", "acted": true, "method": "PUT"}',
      '{"kind": "status", "status": 403, "method": "GET"}',
    } do
      http.request(sandbox .. "/faults", fault)
    end
    write { "one" }
    editor:keys ":CloseSms<CR>"
    local text = told().text
    assert.matches("outcome: unknown", text, 1, true)
    local code = assert(text:match "\n:lua =(require.*)$", text)
    local id = code:match '"(acti_%w+)"'
    assert.equal(id, editor:lua("return assert(" .. code .. ").id"))
    assert.equal(1, #messages())
  end)

  it("lets one go on typing while a message is under way", function()
    assert.is_true(process.sometimes(function() -- that takes less than 2 s
      begin_anew()
      http.request(sandbox .. "/faults", '{"kind": "delay", "seconds": 2}')
      write { "one" }
      editor:keys ":CloseSms<CR>otwo<Esc>yyp"
      local now = editor:lua [[
        return { lines = vim.fn.getline(1, "$"), told = #told }
      ]]
      assert.same({ "one", "two", "two" }, now.lines)
      assert.equal("Sent to +18183334444.", told().text)
      return now.told == 0
    end))
  end)

  it("checks a message of its own file type as one types", function()
    write({ "to: 818", "", "" }, "sms")
    assert.equal("0 format, 2 required", faults())
    editor:keys "1GA 333<Esc>GiHello<Esc>"
    editor:wait_for "return vim.fn.getline(3) == 'Hello'"
    assert.equal("0 format", faults())
    editor:keys "1GSto: +18183335555<Esc>"
    editor:wait_for "return #vim.diagnostic.get(0) == 0"
    editor:keys ":CloseSms<CR>"
    assert.equal("Sent to +18183335555.", told().text)
    assert.equal("Hello", messages()[1].text)
  end)

  it("knows the file type by the name", function()
    editor:lua "vim.cmd('edit ' .. vim.fn.tempname() .. '.sms')"
    assert.equal("sms", editor:lua "return vim.bo.filetype")
    assert.equal("0 required", faults())
  end)

  describe(":checkhealth close_sms", function()
    local KEY = "api_sandbox"
    local START = "vim.env.%s = arg; vim.g.close_sms = { check_network = %s }"

    -- Its report, in a line. Fails if the key stands in it.
    local function health()
      local report = editor:lua [[
        vim.cmd "checkhealth close_sms"
        local lines = vim.fn.getline(1, "$")
        vim.cmd "bwipeout!"
        return (table.concat(lines, " "):gsub("%s+", " "))
      ]]
      assert.matches("close_sms", report, 1, true)
      assert.is_nil(report:find(KEY, 1, true))
      assert.is_nil(editor:messages():find(KEY, 1, true))
      editor:lua "vim.cmd 'messages clear'"
      return report
    end

    local function set(name, value, network)
      editor:lua(START:format(name, tostring(network or false)), value)
    end

    local function requests()
      return json.decode((http.request(sandbox .. "/requests"))).data
    end

    local url, settings

    before_each(function()
      url = editor:lua "return vim.env.CLOSE_BASE_URL"
      settings = editor:lua "return vim.g.close_sms"
    end)

    after_each(function()
      editor:lua([[
        vim.env.CLOSE_API_KEY, vim.env.CLOSE_BASE_URL = arg.key, arg.url
        vim.env.CLOSE_ACCESS_TOKEN = nil
        vim.g.close_sms = arg.settings
        require("close_sms.health").network_timeout_s = 5
      ]], { key = KEY, url = url, settings = settings })
    end)

    it("shows what is there, and leaves the network alone", function()
      local report = health()
      assert.matches("LuaJIT 2", report, 1, true)
      assert.matches("OK:? close 0%.1%.0: /[^ ]+/lua/close%.lua ", report)
      assert.matches("libcurl %d+%.%d+%.%d+ ", report)
      assert.matches("base_url: " .. url, report, 1, true)
      assert.matches("OK:? CLOSE_API_KEY is set%.", report)
      assert.matches("The network was not tried", report, 1, true)
      assert.same({}, requests())
    end)

    it("says that there is no key", function()
      set("CLOSE_API_KEY", nil)
      local report = health()
      assert.matches("ERROR:? No key is set", report)
      assert.matches("base_url: " .. url, report, 1, true)
    end)

    it("says that the key cannot be one", function()
      set("CLOSE_API_KEY", KEY .. " ")
      assert.matches("ERROR:? close: config: api_key must be plain", health())
    end)

    it("knows an access token", function()
      set("CLOSE_API_KEY", nil)
      set("CLOSE_ACCESS_TOKEN", KEY)
      assert.matches("OK:? CLOSE_ACCESS_TOKEN is set%.", health())
    end)

    it("asks Close, if told to", function()
      set("CLOSE_API_KEY", KEY, true)
      local report = health()
      assert.matches("OK:? The server answers%. .* no TLS", report)
      assert.matches("OK:? Close takes the key%. It answered in %d", report)
      assert.equal(1, #requests())
    end)

    it("says what kind of error the network has", function()
      set("CLOSE_API_KEY", KEY .. "x", true)
      local report = health()
      assert.matches("OK:? The server answers", report)
      assert.matches("ERROR:? close: authentication: ", report)
      set("CLOSE_API_KEY", KEY, true)
      http.request(sandbox .. "/faults", '{"kind": "delay", "seconds": 20}')
      editor:lua "require('close_sms.health').network_timeout_s = 0.1"
      assert.matches("ERROR:? close: timeout: ", health())
      editor:lua "require('close_sms.health').network_timeout_s = 5"
      set("CLOSE_BASE_URL", "http://127.0.0.1:1", true)
      assert.matches("ERROR:? close: connection: ", health())
    end)

    it("says that the library is not there", function()
      editor:lua [[
        loaded = package.loaded.close
        package.loaded.close = nil
        package.preload.close = function() error "no libcurl here" end
      ]]
      local report = health()
      editor:lua "package.preload.close, package.loaded.close = nil, loaded"
      assert.matches("ERROR:? The library does not load: .*no libcurl here",
        report)
    end)
  end)

  it("has a help", function()
    local dir = process.tempdir()
    assert(process.run { "cp", "examples/neovim/doc/close_sms.txt", dir })
    editor:lua("vim.cmd('helptags ' .. arg)", dir)
    for _, tag in ipairs { "close_sms", "close_sms-health", ":CloseSms",
      "g:close_sms" } do
      assert.equal("close_sms.txt *" .. tag .. "*", editor:lua([[
        vim.cmd("help " .. arg)
        local name, word = vim.fn.expand "%:t", vim.fn.expand "<cWORD>"
        vim.cmd "helpclose"
        return name .. " " .. word
      ]], tag))
    end
    -- No bar without its tag.
    local tags = files.read(dir .. "/tags")
    local text = files.read(dir .. "/close_sms.txt")
    for tag in text:gmatch "|(close_sms[%w_-]*)|" do
      assert.matches("\n" .. tag .. "\t", "\n" .. tags, 1, true)
    end
    process.remove(dir)
  end)

  it("sends what is under way when it quits", function()
    local server = assert(require("close.sandbox").start())
    local other = nvim.start {
      env = { CLOSE_API_KEY = server.api_key, CLOSE_BASE_URL = server.url },
      args = { "--cmd", "set runtimepath^=examples/neovim", "--cmd",
        "let g:close_sms = {'local_phone': '+14154445555'}" },
    }
    server:fault { kind = "delay", seconds = 0.3 }
    assert.equal(0, other:quit("!",
      "iHello<Esc>:CloseSms +18183334444<CR>"))
    local sent, said = server:messages(), other:said()
    other:stop()
    server:stop()
    assert.equal(1, #sent)
    assert.not_equal("draft", sent[1].status)
    assert.matches("Sending a text message.*Sent to %+18183334444", said)
  end)

  it("quits with a message under way, says so, and ends the sandbox",
    function()
      editor:lua [[
        local settings = vim.g.close_sms
        settings.wait = 0.2
        vim.g.close_sms = settings
      ]]
      http.request(sandbox .. "/faults", '{"kind": "delay", "seconds": 20}')
      write { "one" }
      editor:keys ":CloseSms<CR>"
      assert.matches("^%s*$", editor:messages())
      assert.equal(0, editor:quit "!")
      assert.matches("Neovim quits.\nTo +18183334444: close: cancelled: ",
        editor:said(), 1, true)
      assert.is_false(process.exists(editor.child.pid))
      assert.is_true(process.eventually(function()
        return not http.request(sandbox .. "/")
      end))
    end)
end)
