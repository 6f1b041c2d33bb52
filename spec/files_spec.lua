-- Uploads: the params, the two requests, and the result if either fails. The C
-- tests check the bytes of the form.
local close = require "close"
local core = require "close.core"
local json = require("cjson").new()
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local sandbox = require "close.sandbox"
local socket = require "socket"
local storage = require "close.storage"
local support = require "spec.support.client"

local PNG = "\137PNG\r\n\26\n\0 no boundary --\r\n"
local INFO = { filename = "map.png" }
local FORM = "multipart/form-data; boundary="
local SIGNATURE, POLICY = "s1gnature-s1gnature", "p0licy-p0licy-p0licy"
local TICKETS, STORAGE = "/files/upload/$", "^/storage/"

local server, bench, dir

setup(function()
  server, bench = raw.start{}, assert(sandbox.start())
  dir = process.tempdir()
end)
teardown(function()
  server:stop()
  bench:stop()
  process.remove(dir)
end)
before_each(function()
  server:reset()
  assert(bench:reset())
end)
after_each(support.close_all)

local function client_of(options)
  return support.new(server, options)
end

local function sandboxed(options)
  local copy = { api_key = bench.api_key }
  for name, value in pairs(options or {}) do copy[name] = value end
  return support.new(bench, copy)
end

local function write(name, bytes)
  local path = dir .. "/" .. name
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  return path
end

local function upload(client, options, info)
  return support.calmly(client.files.upload, { data = PNG }, info or INFO,
    options)
end

-- What Close answers to the first step, with other values in it.
local function address(more)
  local body = {
    upload = {
      url = ("http://127.0.0.1:%d/bucket"):format(server.port),
      fields = { key = "a/b.png", policy = POLICY, signature = SIGNATURE },
    },
    download = { url = "https://files.close.example/b.png" },
  }
  for name, value in pairs(more or {}) do body.upload[name] = value end
  return { body = body }
end

-- The first step is answered with an address here, the second as told.
local function second_step(...)
  server:script{ address(), ... }
end

local function outcome(err, kind, what)
  assert.equal(kind, err.kind, tostring(err))
  assert.equal(what, err.outcome, tostring(err))
end

