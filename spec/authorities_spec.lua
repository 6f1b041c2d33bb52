-- The system's authorities, which libcurl takes from a bundle and a directory:
-- a certificate that either of them trusts is accepted.
local nginx = require "spec.support.nginx"
local files = require "spec.support.files"
local other_curl = require "spec.support.other_curl"
local process = require "spec.support.process"

local front

setup(function() front = nginx.start{ static = true } end)
teardown(function() front:stop() end)

local SCRIPT = [[
  local events = {}
  local client = assert(require("close").new { api_key = "api_x",
    base_url = %q, max_retries = 0,
    on_event = function(event) events[#events + 1] = event.attempt end })
  for _ = 1, 2 do
    local sms, err, response = client.sms.create { status = "draft" }
    print(sms and "sent" or err.kind .. " " .. err.outcome,
      (response or err).attempts)
  end
  print(#events)
]]

local SENT = "sent\t1\nsent\t1\n2"
local REFUSED = "tls not_sent\t1\ntls not_sent\t1\n2"

-- What becomes of two calls where the bundle holds the authorities of some
-- files, and the directory those of others; under other names than their
-- hashes, where misnamed.
local function calls(url, bundle, directory, misnamed)
  local dir = process.tempdir()
  assert(process.run { "mkdir", dir .. "/certs" })
  local texts = {}
  for i, path in ipairs(bundle) do texts[i] = files.read(path) end
  files.write(dir .. "/bundle.pem", table.concat(texts))
  for i, path in ipairs(directory) do
    local hash = misnamed and ("0000000%d"):format(i) or process.capture {
      "openssl", "x509", "-noout", "-hash", "-in", path }
    files.write(("%s/certs/%s.0"):format(dir, hash), files.read(path))
  end
  local said = other_curl.run(SCRIPT:format(url),
    { CAINFO = dir .. "/bundle.pem", CAPATH = dir .. "/certs" })
  process.remove(dir)
  return said
end

describe("a server is trusted", function()
  it("where its authority is in the directory", function()
    assert.equal(SENT, calls(front.https, { front.other_ca },
      { front.ca_file }))
  end)

  it("where it is in the bundle alone", function()
    assert.equal(SENT, calls(front.https,
      { front.other_ca, front.ca_file }, { front.other_ca }))
  end)

  it("where it is in the bundle, and none in the directory", function()
    assert.equal(SENT, calls(front.https, { front.ca_file }, {}))
  end)

  it("where the directory has it under a wrong name", function()
    assert.equal(SENT, calls(front.https, { front.ca_file },
      { front.ca_file }, true))
  end)
end)

describe("a server is refused, at its one attempt", function()
  it("where its authority is in neither", function()
    assert.equal(REFUSED, calls(front.https, { front.other_ca },
      { front.other_ca }))
  end)

  it("where its certificate has expired", function()
    assert.equal(REFUSED, calls(front.expired, { front.ca_file },
      { front.ca_file }))
  end)
end)
