-- What the torture host runs: setup(name, addresses, text), act(), in which an
-- allocation fails, and check(why) -> what is wrong, or nil. addresses is the
-- server's line; why is what act() threw, or nil.
local close = require "close"
local core = require "close.core"
local json = require("cjson").new()
local socket = require "socket"

local url, port, text, scenario
local client
local given -- what is created or sent
local callbacks, results -- how many callbacks ran, what they or a call got
local found -- how many SMS a walk has told
local failed -- how often memory lacked in a callback, or just before or after

local PATIENCE = 5 -- seconds that a call may take to its end

local function params(more)
  local all = { status = "outbox", local_phone = "+14154445555",
    remote_phone = "+18183334444", text = text, date_created = 1,
    attachments = { { content_type = "image/png", filename = "a.png",
      url = "https://example.com/a.png" } } }
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

local function keep(...) results[1], results[2] = ... end

-- No call in it, for which the stack might have to grow.
local function callback(sms, err)
  callbacks = callbacks + 1
  results[1], results[2] = sms, err
end

local function callback_of_draft() end

local function turn()
  for _ = 1, 200 do
    if client:poll() == 0 then return end
    socket.sleep(0.0005)
  end
end

-- For each scenario: what it does; is_async: it has a callback; sends: what it
-- sends once; finds: how many SMS its walk is of; source: the function for the
-- credentials; kind: that of its error, where memory does not lack;
-- in_function: where it lacks in that function; front: 2 or 3, the address that
-- it is for, over TLS; is_new: its connection has not served before.
local scenarios = {}

scenarios.create = { sends = "text", act = function()
  keep(client.sms.create(given))
end }

scenarios.create_async = { sends = "text", is_async = true,
  act = function()
    results.request, results.refused =
      client.sms.create_async(given, callback)
  end }

scenarios.send = { sends = "text", act = function()
  given.status = nil
  keep(client.sms.send(given))
end }

scenarios.send_async = { sends = "text", is_async = true,
  act = function()
    given.status = nil
    results.request, results.refused = client.sms.send_async(given, callback)
  end }

scenarios.poll = { sends = "text", is_async = true, prepare = function()
  results.request = assert(client.sms.create_async(given, callback))
end, act = turn }

scenarios.poll_send = { sends = "text", is_async = true,
  prepare = function()
    given.status = nil
    results.request = assert(client.sms.send_async(given, callback))
  end, act = turn }

-- on_draft, which may be what memory lacks for.
local function asked() return true end

scenarios.draft = { sends = "text", in_function = "cancelled",
  act = function()
    given.status = nil
    keep(client.sms.send(given, { on_draft = asked }))
  end }

scenarios.poll_draft = { sends = "text", is_async = true,
  in_function = "cancelled", prepare = function()
    given.status = nil
    results.request = assert(client.sms.send_async(given, callback,
      { on_draft = asked }))
  end, act = turn }

scenarios.request = { sends = "text", act = function()
  keep(client:request("POST", "/activity/sms/", { body = given }))
end }

scenarios.list = { act = function() keep(client.sms.list{ lead_id = "a" }) end }

scenarios.each = { act = function()
  for sms, err in assert(client.sms.each{ lead_id = "pages" }) do
    keep(sms, err)
  end
end }

-- Its callback counts at the end of the walk only.
local function each_callback(sms, err)
  if sms then
    found = found + 1
    return
  end
  callbacks = callbacks + 1
  results[1], results[2] = not err, err
end

scenarios.each_async = { is_async = true, finds = 5, act = function()
  results.request, results.refused =
    client.sms.each_async({ lead_id = "pages" }, each_callback)
end }

scenarios.poll_each = { is_async = true, finds = 5, prepare = function()
  results.request = assert(client.sms.each_async({ lead_id = "pages" },
    each_callback))
end, act = turn }

local function upload()
  return client.files.upload({ data = "abc" }, { filename = "a.png" })
end

-- The first form makes libcurl start OpenSSL, which is not what is tried.
scenarios.upload = { prepare = function() assert(upload()) end,
  act = function() keep(upload()) end }

-- The function for the credentials is called in the midst of it.
scenarios.token = { sends = "text", source = function() return "token" end,
  act = function() keep(client.sms.create(given)) end }

-- Begins a call that has to wait for the credentials, and cancels it; again
-- where that failed.
local function begin_and_cancel()
  local ok
  results.refused = false
  ok, results.request, results.refused =
    pcall(client.sms.create_async, given, callback)
  if not ok then
    results.request, results.refused = false, results.request
  elseif results.request and
    not pcall(results.request.cancel, results.request) then
    results.request:cancel()
  end
  return "token"
end

scenarios.cancel = { sends = "text", is_async = true, kind = "cancelled",
  in_function = "authentication", source = begin_and_cancel, act = function()
    results.refused = true -- where it is not even begun
    client.sms.create_async({ status = "draft" }, callback_of_draft)
    results.refused = results.refused or not results.request
  end }

scenarios.new = { act = function()
  local new, err = close.new{ api_key = "k", base_url = url, timeout = 2 }
  if new then keep(new.sms.list()) else keep(nil, err) end
end }

scenarios.wrong = { act = function()
  given.text, given.to, given.local_phone = 5, "x", "y"
  keep(client.sms.create(given))
end }

-- ---- over TLS, with HTTP/1.1 and HTTP/2 ----

