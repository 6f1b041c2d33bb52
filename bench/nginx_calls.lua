-- What the locations of nginx_host.conf.in do: the same POST, by the client or
-- by a bare cosocket, and an answer with the id that came back.
-- luacheck: std max+ngx_lua

local close = require "close"
local json = require "cjson"

local KEY = "api_bench"
local PARAMS = {
  status = "outbox",
  contact_id = "cont_q4xYmlGhA3060dEl0NDJuHRxPMuVjqLn30AFSzh1fRk",
  direction = "outbound",
  lead_id = "lead_iuSXNk1x3446ggPVwQS7ynmp8pGRIDieRYiCnuo4yFb",
  local_phone = "+14154445555",
  remote_phone = "+18183334444",
  source = "External",
  text = "Hi! This is a reminder that we have a call scheduled for 12pm PT " ..
    "today.",
}

local nginx_calls = {}

local function answer(sms)
  ngx.header["Content-Length"] = #sms.id
  ngx.print(sms.id)
end

-- The least that a client could do: no validation, no time limit of its own,
-- no guard against a second sending.
local function post(port)
  local sock = ngx.socket.tcp()
  assert(sock:connect("127.0.0.1", port))
  local body = json.encode(PARAMS)
  assert(sock:send {
    "POST /api/v1/activity/sms/ HTTP/1.1\r\nHost: 127.0.0.1:", port,
    "\r\nAuthorization: Basic ", ngx.encode_base64(KEY .. ":"),
    "\r\nUser-Agent: bench\r\nAccept: application/json",
    "\r\nContent-Type: application/json\r\nContent-Length: ", #body,
    "\r\n\r\n", body,
  })
  local line = assert(sock:receive "*l")
  assert(line:find("^HTTP/1.1 200"), line)
  local length
  repeat
    line = assert(sock:receive "*l")
    local name, value = line:match "^([^:]+): *(.*)$"
    if name and name:lower() == "content-length" then
      length = tonumber(value)
    end
  until line == ""
  local sms = json.decode(assert(sock:receive(length)))
  sock:setkeepalive(60000, 200)
  return sms
end

--- Makes the handlers; for init_by_lua.
function nginx_calls.new(port)
  local options = {
    base_url = ("http://127.0.0.1:%d/api/v1"):format(port), api_key = KEY,
    max_in_flight = 200,
  }
  local client = assert(close.new(options))
  options.loop = "blocking"
  local blocking = assert(close.new(options))
  local calls = {}
  function calls.close() answer(assert(client.sms.create(PARAMS))) end
  function calls.blocking() answer(assert(blocking.sms.create(PARAMS))) end
  function calls.cosocket() answer(post(port)) end
  return calls
end

return nginx_calls
