-- The fault server's relay: passes bytes between a client and a server that it
-- does not understand (TLS), and breaks connections at a byte. A connection is
-- two streams, one for each direction; what one reads, it writes to the other.
local socket = require "socket"
local ledger = require "spec.support.faults.ledger"
local stream = require "spec.support.faults.stream"

local relay = {}

local plan = { left = 0 }

-- What is to happen. cut.from: "client", once so many bytes (cut.after) of the
-- client's have passed, counted from now or from a later connection's start;
-- "session", if the client offers to resume one; "taken", once a request has
-- been taken whole, before a byte of its answer; "answer", amid the first bytes
-- of that. cut.ending: "close", "reset", "silence". times: for so many
-- connections, -1 for all.
function relay.arm(cut, times)
  plan = { cut = cut, left = times or 0, taken = ledger.taken }
  for _, self in ipairs(stream.which(function(s) return s.twin end)) do
    self.passed = 0
  end
end

-- Whether bytes are a ClientHello (RFC 8446, 4.1.2) that offers a session: by a
-- pre_shared_key, or a session_ticket that is not empty (RFC 5077).
local function offers_session(data)
  if data:sub(1, 1) ~= "\22" or data:sub(6, 6) ~= "\1" then return false end
  local function number(at) return data:byte(at) * 256 + data:byte(at + 1) end
  local at = 44 -- after the headers, the version and the random bytes
  at = at + 1 + data:byte(at)
  at = at + 2 + number(at)
  at = at + 1 + data:byte(at) + 2
  while at + 3 < #data do
    local kind, size = number(at), number(at + 2)
    if kind == 41 or kind == 35 and size > 0 then return true end
    at = at + 4 + size
  end
  return false
end

-- How many bytes of a chunk may pass, and whether that was the end.
local function allowed(self, data)
  local cut = plan.cut
  if not cut or plan.left == 0 then return #data, false end
  if cut.from == "session" then
    local is_offer = self.to_server and offers_session(data)
    return is_offer and 0 or #data, is_offer
  end
  if self.to_server then
    self.passed = self.passed + #data
    if cut.from ~= "client" or self.passed < cut.after then
      return #data, false
    end
    return #data - (self.passed - cut.after), true
  end
  if cut.from == "client" or ledger.taken == plan.taken then
    return #data, false
  end
  return cut.from == "answer" and math.floor(#data / 2) or 0, true
end

-- Ends both directions; the client sees how.
local function finish(self, how)
  local twin = self.twin
  if how == "silence" then
    twin.silent, twin.wait, twin.due = true, "never", nil
    return self:fall_silent()
  end
  local client = self.to_server and self.socket or twin.socket
  local server = self.to_server and twin.socket or self.socket
  twin:forget()
  server:close()
  self.socket, self.sink = client, nil
  self:finish(how)
end

-- Passes on what is read, to the end; begins by waiting.
local function pump(self)
  while true do
    coroutine.yield("read")
    local data = self:read()
    if data == false then return finish(self, "close") end
    local n, over = allowed(self, data or "")
    local passed = self:send((data or ""):sub(1, n))
    if over then
      plan.left = plan.left - 1
      return finish(self, plan.cut.ending)
    end
    if not passed then return finish(self, "close") end
  end
end

-- Serves one client: connects it with a port of this machine.
function relay.serve(client, port)
  local server = socket.connect("127.0.0.1", port)
  if not server then return client:close() end
  server:setoption("tcp-nodelay", true)
  local up = stream.spawn(client, pump,
    { sink = server, to_server = true, passed = 0 })
  local down = stream.spawn(server, pump, { sink = client, passed = 0 })
  up.twin, down.twin = down, up
end

return relay
