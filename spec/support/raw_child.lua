-- The child of raw_server.lua: an HTTP/1.1 server on 127.0.0.1 that answers
-- by script, and beside it a control port (one line of JSON each way). One
-- coroutine per connection over select; it yields what it waits for.
local socket = require "socket"
local json = require("cjson").new()
local activity = require "spec.support.activity"

local child = {}

local CHUNK, MAX_HEAD, MAX_ENDLESS = 65536, 4 * 1024 * 1024, 64 * 1024 * 1024
local LINGER = 1
local REASONS = {
  [200] = "OK", [201] = "Created", [204] = "No Content", [302] = "Found",
  [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required",
  [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
  [413] = "Content Too Large", [415] = "Unsupported Media Type",
  [429] = "Too Many Requests", [500] = "Internal Server Error",
  [502] = "Bad Gateway", [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

local tasks = {} -- task -> true; a task: thread, socket, wait, due
local state = { script = {}, ledger = {}, connections = 0 }

-- The scheduler --------------------------------------------------------------

local function close_task(task)
  tasks[task] = nil
  task.socket:close()
end

local function resume(task)
  local ok, wait, due = coroutine.resume(task.thread, task)
  if not ok then state.failure = tostring(wait) end
  if not ok or coroutine.status(task.thread) == "dead" then
    return close_task(task)
  end
  task.wait, task.due = wait, due
end

local function spawn(sock, run, fields)
  local task = fields or {}
  sock:settimeout(0)
  task.socket, task.thread = sock, coroutine.create(run)
  task.parts, task.size = {}, 0
  tasks[task] = true
  resume(task)
end

local function wait_read() coroutine.yield("read") end
local function wait_write() coroutine.yield("write") end

local function sleep(seconds)
  coroutine.yield("sleep", socket.gettime() + seconds)
end

local function turn()
  local reads, writes, due, ready = {}, {}, math.huge, {}
  for task in pairs(tasks) do
    if task.wait == "read" then reads[#reads + 1] = task.socket end
    if task.wait == "write" then writes[#writes + 1] = task.socket end
    due = math.min(due, task.due or math.huge)
  end
  local timeout = due < math.huge and math.max(0, due - socket.gettime())
  local readable, writable = socket.select(reads, writes, timeout or nil)
  local now = socket.gettime()
  for task in pairs(tasks) do
    if readable[task.socket] or writable[task.socket]
      or task.due and task.due <= now then
      ready[#ready + 1] = task
    end
  end
  for _, task in ipairs(ready) do
    if tasks[task] then resume(task) end -- another may have closed it
  end
end

-- Bytes ----------------------------------------------------------------------

-- Reads more into the task's buffer; false at the end of the stream.
local function fill(task)
  while true do
    local data, err, partial = task.socket:receive(CHUNK)
    data = data or partial
    if data and #data > 0 then
      task.parts[#task.parts + 1] = data
      task.size = task.size + #data
      return true
    end
    if err ~= "timeout" then return false end
    wait_read()
  end
end

local function buffered(task)
  if #task.parts > 1 then task.parts = { table.concat(task.parts) } end
  return task.parts[1] or ""
end

-- Takes exactly n bytes off the stream, or nil where it ends before.
local function take(task, n)
  while task.size < n do
    if not fill(task) then return nil end
  end
  local all = buffered(task)
  task.parts, task.size = { all:sub(n + 1) }, #all - n
  return all:sub(1, n)
end

-- Takes all up to and with mark.
local function take_until(task, mark)
  local from = 1
  while true do
    local all = buffered(task)
    local _, last = all:find(mark, from, true)
    if last then return take(task, last) end
    from = math.max(1, #all - #mark)
    if #all > MAX_HEAD or not fill(task) then return nil end
  end
end

local function send(task, data)
  local i = 1
  while i <= #data do
    local last, err, partial = task.socket:send(data, i)
    if not last and err ~= "timeout" then return false end
    i = (last or partial or i - 1) + 1
    if not last then wait_write() end
  end
  return true
end

-- Requests -------------------------------------------------------------------

local function read_head(task, request)
  local raw = take_until(task, "\r\n\r\n")
  if not raw then return false end
  request.raw = raw
  request.method, request.target = raw:match("^(%S+) (%S+) HTTP/1%.%d\r\n")
  local headers = {}
  for name, value in raw:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    headers[name] = (headers[name] and headers[name] .. ", " or "") .. value
  end
  request.headers, request.connection = headers, task.number
  request.length = tonumber(headers["content-length"] or 0)
  request.chunked = (headers["transfer-encoding"] or ""):lower() == "chunked"
  return request.method ~= nil and request.length ~= nil
end

-- One chunk's bytes, its data; no data at the last one.
local function read_chunk(task)
  local line = take_until(task, "\r\n")
  local size = line and tonumber(line:match("^%x+") or "", 16)
  if not size then return nil end
  local rest
  if size == 0 then -- the trailer: lines up to an empty one
    rest = take_until(task, "\r\n")
    if rest and rest ~= "\r\n" then
      rest = rest .. (take_until(task, "\r\n\r\n") or "")
    end
    return rest and line .. rest
  end
  rest = take(task, size + 2)
  return rest and line .. rest, rest and rest:sub(1, -3)
end

local function read_half(task, request)
  local raw, data
  if (request.headers.expect or ""):lower() == "100-continue" then
    send(task, "HTTP/1.1 100 Continue\r\n\r\n")
  end
  if request.chunked then
    raw, data = read_chunk(task)
    request.done = raw and not data
  else
    raw = take(task, math.floor(request.length / 2))
    data = raw
  end
  request.parts, request.bodies = { request.raw, raw }, { data }
  return raw ~= nil
end

local function read_rest(task, request)
  local parts, bodies = request.parts, request.bodies
  repeat
    local raw, data
    if request.chunked then
      if request.done then break end
      raw, data = read_chunk(task)
    else
      raw = take(task, request.length - math.floor(request.length / 2))
      data = raw
    end
    if not raw then return false end
    parts[#parts + 1], bodies[#bodies + 1] = raw, data
  until not (request.chunked and data)
  return true
end

local function record(request)
  state.ledger[#state.ledger + 1] = {
    raw = table.concat(request.parts), body = table.concat(request.bodies),
    method = request.method, target = request.target,
    headers = request.headers, connection = request.connection,
    time = socket.gettime(),
  }
end

local STAGES = { "headers", "half", "body" }
local READERS = { headers = read_head, half = read_half, body = read_rest }

-- Reads on until the stage of that name is behind us; "accept" reads nothing.
local function read_to(task, request, name)
  if name == "accept" then return true end
  for _, stage in ipairs(STAGES) do
    if not request.reached[stage] then
      if not READERS[stage](task, request) then return false end
      request.reached[stage] = true
      if stage == "body" then record(request) end
    end
    if stage == name then return true end
  end
end

-- Answers --------------------------------------------------------------------

local function header_lines(headers, lines)
  local names, seen = {}, {}
  for name in pairs(headers) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = headers[name]
    if type(values) ~= "table" then values = { values } end
    for _, value in ipairs(values) do
      if value ~= false then
        lines[#lines + 1] = name .. ": " .. tostring(value)
      end
    end
    seen[name:lower()] = true
  end
  return seen
end

-- The bytes of a step's status, headers and body.
local function compose(step)
  local status, body = step.status or 200, step.body or ""
  local lines = { ("HTTP/1.1 %d %s"):format(status, REASONS[status] or "Any") }
  local seen = header_lines(step.headers or {}, lines)
  local bare = status < 200 or status == 204 or status == 304
  if not seen["content-type"] and body ~= "" then
    lines[#lines + 1] = "Content-Type: application/json"
  end
  if not (seen["content-length"] or seen["transfer-encoding"] or bare) then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

local function send_chunks(task, chunks)
  for _, chunk in ipairs(chunks) do
    if type(chunk) == "number" then
      sleep(chunk)
    elseif not send(task, chunk) then
      return false
    end
  end
  return true
end

local function send_endless(task, what)
  local head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
  local filler = ("x"):rep(1000)
  if what == "body" then
    head, filler = head .. '\r\n{"text": "', filler:rep(60)
  else
    filler = ("X-Filler: " .. filler .. "\r\n"):rep(60)
  end
  if not send(task, head) then return end
  for _ = 1, MAX_ENDLESS / #filler do
    if not send(task, filler) then return end
  end
end

-- Sends what the step has of its own. Returns whether it had something, and
-- whether it went out whole and left the connection fit for more.
local function send_own(task, step)
  if step.endless then
    send_endless(task, step.endless)
    return true, false
  end
  if step.chunks then return true, send_chunks(task, step.chunks) end
  if step.answer then return true, send(task, step.answer) end
  if step.status or step.headers or step.body then
    return true, send(task, compose(step))
  end
  return false, true
end

-- Lets an answer to a request that was not read whole arrive: closing at once
-- would reset the connection under it.
local function linger(task)
  local deadline = socket.gettime() + LINGER
  task.socket:shutdown("send")
  while socket.gettime() < deadline do
    local data, err, partial = task.socket:receive(CHUNK)
    if err == "timeout" and partial == "" then
      coroutine.yield("read", deadline)
    elseif not data and err ~= "timeout" then
      return
    end
  end
end

local function wants_close(request)
  local connection = request.headers and request.headers.connection
  return (connection or ""):lower():find("close", 1, true) ~= nil
end

local function next_step(accepting)
  local first = state.script[1]
  if accepting and not (first and first.at == "accept") then return nil end
  return table.remove(state.script, 1) or state.default
end

-- Plays one step; true where the connection goes on.
local function play(task, step)
  local request = { reached = {} }
  if not read_to(task, request, step.at or "body") then return false end
  if step.delay then sleep(step.delay) end
  local own, fit = send_own(task, step)
  if step.reset then
    task.socket:setoption("linger", { on = true, timeout = 0 })
    return false
  end
  if step.close or not fit then
    if own and not request.reached.body then linger(task) end
    return false
  end
  if not read_to(task, request, "body") then return false end
  if not own and not send(task, compose(state.usual)) then return false end
  return not wants_close(request)
end

local function serve(task)
  local step = next_step(true)
  while true do
    if not step then
      if task.size == 0 and not fill(task) then return end
      step = next_step()
    end
    if not play(task, step) then return end
    step = nil
  end
end

local function accept(task)
  while true do
    local sock = task.socket:accept()
    if sock then
      sock:setoption("tcp-nodelay", true)
      state.connections = state.connections + 1
      spawn(sock, serve, { number = state.connections, client = true })
    else
      wait_read()
    end
  end
end

-- Control --------------------------------------------------------------------

local OPS = {}

function OPS.script(command) state.script = command.steps end
function OPS.default(command) state.default = command.step end
function OPS.ledger() return state.ledger end
function OPS.connections() return state.connections end

function OPS.reset(command)
  for task in pairs(tasks) do
    if task.client then close_task(task) end
  end
  state.script, state.ledger, state.connections = {}, {}, 0
  state.default = command.step
end

local function control(task)
  while true do
    local line = take_until(task, "\n")
    if not line then os.exit(0) end
    local command = json.decode(line)
    local value = OPS[command.op](command)
    send(task, json.encode{ value = value, failure = state.failure } .. "\n")
  end
end

local function accept_control(task)
  wait_read()
  local sock = assert(task.socket:accept())
  sock:setoption("tcp-nodelay", true)
  spawn(sock, control)
end

local function listen(options)
  local server = assert(socket.tcp())
  assert(server:bind("127.0.0.1", 0))
  if options.receive_buffer then
    server:setoption("recv-buffer-size", options.receive_buffer)
  end
  assert(server:listen(1024))
  local _, port = server:getsockname()
  return server, tonumber(port)
end

-- Serves until the control connection ends. Prints its two ports first.
function child.main(settings)
  local options = json.decode(settings)
  local http, port = listen(options)
  local admin, admin_port = listen{}
  state.usual, state.default = { body = activity }, {}
  spawn(http, accept)
  spawn(admin, accept_control)
  io.stdout:write(json.encode{ port = port, control = admin_port }, "\n")
  io.stdout:flush()
  while true do turn() end
end

return child
