-- Uploads to the sandbox: the address it names, the storage behind that, and
-- what an SMS makes of a file that is there or is not.

local api = require "close.sandbox.api"
local cjson = require "cjson"
local multipart = require "close.sandbox.multipart"
local support = require "spec.support.sandbox_client"

local UPLOAD, SMS = "/files/upload/", support.SMS
local PNG = "\137PNG\r\n\26\n\0--x\r\n"
local BOUNDARY = "b0undary"

local server, client

setup(function() server, client = support.start() end)
teardown(support.stop_all)
before_each(function() assert(server:reset()) end)

-- A form in bytes: parts are {name, body, filename?}. (The %s of Lua 5.1 ends
-- at a byte 0.)
local function form(parts)
  local pieces = {}
  for i, part in ipairs(parts) do
    pieces[i] = ("--%s\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n"
      .. "\r\n"):format(BOUNDARY, part[1],
        part[3] and ('; filename="%s"\r\nContent-Type: image/png')
          :format(part[3]) or "") .. part[2] .. "\r\n"
  end
  return table.concat(pieces) .. "--" .. BOUNDARY .. "--\r\n"
end

-- The parts of a form: all fields, with other values or without some, then
-- the file.
local function parts_of(offer, changes)
  local parts = {}
  for name, value in pairs(offer.upload.fields) do
    local changed = changes and changes[name]
    if changed ~= nil then value = changed end
    if value then parts[#parts + 1] = { name, value } end
  end
  parts[#parts + 1] = { "file", PNG, "a.png" }
  return parts
end

local function path_of(url) return url:match "^http://[^/]+(/.*)$" end

-- Sends a form, or any body: status, body, headers.
local function send(offer, parts, headers)
  local body = type(parts) == "table" and form(parts) or parts
  local extra = ""
  for name, value in pairs(headers or {}) do
    extra = extra .. name .. ": " .. value .. "\r\n"
  end
  if not extra:find "Content%-Type" then
    extra = extra .. "Content-Type: multipart/form-data; boundary=" .. BOUNDARY
      .. "\r\n"
  end
  local status, got, text = client:exchange(
    ("POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n")
      :format(path_of(offer.upload.url), extra, #body) .. body)
  return status, text, got
end

local function fetch(url)
  local status, headers, body = client:exchange(
    ("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(path_of(url)))
  return status, body, headers
end

local function ask(body)
  local status, offer = client:call("POST", UPLOAD,
    body or { filename = "a.png", content_type = "image/png" })
  assert.equal(200, status)
  return offer
end

describe("close.sandbox asked for an upload", function()
  it("names a form and a download, outside of the API", function()
    local offer = ask()
    local origin = server.url:match "^http://[^/]+"
    for _, url in ipairs { offer.upload.url, offer.download.url } do
      assert.equal(origin .. "/storage/", url:sub(1, #origin + 9))
    end
    assert.equal("image/png", offer.upload.fields["Content-Type"])
    assert.not_equal(offer.download.url, ask().download.url)
  end)

  it("refuses missing and wrong fields in Close's shape", function()
    local required, wrong = "This field is required.",
      "Value must be of str type."
    for text, problems in pairs {
      ["{}"] = { filename = required, content_type = required },
      ['{"filename": null, "content_type": 1}'] = {
        filename = required, content_type = wrong },
      ['{"filename": [], "content_type": "image/png"}'] = {
        filename = wrong },
    } do
      local status, body = client:call("POST", UPLOAD, text)
      assert.equal(400, status)
      assert.same({ errors = {}, ["field-errors"] = problems }, body)
    end
    assert.equal(415, (client:call("POST", UPLOAD, "{}",
      { ["content-type"] = "text/plain" })))
  end)

  it("wants a key, and no other method", function()
    assert.equal(401, (client:call("POST", UPLOAD, {},
      { authorization = support.basic "wrong" })))
    local status, _, headers = client:call("GET", UPLOAD)
    assert.equal(405, status)
    assert.equal("POST", headers.allow)
  end)
end)

describe("close.sandbox's storage", function()
  it("takes the form, and gives the file back", function()
    local offer = ask()
    assert.equal(404, (fetch(offer.download.url)))
    local status, body, headers = send(offer, parts_of(offer))
    assert.equal(201, status)
    assert.equal("application/xml", headers["content-type"])
    assert.equal(offer.download.url, headers.location)
    assert.matches("<PostResponse>", body)
    status, body, headers = fetch(offer.download.url)
    assert.equal(200, status)
    assert.equal(PNG, body)
    assert.equal("image/png", headers["content-type"])
  end)

  it("takes it again, and keeps the last", function()
    local offer = ask()
    assert.equal(201, (send(offer, parts_of(offer))))
    local parts = parts_of(offer)
    parts[#parts][2] = "other"
    assert.equal(201, (send(offer, parts)))
    assert.equal("other", (select(2, fetch(offer.download.url))))
  end)

  it("takes a file that is larger than a body may be", function()
    local offer = ask()
    local parts = parts_of(offer)
    parts[#parts][2] = ("x"):rep(2 ^ 21)
    assert.equal(201, (send(offer, parts)))
    assert.equal(413, (client:call("POST", SMS, ("x"):rep(2 ^ 21))))
  end)

  local function refuses(status, code, offer, parts, headers)
    local got, body, answered = send(offer, parts, headers)
    assert.equal(status, got, body)
    assert.matches("<Code>" .. code .. "</Code>", body)
    assert.equal("application/xml", answered["content-type"])
    assert.equal(404, (fetch(offer.download.url)))
  end

  it("refuses a form that lacks a field, or has another value or more",
    function()
      local offer = ask()
      for name in pairs(offer.upload.fields) do
        local signs = name == "policy" or name == "x-amz-signature"
        local code = signs and "SignatureDoesNotMatch" or "AccessDenied"
        refuses(403, code, offer, parts_of(offer, { [name] = false }))
        refuses(403, code, offer, parts_of(offer, { [name] = "other" }))
      end
      local more = parts_of(offer)
      table.insert(more, 1, { "acl", "public-read" })
      refuses(403, "AccessDenied", offer, more)
    end)

  it("refuses a form whose file is not last, or not there", function()
    local offer = ask()
    local parts = parts_of(offer)
    local file = table.remove(parts)
    refuses(400, "InvalidArgument", offer, parts)
    table.insert(parts, 1, file)
    refuses(400, "InvalidArgument", offer, parts)
  end)

  it("refuses what is no form", function()
    local offer = ask()
    refuses(412, "PreconditionFailed", offer, "{}",
      { ["Content-Type"] = "application/json" })
    local whole = form(parts_of(offer))
    for _, body in ipairs { "", "--", whole:sub(2), whole:sub(1, -6),
      whole:gsub("\r\n\r\n", "\r\n", 1), (whole:gsub("name=", "nam=", 1)) } do
      refuses(400, "MalformedPOSTRequest", offer, body)
    end
  end)

  it("refuses credentials", function()
    local offer = ask()
    refuses(400, "InvalidArgument", offer, parts_of(offer),
      { Authorization = support.basic "api_sandbox" })
  end)

  it("has POST at its root and GET below, and nothing else", function()
    for _, line in ipairs { "GET /storage/", "POST /storage/x",
      "DELETE /storage/x", "PUT /storage/" } do
      local status, _, body = client:exchange(line
        .. " HTTP/1.1\r\nHost: localhost\r\n\r\n")
      assert.equal(405, status, line)
      assert.matches("<Code>MethodNotAllowed</Code>", body)
    end
  end)

  it("meets faults, and is in the ledger", function()
    local offer = ask()
    client:fault { kind = "status", status = 503, path = "^/storage/" }
    assert.equal(503, (send(offer, parts_of(offer))))
    assert.equal(201, (send(offer, parts_of(offer))))
    client:fault { kind = "close", acted = true, path = "^/storage/" }
    assert.is_nil((send(offer, parts_of(offer))))
    local requests = server:requests()
    assert.same({ false, true, true }, { requests[2].acted, requests[3].acted,
      requests[4].acted })
    assert.equal("/storage/", requests[3].path)
    assert.is_nil(requests[3].headers.authorization)
    assert.matches(PNG, requests[3].body, 1, true)
  end)

  it("is empty after a reset", function()
    local offer = ask()
    send(offer, parts_of(offer))
    assert(server:reset())
    assert.equal(404, (fetch(offer.download.url)))
    assert.equal(403, (send(offer, parts_of(offer))))
  end)

  it("is logged without its keys", function()
    assert.equal("/storage/", api.template "/storage/")
    assert.equal("/storage/{key}", api.template "/storage/file_secret")
    assert.equal("/api/v1/files/upload/", api.template "/api/v1/files/upload/")
  end)
end)

describe("close.sandbox with an attachment", function()
  local function draft(url)
    return support.copy(support.DRAFT, { attachments = { {
      content_type = "image/png", filename = "a.png", url = url,
    } } })
  end

  local function problem_of(body)
    return body["field-errors"].attachments.errors["0"]["field-errors"].url
  end

  it("wants it to be uploaded, and knows its size", function()
    local offer = ask()
    local status, body = client:call("POST", SMS, draft(offer.download.url))
    assert.equal(400, status)
    assert.matches("There is no file at this URL", problem_of(body))
    send(offer, parts_of(offer))
    local sms = client:create(draft(offer.download.url))
    assert.equal(#PNG, sms.attachments[1].size)
  end)

  it("wants that of an update, too", function()
    local offer = ask()
    local path = SMS .. client:create(support.DRAFT).id .. "/"
    local status, body = client:call("PUT", path, draft(offer.download.url))
    assert.equal(400, status)
    assert.matches("There is no file at this URL", problem_of(body))
    send(offer, parts_of(offer))
    status, body = client:call("PUT", path, draft(offer.download.url))
    assert.equal(200, status)
    assert.equal(#PNG, body.attachments[1].size)
  end)

  it("takes an address elsewhere as it is", function()
    local item = draft "https://example.com/storage/a.png"
    item.attachments[1].size = 7
    local sms = client:create(item)
    assert.equal(1024, sms.attachments[1].size)
  end)
end)

-- ---- time, which is a parameter ----

describe("close.sandbox's clock", function()
  local NOW = 1795420800
  local subject

  before_each(function()
    subject = api.new({ api_key = "k", access_token = "t" }, "http://h")
  end)

  local function call(method, path, body, now)
    local json = type(body) == "table"
    return subject:answer({
      method = method, path = path, query = {},
      body = json and cjson.encode(body) or body or "",
      headers = {
        authorization = json and support.basic "k" or nil,
        ["content-type"] = json and "application/json"
          or "multipart/form-data; boundary=" .. BOUNDARY,
      },
    }, now)
  end

  local function offered()
    return cjson.decode(call("POST", "/api/v1/files/upload/",
      { filename = "a.png", content_type = "image/png" }, NOW).body)
  end

  local function upload(offer, now)
    return call("POST", "/storage/", form(parts_of(offer)), now)
  end

  it("lets a form in for 60 seconds", function()
    local offer = offered()
    assert.equal(201, upload(offer, NOW + 59.9).status)
    local late = upload(offer, NOW + 60)
    assert.equal(403, late.status)
    assert.matches("Policy expired", late.body)
  end)

  it("gives the file away, and takes it in an SMS, for 24 hours", function()
    local offer = offered()
    upload(offer, NOW + 1)
    local path = offer.download.url:sub(#"http://h" + 1)
    local sms = { status = "draft", attachments = { {
      content_type = "image/png", filename = "a.png",
      url = offer.download.url,
    } } }
    for now, status in pairs { [NOW + 86399] = 200, [NOW + 86400] = 403 } do
      assert.equal(status, call("GET", path, nil, now).status)
      assert.equal(status == 200 and 200 or 400,
        call("POST", "/api/v1/activity/sms/", sms, now).status)
    end
  end)
end)

describe("a form", function()
  it("is taken apart byte for byte", function()
    local parts = multipart.parse(form { { "a", "" }, { "b", "\r\n--b\r\n" },
      { "file", PNG, "my %22a%22 100%25.png" } }, BOUNDARY)
    assert.equal(3, #parts)
    assert.same({ "", "\r\n--b\r\n", PNG },
      { parts[1].body, parts[2].body, parts[3].body })
    assert.equal('my "a" 100%25.png', parts[3].filename)
    assert.equal("image/png", parts[3].content_type)
  end)

  it("has its boundary in its type", function()
    for text, boundary in pairs {
      ["multipart/form-data; boundary=x"] = "x",
      ['Multipart/Form-Data; charset=a; BOUNDARY="x y"'] = "x y",
      ["multipart/form-data"] = false, ["text/plain; boundary=x"] = false,
      ["multipart/mixed; boundary=x"] = false, [""] = false,
    } do
      assert.equal(boundary or nil, multipart.boundary(text), text)
    end
    assert.is_nil(multipart.boundary(nil))
  end)
end)