-- What libcurl makes of lack of memory in OpenSSL or nghttp2; timeout: of a
-- handshake that does not go on.
local OF_FRONT = { connection = true, tls = true, timeout = true }

-- Others that run with it. There is no h2_many: where memory lacks in nghttp2,
-- libcurl 7.88 gives the same session to the next stream, which crashes in
-- nghttp2_session_mem_recv() before curl_multi_socket_action() returns.
scenarios.many = { sends = "text", is_async = true, prepare = function()
  for _ = 1, 3 do assert(client.sms.list_async({}, callback_of_draft)) end
  scenarios.poll.prepare()
  assert(client.sms.list_async({}, callback_of_draft))
end, act = turn }

local function over(front, name, is_new)
  local copy = { front = front, is_new = is_new }
  for key, value in pairs(scenarios[name]) do copy[key] = value end
  return copy
end

for front, prefix in pairs{ [2] = "tls_", [3] = "h2_" } do
  scenarios[prefix .. "create"] = over(front, "create")
  scenarios[prefix .. "poll"] = over(front, "poll")
  scenarios[prefix .. "new"] = over(front, "create", true)
end
scenarios.tls_many = over(2, "many", true)

-- How often the server has sent our text.
local function ledger()
  local connection = assert(socket.connect("127.0.0.1", port))
  connection:send(("GET /ledger/%s HTTP/1.1\r\n\r\n"):format(text))
  local length
  repeat
    local line = assert(connection:receive "*l")
    length = tonumber(line:match "Content%-Length: (%d+)") or length
  until line == ""
  local body = assert(connection:receive(length))
  connection:close()
  return json.decode(body).count
end

-- Memory may lack where a callback is called: it has thrown that, then.
local function note(event)
  if event.callback_error == "not enough memory" then failed = failed + 1 end
end

local function new_client(ca_file)
  return assert(close.new{ api_key = not scenario.source and "k" or nil,
    access_token = scenario.source, base_url = url, timeout = 2,
    ca_file = ca_file, http2 = scenario.front == 3, on_event = note })
end

function setup(name, addresses, unique) -- luacheck: ignore 121
  scenario = assert(scenarios[name], "no such scenario")
  local words = {}
  for word in addresses:gmatch "%S+" do words[#words + 1] = word end
  url, text = words[scenario.front or 1] .. "/api/v1", name .. "-" .. unique
  port = tonumber(words[1]:match ":(%d+)$")
  callbacks, found, failed = 0, 0, 0
  results = { false, false, request = false, refused = false }
  client = new_client(scenario.front and words[4])
  if not scenario.source then assert(client.sms.list()) end
  if scenario.is_new then -- what the first one has made in TLS stays
    client:close()
    client = new_client(words[4])
  end
  given = params()
  if scenario.prepare then scenario.prepare() end
end

function act() -- luacheck: ignore 111
  scenario.act()
end

-- Whether an outcome is what the ledger says.
local function is_true(count, why)
  local sms, err = results[1], results[2]
  if count > 1 then return false end
  if sms then return count == 1 end
  if err then
    return err.outcome == "unknown" or count == 0
  end
  return count == 0 and (why or results.refused) and true or false
end

-- Before 8.6 libcurl says the same of a header that is too long.
local major, minor = core.curl_version:match "^(%d+)%.(%d+)"
local is_old = major * 100 + minor < 806

-- Whether an error is of the kind that it must be: neither we nor the server
-- make mistakes, but for one scenario. A send that is unknown has its draft.
local function is_of_kind()
  local err = results[2]
  if not err or scenario == scenarios.wrong then return true end
  local is_send = scenario.sends == "text" and given.status == nil
  local is_kind = err.kind == "memory" or err.kind == scenario.kind or
    err.kind == scenario.in_function or
    scenario == scenarios.new and err.kind == "config" or
    scenario.front and OF_FRONT[err.kind] or
    is_old and err.message:find("or there was no memory for it", 1, true)
  return is_kind and
    (not is_send or err.outcome ~= "unknown" or err.draft_id ~= nil)
end

local function told(why, count)
  local err = results[2]
  return ("%s, %s, sent %d times, %d callbacks"):format(
    why and "threw " .. why or "returned",
    results[1] and "an SMS" or err and err.kind .. "/" .. err.outcome ..
    ": " .. tostring(err.message) or "nothing", count, callbacks)
end

function check(why) -- luacheck: ignore 111
  local from = core.now()
  while client:pending() > 0 and core.now() - from < PATIENCE do
    client:poll()
    socket.sleep(0.0005)
  end
  if client:pending() > 0 then return "pending is " .. client:pending() end
  local count = scenario.sends and ledger() or 0
  if scenario.is_async and callbacks ~= (results.request and 1 or 0) then
    return "a callback is lost or too many: " .. told(why, count)
  end
  if scenario.sends and not is_true(count, why) then
    return "not true: " .. told(why, count)
  end
  if scenario.finds and results[1] == true and
    (found > scenario.finds or found + failed < scenario.finds) then
    return "an SMS is lost, or came twice: " .. found
  end
  if not is_of_kind() then return "not its kind: " .. told(why, count) end
  text = text .. "-next"
  local sms, err = client.sms.create(params())
  if not sms or ledger() ~= 1 then
    return "the next call: " .. tostring(err)
  end
  client:close()
end
