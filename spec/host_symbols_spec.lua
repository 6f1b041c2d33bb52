-- A host that has functions of lua-cjson's names, of another version, as
-- Neovim may: they must not take part in writing a message.
-- build/other_strbuf.so plays the host. AddressSanitizer ends a program that
-- loads a library with its own functions first.
local process = require "spec.support.process"

local function printed(script)
  local preload = (os.getenv "LD_PRELOAD" or "") .. ":build/other_strbuf.so"
  local command = { "env", "LD_PRELOAD=" .. preload }
  for _, word in ipairs(process.lua(script)) do command[#command + 1] = word end
  return process.capture(command)
end

describe("in a host with functions of lua-cjson's names", function()
  it("lua-cjson alone loses what it is to escape", function()
    assert.equal('["ab"]',
      printed [[print((require "cjson".encode { "a\nb" }))]])
  end)

  it("a message is written whole #unsanitized", function()
    assert.equal('{"text":"a\\n\\"b\\"\\\\"}', printed [[
      local json = require "close.json"
      print((json.encode_strings { text = 'a\n"b"\\' }))]])
  end)

  it("close tells that another module has loaded it #unsanitized", function()
    assert.matches("require close before other modules that use lua-cjson, " ..
      "or link lua-cjson with -Wl,-Bsymbolic",
      printed [[
        require "cjson"
        print(select(2, pcall(require, "close")))]], 1, true)
  end)
end)
