-- The contract in the real hosts: nginx's worker and Neovim's main thread.
local contract = require "spec.support.contract"
local nginx_host = require "spec.support.nginx_host"
local nvim = require "spec.support.nvim"

describe("the contract in nginx", function()
  local host

  setup(function()
    contract.start()
    host = nginx_host.start{ upstream = "http://127.0.0.1:1",
      locations = [[location = /contract { content_by_lua_block {
        local ok, why = require "spec.contract.run"(
          ngx.unescape_uri(ngx.var.arg_name),
          ngx.unescape_uri(ngx.var.arg_url), "ngx")
        ngx.say(require("cjson").encode { ok = ok, why = tostring(why) })
      } }]] }
  end)
  teardown(function()
    host:stop()
    contract.stop()
  end)

  local function escaped(text)
    return (text:gsub("[^%w]", function(c)
      return ("%%%02X"):format(c:byte())
    end))
  end

  for name, check in contract.each(function(name, url)
    local verdict = host:json(("/contract?name=%s&url=%s"):format(
      escaped(name), escaped(url)))
    return verdict.ok, verdict.why
  end) do
    it(name, check)
  end

  it("leaves no complaint in the log", function()
    assert.same({}, host:complaints())
  end)
end)

describe("the contract in Neovim", function()
  local editor

  setup(function()
    contract.start()
    editor = nvim.start()
  end)
  teardown(function()
    editor:stop()
    contract.stop()
  end)

  for name, check in contract.each(function(name, url)
    local verdict = editor:lua([[
      local ok, why = require "spec.contract.run"(arg.name, arg.url, "luv")
      return { ok = ok, why = tostring(why) }
    ]], { name = name, url = url })
    return verdict.ok, verdict.why
  end) do
    it(name, check)
  end
end)
