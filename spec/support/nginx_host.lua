-- A real nginx whose workers' Lua sends messages: master and workers, on a free
-- port of 127.0.0.1, all files in a temporary directory. nginx's Lua is LuaJIT,
-- whichever Lua drives it from here. And a client of it, for many requests at
-- once.
local json = require("cjson").new()
local socket = require "socket"
local files = require "spec.support.files"
local ports = require "spec.support.ports"
local process = require "spec.support.process"

local nginx_host = {}
local Host = {}
Host.__index = Host

local START_SECONDS, ATTEMPTS, PATIENCE = 30, 5, 30

-- What stands before http.
local TOP = [[
@modules@
@user@
daemon off;
worker_processes @workers@;
pid @dir@/nginx.pid;
error_log @dir@/error.log notice;
events { worker_connections 1024; }
]]

-- What stands first in http, and in server.
local HTTP = [[
http {
  access_log off;
  client_body_temp_path @dir@/body;
  proxy_temp_path @dir@/proxy;
  fastcgi_temp_path @dir@/fastcgi;
  uwsgi_temp_path @dir@/uwsgi;
  scgi_temp_path @dir@/scgi;
  lua_package_path "@root@/?.lua;@root@/lua/?.lua;;";
  lua_package_cpath "@root@/build/luajit/?.so;;";
]]

local SERVER = [[
server {
    listen 127.0.0.1:@port@;
    location = /static { return 200 "static"; }
]]

local CONFIG = TOP .. HTTP .. [[
  @http@
  init_by_lua_block {
    app = require("spec.support.nginx_app").start {
      api_key = "api_hosts", base_url = "@upstream@", @options@
    }
    @init@
  }
]] .. SERVER .. [[
    default_type application/json;
    location = /state { content_by_lua_block { app.state() } }
    location = /create { content_by_lua_block { app.answer() } }
    @locations@
  }
}
]]

local function fill_in(text, values)
  return (text:gsub("@(%w+)@", function(name)
    return assert(values[name], name)
  end))
end

