-- The child of raw_server.lua: all listeners in one process, on 127.0.0.1, and
-- beside them a control port (one line of JSON each way).
local socket = require "socket"
local json = require("cjson").new()
local http1 = require "spec.support.faults.http1"
local ledger = require "spec.support.faults.ledger"
local plan = require "spec.support.faults.plan"
local relay = require "spec.support.faults.relay"
local stream = require "spec.support.faults.stream"

local child = {}

local BACK_AFTER = 0.05 -- seconds until a port listens again

local settings        -- see child.main
local listeners = {}  -- name -> {socket, port, accept}
local connections = 0 -- that clients have made
local elsewhere = 0   -- connections to where redirects lead

-- ---- listening ----

local function bind(port)
  local server = assert(socket.tcp4())
  assert(server:setoption("reuseaddr", true))
  assert(server:setoption("reuseport", true)) -- see refuse()
  assert(server:bind("127.0.0.1", port))
  if settings.receive_buffer then
    assert(server:setoption("recv-buffer-size", settings.receive_buffer))
  end
  server:settimeout(0)
  return server, select(2, server:getsockname())
end

local function accept(self)
  while true do
    coroutine.yield("read")
    local sock = self.socket:accept()
    if sock then
      sock:setoption("tcp-nodelay", true)
      self.accept(sock)
    end
  end
end

local function listen(listener)
  assert(listener.bound:listen(1024))
  listener.stream = stream.spawn(listener.bound, accept,
    { accept = listener.accept })
end

local function open(name, act)
  local bound, port = bind(0)
  listeners[name] = { bound = bound, port = tonumber(port), accept = act }
  listen(listeners[name])
  return listeners[name].port
end

-- Takes all listeners away, but keeps their ports: each is bound again first,
-- so that nobody else gets it in between.
local function refuse()
  for _, listener in pairs(listeners) do
    if listener.stream then
      local bound = bind(listener.port)
      listener.stream:abandon()
      listener.stream, listener.bound = nil, bound
    end
  end
end

local function listen_again()
  for _, listener in pairs(listeners) do
    if not listener.stream then listen(listener) end
  end
end

-- ---- connections ----

local function serve_plain(self)
  return http1.serve(self, plan.at("accept"))
end

local contexts = {}

local function context(certificate, protocol)
  local name, dir = certificate .. protocol, settings.certificates
  contexts[name] = contexts[name] or assert(require("ssl").newcontext{
    mode = "server", protocol = "any", alpn = { protocol },
    options = { "all", "no_sslv3", "no_tlsv1", "no_tlsv1_1" },
    key = dir .. "/server.key", certificate = dir .. "/" .. certificate
      .. ".pem",
  })
  return contexts[name]
end

local function serve_tls(protocol, serve)
  return function(self)
    local fault = plan.at("accept")
    local certificate = fault and fault.tls or "good"
    if not fault then
      if plan.waits("hello") then
        self:wait_readable()
        fault = plan.at("hello")
      end
    end
    if fault and not (fault.at == "accept" and fault.tls) then
      if fault.answer then http1.send(self, fault.answer) end
      return self:finish(fault.ending)
    end
    if self:secure(context(certificate, protocol)) then
      return serve(self)
    end
  end
end

local function client_of(serve)
  return function(sock)
    connections = connections + 1
    stream.spawn(sock, serve, { client = true, number = connections })
  end
end

-- ---- control ----

-- Each returns its value, and what is to be done after the reply.
local OPS = {}

function OPS.script(command) plan.follow(command.steps) end
function OPS.default(command) plan.default = command.step end
function OPS.requests() return ledger.requests end
function OPS.connections() return connections end

function OPS.reset()
  for _, self in ipairs(stream.which(function(s) return s.client end)) do
    self:abandon()
  end
  plan.follow{}
  plan.default, ledger.requests, connections = nil, {}, 0
end

-- Ends the connections of HTTP/2.
function OPS.leave()
  for _, self in ipairs(stream.which(function(s) return s.requests end)) do
    require("spec.support.faults.http2").leave(self)
  end
  connections = 0
end

-- Kept connections know of no accept: they end while the call begins.
local function end_kept(how)
  for _, self in ipairs(stream.which(function(s) return s.client end)) do
    if how == "reset" then self:reset() else self:abandon() end
  end
end

-- Nothing of the last fault is left, and the next one waits.
function OPS.arm(command)
  for _, self in ipairs(stream.which(function(s) return s.silent end)) do
    self:abandon()
  end
  listen_again()
  plan.arm(command.fault, command)
  relay.arm(command.cut, command.times)
  local fault = plan.fault
  if not fault then return end
  if fault.listen == false then refuse() end
  return nil, function()
    if fault.listen == false or fault.at == "accept"
      or fault.at == "hello" then
      end_kept(fault.ending)
    end
    if fault.listen == false and command.times == 1 then
      stream.sleep(BACK_AFTER)
      listen_again()
    end
  end
end

function OPS.relay(command)
  local port = math.floor(command.port) -- LuaSocket wants no "443.0"
  return open(command.name, function(sock) relay.serve(sock, port) end)
end

function OPS.ledger()
  local read = ledger.read()
  read.elsewhere = elsewhere
  return read
end

-- An error in an operation is told in the reply, one that comes afterwards in
-- the next one.
local function control(self)
  while true do
    local line = self:take_until("\n")
    if not line then os.exit(0) end
    local command = json.decode(line)
    local done, value, afterwards = pcall(OPS[command.op], command)
    local failure = not done and tostring(value) or stream.failure
    self:send(json.encode{ value = done and value or nil, failure = failure }
      .. "\n")
    if done and afterwards then afterwards() end
  end
end

local function open_tls(ports)
  local http2 = require "spec.support.faults.http2"
  ports.tls1 = open("tls1", client_of(serve_tls("http/1.1", http1.serve)))
  ports.tls2 = open("tls2", client_of(serve_tls("h2", http2.serve)))
  for _, name in ipairs{ "elsewhere", "elsewhere_tls" } do
    ports[name] = open(name, function(sock)
      elsewhere = elsewhere + 1
      sock:close()
    end)
  end
end

-- Serves until the control connection ends. Prints its ports first. settings,
-- in JSON: certificates (a directory of certificates.lua's) adds what speaks
-- TLS; receive_buffer (bytes) leaves with a sender what is not read; keeps (the
-- ledger keeps the requests).
function child.main(text)
  settings = json.decode(text)
  ledger.keeps = settings.keeps
  local ports = { plain = open("plain", client_of(serve_plain)) }
  if settings.certificates then open_tls(ports) end
  local admin, port = bind(0)
  admin:listen(1)
  ports.control = tonumber(port)
  io.stdout:write(json.encode(ports), "\n")
  io.stdout:flush()
  admin:settimeout(nil)
  local sock = assert(admin:accept())
  sock:setoption("tcp-nodelay", true)
  stream.spawn(sock, control, { last = true })
  while true do stream.turn() end
end

return child
