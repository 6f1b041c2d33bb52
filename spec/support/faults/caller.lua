-- Who makes the calls that meet faults: the library, or bare libcurl, which is
-- to show that the faults can be seen (witness.c). A caller has one client, and
-- create(text, options) -> {letter, seconds, attempts, id, err}, the letter
-- being S(ent: an activity came back), N(ot sent), R(ejected), U(nknown), or
-- E(rror) where libcurl does not say which.
local socket = require "socket"
local close = require "close"
local process = require "spec.support.process"

local caller = {}
local Library, Witness = {}, {}
Library.__index, Witness.__index = Library, Witness

caller.KEY = "api_2fAuLt.mAtRiX"
caller.TOKEN = "tOkEn-2fAuLt"

local LETTERS = { not_sent = "N", rejected = "R", unknown = "U" }
local MAX_ANSWER = 1024 * 1024

-- ---- the library ----

local function token() return caller.TOKEN end

-- A client of one of the fault server's URLs, by name. Options: token (a
-- function gives the credentials).
function caller.close(server, name, options)
  options = options or {}
  local client = assert(close.new{
    base_url = server.url[name], ca_file = server.ca[name],
    api_key = not options.token and caller.KEY or nil,
    access_token = options.token and token or nil,
    max_response_bytes = MAX_ANSWER, http2 = server.http2[name],
  })
  return setmetatable({ client = client }, Library)
end

-- Options: status ("outbox" unless told), timeout, max_retries.
function Library:create(text, options)
  local before = socket.gettime()
  local sms, err, response = self.client.sms.create({
    status = options.status or "outbox", text = text,
    local_phone = "+14155550100", remote_phone = "+14155550123",
  }, { timeout = options.timeout, max_retries = options.max_retries })
  return {
    letter = sms and "S" or LETTERS[err.outcome] or "?",
    seconds = socket.gettime() - before,
    attempts = (response or err or {}).attempts,
    id = sms and sms.id, err = err,
  }
end

function Library:finish() self.client:close() end

-- ---- bare libcurl ----

local program -- one for all callers

-- Ends the program; the next caller starts it anew.
function caller.stop()
  if program then program:stop() end
  program = nil
end

local function tell(...)
  if not program then
    program = process.start({ "build/witness" },
      { stdin = "pipe", stdout = "pipe" })
  end
  program.stdin:write(table.concat({ ... }, " "), "\n")
  return assert(program.stdout:read("*l"), "build/witness has ended")
end

function caller.witness(server, name)
  tell("new", server.ca[name] or "-")
  return setmetatable({ url = server.url[name] }, Witness)
end

function Witness:create(text, options)
  local before = socket.gettime()
  local mark, rest = text:match("^(%S-%-%d+%-)(.*)$")
  local line = tell("post", self.url .. "/activity/sms/", mark, #rest,
    math.floor((options.timeout or 10) * 1000))
  local code, status = line:match("^(%d+) (%d+)$")
  return {
    letter = code == "0" and status:find("^2") and "S" or "E",
    seconds = socket.gettime() - before, err = "libcurl: " .. line,
  }
end

function Witness.finish() end

return caller
