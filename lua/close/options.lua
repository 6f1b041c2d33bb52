-- The options of a client and those of a call, in two tables: the check and the
-- default of each.

local core = require "close.core"
local raw_pairs = require "close.raw_pairs"

local options = {
  MAX_RETRIES = 3, -- unless the client, the call or the verb says otherwise
}

local function finite(value)
  return type(value) == "number" and value == value and
    value > -math.huge and value < math.huge
end

local MAX_STRING = 16 * 1024 -- bytes; the engine's own limit is higher

-- Each check returns nil, or what the option must be.
local check = {}

function check.string(value)
  if type(value) ~= "string" then return "a string" end
  if value == "" then return "a string that is not empty" end
  if #value > MAX_STRING then
    return ("of at most %d bytes"):format(MAX_STRING)
  end
  local at = value:find("[%z\1-\31\127]")
  if at then
    return ("without control characters; it has U+%04X at byte %d"):format(
      value:byte(at), at)
  end
end

function check.seconds(value)
  if not finite(value) or value <= 0 then
    return "a number of seconds above 0"
  end
end

function check.count(value)
  if not finite(value) or value < 0 or value % 1 ~= 0 or value > 1e6 then
    return "a whole number from 0 to 1000000"
  end
end

function check.size(value)
  if not finite(value) or value < 1 or value % 1 ~= 0 or value > 2 ^ 40 then
    return "a whole number from 1 to 1099511627776"
  end
end

function check.in_flight(value)
  if check.size(value) or value > 10000 then
    return "a whole number from 1 to 10000"
  end
end

function check.secret(value)
  if type(value) == "function" then return nil end
  if type(value) ~= "string" then
    return "a string, or a function that returns one"
  end
  return check.string(value)
end

function check.callback(value)
  if type(value) ~= "function" then return "a function" end
end

function check.flag(value)
  if type(value) ~= "boolean" then return "true or false" end
end

local LOOPS = { auto = true, blocking = true, poll = true, luv = true,
  ngx = true }

function check.loop(value)
  if not LOOPS[value] then
    return '"auto", "blocking", "poll", "luv" or "ngx"'
  end
end

-- name, check, default
local CLIENT = {
  { "api_key", check.secret },
  { "access_token", check.secret },
  { "base_url", check.string, "https://api.close.com/api/v1" },
  { "timeout", check.seconds, 60 },
  { "attempt_timeout", check.seconds, 20 },
  { "connect_timeout", check.seconds, 10 },
  { "max_retries", check.count },
  { "max_in_flight", check.in_flight, 64 },
  { "max_response_bytes", check.size, 1024 * 1024 },
  { "ca_file", check.string },
  { "proxy", check.string },
  { "http2", check.flag, false },
  { "user_agent", check.string },
  { "loop", check.loop, "auto" },
  { "on_event", check.callback },
  { "on_draft", check.callback },
}

local CALL = {
  { "timeout", check.seconds },
  { "max_retries", check.count },
}

local CALL_OF_SEND = { CALL[1], CALL[2], { "on_draft", check.callback } }

local function names(list)
  local found = {}
  for i, option in ipairs(list) do found[i] = option[1] end
  return table.concat(found, ", ")
end

-- An unknown option's name, if it looks like a name: it may be a key by
-- mistake, and keys are longer or contain digits.
local function shown(name)
  if type(name) ~= "string" then return "(a " .. type(name) .. ")" end
  if #name <= 20 and name:find "^[%a_]+$" then return '"' .. name .. '"' end
  return "(a string, which may be a secret)"
end

-- A copy of given, checked against a table of options, with defaults. more
-- names options that were read before.
local function read(list, given, what, more)
  if given == nil then given = {} end
  if type(given) ~= "table" then
    return nil, ("%s must be a table, got %s"):format(what,
      core.type_name(given))
  end
  local settings, known = {}, {}
  for _, option in ipairs(list) do
    local name, test, default = option[1], option[2], option[3]
    local value = rawget(given, name)
    local wanted = value ~= nil and test(value)
    if wanted then
      return nil, ("option %s must be %s"):format(name, wanted)
    end
    if value == nil then value = default end
    settings[name], known[name] = value, true
  end
  for name in raw_pairs(given) do
    if not known[name] then
      return nil, ("unknown option %s: the options are %s%s"):format(
        shown(name), more and more .. ", " or "", names(list))
    end
  end
  return settings
