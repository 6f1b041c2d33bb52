-- A libcurl that is older than the one the module was built with: close.new
-- refuses it, so that no call begins that could not end.
local other_curl = require "spec.support.other_curl"

local VERSION = "[%d.]+"
-- What any may refuse, and what only new ones and only old ones are asked for.
local OPTIONS = { CURLOPT_POSTFIELDSIZE_LARGE = 30120,
  CURLOPT_HTTPHEADER = 10023 }
local NEW = { CURLOPT_PROTOCOLS_STR = 10318, CURLOPT_QUICK_EXIT = 322,
  CURLOPT_PREREQFUNCTION = 20312 }
local OLD = { CURLOPT_PROTOCOLS = 181 }

-- Whether the libcurl that is here is older than 7.87.
local function is_old()
  local major, minor = require "close.core".curl_version:match "^(%d+)%.(%d+)"
  return tonumber(major) * 100 + minor < 787
end

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
    assert.matches("^config\tnot_sent\tlibcurl 7%.73%.0 is too old: this " ..
      "module was built with " .. VERSION .. " and needs 7%.74%.0 or newer$",
      printed { CURL_VERSION = "7.73.0" })
  end)

  local function assert_named(options, version)
    for name, option in pairs(options) do
      assert.matches("^config\tnot_sent\tlibcurl " .. VERSION .. " refuses " ..
        name .. " %(.+%); this module was built with " .. VERSION .. "$",
        printed { CURL_REFUSES = option, CURL_VERSION = version })
    end
  end

  it("names an option that it refuses, and both versions", function()
    assert_named(OPTIONS)
    if not is_old() then assert_named(NEW) end
  end)

  it("asks an old one for what it has", function()
    assert.equal("made", printed { CURL_VERSION = "7.74.0" })
    assert_named(OPTIONS, "7.74.0")
    assert_named(OLD, "7.74.0")
    for _, option in pairs(NEW) do
      assert.equal("made",
        printed { CURL_REFUSES = option, CURL_VERSION = "7.74.0" })
    end
  end)
end)
