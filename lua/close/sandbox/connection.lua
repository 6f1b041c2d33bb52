-- One TCP connection of the sandbox: reads and writes bytes, pauses, and ends
-- in different ways. Never blocks: while it waits, the loop runs the others.
-- Knows nothing of HTTP.

local socket = require "socket"

local CHUNK_BYTES = 16384
-- The bytes of further requests that are read while one is answered.
local MAX_BUFFERED = 65536
-- How long a connection that we end stays half open. Closing it with unread
-- bytes would send an RST, and the client would not see our FIN.
local LINGER_S = 1
-- For how long the rest of a request is read that was answered already.
local DRAIN_S = 10

---@class close.sandbox.Connection
---@field id integer counts the connections of one sandbox, from 1
---@field private loop close.sandbox.Loop
---@field private sock table
---@field private buffer string received, and not yet taken
local Connection = {}
Connection.__index = Connection

local connection = {}

---@param loop close.sandbox.Loop
---@param sock table a connected LuaSocket TCP object
---@param id integer
---@return close.sandbox.Connection
function connection.new(loop, sock, id)
  sock:settimeout(0)
  sock:setoption("tcp-nodelay", true)
  return setmetatable({
    loop = loop, sock = sock, id = id, buffer = "",
  }, Connection)
end

-- The bytes that are there ("" for none); nil at the end of the connection.
function Connection:receive()
  local data, err, partial = self.sock:receive(CHUNK_BYTES)
  data = data or partial
  if data ~= "" then return data end
  if err == "timeout" then return "" end
  return nil
end

--- Waits for more bytes.
---@return boolean more false: the client has ended the connection
function Connection:fill()
  local data = self:receive()
  while data == "" do
    self.loop:wait(self.sock, "read")
    data = self:receive()
  end
  if not data then return false end
  self.buffer = self.buffer .. data
  return true
end

--- Takes the next line, without its end.
---@param limit integer
---@return string? line
---@return "closed"|"long"|"bare"|nil problem bare: not ended by CR LF
function Connection:line(limit)
  local from = 1
  local stop = self.buffer:find("\n", from, true)
  while not stop do
    if #self.buffer > limit then return nil, "long" end
    from = #self.buffer + 1
    if not self:fill() then return nil, "closed" end
    stop = self.buffer:find("\n", from, true)
  end
  local line = self.buffer:sub(1, stop - 1)
  self.buffer = self.buffer:sub(stop + 1)
  if #line > limit then return nil, "long" end
  if line:sub(-1) ~= "\r" then return nil, "bare" end
  return line:sub(1, -2)
end

--- Takes exactly `count` bytes.
---@param count integer
---@return string? bytes nil: the client ended the connection before
function Connection:take(count)
  local pieces = {}
  while count > 0 do
    if self.buffer == "" and not self:fill() then return nil end
    local piece = self.buffer:sub(1, count)
    self.buffer = self.buffer:sub(count + 1)
    count = count - #piece
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

--- Whether bytes of a pipelined request have arrived.
function Connection:has_more()
  return self.buffer ~= ""
end

--- Writes all of it.
---@param bytes string
---@return boolean ok false: the client is gone
function Connection:write(bytes)
  local from = 1
  while from <= #bytes do
    local last, err, partial = self.sock:send(bytes, from)
    if not last and err ~= "timeout" then return false end
    from = (last or partial) + 1
    if not last then self.loop:wait(self.sock, "write") end
  end
  return true
end

--- Waits, and notices when the client ends the connection.
---@param seconds number
---@return boolean ok false: the client ended it before the time was over
function Connection:pause(seconds)
  local stop = socket.gettime() + seconds
  while true do
    local left = stop - socket.gettime()
    if left <= 0 then return true end
    if #self.buffer > MAX_BUFFERED then
      self:pause_unread(left)
    elseif self.loop:wait(self.sock, "read", left) then
      local data = self:receive()
      if not data then return false end
      self.buffer = self.buffer .. data
    end
  end
end

--- Waits without reading: what the client sends stays in the kernel.
---@param seconds number
function Connection:pause_unread(seconds)
  self.loop:wait(nil, nil, seconds)
end

--- Lets the loop run the other connections.
function Connection:yield()
  self.loop:wait(nil, nil, 0)
end

--- Ends it with a FIN. What the client still sends is not read.
function Connection:hang_up()
  self.sock:shutdown("send")
  if self.loop:wait(self.sock, "read", LINGER_S) and self:receive() then
    self:pause_unread(LINGER_S)
  end
end

--- Ends it with an RST.
function Connection:abort()
  self.sock:setoption("linger", { on = true, timeout = 0 })
  self.sock:close()
end

--- Ends it after an answer that was sent before the request was read whole:
--- reads the rest while more of it comes, so that the client can finish its
--- write and read the answer.
function Connection:drain()
  self.sock:shutdown("send")
  local stop = socket.gettime() + DRAIN_S
  repeat
    local data = self.loop:wait(self.sock, "read", LINGER_S) and self:receive()
  until not data or socket.gettime() > stop
end

function Connection:close()
  self.sock:close()
end

return connection
