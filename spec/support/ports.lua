-- Free ports of 127.0.0.1. Another process may take one first: then try again
-- with another.
local socket = require "socket"

local ports = {}

-- n different free ports (one unless told).
function ports.free(n)
  local held, numbers = {}, {}
  for i = 1, n or 1 do
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    held[i], numbers[i] = server, tonumber(port)
  end
  for _, server in ipairs(held) do server:close() end
  return (table.unpack or unpack)(numbers)
end

local nobody -- it has a port, and does not listen there

-- A port that refuses connections, and that nobody else gets meanwhile.
function ports.refusing()
  if not nobody then
    nobody = assert(socket.tcp4())
    assert(nobody:bind("127.0.0.1", 0))
  end
  return tonumber((select(2, nobody:getsockname())))
end

-- Makes a port whose server has just ended refuse connections: nobody else gets
-- it. Returns what to close when it may be used again.
function ports.refuse(port)
  local holder = assert(socket.tcp4())
  assert(holder:setoption("reuseaddr", true))
  assert(holder:bind("127.0.0.1", port))
  return holder
end

-- Does somebody accept connections there?
function ports.open(port)
  local client = socket.tcp()
  client:settimeout(1)
  local ok = client:connect("127.0.0.1", port)
  client:close()
  return ok == 1
end

return ports
