-- The code for Neovim and nginx in docs/hosts.md, as it stands there, in a real
-- one: it sends, and shows every failure in words.
local files = require "spec.support.files"
local nginx_host = require "spec.support.nginx_host"
local nvim = require "spec.support.nvim"
local page = require "spec.support.page"
local process = require "spec.support.process"
local sandbox = require "close.sandbox"

local server

-- How many messages are sent, and how many drafts there are.
local function count()
  local sent, drafts = 0, 0
  for _, message in ipairs(server:messages()) do
    if message.status == "draft" then drafts = drafts + 1 else
      sent = sent + 1
    end
  end
  return sent, drafts
end

describe("docs/hosts.md", function()
  setup(function() server = assert(sandbox.start()) end)

  before_each(function() server:reset() end)

  teardown(function() server:stop() end)

  describe("for Neovim", function()
    local editor

    after_each(function() editor:stop() end)

    local function start(key, patience)
      editor = nvim.start { env = { CLOSE_BASE_URL = server.url,
        CLOSE_API_KEY = key } }
      local path = editor.dir .. "/snippet.lua"
      local code, n = page.block("docs/hosts.md", "Neovim"):gsub("wait%(5%)",
        patience and "wait(" .. patience .. ")" or "%0")
      assert.is_true(n == 1 or not patience)
      files.write(path, code)
      -- Not by host.lua: what a plugin's file would see.
      editor:lua(([[
        vim.cmd "luafile %s"
        vim.g.my_number = "+14154445555"
        vim.fn.setline(1, "Hello")
        told = {}
        function vim.notify(text)
          table.insert(told, text)
          vim.fn.writefile({ text }, %q, "a")
        end
      ]]):format(path, editor.dir .. "/told"))
    end

    it("sends the line", function()
      start(server.api_key)
      editor:keys ":Text +18183334444<CR>"
      assert.matches("^sent as acti_", editor:wait_for "return told[1]")
      assert.equal(1, (count()))
    end)

    it("shows what is wrong", function()
      start(server.api_key)
      editor:keys ":Text 0123<CR>"
      assert.matches("validation: ", editor:wait_for "return told[1]")
    end)

    it("shows that there is no key", function()
      start()
      editor:keys ":Text +18183334444<CR>"
      assert.matches("config: .*CLOSE_API_KEY",
        editor:wait_for "return told[1]")
    end)

    it("waits when the editor quits, and shows what was not sent", function()
      start(server.api_key)
      assert(server:fault { kind = "delay", seconds = 0.3 })
      assert.equal(0, editor:quit("!", ":Text +18183334444<CR>"))
      assert.equal(1, (count()))
      editor:stop()

      start(server.api_key, 0.3)
      assert(server:fault { kind = "delay", seconds = 20, method = "PUT" })
      local path = editor.dir .. "/told"
      assert.equal(0, editor:quit("!", ":Text +18183334444<CR>"))
      assert.matches("^close: cancelled: ", files.read(path))
    end)
  end)

  describe("for nginx", function()
    local host

    after_each(function()
      if host then host:stop() end
      host = nil
    end)

    local function start(key)
      host = nginx_host.start {
        whole = page.block("docs/hosts.md", "nginx"),
        env = { "CLOSE_BASE_URL=" .. server.url, key and
          "CLOSE_API_KEY=" .. key or nil },
      }
    end

    it("sends to the number that it is given", function()
      start(server.api_key)
      local status, text = host:get "/text?to=%2B18183334444"
      assert.equal(200, status)
      assert.matches("^acti_", text)
      assert.equal("+18183334444", server:messages()[1].remote_phone)
    end)

    it("sends nothing where there is no number, and says so", function()
      start(server.api_key)
      for _, query in ipairs { "", "?to", "?to=", "?to=0818",
        "?to=%2B18183334444&to=%2B18183334445" } do
        local status, text = host:get("/text" .. query)
        assert.equal(400, status, query)
        assert.matches(query:find "=%d" and "validation" or "%l%l", text)
      end
      assert.equal(0, #server:requests())
    end)

    it("shows what Close says, and that there is no key", function()
      start "api_wrong"
      local status, text = host:get "/text?to=%2B18183334444"
      assert.equal(502, status)
      assert.matches("^close: authentication: ", text)
      host:stop()
      local ok, why = pcall(start)
      assert.is_false(ok)
      assert.matches("init_by_lua error: .*config: .*CLOSE_API_KEY", why)
    end)
  end)

  it("has an example that says in words why it does not start", function()
    local said = process.capture("env CLOSE_API_KEY=api_x " ..
      "CLOSE_BASE_URL=http://a.example CLOSE_LOCAL_PHONE=+14154445555 " ..
      "examples/openresty/run.sh 2>&1")
    assert.matches("config: base_url: http would send the key", said)
  end)

  it("has a test for each of its snippets", function()
    local langs = {}
    for i, block in ipairs(page.blocks "docs/hosts.md") do
      langs[i] = block.lang
    end
    assert.same({ "lua", "lua", "lua", "nginx", "lua" }, langs)
  end)
end)