describe("a number among a form's fields", function()
  it("travels as JSON has it", function()
    server:script{ address{ fields = { a = 2.5, b = -7, c = 1e300 } },
      { status = 204 } }
    assert(upload(client_of()))
    local form = server:ledger()[2].body
    for _, value in ipairs{ "2.5", "-7", "1e+300" } do
      assert.matches("\r\n\r\n" .. value .. "\r\n", form, 1, true)
    end
  end)

  it("is none where JSON has none", function()
    server:script{ { body = '{"upload": {"url": "http://127.0.0.1:1/", ' ..
      '"fields": {"a": 1e999}}, "download": {"url": "https://x.example/"}}' } }
    local none, err = upload(client_of())
    assert.is_nil(none)
    outcome(err, "protocol", "unknown")
    assert.equal(1, #server:ledger())
  end)
end)

-- ---- what a caller gives ----

describe("a file to upload", function()
  local client

  before_each(function() client = client_of() end)

  local function faults(...)
    local none, err = support.calmly(client.files.upload, ...)
    assert.is_nil(none)
    outcome(err, "validation", "rejected")
    assert.equal(0, #server:ledger())
    return support.faults(err), err
  end

  it("is a path or bytes, and nothing else", function()
    for _, wrong in ipairs{ 1, true, print, close.null } do
      assert.same({ "source: type" }, (faults(wrong, { filename = "a.png" })))
    end
    assert.same({ "source: required" }, (faults(nil, { filename = "a.png" })))
    assert.same({ "source.data: required" }, (faults({}, INFO)))
    assert.same({ "source.data: type" }, (faults({ data = 1 }, INFO)))
    assert.same({ "source.data: range" }, (faults({ data = "" }, INFO)))
    assert.same({ "source.filename: unknown_field" },
      (faults({ data = "x", filename = "a.png" }, INFO)))
    assert.same({ "source.?: unknown_field" },
      (faults({ data = "x", 1 }, INFO)))
  end)

  it("that is a string is a path, whatever stands in it", function()
    for _, path in ipairs{ dir .. "/none", "none.png", PNG, "", "some bytes",
      "a\0b", ("x"):rep(5000) } do
      local found, err = faults(path, INFO)
      assert.same({ "source: format" }, found, path)
      assert.matches("{data =", err.message, 1, true)
    end
    for _, times in ipairs{ 1, 1000 } do
      local found, err = faults(("secret bytes\n"):rep(times), {})
      assert.same({ "content_type: required", "filename: required",
        "source: format" }, found)
      assert.is_false(support.tells(err, "secret"))
    end
  end)

  it("that is long, as bytes given for a path are, is refused at once",
    function()
      local began = os.clock()
      for _, bytes in ipairs{ ("x"):rep(5e4), (": "):rep(25000) } do
        local found, err = faults(bytes, INFO)
        assert.same({ "source: format" }, found)
        assert.matches("that path: File name too long; give the path",
          err.message, 1, true)
      end
      assert.is_true(os.clock() - began < 1)
    end)

  it("must be there, and no directory, and not empty", function()
    local found, err = faults(dir .. "/none.png")
    assert.same({ "source: format" }, found)
    assert.matches("No such file", err.message)
    found, err = faults(dir, INFO)
    assert.same({ "source: format" }, found)
    assert.matches("a directory", err.message)
    assert(os.execute("mkfifo '" .. dir .. "/pipe.png'"))
    assert.same({ "source: format" }, (faults(dir .. "/pipe.png")))
    os.remove(dir .. "/pipe.png")
    found, err = faults(write("map.png", PNG) .. "\0.png", INFO)
    assert.same({ "source: format" }, found)
    assert.matches("a byte 0", err.message)
    -- It can be opened, but not read.
    assert.same({ "source: format" }, (faults("/proc/self/mem", INFO)))
    assert.same({ "source: range" }, (faults(write("empty.png", ""))))
  end)

  it("has 16 MiB at most #once", function()
    local most = 16 * 1024 * 1024
    assert.same({ "source.data: range" },
      (faults({ data = ("x"):rep(most + 1) }, INFO)))
    local path = write("large.png", ("x"):rep(most + 1))
    assert.same({ "source: range" }, (faults(path)))
    os.remove(path)
  end)

  it("has one of the types of an attachment, and a name", function()
    assert.same({ "content_type: required" },
      (faults({ data = "x" }, { filename = "map.xyz" })))
    assert.same({ "content_type: required", "filename: required" },
      (faults({ data = "x" })))
    assert.same({ "content_type: enum" },
      (faults({ data = "x" }, { filename = "a", content_type = "text/html" })))
    assert.same({ "content_type: type", "filename: type" }, (faults(
      { data = "x" }, { filename = close.null, content_type = 1 })))
    assert.same({ "filename: format" },
      (faults({ data = "x" }, { filename = "a\0.png" })))
    assert.same({ "filename: range" },
      (faults({ data = "x" }, { filename = "", content_type = "image/png" })))
    assert.same({ "info: type" }, (faults({ data = "x" }, "image/png")))
  end)

  it("has all that is wrong with it told at once, with hints", function()
    local found, err = faults(dir .. "/none.xyz",
      { file_name = "a", contentType = "image/png", [1] = 2, url = "x" })
    assert.equal(6, #found)
    assert.matches('did you mean "filename"', err.message, 1, true)
    assert.matches('did you mean "content_type"', err.message, 1, true)
  end)

  it("is refused where it comes with a colon", function()
    local _, err = faults(client.files, "map.png")
    assert.matches("with a dot", err.message)
  end)

  it("never throws, whatever is given", function()
    local odd = { 1, true, print, close.null, {}, "", "\0", "\255", 0 / 0,
      setmetatable({}, { __index = error, __pairs = error }),
      coroutine.create(function() end) }
    for _, source in ipairs(odd) do
      for _, info in ipairs(odd) do
        support.calmly(client.files.upload, source, info)
        support.calmly(client.files.upload, { data = source }, info, info)
        support.calmly(client.files.upload, source,
          { filename = info, content_type = source })
      end
    end
    assert.equal(0, #server:ledger())
  end)

  it("leaves the caller's tables as they are", function()
    local source, info = { data = PNG }, { filename = "map.png" }
    local before = support.copy{ source, info }
    assert(sandboxed().files.upload(source, info))
    assert.same(before, { source, info })
  end)
end)

describe("a file's ending", function()
  local attachment_fields = select(2, core.fields())
  local known = {}
  for _, value in ipairs(attachment_fields[1].values) do known[value] = true end

  it("tells a type where that is one of the 40", function()
    local client = sandboxed()
    for _, ending in ipairs{ "3g2", "3gp", "ac3", "amr", "au", "bmp", "csv",
      "gif", "h261", "h263", "h264", "ics", "jpeg", "jpg", "m4a", "m4v", "mov",
      "mp3", "mp4", "mpeg", "mpg", "oga", "ogg", "pdf", "png", "qt", "ra",
      "rtf", "rtx", "snd", "tif", "tiff", "vcf", "wav", "weba", "webm" } do
      for _, name in ipairs{ "a." .. ending, "b.html." .. ending:upper() } do
        local attachment = assert(upload(client, nil, { filename = name }))
        assert(known[attachment.content_type], ending)
        assert.equal(name, attachment.filename)
      end
    end
  end)

  it("yields to a type that is given", function()
    local attachment = assert(upload(sandboxed(), nil,
      { filename = "map.png", content_type = "image/gif" }))
    assert.equal("image/gif", attachment.content_type)
  end)
end)

-- ---- both steps ----

local function fetch(url)
  return require("socket.http").request(url)
end

describe("an upload", function()
  it("makes of a path an attachment that an SMS can have", function()
    local client = sandboxed()
    local path = write("Karte \"1\".png", PNG)
    local attachment, err, response = support.calmly(client.files.upload, path)
    assert(attachment, tostring(err))
    assert.equal("image/png", attachment.content_type)
    assert.equal('Karte "1".png', attachment.filename)
    assert.equal(201, response.status)
    assert.equal(2, response.attempts)
    assert.is_nil(err)
    assert.equal(PNG, (fetch(attachment.url)))
    local sms = assert(client.sms.create(support.params{
      attachments = { attachment } }))
    assert.equal(#PNG, sms.attachments[1].size)
  end)

  local function carries(bytes)
    local client = sandboxed()
    local attachment = assert(client.files.upload({ data = bytes }, INFO))
    assert(fetch(attachment.url) == bytes)
  end

  local all = {}
  for i = 0, 255 do all[#all + 1] = string.char(i) end
  all = table.concat(all)

  it("carries any bytes", function()
    for _, bytes in ipairs{ "\0", all, all:rep(4096) } do carries(bytes) end
  end)

  it("carries 16 MiB #once", function() carries(all:rep(65536)) end)

  it("takes any 2xx of the storage, and waits for it in both", function()
    for _, status in ipairs{ 200, 201, 204 } do
      server:script{
        { chunks = { "HTTP/1.1 200 OK\r\nContent-Length: " ..
          #json.encode(address().body) .. "\r\n\r\n", 0.1,
          json.encode(address().body) } },
        { status = status, delay = 0.1 } }
      local attachment, err, response = upload(client_of())
      assert(attachment, tostring(err))
      assert.equal("https://files.close.example/b.png", attachment.url)
      assert.equal(status, response.status)
      assert(response.elapsed >= 0.19, response.elapsed)
    end
  end)

  it("asks with filename and content_type alone", function()
    second_step{ status = 201 }
    assert(upload(client_of()))
    local first = server:ledger()[1]
    assert.equal("/api/v1/files/upload/", first.target)
    assert.equal("application/json", first.headers["content-type"])
    assert.same({ filename = "map.png", content_type = "image/png" },
      json.decode(first.body))
  end)

  it("sends a form with all fields, whatever their order, and the file last",
    function()
      second_step{ status = 201 }
      assert(upload(client_of()))
      local second = server:ledger()[2]
      assert.equal("/bucket", second.target)
      assert.equal(FORM, second.headers["content-type"]:sub(1, #FORM))
      local names = {}
      for name in second.body:gmatch 'form%-data; name="([^"]*)"' do
        names[#names + 1] = name
      end
      assert.equal("file", table.remove(names))
      table.sort(names)
      assert.same({ "key", "policy", "signature" }, names)
      assert.truthy(second.body:find(SIGNATURE .. "\r\n--", 1, true))
      assert.truthy(second.body:find('name="file"; filename="map.png"\r\n' ..
        "Content-Type: image/png\r\n\r\n" .. PNG .. "\r\n--", 1, true))
    end)

  it("takes its credentials to the first step alone", function()
    local key = { api_key = "s3cretkey" }
    local token = { access_token = function() return "s3cretkey" end }
    for _, options in ipairs{ key, token } do
      server:reset()
      second_step{ status = 201 }
      assert(upload(client_of(options)))
      local ledger = server:ledger()
      local first, second = ledger[1], ledger[2]
      assert.is_string(first.headers.authorization)
      assert.is_nil(second.headers.authorization)
      assert.is_nil(second.raw:find("s3cretkey", 1, true))
      assert.is_nil(second.raw:find(support.base64 "s3cretkey:", 1, true))
    end
  end)

  it("keeps the address's query, and needs no fields", function()
    server:script{ address{ fields = {}, url =
      ("http://127.0.0.1:%d/b?X-Sig=1&a=%%20"):format(server.port) },
      { status = 201 } }
    assert(upload(client_of()))
    assert.equal("/b?X-Sig=1&a=%20", server:ledger()[2].target)
  end)

  it("tells its callback what is wrong", function()
    local client, got = client_of(), nil
    assert(client.files.upload_async("", nil, function(...) got = { ... } end))
    assert.is_nil(got)
    client:wait(5)
    assert.equal("validation", got[2].kind)
    local request, err = client.files.upload_async("x.png", INFO)
    assert.is_nil(request)
    assert.equal("config", err.kind)
  end)

  it("is one call of the default client's", function()
    assert(close.configure{ base_url = bench.url, api_key = bench.api_key })
    local attachment = assert(close.files.upload({ data = PNG }, INFO))
    assert.equal(PNG, (fetch(attachment.url)))
    assert.equal("validation", select(2, close.files:upload "a.png").kind)
    close.configure{ api_key = "api_x" }:close()
  end)
end)

-- ---- what Close names ----

describe("an address", function()
  local function refuses(more, kind, what)
    server:reset()
    server:script{ more }
    local events = {}
    local none, err, response = upload(client_of{ on_event = function(event)
      events[#events + 1] = event
    end })
    assert.is_nil(none)
    outcome(err, kind, what)
    assert.equal(200, err.status)
    assert.equal(1, err.attempts)
    assert.equal(1, #server:ledger())
    for _, word in ipairs{ SIGNATURE, POLICY } do
      assert.is_false(support.tells(err, word))
      assert.is_false(support.tells(response, word))
      assert.is_false(support.tells(events, word))
    end
    return err
  end

  it("is https, or http to this machine", function()
    local port = server.port
    for _, url in ipairs{ "http://0.0.0.0:%d/", "http://192.0.2.1:%d/",
      "http://storage.invalid:%d/", "ftp://127.0.0.1:%d/",
      "http://user:password@127.0.0.1:%d/", "http://127.0.0.1:%d/ x",
      "http://localhost.invalid:%d/", "//127.0.0.1:%d/", "127.0.0.1:%d/",
      "http://127.0.0.1:%d/\r\nX: y", "http://127.0.0.1:%d/\0", "", "/bucket",
      "file:///etc/passwd", "https://", ("http://127.0.0.1:%d/" ..
      ("a"):rep(17000)) } do
      local err = refuses(address{ url = url:format(port) }, "protocol",
        "not_sent")
      assert.matches("the address that Close named for the file is not used",
        err.message)
    end
  end)

  it("is https alone where base_url is", function()
    local function read(more)
      return storage.read({ status = 200, attempts = 1,
        body = json.encode(address(more).body) }, false)
    end
    local none, failure = read()
    assert.is_nil(none)
    outcome(failure, "protocol", "not_sent")
    assert.equal("https://a.example/", read{ url = "https://a.example/" }.url)
  end)

  it("is nothing else than an object with all that is needed", function()
    local whole = address().body
    local text = json.encode(whole)
    for _, body in ipairs{ "", "null", "[]", "<html>", text:sub(1, -2), "{}",
      '{"upload": {}}', json.encode{ upload = whole.upload },
      json.encode{ download = whole.download }, json.encode{
        upload = whole.upload, download = "https://a.example/" } } do
      refuses({ status = 200, body = body }, "protocol", "unknown")
    end
    for _, more in ipairs{ { url = 1 }, { url = json.null },
      { fields = "x" }, { fields = { a = {} } }, { fields = { "x" } },
      { fields = { ["a\r\nb"] = "x" } } } do
      refuses(address(more), "protocol", "unknown")
    end
  end)

  it("has a form of at most 100 fields", function()
    local fields = {}
    for i = 1, 100 do fields["field" .. i] = "x" end
    local read = storage.read({ body = json.encode(
      address{ fields = fields }.body) }, true)
    assert.equal(100, #read.fields)
    fields.one_more = "x"
    refuses(address{ fields = fields }, "protocol", "unknown")
  end)

  it("shows what is no address where it holds no secrets", function()
    local err = refuses({ status = 200, body = "<html>proxy</html>" },
      "protocol", "unknown")
    assert.equal("<html>proxy</html>", err.body)
    assert.matches("not an address to upload to", err.message)
  end)
end)

-- ---- failures of the second step ----

describe("the storage's refusal", function()
  local XML = '<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>' ..
    "<Message>Policy expired &amp; gone.</Message></Error>"

  it("is read, and named as the second step's", function()
    second_step{ status = 403, body = XML,
      headers = { ["Content-Type"] = "application/xml" } }
    local none, err, response = upload(client_of())
    assert.is_nil(none)
    outcome(err, "api", "rejected")
    assert.equal(403, err.status)
    assert.equal(2, err.attempts)
    assert.equal(2, response.attempts)
    assert.equal(XML, err.body)
    assert.same({ { code = "AccessDenied",
      message = "Policy expired & gone." } }, err.errors)
    assert.matches("second step", err.message)
    assert.matches("403: Policy expired & gone%.; uploading again does no harm",
      err.message)
  end)

  it("shows nothing that the form was signed with", function()
    local hex = POLICY:gsub(".", function(c)
      return ("%02x "):format(c:byte())
    end)
    second_step{ status = 403, body = "<Error><Code>SignatureDoesNotMatch" ..
      "</Code><Message>No.</Message><SignatureProvided>" .. SIGNATURE ..
      "</SignatureProvided><StringToSign>" .. POLICY ..
      "</StringToSign><StringToSignBytes>" .. hex ..
      "</StringToSignBytes></Error>" }
    local _, err, response = upload(client_of())
    assert.matches("<SignatureProvided>%[redacted%]</SignatureProvided>",
      err.body)
    for _, word in ipairs{ SIGNATURE, POLICY, hex } do
      assert.is_false(support.tells(err, word))
      assert.is_false(support.tells(response, word))
    end
  end)

  it("shows no secret of 16 bytes, however often it comes", function()
    local secret = "0123456789abcdef"
    server:script{ address{ fields = { signature = secret } },
      { status = 403, body = secret .. secret .. "/" .. secret .. "." } }
    local _, err, response = upload(client_of())
    assert.equal("[redacted][redacted]/[redacted].", err.body)
    assert.equal(err.body, response.body)
  end)

  it("keeps the form's short words, and is one line in the message", function()
    local reason = "is not private " .. ("a\n"):rep(500)
    server:script{
      address { fields = { acl = "private", note = "", policy = POLICY } },
      { status = 403, body = "<Error><Message>" .. reason .. POLICY ..
        "</Message></Error>" } }
    local _, err = upload(client_of())
    assert.equal(reason .. "[redacted]", err.errors[1].message)
    assert.matches("403: is not private a a .*; uploading again does no harm$",
      err.message)
    assert.not_matches("\n", err.message)
    assert.is_true(#err.message < 500)
  end)

  it("of other kinds is told as such", function()
    for _, row in ipairs{
      { { status = 400 }, "api", "rejected", "an empty body" },
      { { status = 401 }, "authentication", "rejected", "401" },
      { { status = 404, body = "<html>" }, "not_found", "rejected",
        "err.body" },
      { { status = 307, headers = { Location = "/elsewhere" } }, "protocol",
        "unknown", "never followed" },
      { { status = 500 }, "server", "unknown", "500" },
      { { status = 503, body = "<Error><Code>SlowDown</Code></Error>" },
        "server", "unknown", "SlowDown" },
      { { answer = "garbage\r\n\r\n" }, nil, "unknown", "second step" },
      { { close = true }, "connection", "unknown", "uploading again" },
      { { reset = true }, "connection", "unknown", "uploading again" },
    } do
      server:reset()
      second_step(row[1])
      local none, err = upload(client_of())
      assert.is_nil(none)
      outcome(err, row[2] or err.kind, row[3])
      assert.matches(row[4], err.message, 1, true)
      assert.matches("second step", err.message)
      assert.equal(2, #server:ledger(), tostring(err))
    end
  end)

  it("that was cut is told as cut", function()
    second_step{ close = true, answer = "HTTP/1.1 403 Forbidden\r\n" ..
      "Content-Length: 100\r\n\r\n<Error>" }
    local _, err = upload(client_of())
    outcome(err, "api", "rejected")
    assert.equal(18, err.code) -- CURLE_PARTIAL_FILE
    assert.matches("Close named, failed: .", err.message)
    assert.equal("<Error>", err.body)
  end)

  it("that was to be tried again is told as cancelled", function()
    second_step{ status = 429, headers = { ["Retry-After"] = 30 } }
    local is_pausing, got
    local client = client_of{ on_event = function(event)
      is_pausing = is_pausing or event.retry_in ~= nil
    end }
    local request = assert(client.files.upload_async({ data = PNG }, INFO,
      function(...) got = { ... } end))
    assert.is_true(process.eventually(function()
      client:poll()
      return is_pausing
    end))
    assert.is_true(request:cancel())
    client:wait(5)
    outcome(got[2], "cancelled", "rejected")
    assert.matches("failed: the call was cancelled;", got[2].message)
    assert.equal(429, got[2].status)
  end)

  it("is gone through quickly, and only its beginning", function()
    local before = socket.gettime()
    for _, body in ipairs{ ("<ABytes>"):rep(3e4), ("<Error>"):rep(3e4),
      ("<a"):rep(1e5) } do
      server:reset()
      second_step{ status = 403, body = body }
      local _, err = upload(client_of())
      outcome(err, "api", "rejected")
      assert.is_true(#err.body <= 65536)
    end
    server:reset()
    second_step{ status = 403, body = ("x"):rep(16 * 1024 - 10) .. SIGNATURE }
    local _, err = upload(client_of())
    assert.is_false(support.tells(err, SIGNATURE:sub(1, 10)))
    assert.is_true(socket.gettime() - before < 10)
  end)

  it("is not awaited for longer than the address is good", function()
    local window = storage.WINDOW
    storage.WINDOW = 0.1
    second_step{ delay = 20 }
    local began = socket.gettime()
    local none, err = upload(client_of { timeout = 10 })
    storage.WINDOW = window
    assert.is_nil(none)
    outcome(err, "timeout", "unknown")
    assert.is_true(socket.gettime() - began < 8)
  end)

  it("does not ask for new credentials", function()
    local asked = 0
    second_step{ status = 401 }
    local _, err = upload(client_of{ access_token = function()
      asked = asked + 1
      return "token"
    end })
    outcome(err, "authentication", "rejected")
    assert.equal(1, asked)
    assert.equal(2, #server:ledger())
  end)
end)

describe("the first step's refusal", function()
  it("is as that of any call", function()
    server:script{ { status = 400, body = { ["field-errors"] = {
      filename = "Too long." } } } }
    local none, err, response = upload(client_of())
    assert.is_nil(none)
    outcome(err, "api", "rejected")
    assert.same({ { field = "filename", message = "Too long." } }, err.errors)
    assert.equal(400, response.status)
    assert.is_nil(err.message:find "second step")
  end)

  it("as a 401 is tried again with new credentials", function()
    local asked = 0
    server:script{ { status = 401 }, address(), { status = 201 } }
    local attachment, err, response = upload(client_of{
      access_token = function()
        asked = asked + 1
        return "token" .. asked
      end })
    assert(attachment, tostring(err))
    assert.equal(2, asked)
    assert.equal(3, response.attempts)
    assert.is_nil(server:ledger()[3].headers.authorization)
  end)
end)

-- ---- again, and in time ----

local function wait_of(seconds)
  return { status = 429, headers = { ["Retry-After"] = seconds } }
end

describe("a step that is put off", function()
  it("is sent again, whole", function()
    server:script{ wait_of(0), address(), wait_of(0), { status = 201 } }
    local attachment, err, response = upload(client_of())
    assert(attachment, tostring(err))
    assert.equal(4, response.attempts)
    local ledger = server:ledger()
    assert.equal(#ledger[3].body, #ledger[4].body)
    assert.truthy(ledger[4].body:find(PNG, 1, true))
  end)

  it("has as many retries as max_retries says", function()
    local client = client_of{ max_retries = 1 }
    server:script{ wait_of(0), address(), wait_of(0), wait_of(0) }
    local _, err = upload(client)
    outcome(err, "rate_limited", "rejected")
    assert.equal(4, err.attempts)
    assert.equal(4, #server:ledger())
    server:reset()
    server:script{ address(), wait_of(0) }
    _, err = upload(client, { max_retries = 0 })
    outcome(err, "rate_limited", "rejected")
    assert.equal(2, #server:ledger())
  end)
end)

describe("the timeout", function()
  it("holds for both steps together", function()
    local err, _
    assert.is_true(process.sometimes(function()
      server:reset()
      local one = address()
      one.delay = 0.2
      server:script{ one, { status = 201, delay = 0.3 } }
      _, err = upload(client_of(), { timeout = 0.4 })
      return #server:ledger() == 2
    end))
    outcome(err, "timeout", "unknown")
    assert.matches("second step", err.message)
    assert.is_true(process.sometimes(function()
      server:reset()
      server:script{ { delay = 5 } }
      _, err = upload(client_of(), { timeout = 0.2 })
      return #server:ledger() == 1
    end))
    outcome(err, "timeout", "unknown")
    assert.is_nil(err.message:find "second step")
  end)
end)

-- ---- faults at every place of both steps ----

describe("a fault", function()
  local PLACES = { "before", "headers", "half", "read", "answer", "after" }

  -- Uploads on a new connection, or on one that has served an upload before.
  local function meet(fault, path, reused)
    assert(bench:reset())
    local client = sandboxed{ max_retries = 0 }
    if reused then assert(upload(client)) end
    local before = #bench:requests()
    fault.path = path
    assert(bench:fault(fault))
    local attachment, err = upload(client)
    local tickets, forms, stored = 0, 0, false
    local requests = bench:requests()
    for i = before + 1, #requests do
      if requests[i].path:find(STORAGE) then
        forms, stored = forms + 1, stored or requests[i].acted
      else
        tickets = tickets + 1
      end
    end
    client:close()
    return { attachment = attachment, err = err, tickets = tickets,
      forms = forms, stored = stored,
      where = ("%s@%s %s %s: %s"):format(fault.kind, fault.place or "read",
        path, reused and "reused" or "new", tostring(err)) }
  end

  local function judge(got)
    local err, where = got.err, got.where
    assert(got.tickets <= 1 and got.forms <= 1, where)
    assert((got.attachment ~= nil) == (err == nil), where)
    if got.attachment then
      assert(got.stored, where)
      return
    end
    local second = err.message:find("second step", 1, true) ~= nil
    local taken = second and got.forms or got.tickets
    assert(err.outcome ~= "not_sent" or taken == 0, where)
    assert(err.outcome == "not_sent" or err.outcome == "unknown", where)
    assert(second or got.forms == 0, where)
    assert(not second or got.tickets == 1, where)
    if taken == 1 then assert(err.outcome == "unknown", where) end
  end

  for _, path in ipairs{ TICKETS, STORAGE } do
    for _, kind in ipairs{ "close", "reset" } do
      it(("of kind %s leaves one copy at most, and the truth, at %s")
        :format(kind, path), function()
          for _, place in ipairs(PLACES) do
            for _, reused in ipairs{ false, true } do
              judge(meet({ kind = kind, place = place }, path, reused))
            end
          end
          for _, reused in ipairs{ false, true } do
            judge(meet({ kind = kind, acted = true }, path, reused))
          end
        end)
    end
  end

  it("where the storage is not there is tried again, and not sent", function()
    server:script{ address{
      url = "http://127.0.0.1:" .. ports.refusing() .. "/" } }
    local _, err = upload(client_of{ max_retries = 1 })
    outcome(err, "connection", "not_sent")
    assert.equal(3, err.attempts)
    assert.matches("second step", err.message)
  end)
end)

-- ---- cancelling ----

describe("an upload that is cancelled", function()
  local function cancelled(options, stop, seconds)
    local client, request, calls, err
    calls = 0
    client = client_of(options)
    request = assert(client.files.upload_async({ data = PNG }, INFO,
      function(_, why)
        calls, err = calls + 1, why
      end))
    if seconds then
      client:wait(seconds)
      assert.equal(0, calls)
    end
    stop(client, request)
    client:wait(5)
    assert.equal(1, calls)
    assert.equal(0, client:pending())
    assert.is_false(request:cancel())
    return err
  end

  local function cancel(_, request) assert.is_true(request:cancel()) end

  it("before it has begun was not sent", function()
    outcome(cancelled({}, cancel), "cancelled", "not_sent")
    assert.equal(0, #server:ledger())
  end)

  it("in the first step ends there", function()
    server:script{ { delay = 5 } }
    outcome(cancelled({}, cancel, 0.2), "cancelled", "unknown")
    assert.equal(1, #server:ledger())
  end)

  -- An event comes before the call that it is about is over.
  it("between the two does not begin the second", function()
    second_step{ status = 201 }
    local request, answer
    local client = client_of{ on_event = function()
      if not answer then answer = { request:cancel() } end
    end }
    local calls, err = 0, nil
    request = assert(client.files.upload_async({ data = PNG }, INFO,
      function(_, why)
        calls, err = calls + 1, why
      end))
    client:wait(5)
    assert.equal(1, calls)
    assert.same({ true }, answer)
    outcome(err, "cancelled", "not_sent")
    assert.equal(1, err.attempts)
    assert.equal(1, #server:ledger())
    assert.is_false(support.tells(err, SIGNATURE))
  end)

  it("by the end of its client is called back once", function()
    server:script{ { delay = 5 } }
    outcome(cancelled({}, function(client) client:close() end, 0.2),
      "cancelled", "unknown")
    server:reset()
    second_step{ status = 201 }
    local client, calls, err
    calls = 0
    client = client_of{ on_event = function() client:close() end }
    client.files.upload_async({ data = PNG }, INFO, function(_, why)
      calls, err = calls + 1, why
    end)
    client:wait(5)
    assert.equal(1, calls)
    outcome(err, "cancelled", "not_sent")
    assert.equal(0, client:pending())
    assert.equal(1, #server:ledger())
  end)
end)

-- ---- events, secrets ----

describe("an upload's events", function()
  it("are those of both steps, and tell no secrets", function()
    local events = {}
    second_step{ status = 201 }
    assert(upload(client_of{ api_key = "s3cretkey", on_event = function(event)
      events[#events + 1] = event
    end }))
    assert.equal(2, #events)
    assert.equal("/files/upload/", events[1].path)
    assert.equal("(storage)", events[2].path)
    assert.equal(201, events[2].status)
    for _, word in ipairs{ "s3cretkey", SIGNATURE, POLICY, "bucket" } do
      assert.is_false(support.tells(events, word))
    end
  end)

  it("and errors hold neither key nor signature, whatever fails", function()
    for _, step in ipairs{ { close = true }, { reset = true },
      { status = 302 }, { status = 400, body = "no" }, { status = 500 },
      { answer = "garbage\r\n\r\n" }, { delay = 5 }, { endless = "body" },
      { endless = "headers" }, { at = "half", reset = true } } do
      local events = {}
      server:reset()
      second_step(step)
      local _, err, response = upload(client_of{ api_key = "s3cretkey",
        max_retries = 0, timeout = 0.3, max_response_bytes = 1e5,
        on_event = function(event) events[#events + 1] = event end })
      for _, word in ipairs{ "s3cretkey", SIGNATURE, POLICY } do
        for _, value in ipairs{ err, events, response or false } do
          assert.is_false(support.tells(value, word))
        end
      end
    end
  end)
end)
