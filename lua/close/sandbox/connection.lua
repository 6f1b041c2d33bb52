-- One TCP connection of the sandbox: bytes in, bytes out, and the ways in
-- which it may end. Never blocks: where nothing can be done, it lets the loop
-- run the others. Knows nothing of HTTP.

local socket = require "socket"

local CHUNK = 16384
-- How much of the client's next requests is taken while one is being answered.
local MOST_AHEAD = 65536
-- How long a connection that was ended on purpose is kept half open, so that
-- the client sees our FIN and not the RST that closing over unread bytes is.
local LINGER = 1

---@class close.sandbox.Connection
---@field id integer counts the connections of one sandbox, from 1
---@field private loop close.sandbox.Loop
---@field private sock table
---@field private buffer string what was received and not yet taken
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

-- One try at receiving: the bytes there are ("" for none), nil at the end.
function Connection:receive()
  local data, err, partial = self.sock:receive(CHUNK)
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

--- Whether bytes of a next, pipelined request are there already.
function Connection:has_more()
  return self.buffer ~= ""
end

--- Writes all of it, in as many parts as the client makes necessary.
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

--- Says nothing for a time, but notices when the client hangs up.
---@param seconds number
---@return boolean there false: the client hung up before the time was over
function Connection:silence(seconds)
  local stop = socket.gettime() + seconds
  while true do
    local left = stop - socket.gettime()
    if left <= 0 then return true end
    if #self.buffer > MOST_AHEAD then
      self:deafness(left)
    elseif self.loop:wait(self.sock, "read", left) then
      local data = self:receive()
      if not data then return false end
      self.buffer = self.buffer .. data
    end
  end
end

--- Waits without reading, so that the client's bytes pile up at its end.
---@param seconds number
function Connection:deafness(seconds)
  self.loop:wait(nil, nil, seconds)
end

--- Lets the other connections have their turn.
function Connection:pass()
  self.loop:wait(nil, nil, 0)
end

--- Ends it with a FIN, without reading what the client may still send.
function Connection:hang_up()
  self.sock:shutdown("send")
  if self.loop:wait(self.sock, "read", LINGER) and self:receive() then
    self:deafness(LINGER)
  end
end

--- Ends it with an RST.
function Connection:abort()
  self.sock:setoption("linger", { on = true, timeout = 0 })
  self.sock:close()
end

--- Ends it after an answer that came before the end of the request: takes
--- what is still coming for a while, so that the client reads the answer and
--- does not fail in writing.
function Connection:drain()
  self.sock:shutdown("send")
  local stop = socket.gettime() + LINGER
  repeat
    local left = stop - socket.gettime()
    local data = self.loop:wait(self.sock, "read", left) and self:receive()
  until not data or left <= 0
end

function Connection:close()
  self.sock:close()
end

return connection
