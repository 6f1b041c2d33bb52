-- A real nginx on free ports of 127.0.0.1, all its files in a temporary
-- directory: plain HTTP, TLS with HTTP/1.1, TLS with HTTP/2, and TLS with
-- certificates that a client must refuse. Every listener answers below
-- /api/v1/, from an upstream or with a fixed SMSActivity.
local json = require("cjson").new()
local socket = require "socket"
local activity = require "spec.support.activity"
local certificates = require "spec.support.certificates"
local files = require "spec.support.files"
local ports = require "spec.support.ports"
local process = require "spec.support.process"

local nginx = {}
local Nginx = {}
Nginx.__index = Nginx

local START_SECONDS, ATTEMPTS, LOG_SECONDS = 30, 5, 10

-- name, certificate (none: plain), HTTP/2
local LISTENERS = {
  { "http" },
  { "https", "good" },
  { "h2", "good", true },
  { "expired", "expired" },
  { "wrong_host", "wrong_host" },
  { "self_signed", "self_signed" },
}

local CONFIG = [[
daemon off;
master_process off;
pid @dir@/nginx.pid;
error_log @dir@/error.log notice;
events { worker_connections 1024; }
http {
  log_format facts escape=json '{"listener":"$listener","status":$status,'
    '"method":"$request_method","uri":"$request_uri","http2":"$http2",'
    '"protocol":"$server_protocol","tls":"$ssl_protocol",'
    '"alpn":"$ssl_alpn_protocol","session_reused":"$ssl_session_reused",'
    '"connection":$connection,"connection_requests":$connection_requests,'
    '"request_length":$request_length,"request_time":$request_time}';
  access_log @dir@/access.log facts;
  client_body_temp_path @dir@/body;
  proxy_temp_path @dir@/proxy;
  fastcgi_temp_path @dir@/fastcgi;
  uwsgi_temp_path @dir@/uwsgi;
  scgi_temp_path @dir@/scgi;
  default_type application/json;
  client_max_body_size 64m;
  keepalive_requests @most@;
  keepalive_timeout @idle@;
  ssl_certificate_key @certs@/server.key;
  ssl_protocols TLSv1.2 TLSv1.3;
@servers@}
]]

local SERVER = [[
  server {
    listen 127.0.0.1:@port@@flags@;
    set $listener @name@;
    @certificate@
    location /api/v1/ { @answer@ }
    location / { return 404 '{"error": "Not found"}'; }
  }
]]

local UPSTREAM = "proxy_pass http://%s; proxy_http_version 1.1; "
  .. "proxy_set_header Host $http_host; proxy_next_upstream off; "
  .. "proxy_read_timeout 1h;"

local cert_dir -- made once in a process

local function fill_in(text, values)
  return (text:gsub("@(%w+)@", function(name)
    return assert(values[name], name)
  end))
end

local function answer_of(options)
  if options.static then
    return "return 200 '" .. activity:gsub("[\\']", "\\%0") .. "';"
  end
  local upstream = assert(options.upstream, "upstream or static")
  return UPSTREAM:format(upstream:match("^http://([^/]+)") or upstream)
end

-- numbers: the listeners' ports, in order.
local function configure(dir, options, numbers)
  local servers, answer = {}, answer_of(options)
  for i, listener in ipairs(LISTENERS) do
    local name, certificate, http2 = listener[1], listener[2], listener[3]
    servers[i] = fill_in(SERVER, {
      port = numbers[i], name = name, answer = answer,
      flags = (certificate and " ssl" or "") .. (http2 and " http2" or ""),
      certificate = certificate and ("ssl_certificate %s/%s.pem;"):format(
        cert_dir, certificate) or "",
    })
  end
  local file = assert(io.open(dir .. "/nginx.conf", "w"))
  file:write(fill_in(CONFIG, {
    dir = dir, certs = cert_dir, servers = table.concat(servers),
    idle = options.keepalive_timeout or "1h",
    most = options.keepalive_requests or 1000000 }))
  file:close()
end

-- True once it listens (it writes its pid file after that); false where it
-- does not come to that.
local function is_up(child, dir)
  local deadline = socket.gettime() + START_SECONDS
  while child:alive() and socket.gettime() < deadline do
    if tonumber(files.read(dir .. "/nginx.pid")) == child.pid then
      return true
    end
    socket.sleep(0.002)
  end
  return false
end

local function launch(dir, options)
  local numbers = { ports.free(#LISTENERS) }
  configure(dir, options, numbers)
  -- /usr/sbin is not on everybody's path.
  local child = process.start(process.unsanitized{ "sh", "-c",
    'PATH="$PATH:/usr/sbin:/usr/local/sbin"; exec nginx "$@"', "sh",
    "-p", dir, "-e", dir .. "/error.log", "-c", dir .. "/nginx.conf",
  }, { stderr = dir .. "/stderr" })
  if is_up(child, dir) then return child, numbers end
  child:stop()
end

-- Starts one. Options: upstream ("http://127.0.0.1:1234/...", whose host and
-- port are used), or static = true; keepalive_requests: how many a connection
-- takes before nginx ends it (a million unless told); keepalive_timeout: how
-- long one waits for them ("1h" unless told). Returns http, https, h2, expired,
-- wrong_host and self_signed (base URLs), ca_file and other_ca.
function nginx.start(options)
  if not cert_dir then
    local made = process.tempdir()
    certificates.make(made)
    cert_dir = made
  end
  local dir = process.tempdir()
  local child, numbers
  for _ = 1, ATTEMPTS do -- a port may be taken before nginx has it
    child, numbers = launch(dir, options)
    if child then break end
  end
  if not child then
    error("nginx did not start: " .. files.read(dir .. "/stderr")
      .. files.read(dir .. "/error.log"), 2)
  end
  local self = setmetatable({
    child = child, dir = dir,
    ca_file = cert_dir .. "/ca.pem", other_ca = cert_dir .. "/other_ca.pem",
  }, Nginx)
  for i, listener in ipairs(LISTENERS) do
    self[listener[1]] = ("%s://127.0.0.1:%d/api/v1"):format(
      listener[2] and "https" or "http", numbers[i])
  end
  return self
end

local function log_lines(self)
  local lines = {}
  for line in files.read(self.dir .. "/access.log"):gmatch("([^\n]+)\n") do
    lines[#lines + 1] = json.decode(line)
  end
  return lines
end

-- One table per request: listener ("http", "https", "h2", ...), status,
-- method, uri, protocol ("HTTP/1.1", "HTTP/2.0"), http2 ("h2" or ""), tls,
-- alpn, session_reused ("r" or "."), connection (its serial),
-- connection_requests, request_length, request_time.
-- nginx writes a line after the answer: give the number of lines to wait for.
function Nginx:access_log(at_least)
  local deadline = socket.gettime() + LOG_SECONDS
  while true do
    local lines = log_lines(self)
    if #lines >= (at_least or 0) or socket.gettime() > deadline then
      return lines
    end
    socket.sleep(0.005)
  end
end

function Nginx:error_log()
  return files.read(self.dir .. "/error.log")
end

-- May be called again.
function Nginx:stop()
  local status = self.child:stop()
  if self.dir then process.remove(self.dir) end
  self.dir = nil
  return status
end

return nginx
