-- The control endpoints of a sandbox, below /_sandbox/: show requests and SMS,
-- set faults, reset. Requests to them have no faults, need no key, and are not
-- recorded.

local json = require "close.sandbox.json"

local control = {}

local ROOT = "/_sandbox/"

--- The largest body that they take: the answer of a fault may be larger than
--- any request to the API.
control.MAX_BODY = 16 * 1024 * 1024 + 4096

---@param request close.sandbox.Request
---@return boolean
function control.is_for(request)
  return request.path:sub(1, #ROOT) == ROOT
end

local function list(items)
  return 200, { data = items }
end

local ENDPOINTS = {
  [""] = {
    GET = function(server) return 200, { url = server.url } end,
  },
  requests = {
    GET = function(server) return list(server.ledger:all()) end,
  },
  messages = {
    GET = function(server, _, now)
      return list(server.api.store:all(now))
    end,
  },
  faults = {
    GET = function(server) return list(server.faults:pending()) end,
    POST = function(server, request)
      local fault = json.decode(request.body)
      if type(fault) ~= "table" then
        return 400, { error = "not a JSON object" }
      end
      local complete, problem = server.faults:add(fault)
      if not complete then return 400, { error = problem } end
      return 200, complete
    end,
    DELETE = function(server)
      server.faults:clear()
      return 200, {}
    end,
  },
  reset = {
    POST = function(server)
      server:reset()
      return 200, {}
    end,
  },
}

-- A web page could read the ledger under a host name that points to 127.0.0.1.
-- Its requests have that name in Host.
local function is_local(request)
  local host = (request.headers.host or ""):lower():gsub(":%d+$", "")
  return host == "localhost" or host == "[::1]" or host:find "^127%.[%d.]+$"
end

local function respond(server, request, now)
  if not is_local(request) then
    return 403, { error = "only for loopback hosts" }
  end
  local endpoint = ENDPOINTS[request.path:sub(#ROOT + 1)]
  if not endpoint then return 404, { error = "no such control endpoint" } end
  local handle = endpoint[request.method]
  if not handle then return 405, { error = "method not allowed" } end
  return handle(server, request, now)
end

--- Answers one control request.
---@param server close.sandbox.Server
---@param request close.sandbox.Request
---@param now number
---@return close.sandbox.Answer
function control.answer(server, request, now)
  local status, body = respond(server, request, now)
  return {
    status = status, headers = { ["Content-Type"] = "application/json" },
    body = json.encode(body),
  }
end

return control
