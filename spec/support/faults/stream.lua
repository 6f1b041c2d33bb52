-- Connections of the fault server: a coroutine each, over select; bytes in and
-- out, plain or TLS; and the ways in which a connection can end.
local socket = require "socket"

-- failure: the message of the last coroutine that failed; each is written to
-- standard error, too.
local stream = {}
local Stream = {}
Stream.__index = Stream

local CHUNK, LINGER = 65536, 1

local live = {} -- stream -> true

-- ---- the scheduler ----

local function resume(self)
  local ok, wait, due = coroutine.resume(self.thread, self)
  if not ok then
    stream.failure = tostring(wait)
    io.stderr:write("fault server: ", stream.failure, "\n")
  end
  if not ok or coroutine.status(self.thread) == "dead" then
    return self:abandon()
  end
  self.wait, self.due = wait, due
end

-- Runs a function of a new stream, in a coroutine that starts at once.
-- Options: last (it is resumed after the others of its turn), sink (a socket
-- that it writes to, instead of its own), and what else it should know.
function stream.spawn(sock, run, options)
  sock:settimeout(0)
  local self = setmetatable({
    socket = sock, thread = coroutine.create(run), parts = {}, size = 0,
  }, Stream)
  for name, value in pairs(options or {}) do self[name] = value end
  live[self] = true
  resume(self)
  return self
end

-- Waits until something is ready, and goes on with that.
function stream.turn()
  local reads, writes, due, ready = {}, {}, math.huge, {}
  for self in pairs(live) do
    if self.wait == "read" then reads[#reads + 1] = self.socket end
    if self.wait == "write" then
      writes[#writes + 1] = self.sink or self.socket
    end
    due = math.min(due, self.due or math.huge)
  end
  local timeout = due < math.huge and math.max(0, due - socket.gettime())
  local readable, writable = socket.select(reads, writes, timeout or nil)
  local now = socket.gettime()
  for self in pairs(live) do
    if self.wait == "read" and readable[self.socket]
      or self.wait == "write" and writable[self.sink or self.socket]
      or self.due and self.due <= now then
      table.insert(ready, self.last and #ready + 1 or 1, self)
    end
  end
  for _, self in ipairs(ready) do
    if live[self] then resume(self) end -- another may have ended it
  end
end

function stream.sleep(seconds)
  coroutine.yield("sleep", socket.gettime() + seconds)
end

-- All streams for which a function holds.
function stream.which(holds)
  local found = {}
  for self in pairs(live) do
    if holds(self) then found[#found + 1] = self end
  end
  return found
end

-- ---- bytes ----

-- Until there is something to read, or the end.
function Stream.wait_readable(self)
  if self.size > 0 or self.socket.dirty and self.socket:dirty() then return end
  coroutine.yield("read")
end

-- Reads what is there; nil where there is nothing yet, false at the end. After
-- an end nothing is tried again: LuaSec 1.2 would turn in circles. An error may
-- be nil: OpenSSL 3.5 has no text for the system's errors, such as a reset.
function Stream.read(self)
  if self.over then return false end
  local data, err, partial = self.socket:receive(CHUNK)
  self.over = not data and err ~= "timeout" and err ~= "wantread"
  data = data or partial
  if data and #data > 0 then return data end
  if self.over then return false end
  return nil
end

-- Reads more into the buffer; false at the end of the stream.
function Stream.fill(self)
  while true do
    local data = self:read()
    if data then
      self.parts[#self.parts + 1] = data
      self.size = self.size + #data
      return true
    end
    if data == false then return false end
    coroutine.yield("read")
  end
end

local function buffered(self)
  if #self.parts > 1 then self.parts = { table.concat(self.parts) } end
  return self.parts[1] or ""
end

-- Takes exactly n bytes, or nil where the stream ends before.
function Stream.take(self, n)
  while self.size < n do
    if not self:fill() then return nil end
  end
  local all = buffered(self)
  self.parts, self.size = { all:sub(n + 1) }, #all - n
  return all:sub(1, n)
end

-- Takes all up to and with mark.
function Stream.take_until(self, mark)
  local from = 1
  while true do
    local all = buffered(self)
    local _, last = all:find(mark, from, true)
    if last then return self:take(last) end
    from = math.max(1, #all - #mark)
    if not self:fill() then return nil end
  end
end

-- False where the other side is gone.
function Stream.send(self, data)
  local i, sock = 1, self.sink or self.socket
  while i <= #data and not self.over do
    local last, err, partial = sock:send(data, i)
    self.over = not last and err ~= "timeout" and err ~= "wantwrite"
    i = (last or partial or i - 1) + 1
    if not last and not self.over then coroutine.yield("write") end
  end
  return not self.over
end

-- Makes it a TLS server's end; false where the handshake fails.
function Stream.secure(self, context)
  self.raw = self.socket
  local fd = self.raw:getfd()
  self.socket = assert(require("ssl").wrap(self.raw, context))
  self.raw:setfd(fd) -- both have it: see release()
  self.socket:settimeout(0)
  while true do
    local done, err = self.socket:dohandshake()
    if done then return true end
    if err ~= "wantread" and err ~= "wantwrite" and err ~= "timeout" then
      return false
    end
    coroutine.yield(err == "wantwrite" and "write" or "read")
  end
end

-- ---- ends ----

-- Closes the descriptor below TLS first, so that no farewell of TLS goes out.
local function release(self)
  live[self] = nil
  if self.raw then self.raw:close() end
  self.socket:close()
end

-- With a reset, at once.
function Stream.reset(self)
  local sock = self.raw or self.socket
  sock:setoption("linger", { on = true, timeout = 0 })
  release(self)
end

-- As it comes: a reset where bytes were not read, otherwise a FIN.
function Stream.abandon(self)
  if live[self] then release(self) end
end

-- With a FIN that no reset overtakes: what still comes is thrown away, until
-- the other side has closed, too.
function Stream.close(self)
  local sock = self.raw or self.socket
  local due = socket.gettime() + LINGER
  sock:shutdown("send")
  while socket.gettime() < due do
    local data, err, partial = sock:receive(CHUNK)
    if not data and err ~= "timeout" then break end
    if not data and #partial == 0 then coroutine.yield("read", due) end
  end
  release(self)
end

-- Leaves its socket to somebody else.
function Stream.forget(self) live[self] = nil end

-- Neither reads nor writes any more; until somebody ends it.
function Stream.fall_silent(self)
  self.silent = true
  while true do coroutine.yield("never") end
end

-- Ends in a way that goes by its name; "abandon" unless told.
function Stream.finish(self, how)
  if how == "reset" then return self:reset() end
  if how == "silence" then return self:fall_silent() end
  if how == "close" then return self:close() end
  return self:abandon()
end

return stream
