-- What can go wrong with an exchange, by name. Each fault says what the server
-- does, and what a client may make of it:
--   at       how far the server reads before it acts: "accept" (not at all, as
--            soon as there is a connection), "readable" (not at all, but bytes
--            have come), "hello" (these are TLS's first ones), "headers",
--            "half" (of the body), "body" (all of it)
--   listen   false: nobody listens any more
--   answer   what is sent then: status, headers, body ("@sms" is the activity,
--            "@gzip" is it compressed),
--            interim (statuses of 1xx), cut ("status", "headers": half of
--            them), announce (bytes that the length is wrong by), raw (bytes,
--            for HTTP/1.1), frames (bytes or frames, for HTTP/2), endless,
--            trailers (a list of {name, value})
--   ending   "close", "reset", "silence"; nil: the connection is kept
--   acted    the server made the activity, though the client may not learn it
--   size     bytes of the message's text: LARGE takes many reads and writes,
--            HUGE does not fit in the system's buffers (tcp_wmem), nor half
--   tls      the certificate: such a fault needs TLS, over HTTP/1.1, too
--   version  1 or 2: there is no such thing in the other HTTP
--   deadline the call's timeout, in seconds; within: it ends earlier than that
--   expect   the outcomes that are right: S(ent: an activity), N(ot sent),
--            R(ejected), U(nknown); behind: the same with nginx between, which
--            takes the whole request before it asks; false: not tried there
--   once     the same where only the first attempt meets the fault; and
--            once_behind
--   pauses   a second try waits: it is played in one column only
--   holds_nobody  a call after it is answered at once
--   kept     the letters that come to those on a kept connection, whose end
--            crosses the call's beginning
local gzip = require "spec.support.gzip"

local table_of = {}

local LARGE, HUGE = 3e6, 12e6
local SHORT = 0.08 -- seconds of silence

local list, by_name = {}, {}

local function fault(name, fields)
  fields.name, fields.at = name, fields.at or "body"
  list[#list + 1], by_name[name] = fields, fields
end

-- The same with each way in which a connection ends.
local function ends(name, make)
  for _, way in ipairs{ { "FIN", "close" }, { "reset", "reset" } } do
    local fields = make(way[2])
    fields.ending = way[2]
    fault(way[1] .. " " .. name, fields)
  end
end

local function status(code, headers, body)
  return { status = code, headers = headers,
    body = body or '{"error": "Sorry."}' }
end

local function http_date(seconds)
  return os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + seconds)
end

-- ---- where a connection breaks ----

fault("refused", { at = "nowhere", listen = false, expect = "NU",
  once = "SU", behind = "U", once_behind = "SU" })
ends("at once", function()
  return { at = "accept", expect = "NU", once = "SNU", behind = "U" }
end)
ends("before reading", function()
  return { at = "readable", expect = "NU", once = "SNU", behind = "U" }
end)
for _, place in ipairs{ { "headers", "after the headers" },
  { "half", "after half of the body" } } do
  ends(place[2], function(way) -- what comes after our FIN is still taken in
    return { at = place[1], size = HUGE, behind = "U", once = "SNU",
      expect = way == "close" and "NU" or "N" }
  end)
end
ends("after all of it", function() return { acted = true, expect = "U" } end)
ends("after all of it, 3 MB", function()
  return { acted = true, size = LARGE, expect = "U" }
end)
ends("in the status line", function()
  return { acted = true, answer = { cut = "status" }, expect = "U" }
end)
ends("in the headers", function()
  return { acted = true, answer = { cut = "headers" }, expect = "U" }
end)
ends("in the answer's body", function()
  return { acted = true, answer = { body = "@sms", announce = 50 },
    expect = "U" }
end)
fault("body longer than announced", { acted = true, version = 1,
  answer = { body = "@sms      {}", announce = -8 }, expect = "SU" })
fault("body cut by its length", { acted = true,
  answer = { body = "@sms", announce = -8 }, expect = "U" })
fault("no length, FIN in the body", { acted = true, version = 1,
  ending = "close", expect = "U",
  answer = { raw = 'HTTP/1.1 200 OK\r\n\r\n{"id": "acti' } })
fault("broken chunk", { acted = true, version = 1, expect = "U",
  ending = "close", answer = {
    raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}" } })
fault("garbage", { acted = true, ending = "close", expect = "U",
  answer = { raw = "\0\1garbage\r\n\r\n", frames = "\255\255garbage\r\n" } })
fault("garbage for a greeting", { at = "accept", ending = "close",
  answer = { raw = "220 ready\r\n", frames = "220 ready\r\n" },
  expect = "NU", once = "SNU", behind = "U" })

-- ---- silence ----

for _, place in ipairs{ { "readable", "before reading" },
  { "headers", "after the headers" }, { "half", "after half of the body" },
  { "body", "after all of it" } } do
  local at = place[1]
  local partly = at == "headers" or at == "half"
  fault("silence " .. place[2], { at = at, ending = "silence",
    deadline = partly and 2 * SHORT or SHORT, size = partly and HUGE or nil,
    acted = at == "body", behind = partly and "NU" or "U",
    expect = partly and "N" or at == "body" and "U" or "NU" })
end
fault("silence in the answer", { acted = true, ending = "silence",
  deadline = SHORT, answer = { body = "@sms", announce = 50 }, expect = "U" })

-- ---- answers ----

fault("100, 103, then 200", { acted = true, expect = "S", behind = "SU",
  answer = { interim = { 100, 103 }, body = "@sms" }, deadline = 2 })
-- nginx 1.22 takes the 103 for the answer, and waits.
fault("103, then FIN", { acted = true, ending = "close", expect = "U",
  answer = { interim = { 103 }, status = false }, deadline = 2 * SHORT })
fault("103, then silence", { acted = true, ending = "silence", expect = "U",
  answer = { interim = { 103 }, status = false }, deadline = SHORT })
for _, code in ipairs{ 301, 302, 303, 307, 308 } do
  fault(code .. " elsewhere", { expect = "U",
    answer = status(code, { Location = "@elsewhere/sms/" }, "") })
end
fault("307 to itself", { expect = "U",
  answer = status(307, { Location = "/api/v1/activity/sms/" }, "") })
fault("HTML with 200", { acted = true, expect = "U", answer = status(200,
  { ["Content-Type"] = "text/html" }, "<html>Please log in</html>") })
fault("200 without an id", { acted = true, expect = "U",
  answer = status(200, nil, "{}") })
fault("204", { acted = true, expect = "U", answer = status(204, nil, "") })
for _, code in ipairs{ 400, 401, 402, 403, 404, 405, 415 } do
  fault(tostring(code), { expect = "R", answer = status(code) })
end
fault("401, token function", { expect = "R", once = "S", token = true,
  answer = status(401) })
fault("413 before the body, FIN", { at = "headers", size = LARGE,
  ending = "close", answer = status(413), expect = "R" })
fault("413 before the body, reset", { at = "headers", size = LARGE,
  ending = "reset", answer = status(413), expect = "RN", once = "SRN",
  behind = "RU" })
fault("400, body cut short", { ending = "close", expect = "R", behind = "RU",
  answer = { status = 400, body = '{"errors"', announce = 50 } })
local function limited(name, headers)
  fault("429, " .. name, { expect = "R", once = "S", pauses = name ~= "neither",
    answer = status(429, headers) })
end
local function too_long(name, headers)
  fault("429, " .. name, { expect = "R", once = "R", within = 1,
    answer = status(429, headers) })
end
local function epoch() return ("%d"):format(os.time()) end
local function epoch_ms() return epoch() .. "000" end
local function resets(after)
  return function()
    return "limit=9, remaining=0, reset=" ..
      (type(after) == "function" and after() or after)
  end
end
limited("RateLimit", { RateLimit = resets "0.05" })
limited("reset 0", { RateLimit = resets "0" })
limited("reset in the past", { RateLimit = resets "-5" }) -- malformed
limited("Retry-After 0", { ["Retry-After"] = "0" })
limited("Retry-After date", {
  ["Retry-After"] = function() return http_date(0) end })
limited("Retry-After in the past", {
  ["Retry-After"] = function() return http_date(-3600) end })
limited("both", { RateLimit = resets "0.05", ["Retry-After"] = "1" })
limited("neither", {})
limited("malformed RateLimit", { RateLimit = "limit=9;r=0",
  ["Retry-After"] = "0" })
too_long("RateLimit past the deadline", { RateLimit = resets "3600.5" })
too_long("Retry-After past the deadline", { ["Retry-After"] = "3600" })
too_long("date past the deadline", {
  ["Retry-After"] = function() return http_date(3600) end })
too_long("reset in epoch seconds", { RateLimit = resets(epoch) })
too_long("reset in epoch ms", { RateLimit = resets(epoch_ms) })
too_long("Retry-After in epoch seconds", { ["Retry-After"] = epoch })
too_long("Retry-After in epoch ms", { ["Retry-After"] = epoch_ms })
fault("trailers", { acted = true, expect = "S", holds_nobody = true,
  answer = { body = "@sms", trailers = { { "Content-Type", "text/evil" },
    { "RateLimit", "limit=1, remaining=0, reset=59" } } } })
for _, code in ipairs{ 500, 502, 503, 504 } do
  local headers = code == 503 and { ["Retry-After"] = "0" } or nil
  local body = code == 504 and "" or nil
  fault(code .. ", not taken", { expect = "U",
    answer = status(code, headers, body) })
  fault(code .. ", taken", { expect = "U", acted = true,
    answer = status(code, headers, body) })
end
fault("503 before the body", { at = "headers", size = LARGE, ending = "close",
  answer = status(503), expect = "NU", once = "SNU", behind = "U" })
fault("endless headers", { acted = true, expect = "U",
  answer = { endless = "headers" } })
fault("endless body", { acted = true, expect = "U",
  answer = { endless = "body" } })

-- ---- compressed, though nobody asked ----

local function compressed(name, expect, body, coding)
  fault("compressed, " .. name, { acted = true, expect = expect,
    answer = { body = body, headers = { ["Content-Encoding"] = coding } } })
end

compressed("gzip", "S", "@gzip", "gzip")
compressed("twice", "U", "@gzip", "gzip, gzip")
compressed("damaged", "U", gzip.pack("{}"):sub(1, -5) .. "\0\0\0\0", "gzip")
compressed("unknown coding", "U", "@sms", "sdch")
compressed("64 MiB of blanks", "U", gzip.bomb(64), "gzip")

-- ---- TLS, and HTTP/2's own ----

for _, name in ipairs{ "expired", "wrong_host", "self_signed" } do
  fault("certificate: " .. name:gsub("_", " "), { at = "accept", tls = name,
    expect = "N", once = "S", kept = "U", behind = false })
end
ends("in the handshake", function()
  return { at = "hello", tls = "good", expect = "N", once = "S", kept = "U",
    behind = false }
end)
fault("no TLS at all", { at = "hello", tls = "good", expect = "N",
  once = "S", kept = "U", behind = false, ending = "close",
  answer = { raw = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" } })

local function framed(name, frames, fields)
  fields.version, fields.answer = 2, { frames = frames }
  fields.behind = false
  fault(name, fields)
end

framed("GOAWAY, last stream 0", { { "goaway", 0, 0 } },
  { expect = "U", ending = "close" })
framed("GOAWAY, last stream 0, kept open", { { "goaway", 0, 0 } },
  { expect = "U" })
framed("GOAWAY amid the body", { { "goaway", 0, 0 } },
  { expect = "NU", at = "half", size = LARGE, ending = "close" })
framed("RST_STREAM, refused", { { "rst", 7 } }, { expect = "U" })
framed("RST_STREAM, refused amid the body", { { "rst", 7 } },
  { expect = "N", at = "half", size = LARGE })
framed("RST_STREAM, cancelled", { { "rst", 8 } },
  { expect = "U", acted = true })
framed("RST_STREAM, internal error", { { "rst", 2 } },
  { expect = "U", acted = true })
framed("RST_STREAM, no error", { { "rst", 0 } },
  { expect = "U", acted = true })
framed("RST_STREAM, HTTP/1.1 required", { { "rst", 13 } },
  { expect = "U" })

-- ---- reading ----

table_of.list = list

function table_of.find(name) return assert(by_name[name], name) end

return table_of
