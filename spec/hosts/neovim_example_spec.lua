-- examples/neovim, by its one command: the plugin in a real Neovim.
local http = require "socket.http"
local json = require("cjson").new()
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

  before_each(function()
    http.request(sandbox .. "/reset", "")
    editor:lua [[
      told = {}
      vim.cmd "silent! %bwipeout!"
    ]]
  end)

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
    http.request(sandbox .. "/faults", '{"kind": "delay", "seconds": 2}')
    write { "one" }
    editor:keys ":CloseSms<CR>otwo<Esc>yyp"
    assert.same({ lines = { "one", "two", "two" }, told = 0 }, editor:lua [[
      return { lines = vim.fn.getline(1, "$"), told = #told }
    ]])
    assert.equal("Sent to +18183334444.", told().text)
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
