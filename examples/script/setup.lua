-- What the examples share: a client, and a way to print a table.
--
-- With CLOSE_API_KEY or CLOSE_ACCESS_TOKEN in the environment the client talks
-- to Close, and the phone numbers must be yours: CLOSE_LOCAL_PHONE is a number
-- of your organization, CLOSE_REMOTE_PHONE the one that gets the message.
-- Without a key it talks to a sandbox that is started here, from the rock
-- close-sandbox.

local close = require "close"

local setup = {}

local real = os.getenv "CLOSE_API_KEY" or os.getenv "CLOSE_ACCESS_TOKEN"

local function phone(name, made_up)
  local number = os.getenv(name)
  if not number and real then
    io.stderr:write("set ", name, " to a number in E.164 form, ",
      "such as ", made_up, ": this would really be sent\n")
    os.exit(2)
  end
  return number or made_up
end

--- Runs job(client), or job(client, sandbox), and ends what it started.
--- { remote_phone = false } if the job needs no such number.
function setup.run(job, needs)
  setup.local_phone = phone("CLOSE_LOCAL_PHONE", "+14154445555")
  if not needs or needs.remote_phone then
    setup.remote_phone = phone("CLOSE_REMOTE_PHONE", "+18183334444")
  end
  local server
  local options = {}
  if not real then
    io.stderr:write("no key is set: this goes to a sandbox on this machine, ",
      "and to nobody\n")
    server = assert(require("close.sandbox").start {})
    options = { base_url = server.url, api_key = server.api_key }
  end
  local client = assert(close.new(options))
  local ok, fault = pcall(job, client, server)
  client:close()
  if server then server:stop() end
  if not ok then error(fault, 0) end
end

local function write(value, indent)
  if type(value) ~= "table" then
    io.write(type(value) == "string" and ("%q"):format(value) or
      tostring(value))
    return
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  if #keys == 0 then return io.write("{}") end
  io.write("{\n")
  for _, key in ipairs(keys) do
    io.write(indent, "  ", type(key) == "number" and "" or key .. " = ")
    write(value[key], indent .. "  ")
    io.write(",\n")
  end
  io.write(indent, "}")
end

--- Prints a name and a table.
function setup.show(name, value)
  io.write(name, " = ")
  write(value, "")
  io.write("\n")
end

--- Prints what a call returned: the activity, or what went wrong.
function setup.print_result(sms, err)
  if sms then return setup.show("sms", sms) end
  print("failed: " .. tostring(err))
  if err.outcome == "unknown" then
    print("Close may have the message. Go on with it, which never sends it " ..
      "twice: send { draft_id = \"" .. tostring(err.draft_id) .. "\" }")
  end
end

return setup
