-- The server of the fault matrix, which breaks exchanges: by HTTP/1.1, plain
-- and over TLS, by HTTP/2 over TLS, behind an nginx, and behind a relay before
-- that nginx. It has the child of raw_server.lua; this is the test's end of it.
local certificates = require "spec.support.certificates"
local nginx = require "spec.support.nginx"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"

local fault_server = {}
local Server = {}
Server.__index = Server

local RECEIVE_BUFFER = 65536 -- bytes; what is not read stays with its sender

local function base(scheme, port)
  return ("%s://127.0.0.1:%d/api/v1"):format(scheme, port)
end

local function open_relay(self, name, url)
  local port = math.floor(tonumber(url:match(":(%d+)/")))
  return base("https",
    self.server:ask{ op = "relay", name = name, port = port })
end

-- Starts one. Returns url, a table of base URLs: raw1 (plain HTTP/1.1), tls1,
-- raw2 (HTTP/2), nginx1 and nginx2 (through nginx to raw1), relay1 and relay2
-- (through a relay to those); and for each of these names ca, the authority's
-- file that its client needs, and http2, whether its client speaks that.
function fault_server.start()
  local dir = process.tempdir()
  certificates.make(dir)
  local server = raw.start{ certificates = dir,
    receive_buffer = RECEIVE_BUFFER }
  local self = setmetatable({ server = server, dir = dir }, Server)
  local ports = server.ports
  self.http2 = { raw2 = true, nginx2 = true, relay2 = true }
  local ca = dir .. "/ca.pem"
  self.ca = { tls1 = ca, raw2 = ca }
  self.url = { raw1 = server.url, tls1 = base("https", ports.tls1),
    raw2 = base("https", ports.tls2) }
  self.elsewhere = { http = base("http", ports.elsewhere),
    https = base("https", ports.elsewhere_tls) }
  self.front = nginx.start{ upstream = self.url.raw1 }
  ca = self.front.ca_file
  self.ca.nginx1, self.ca.nginx2, self.ca.relay1, self.ca.relay2 =
    ca, ca, ca, ca
  self.url.nginx1, self.url.nginx2 = self.front.https, self.front.h2
  self.url.relay1 = open_relay(self, "relay1", self.front.https)
  self.url.relay2 = open_relay(self, "relay2", self.front.h2)
  return self
end

-- What goes wrong next (nothing, where fault is nil), instead of what was armed
-- before. what: fault (a name of table.lua) or cut (see relay.lua); times
-- (1 unless told, -1: each time); size, of the message in bytes; name, of the
-- URL that is used.
function Server:arm(what)
  what = what or {}
  local scheme = (what.name or "raw1") == "raw1" and "http" or "https"
  self.server:ask{ op = "arm", fault = what.fault, cut = what.cut,
    times = what.times or 1, half = math.floor((what.size or 0) / 2),
    elsewhere = self.elsewhere[scheme] }
end

-- The ledger: messages (mark's serial -> {taken, acted, answers}), credentials
-- (a list), elsewhere (connections to where redirects lead).
function Server:ledger()
  local read = self.server:ask{ op = "ledger" }
  local messages = {}
  for _, entry in ipairs(read.entries) do messages[entry.serial] = entry end
  return { messages = messages, credentials = read.credentials,
    elsewhere = read.elsewhere }
end

-- May be called again.
function Server:stop()
  local status = self.server:stop()
  self.front:stop()
  if self.dir then process.remove(self.dir) end
  self.dir = nil
  return status
end

return fault_server