end

-- A variable that is empty counts as one that is not set.
local function environment(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

-- Adds credentials and base_url from the environment, if the caller gave none.
local function add_environment(given)
  local filled = {} -- copied raw: a metamethod of the caller's could throw
  for name, value in raw_pairs(given) do filled[name] = value end
  if filled.api_key == nil and filled.access_token == nil then
    filled.api_key = environment "CLOSE_API_KEY"
    if not filled.api_key then
      filled.access_token = environment "CLOSE_ACCESS_TOKEN"
    end
  end
  if filled.base_url == nil then
    filled.base_url = environment "CLOSE_BASE_URL"
  end
  return filled
end

local function check_credentials(settings)
  if settings.api_key and settings.access_token then
    return "give api_key or access_token, not both"
  end
  if not settings.api_key and not settings.access_token then
    return "no credentials: give api_key or access_token, or set " ..
      "CLOSE_API_KEY or CLOSE_ACCESS_TOKEN in the environment"
  end
  return options.check_secret(settings)
end

--- Whether a secret can be sent unchanged: a Basic user name ends at a colon
--- (RFC 7617, 2), and a header must not contain control characters.
---@return string|nil why not; never the secret itself
function options.check_secret(settings, secret)
  local name = settings.api_key and "api_key" or "access_token"
  if secret == nil then
    secret = settings[name]
    if type(secret) == "function" then return nil end
  end
  local wanted = check.string(secret)
  if wanted then return name .. " must be " .. wanted end
  if settings.api_key and secret:find(":", 1, true) then
    return "api_key must not contain a colon"
  end
  if secret:find("[%s\128-\255]") then
    return name .. " must be plain ASCII without blanks" ..
      core.describe_odd(secret)
  end
end

local function check_addresses(settings)
  settings.base_url = settings.base_url:gsub("/+$", "")
  local plain, why = core.check_url(settings.base_url)
  if plain == nil then
    return "base_url: " .. why .. core.describe_odd(settings.base_url)
  end
  local path = settings.base_url:match "^%a+://[^/]*(.*)$"
  if core.describe_odd(path) ~= "" then
    return "base_url: its path must be plain ASCII" ..
      core.describe_odd(settings.base_url)
  end
  settings.plain = plain
  if settings.proxy then
    local loopback, fault = core.check_proxy(settings.proxy)
    if loopback == nil then
      return "proxy: " .. fault .. core.describe_odd(settings.proxy)
    end
    if plain and not loopback then
      return "proxy: a base_url with http would send the key through it in " ..
        "the clear: use https"
    end
  end
end

local function check_ca_file(settings)
  if not settings.ca_file then return nil end
  local file, why = io.open(settings.ca_file, "r")
  if not file then return "ca_file cannot be read: " .. why end
  local byte
  byte, why = file:read(1)
  file:close()
  if not byte then
    return ("ca_file cannot be read: %s: %s"):format(settings.ca_file,
      why or "it is empty")
  end
end

--- Reads the options of a client.
---@param given table|nil the caller's; not changed
---@return table|nil settings, string? why
function options.read_client(given)
  if given == nil then given = {} end
  local filled = type(given) == "table" and add_environment(given) or given
  local settings, why = read(CLIENT, filled, "options")
  if not settings then return nil, why end
  why = check_credentials(settings) or check_addresses(settings) or
    check_ca_file(settings)
  if why then return nil, why end
  return settings
end

--- Checks the argument of client:wait().
---@return string|nil why not
function options.check_wait(seconds)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    return "wait takes a number of seconds, at least 0"
  end
end

--- Reads the options of one call.
---@param given table|nil the caller's; not changed
---@param verb table uses_on_draft, own_options: see resource.lua
---@return table|nil settings, string? why
function options.read_call(given, verb)
  if verb.uses_on_draft then
    return read(CALL_OF_SEND, given, "the call's options")
  end
  if type(given) == "table" and rawget(given, "on_draft") ~= nil then
    return nil, "on_draft is an option of send alone"
  end
  return read(CALL, given, "the call's options", verb.own_options)
end

return options
