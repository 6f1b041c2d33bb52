-- Text messages from a game server, through Close. A step of the server never
-- waits for one: it is begun in one step, and its answer comes in a later one.
--
-- The mod loads a C module, which mod security forbids but to mods that the
-- server's owner trusts; and it takes the API key from the environment:
--   minetest.conf: secure.trusted_mods = close_sms
--   shell: CLOSE_API_KEY=api_... luanti --server ...

-- luacheck: globals minetest close_sms

local insecure = minetest.request_insecure_environment() or
  error "close_sms: add it to secure.trusted_mods in minetest.conf"

-- What is loaded requires more, and finds that function in the globals, where
-- it is put for this moment. No other mod runs meanwhile, and none gets it.
local forbidden = rawget(_G, "require")
rawset(_G, "require", insecure.require)
local found, close = pcall(insecure.require, "close")
rawset(_G, "require", forbidden)
if not found then error("close_sms: " .. close) end

-- A callback may be another mod's. What it throws is told nowhere else.
local client, problem = close.new { loop = "poll", on_event = function(event)
  if event.callback_error then
    minetest.log("error", "[close_sms] a callback: " .. event.callback_error)
  end
end }
if not client then error("close_sms: " .. tostring(problem)) end

minetest.register_globalstep(function() client:poll() end)

-- Messages that are under way when the server stops get two seconds.
minetest.register_on_shutdown(function()
  client:wait(2)
  client:close()
end)

close_sms = {}

--- Sends a text. The callback gets true, or false and a line to show.
function close_sms.send(text, callback)
  local request, err = client.sms.send_async({
    local_phone = minetest.settings:get "close_sms.local_phone",
    remote_phone = minetest.settings:get "close_sms.remote_phone",
    text = text,
  }, function(sms, err)
    minetest.log(sms and "action" or "error",
      "[close_sms] " .. (sms and "sent " .. sms.id or tostring(err)))
    if sms then return callback(true) end
    callback(false, err.outcome == "unknown" and
      "It may have been sent or not: " .. err.message or
      "It was not sent: " .. err.message)
  end)
  if not request then callback(false, err.message) end
end

minetest.register_privilege("sms", {
  description = "Can send text messages",
  give_to_singleplayer = false,
})

minetest.register_chatcommand("sms", {
  params = "<text>",
  description = "Sends a text message",
  privs = { sms = true },
  func = function(name, text)
    close_sms.send(text, function(sent, why)
      minetest.chat_send_player(name, sent and "The message is sent." or why)
    end)
    return true, "Sending..."
  end,
})
