-- A libcurl that is older than the one the module was built with: close.new
-- refuses it, so that no call begins that could not end.
local other_curl = require "spec.support.other_curl"

local VERSION = "[%d.]+"
local PROTOCOLS_STR, QUICK_EXIT, XOAUTH2_BEARER, POSTFIELDSIZE = 10318, 322,
  10220, 30120

local SCRIPT = [[
  local client, err = require("close").new { api_key = "api_x",
    base_url = "http://127.0.0.1:1/api/v1" }
  if client then return print "made" end
  print(err.kind, err.outcome, err.message)
]]

local function printed(variables) return other_curl.run(SCRIPT, variables) end

describe("close.new with another libcurl", function()
  it("is content where it does what is needed", function()
    assert.equal("made", printed {})
  end)

  it("refuses one that is too old, and names both versions", function()
    assert.matches("^config\tnot_sent\tlibcurl 7%.74%.0 is too old: this " ..
      "module was built with " .. VERSION .. " and needs 7%.87%.0 or newer$",
      printed { CURL_VERSION = "7.74.0" })
  end)

  it("names an option that it refuses, and both versions", function()
    for name, option in pairs { CURLOPT_PROTOCOLS_STR = PROTOCOLS_STR,
      CURLOPT_QUICK_EXIT = QUICK_EXIT, CURLOPT_XOAUTH2_BEARER = XOAUTH2_BEARER,
      CURLOPT_POSTFIELDSIZE_LARGE = POSTFIELDSIZE } do
      local line = printed { CURL_REFUSES = option }
      assert.matches("^config\tnot_sent\tlibcurl " .. VERSION .. " refuses " ..
        name .. " %(.+%); this module was built with " .. VERSION .. "$", line)
    end
  end)
end)
