-- examples/luanti, by its one command: the mod in a real server.
local http = require "socket.http"
local json = require("cjson").new()
local luanti = require "spec.support.luanti"
local process = require "spec.support.process"

describe("the Luanti example", function()
  local game, sandbox

  setup(function()
    game = luanti.start { run = "examples/luanti/run.sh",
      trusted = "close_sms" }
    sandbox = game:lua "return os.getenv 'CLOSE_BASE_URL'"
      :gsub("/api/v1$", "/_sandbox")
    -- Nobody has joined: what a player would be told is kept.
    game:lua [[
      function minetest.chat_send_player(name, text)
        host.told = name .. ": " .. text
      end
    ]]
  end)

  before_each(function()
    game:lua "host.told = nil"
    http.request(sandbox .. "/reset", "")
  end)

  teardown(function() game:stop() end)

  local function say(text)
    return game:lua(([[
      local command = minetest.registered_chatcommands.sms
      local ok, said = command.func("owner", %q)
      return { ok = ok, said = said, told = host.told }
    ]]):format(text))
  end

  it("sends what /sms says, and tells the player in a later step", function()
    local now = say "Hello from the mine"
    assert.same({ ok = true, said = "Sending..." }, now)
    assert.equal("owner: The message is sent.",
      game:wait_for "return host.told")
    local messages = json.decode((http.request(sandbox .. "/messages"))).data
    assert.equal(1, #messages)
    assert.equal("Hello from the mine", messages[1].text)
    assert.equal("+18183334444", messages[1].remote_phone)
    assert.matches("sent " .. messages[1].id, game:log(), 1, true)
  end)

  it("tells the player what went wrong, and whether it may have been sent",
    function()
      for _, fault in ipairs {
        '{"kind": "reset", "acted": true, "method": "PUT"}',
        '{"kind": "status", "status": 403, "method": "GET"}',
      } do
        http.request(sandbox .. "/faults", fault)
      end
      say "Hello?"
      assert.matches("^owner: It may have been sent or not: ",
        game:wait_for "return host.told")
      say ""
      assert.matches("^owner: It was not sent: ", game:wait_for [[
        return host.told and host.told:find "was not" and host.told
      ]])
    end)

  it("logs what another mod's callback throws", function()
    game:lua [[
      close_sms.send("Hello", function()
        host.told = "called"
        error "a mistake of another mod"
      end)
    ]]
    assert.equal("called", game:wait_for "return host.told")
    game:wait_for "return true"
    assert.matches("a callback: .*a mistake of another mod", game:log())
  end)

  it("asks for a privilege", function()
    assert.is_true(game:lua [[
      local command = minetest.registered_chatcommands.sms
      return command.privs.sms and not minetest.check_player_privs("guest",
        command.privs)
    ]])
  end)

  it("leaves no way to the C module for other mods", function()
    local got = game:lua [[
      local got, why = pcall(rawget(_G, "require"), "close")
      return { got = got, why = tostring(why) }
    ]]
    assert.is_false(got.got)
    assert.matches("security", got.why)
  end)

  it("stops with the server, and the sandbox with it", function()
    http.request(sandbox .. "/faults", '{"kind": "delay", "seconds": 20}')
    say "Too late"
    game.child:kill "TERM"
    assert.equal(0, game.child:wait(10))
    assert.matches("cancelled", game:log())
    assert.is_false(process.exists(game.child.pid))
    assert.is_true(process.eventually(function()
      return not http.request(sandbox .. "/")
    end))
  end)
end)