-- Debian builds nginx's Lua in as two modules; elsewhere it may be static.
local function load_modules()
  local lines = {}
  for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
    local path = ("/usr/lib/nginx/modules/%s.so"):format(name)
    local file = io.open(path)
    if file then
      file:close()
      lines[#lines + 1] = ("load_module %s;"):format(path)
    end
  end
  return table.concat(lines, " ")
end

-- Workers of another user could not reach the temporary directory.
local function same_user()
  return process.capture "id -u" == "0" and "user root;" or ""
end

-- A configuration of somebody's, at a place of ours.
local function place(whole)
  local text = whole:gsub("http {\n", function() return HTTP end, 1)
  return TOP .. text:gsub("server {", function() return SERVER end, 1)
end

local function configure(self, options)
  local config = options.whole and place(options.whole) or CONFIG
  files.write(self.dir .. "/nginx.conf", fill_in(config, {
    modules = load_modules(), user = same_user(), dir = self.dir,
    port = self.port, root = process.capture "pwd",
    workers = options.workers or 1, upstream = options.upstream or "",
    options = options.options or "", http = options.http or "",
    init = options.init or "", locations = options.locations or "",
  }))
end

-- True once it answers; false where it does not come to that.
local function is_up(self)
  local deadline = socket.gettime() + START_SECONDS
  while self.child:alive() and socket.gettime() < deadline do
    if tonumber(files.read(self.dir .. "/nginx.pid")) == self.child.pid
      and self:get "/static" then
      return true
    end
    socket.sleep(0.005)
  end
  return false
end

local function launch(self, options)
  self.port = ports.free()
  configure(self, options)
  -- /usr/sbin is not on everybody's path.
  local words = { "env", "-u", "CLOSE_API_KEY", "-u", "CLOSE_ACCESS_TOKEN",
    "-u", "CLOSE_BASE_URL" }
  for _, word in ipairs(options.env or {}) do words[#words + 1] = word end
  for _, word in ipairs { "sh", "-c",
    'PATH="$PATH:/usr/sbin:/usr/local/sbin"; exec nginx "$@"', "sh",
    "-p", self.dir, "-e", self.dir .. "/error.log",
    "-c", self.dir .. "/nginx.conf",
  } do words[#words + 1] = word end
  self.child = process.start(words, { stderr = self.dir .. "/stderr" })
  if is_up(self) then return true end
  self.child:stop()
end

--- Starts one. Options: upstream (a base URL), and, as text: options (more of
--- the client's), init (more of init_by_lua), http (directives), locations,
--- workers (a number). Or whole, a configuration that has none of these; and
--- env, a list of "NAME=value".
function nginx_host.start(options)
  local self = setmetatable({ dir = process.tempdir() }, Host)
  for _ = 1, ATTEMPTS do -- a port may be taken before nginx has it
    if launch(self, options) then return self end
  end
  error("nginx did not start: " .. files.read(self.dir .. "/stderr")
    .. self:error_log(), 2)
end

--- A connection on which a GET was sent; its answer may be read whole.
function Host:open(path)
  local sock, problem = socket.connect("127.0.0.1", self.port)
  if not sock then return nil, problem end
  sock:settimeout(PATIENCE)
  sock:send(("GET %s HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n")
    :format(path))
  return sock
end

local function read_answer(sock)
  local text, problem, partial = sock:receive "*a"
  sock:close()
  text = text or partial or ""
  local status = tonumber(text:match "^HTTP/1%.1 (%d+)")
  if not status then return nil, problem or "no answer: " .. text end
  local body = text:match "\r\n\r\n(.*)$"
  if text:lower():find("\r\ntransfer-encoding: chunked", 1, true) then
    local parts = {}
    while true do
      local size, from = body:match "^(%x+)\r\n()"
      size = tonumber(size or "0", 16)
      if size == 0 then break end
      parts[#parts + 1] = body:sub(from, from + size - 1)
      body = body:sub(from + size + 2)
    end
    body = table.concat(parts)
  end
  return status, body
end

--- The answer to a GET: status, body; nil, and why there is none.
function Host:get(path)
  local sock, problem = self:open(path)
  if not sock then return nil, problem end
  return read_answer(sock)
end

--- The same for an answer that is JSON, which must be there.
function Host:json(path)
  local status, body = self:get(path)
  if status ~= 200 then
    error(("GET %s: %s %s"):format(path, tostring(status), body), 2)
  end
  return json.decode(body)
end

-- At most so many connections stay open, each with its index.
local function fill(open, next_path, most, host)
  while #open < most do
    local path = next_path()
    if not path then return end
    open[#open + 1] = assert(host:open(path))
  end
end

--- Sends n GETs, at most `most` at a time (all, unless told), and returns the
--- decoded answers that were 200, and a list of what the others were. path may
--- be a function of the number; after_each is told how many were answered.
function Host:many(n, path, most, after_each)
  local sent, open, answers, failures = 0, {}, {}, {}
  local function next_path()
    sent = sent + 1
    if sent > n then return nil end
    return type(path) == "function" and path(sent) or path
  end
  fill(open, next_path, most or n, self)
  while open[1] do
    local ready = socket.select(open, nil, PATIENCE)
    if not ready[1] then error("no answer comes", 2) end
    for _, sock in ipairs(ready) do
      for i, other in ipairs(open) do
        if other == sock then table.remove(open, i) break end
      end
      local status, body = read_answer(sock)
      if status == 200 then
        answers[#answers + 1] = json.decode(body)
      else
        failures[#failures + 1] = tostring(status) .. " " .. tostring(body)
      end
      if after_each then after_each(#answers + #failures) end
    end
    fill(open, next_path, most or n, self)
  end
  return answers, failures
end

nginx_host.eventually = process.eventually

--- How often each message's text is in a ledger.
function nginx_host.texts(ledger)
  local seen = {}
  for _, request in ipairs(ledger) do
    local text = json.decode(request.body).text
    seen[text] = (seen[text] or 0) + 1
  end
  return seen
end

--- That of n messages of path(), each sent once.
function nginx_host.once_each(n)
  local expected = {}
  for i = 1, n do expected["m" .. i] = 1 end
  return expected
end

--- The path that creates the message of a number.
function nginx_host.path(i) return "/create?text=m" .. i end

--- The worker's state, once no call is pending.
function Host:idle_state()
  return nginx_host.eventually(function()
    local state = self:json "/state"
    return state.pending == 0 and state
  end) or error("calls stay pending", 2)
end

--- Process ids of the workers that run.
function Host:workers()
  local list, path = {}, "/proc/%d/task/%d/children"
  for id in files.read(path:format(self.child.pid, self.child.pid))
    :gmatch "%d+" do
    list[#list + 1] = tonumber(id)
  end
  return list
end

--- What a worker holds: resident memory in KiB, and open descriptors.
function Host.holds(worker)
  local status = files.read(("/proc/%d/status"):format(worker))
  local count = process.capture(("ls /proc/%d/fd | wc -l"):format(worker))
  return tonumber(status:match "VmRSS:%s*(%d+)"), tonumber(count)
end

function Host:error_log()
  return files.read(self.dir .. "/error.log")
end

--- The lines of the error log that are worse than a notice: the first few.
function Host:complaints()
  local lines = {}
  for line in self:error_log():gmatch "[^\n]+" do
    local level = line:match "%[(%l+)%]"
    local is_bad = level ~= "notice" and level ~= "info"
    if is_bad and #lines < 5 then lines[#lines + 1] = line end
  end
  return lines
end

--- Sends the master a signal: HUP reloads, QUIT ends it once all is answered.
function Host:signal(name)
  return self.child:kill(name)
end

--- May be called again.
function Host:stop()
  local status = self.child:stop()
  if self.dir then process.remove(self.dir) end
  self.dir = nil
  return status
end

return nginx_host
