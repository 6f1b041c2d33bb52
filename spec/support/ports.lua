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

-- Does somebody accept connections there?
function ports.open(port)
  local client = socket.tcp()
  client:settimeout(1)
  local ok = client:connect("127.0.0.1", port)
  client:close()
  return ok == 1
end

return ports
