rockspec_format = "3.0"
package = "close-sandbox"
version = "scm-1"

-- As in close-scm-1.rockspec: whoever publishes this fills in the repository.
source = {
  url = "git+file:///path/to/close",
}

description = {
  summary = "A Close CRM server on loopback, for tests of text messages",
  detailed = [[
    close.sandbox answers as Close's API does, sends nothing to anybody, and
    fails on request. It works with any client; the rock close has one.
  ]],
  license = "MIT",
  labels = { "sms", "http", "api", "crm", "test" },
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.1, < 5.5",
  "lua-cjson >= 2.1.0",
  "luasocket >= 3.0",
}

build = {
  type = "builtin",
  modules = {
    ["close.sandbox"] = "lua/close/sandbox.lua",
    ["close.sandbox.account"] = "lua/close/sandbox/account.lua",
    ["close.sandbox.activity"] = "lua/close/sandbox/activity.lua",
    ["close.sandbox.api"] = "lua/close/sandbox/api.lua",
    ["close.sandbox.child"] = "lua/close/sandbox/child.lua",
    ["close.sandbox.connection"] = "lua/close/sandbox/connection.lua",
    ["close.sandbox.control"] = "lua/close/sandbox/control.lua",
    ["close.sandbox.dates"] = "lua/close/sandbox/dates.lua",
    ["close.sandbox.faults"] = "lua/close/sandbox/faults.lua",
    ["close.sandbox.fields"] = "lua/close/sandbox/fields.lua",
    ["close.sandbox.handle"] = "lua/close/sandbox/handle.lua",
    ["close.sandbox.http"] = "lua/close/sandbox/http.lua",
    ["close.sandbox.json"] = "lua/close/sandbox/json.lua",
    ["close.sandbox.leads"] = "lua/close/sandbox/leads.lua",
    ["close.sandbox.ledger"] = "lua/close/sandbox/ledger.lua",
    ["close.sandbox.limits"] = "lua/close/sandbox/limits.lua",
    ["close.sandbox.loop"] = "lua/close/sandbox/loop.lua",
    ["close.sandbox.multipart"] = "lua/close/sandbox/multipart.lua",
    ["close.sandbox.pages"] = "lua/close/sandbox/pages.lua",
    ["close.sandbox.phones"] = "lua/close/sandbox/phones.lua",
    ["close.sandbox.server"] = "lua/close/sandbox/server.lua",
    ["close.sandbox.sms"] = "lua/close/sandbox/sms.lua",
    ["close.sandbox.storage"] = "lua/close/sandbox/storage.lua",
  },
  install = {
    bin = { ["close-sandbox"] = "bin/close-sandbox" },
  },
  copy_directories = {},
}
