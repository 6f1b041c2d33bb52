-- :checkhealth close_sms. Shows no key. It asks Close only where the user set
-- vim.g.close_sms.check_network.
-- luacheck: globals vim

local health = {
  network_timeout_s = 5, -- Neovim goes on with its events meanwhile
}

local ADVICE = {
  authentication = "Close refuses the key: is it a key of this account?",
  connection = "Is base_url right, is there a network, is there a proxy?",
  timeout = "Is the network slow, or does a firewall drop what is sent?",
  tls = "Are the authorities' certificates installed, is the clock right?",
}

-- A function of Neovim's: named otherwise before 0.10, elsewhere before 0.8.
local function report(name, ...)
  local reports = vim.health or require "health"
  local f = reports[name] or reports["report_" .. name]
  f(...)
end

local function check_library()
  report("info", rawget(_G, "jit") and jit.version or _VERSION)
  local found, close = pcall(require, "close")
  if not found then
    report("error", "The library does not load: " .. tostring(close),
      "See docs/install.md, Neovim.")
    return nil
  end
  local file = debug.getinfo(close.configure, "S").source:gsub("^@", "")
  report("ok", ("close %s: %s"):format(close._VERSION, file))
  report("info", "libcurl " .. require("close.core").curl_version)
  return close
end

local function base_url(client)
  return (tostring(client):gsub("^close%.Client: ", ""))
end

-- The names of what is set, never what it is.
local function names_of_keys()
  local names = {}
  for _, name in ipairs { "CLOSE_API_KEY", "CLOSE_ACCESS_TOKEN" } do
    if (os.getenv(name) or "") ~= "" then names[#names + 1] = name end
  end
  return names
end

-- Returns a client if all is well.
local function check_settings(close)
  local names = names_of_keys()
  -- Without a key it is only asked for its base_url, and sends nothing.
  local client, err = close.new(not names[1] and { api_key = "none" } or nil)
  if client then
    report("info", "base_url: " .. base_url(client))
  else
    report("error", tostring(err))
  end
  if not names[1] then
    report("error", "No key is set: no message can be sent.",
      "Set CLOSE_API_KEY, or CLOSE_ACCESS_TOKEN, where Neovim is started.")
    if client then client:close() end
    return nil
  end
  report(client and "ok" or "info", names[1] .. " is set." ..
    (names[2] and " It is used, and " .. names[2] .. " is not." or ""))
  return client
end

local function check_network(client)
  local me, err, response = client:request("GET", "/me/", {
    timeout = health.network_timeout_s, max_retries = 0,
  })
  if me or err.status and err.status ~= 407 then -- 407 is the proxy's
    report("ok", base_url(client):find "^[Hh][Tt][Tt][Pp][Ss]:" and
      "The name look-up and the TLS handshake work." or
      "The server answers. base_url is http: there was no TLS.")
  end
  if me then
    report("ok", ("Close takes the key. It answered in %.2f s."):format(
      response.elapsed))
  else
    report("error", tostring(err), ADVICE[err.kind])
  end
end

--- What :checkhealth calls.
function health.check()
  report("start", "close_sms")
  local close = check_library()
  local client = close and check_settings(close)
  if not client then return end
  local asked = (vim.g.close_sms or {}).check_network
  if asked and asked ~= 0 then
    check_network(client)
  else
    report("info", "The network was not tried: see :help close_sms-health")
  end
  client:close()
end

return health
