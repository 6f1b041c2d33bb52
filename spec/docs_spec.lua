-- Documentation that cannot drift: the code, the annotations and the reference
-- have the same functions, fields, options, kinds and versions, in both
-- directions; docs/architecture.md has every file.

local close = require "close"
local core = require "close.core"
local json = require("cjson").new()
local activity = require "spec.support.activity"
local files = require "spec.support.files"
local options = require "close.options"
local support = require "spec.support.client"

local types = files.read "lua/close/types.lua"
local reference = files.read "docs/reference.md"
local schema = json.decode(files.read "spec/support/sms.schema.json")["$defs"]

-- ---- lists of names ----

local function sorted(names)
  table.sort(names)
  return names
end

local function keys(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  return sorted(names)
end

-- The names that a pattern finds in a text, each once.
local function found_in(text, pattern)
  local map = {}
  for name in text:gmatch(pattern) do map[name] = true end
  return map
end

-- The members of a list for which a function holds, by their names; and more.
local function named(list, holds, ...)
  local map = {}
  for _, item in ipairs(list) do
    if holds(item) then map[item.name] = true end
  end
  for _, name in ipairs{ ... } do map[name] = true end
  return keys(map)
end

local function any() return true end

local fields, attachment_fields = core.fields()

local function field(name)
  for _, item in ipairs(fields) do
    if item.name == name then return item end
  end
end

-- Those of another list that are not in this one.
local function without(list, other)
  local map = {}
  for _, name in ipairs(other) do map[name] = true end
  for _, name in ipairs(list) do map[name] = nil end
  return keys(map)
end

-- ---- the annotations ----

-- The fields of one class: name -> its type, with "?" where it is optional.
local function class(name)
  local block = types:match("%-%-%-@class close%." .. name ..
    "%f[%W][^\n]*\n(.-)\n\n")
  assert(block, name)
  local map = {}
  for member, optional, kind in block:gmatch
    "%-%-%-@field ([%w_]+)(%??) ([^ \n]+)" do
    map[member] = kind .. optional
  end
  return map
end

local function annotated(name) return keys(class(name)) end

-- The strings that an alias allows, in its line or in those below it.
local function alias(name)
  local line, rest = types:match("@alias close%." .. name ..
    "%f[%W]([^\n]*)\n(.*)")
  local below = rest:match "^%-%-%-|.*" and rest:match "^(.-)\n[^-]" or ""
  return keys(found_in((line .. below):gsub("#[^\n]*", ""), '"([^"]+)"'))
end

-- ---- the reference ----

local function section(heading)
  local escaped = heading:gsub("%p", "%%%0")
  local text = reference:match("\n## " .. escaped .. "[^\n]*\n(.-)\n## ")
  return assert(text, heading)
end

-- The rows of a section's table that begins with this cell: name -> the rest of
-- its row.
local function rows(heading, first)
  local block = ("\n" .. section(heading) .. "\n\n"):match(
    "\n| " .. first .. " |[^\n]*\n|[^\n]*\n(.-)\n\n")
  assert(block, heading .. ": " .. first)
  local map = {}
  for cell, rest in (block .. "\n"):gmatch "| (`[^|]+) |([^\n]*)\n" do
    for name in cell:gmatch "`([%w_]+)`" do map[name] = rest end
  end
  return map
end

local function documented(...) return keys(rows(...)) end

-- The names in a part of a section's prose.
local function told(heading, from, to)
  local text = section(heading):match(from .. "(.-)" .. to)
  return keys(found_in(assert(text, heading), "`([%w_]+)`"))
end

local CREATE = "client.sms.create(params [, options])"

-- ---- what the code takes ----

-- The names that a verb takes of these, by what it says of a wrong value.
local function taken(verb, names)
  local client, map = assert(close.new{ api_key = "api_x" }), {}
  for _, name in ipairs(names) do
    local params = { [name] = print }
    local _, err = client.sms[verb](verb == "update" and "acti_1" or params,
      params)
    assert.equal("validation", err.kind)
    local is_known = true
    for _, item in ipairs(err.errors) do
      is_known = is_known and
        not (item.field == name and item.code == "unknown_field")
    end
    map[name] = is_known or nil
  end
  client:close()
  return keys(map)
end

local every_field = named(fields, any, "draft_id", "extra")

-- The options that the error about another one names.
local function options_of(err)
  return keys(found_in(err.message:match "the options are (.*)", "[%w_]+"))
end

-- Every function of the public objects: {SMS = {"create", ...}, ...}.
local function functions()
  local client = assert(close.new { api_key = "api_x" })
  local request = client.sms.create_async({}, function() end)
  local found = {}
  for name, object in pairs { close = close, SMS = client.sms,
    Files = client.files, Client = getmetatable(client),
    Request = getmetatable(request) } do
    local list = {}
    for key, value in pairs(object) do
      if type(value) == "function" and not key:find "^__" then
        list[#list + 1] = key
      end
    end
    found[name] = sorted(list)
  end
  client:close()
  return found
end

describe("what a verb takes", function()
  it("is the same in code, annotations and reference", function()
    for verb, in_class in pairs { create = "CreateParams",
      update = "UpdateParams", send = "SendParams" } do
      assert.same(taken(verb, every_field), annotated(in_class), verb)
    end
    assert.same(annotated "CreateParams", documented(CREATE, "field"))
    assert.same(named(fields, any, "extra"), annotated "CreateParams")
    assert.same(without(annotated "SendParams", annotated "CreateParams"),
      told("client.sms.send(", "fields of%s+`create` without", ";"))
    assert.same(without(annotated "CreateParams", annotated "SendParams"),
      { "draft_id" })
  end)

  it("is the same of update, with its statuses", function()
    local names, statuses = annotated "UpdateParams", {}
    local of_class = class("UpdateParams").status
    local client = assert(close.new { api_key = "api_x", max_retries = 0,
      base_url = "http://127.0.0.1:9/api/v1" })
    for _, value in ipairs(field("status").values) do
      local _, err = client.sms.update("acti_1", { status = value,
        date_scheduled = value == "scheduled" and 0 or nil })
      if err.kind ~= "validation" then statuses[#statuses + 1] = value end
    end
    client:close()
    sorted(statuses)
    assert.same(statuses, keys(found_in(of_class, '"([^"]+)"')))
    local list = section("client.sms.update("):match "`status`%s+(%b())"
    assert.same(statuses, keys(found_in(list, "`([%w_]+)`")))
    for _, value in ipairs(statuses) do names[#names + 1] = value end
    assert.same(sorted(names),
      told("client.sms.update(", "Changes some fields:", "Checked by"))
  end)

  it("is null where the table says so, and required where it does", function()
    local of_create, of_rows = class "CreateParams", rows(CREATE, "field")
    for _, item in ipairs(fields) do
      local annotation, row = of_create[item.name], of_rows[item.name]
      assert.equal(item.nullable,
        annotation:find("close.Null", 1, true) ~= nil, item.name)
      assert.equal(item.nullable, row:find(" or null |", 1, true) ~= nil,
        item.name)
      assert.equal(item.required, not annotation:find "%?$", item.name)
      assert.equal(item.required, row:find("| required", 1, true) ~= nil and
        not row:find "| required with", item.name)
      for _, in_class in ipairs { "UpdateParams", "SendParams" } do
        local other = class(in_class)[item.name]
        if other and item.kind ~= "enum" then
          assert.equal(annotation, other, in_class .. "." .. item.name)
        end
      end
    end
  end)

  it("is one of the values of the tables", function()
    for name, in_alias in pairs { status = "Status", direction = "Direction",
      source = "Source" } do
      local values = sorted(field(name).values)
      assert.same(values, alias(in_alias), name)
      local cell = rows(CREATE, "field")[name]:match "^ ([^|]*)|"
      assert.same(values, keys(found_in(cell, '"([^"]+)"')), name)
    end
  end)
end)

describe("an attachment", function()
  it("is the same in code, annotations and reference", function()
    local names = named(attachment_fields, any)
    assert.same(names, annotated "AttachmentParams")
    assert.same(names, told(CREATE, "\nAn attachment has", "%."))
    assert.same(names, keys(found_in(rows(CREATE, "field").attachments,
      "`([%w_]+)`")))
    assert.same(names, told("client.files.upload(",
      "The attachment is a table of", "%. Close"))
    assert.same(annotated "Attachment", told(CREATE, "as it is: its", "are"))
  end)

  it("has every content type", function()
    local found, expected = {}, {}
    local text = section(CREATE):match "The types are (.-)\n\n"
    for name in text:gmatch "`([^`]+)`" do found[#found + 1] = name end
    for _, item in ipairs(attachment_fields) do
      if item.name == "content_type" then expected = item.values end
    end
    assert.equal(40, #found)
    assert.same(expected, found)
    local names = annotated "FileInfo"
    assert.same({ "content_type", "filename" }, names)
    assert.same(names, documented("client.files.upload(", "`info`"))
  end)
end)

describe("an SMS", function()
  it("has the members of the schema, and of what the tests answer", function()
    local members, properties = class "SMSActivity", schema.SMSActivity
    local names = keys(properties.properties)
    names[#names + 1] = "attachments" -- Close answers it; its schema does not
    assert.same(sorted(names), keys(members))
    assert.same(keys(json.decode(activity)), keys(members))
    local is_required = {}
    for _, name in ipairs(properties.required) do is_required[name] = true end
    for name, property in pairs(properties.properties) do
      local may_be_absent = not is_required[name] or
        type(property.type) == "table"
      assert.equal(may_be_absent, members[name]:find "%?$" ~= nil, name)
    end
  end)
end)

describe("filters and options", function()
  it("are the same in code, annotations and reference", function()
    local filters = named(core.filter_fields(), any)
    assert.same(filters, annotated "Filters")
    assert.same(filters, documented("client.sms.list(", "filter"))
    local client = assert(close.new { api_key = "api_x" })
    local _, err = close.new { no_such_option = true }
    assert.same(options_of(err), annotated "Options")
    assert.same(options_of(err), documented("Options", "name"))
    _, err = client.sms.send({ draft_id = "acti_1" }, { no_such_option = 1 })
    assert.same(options_of(err), annotated "CallOptions")
    assert.same(options_of(err), keys(found_in(section "Options":match
      "%. ([^.]+) may also be%s+given with a call", "`([%w_]+)`")))
    _, err = client.sms.list({}, { no_such_option = 1 })
    assert.same(options_of(err), without({ "on_draft" },
      annotated "CallOptions"))
    _, err = client:request("GET", "/me/", { no_such_option = 1 })
    assert.same(options_of(err), annotated "RequestOptions")
    for _, name in ipairs(annotated "CallOptions") do
      _, err = client.sms.create { [name] = 5 } -- the core knows them, too
      assert.matches('"' .. name .. '" is not a field of an SMS, but an option',
        err.message, 1, true)
    end
    client:close()
  end)

  it("have the same defaults in code and reference", function()
    local settings = assert(options.read_client { api_key = "api_x",
      base_url = "https://example.com" })
    settings.max_retries = options.MAX_RETRIES
    local compared = 0
    for name, row in pairs(rows("Options", "name")) do
      local number = row:match "^ (%d+) |"
      if number then
        assert.equal(tonumber(number), settings[name], name)
        compared = compared + 1
      end
    end
    assert.equal(6, compared)
  end)
end)

describe("functions", function()
  it("stand in the annotations, and no other", function()
    local expected, found = {}, {}
    for object, names in pairs(functions()) do
      for _, name in ipairs(names) do
        expected[#expected + 1] = object .. "." .. name
      end
    end
    for name, key in types:gmatch "\nfunction (%w+)[.:]([%w_]+)%(" do
      found[#found + 1] = name .. "." .. key
    end
    assert.same(sorted(expected), sorted(found))
  end)

  it("stand in the reference, and no other", function()
    local all = functions()
    for object, prefix in pairs { SMS = "client%.sms", Files =
      "client%.files" } do
      local documented_names = found_in(reference, "\n## " .. prefix ..
        "%.([%w_]+)%(")
      for name in pairs(documented_names) do
        assert.truthy(table.concat(all[object], " "):find(name, 1, true), name)
      end
      for _, name in ipairs(all[object]) do
        -- Each verb has a twin, which the reference tells of once.
        assert.truthy(documented_names[name:gsub("_async$", "")], name)
      end
    end
    local of_client = found_in(section "Client", "`client:([%w_]+)%(")
    for name in reference:gmatch "\n## client:([%w_]+)%(" do
      of_client[name] = true
    end
    assert.same(all.Client, keys(of_client))
    assert.same(all.close, keys(found_in(section "close",
      "\n| `close%.([%w_]+)%(")))
    for _, name in ipairs(all.Request) do
      assert.truthy(reference:find("`request:" .. name .. "()`", 1, true))
    end
  end)

  it("of a client are the default client's, too", function()
    local all = functions()
    for name, object in pairs { sms = "SMS", files = "Files" } do
      for _, key in ipairs(all[object]) do
        assert.is_function(close[name][key], key)
      end
    end
  end)
end)

describe("what comes back", function()
  it("has the same members in annotations and reference", function()
    assert.same(annotated "Error", documented("Errors", "field"))
    assert.same(annotated "Response", documented("Response", "field"))
    assert.same(annotated "Violation", sorted { "code", "field", "message" })
    assert.same(annotated "Violation", keys(found_in(
      rows("Errors", "field").errors:match "{(.-)}", "[%w_]+")))
    assert.same(annotated "RateLimit", keys(found_in(
      rows("Response", "field").rate_limit:match "{(.-)}", "[%w_]+")))
    local members = found_in(section "Events", "`([%w_]+)`")
    members.on_event, members.send = nil, nil
    assert.same(annotated "Event", keys(members))
  end)

  it("has the same kinds, outcomes and codes", function()
    assert.same(alias "Kind", documented("Errors", "kind"))
    assert.same(alias "Kind", keys(support.KINDS))
    assert.same(alias "Outcome", keys(support.OUTCOMES))
    assert.same(alias "Outcome", keys(found_in(rows("Errors", "field").outcome,
      "`([%w_]+)`")))
    local codes = types:match "@field code%? string (required[^\n]*)\n"
    assert.same(keys(found_in(codes, "[%w_]+")),
      told("Errors", "Codes of a validation error:", "Up to"))
  end)

  it("has an HTTP status for each kind", function()
    local text = files.read "docs/hosts.md":match
      "\n## What a web handler answers\n(.-)\n## "
    local named_kinds = {}
    for cell in text:gmatch "\n| ([^|]*) | %d%d%d |" do
      for name in cell:gmatch "`([%w_]+)`" do named_kinds[name] = true end
    end
    for _, other in ipairs { "kind", "unknown", "not_sent" } do
      named_kinds[other] = nil
    end
    assert.same(alias "Kind", keys(named_kinds))
  end)

  it("is what close.segments says", function()
    local names = keys(close.segments "text")
    assert.same(names, annotated "Segments")
    assert.same(names, documented("close.segments(text)", "field"))
  end)
end)

describe("the version", function()
  it("is the same everywhere", function()
    local header = files.read "src/core/clo_version.h"
    local version = header:match 'CLO_VERSION "([%d.]+)"'
    assert.equal(version, close._VERSION)
    assert.equal(version, files.read "CHANGELOG.md":match "\n## %[([%d.]+)%]")
  end)
end)

describe("the readme", function()
  it("names only files that exist", function()
    for path in files.read "README.md":gmatch "%]%(([%w/_.-]+)%)" do
      local file = io.open(path)
      assert.truthy(file, path)
      file:close()
    end
  end)
end)

describe("the page on the architecture", function()
  local page = files.read "docs/architecture.md"

  -- The names of the files below src and lua/close, without their endings;
  -- those of the sandbox have a line together.
  local function all_files()
    local names = {}
    local pipe = assert(io.popen "ls src/*/* lua/close/*.lua")
    for path in pipe:lines() do
      names[path:match "([%w_]+)%.%w+$"] = path:match "[^/]+$"
    end
    pipe:close()
    return names
  end

  it("names every file, and none that there is not", function()
    local known, listed = all_files(), {}
    local where = page:match "\n## What lives where\n(.-)\n## "
    for name in where:gmatch "`([%w_]+)[%w.]*`" do listed[name] = true end
    for name, file in pairs(known) do assert.truthy(listed[name], file) end
    for name in page:gmatch "`([%w_]+)%.[chlua]+`" do
      assert.truthy(known[name] or name == "close" or name == "NAME", name)
    end
    for name in where:gmatch "`(l?clo_[%w_]+)" do
      assert.truthy(known[name], name)
    end
  end)
end)
