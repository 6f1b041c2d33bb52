-- Documentation that cannot drift: the annotations, the reference page and the
-- code name the same functions, fields, options, kinds and versions.

local close = require "close"
local core = require "close.core"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local types = read "lua/close/types.lua"
local reference = read "docs/reference.md"

-- The names in the block of annotations of one class.
local function annotated(class)
  local block = types:match("%-%-%-@class close%." .. class ..
    "[^\n]*\n(.-)\n\n")
  assert(block, class)
  local names = {}
  for name in block:gmatch "%-%-%-@field ([%w_]+)" do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- The names in the first column of a table of the reference.
local function documented(heading)
  local escaped = heading:gsub("%p", "%%%0")
  local section = reference:match("\n## " .. escaped .. "[^\n]*\n(.-)\n## ")
  assert(section, heading)
  local names = {}
  for cell in section:gmatch "\n| (`[^|]+) |" do
    for name in cell:gmatch "`([%w_]+)`" do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function option_names()
  local _, err = close.new { no_such_option = true }
  local list = err.message:match "the options are (.*)"
  local names = {}
  for name in list:gmatch "[%w_]+" do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function field_names()
  local names = { "extra" }
  for _, field in ipairs((core.fields())) do names[#names + 1] = field.name end
  table.sort(names)
  return names
end

local function filter_names()
  local names = {}
  for i, filter in ipairs(core.filter_fields()) do names[i] = filter.name end
  table.sort(names)
  return names
end

describe("the annotations", function()
  it("have every filter of list", function()
    assert.same(filter_names(), annotated "Filters")
  end)

  it("have every option", function()
    assert.same(option_names(), annotated "Options")
  end)

  it("have every field of create", function()
    assert.same(field_names(), annotated "CreateParams")
  end)

  it("have every function, and no other", function()
    local expected, found = {}, {}
    local client = assert(close.new { api_key = "api_x" })
    local request = client.sms.create_async({}, function() end)
    local tables = { close = close, SMS = client.sms, Files = client.files,
      Client = getmetatable(client), Request = getmetatable(request) }
    for name, functions in pairs(tables) do
      for key, value in pairs(functions) do
        if type(value) == "function" and not key:find "^__" then
          expected[#expected + 1] = name .. "." .. key
        end
      end
    end
    for name, key in types:gmatch "\nfunction (%w+)[.:]([%w_]+)%(" do
      found[#found + 1] = name .. "." .. key
    end
    client:close()
    table.sort(expected)
    table.sort(found)
    assert.same(expected, found)
  end)

  it("have every function of the default client", function()
    local client = assert(close.new { api_key = "api_x" })
    for _, name in ipairs { "sms", "files" } do
      for key in pairs(client[name]) do
        assert.is_function(close[name][key], key)
      end
    end
    client:close()
  end)

  it("have the enums of the tables", function()
    for _, field in ipairs((core.fields())) do
      for _, value in ipairs(field.values or {}) do
        assert.truthy(types:find('"' .. value .. '"', 1, true), value)
      end
    end
  end)
end)

describe("the reference", function()
  it("has every filter of list", function()
    assert.same(filter_names(),
      documented "client.sms.list([filters [, options]])")
  end)

  it("has every option", function()
    assert.same(option_names(), documented "Options")
  end)

  it("has every field of create", function()
    assert.same(field_names(),
      documented "client.sms.create(params [, options])")
  end)

  it("has every content type of an attachment", function()
    local _, attachment = core.fields()
    local section = reference:match "\nAn attachment has .-\n\n"
    local expected, found = {}, {}
    for _, field in ipairs(attachment) do
      if field.name == "content_type" then expected = field.values end
    end
    for name in section:gmatch "`(%l+/[^`]+)`" do found[#found + 1] = name end
    assert.equal(40, #found)
    assert.same(expected, found)
  end)

  it("has every function of files", function()
    local client = assert(close.new { api_key = "api_x" })
    for key in pairs(client.files) do
      assert.truthy(reference:find("\n## client.files." .. key .. "(", 1, true),
        key)
    end
    client:close()
  end)

  it("has every field of an upload", function()
    local names = annotated "FileInfo"
    assert.same({ "content_type", "filename" }, names)
    for _, name in ipairs(names) do
      assert.truthy(reference:find("\n| `" .. name .. "` |", 1, true), name)
    end
  end)

  it("has every kind of error", function()
    local kinds = types:match "@alias close.Kind\n(.-)\n\n"
    local count = 0
    for kind in kinds:gmatch '"([%w_]+)"' do
      count = count + 1
      assert.truthy(reference:find("\n| `" .. kind .. "` |", 1, true), kind)
    end
    assert.equal(13, count)
  end)

  it("has every member of what close.segments returns", function()
    local names = {}
    for name in pairs(close.segments "text") do names[#names + 1] = name end
    table.sort(names)
    assert.same(names, annotated "Segments")
    assert.same(names, documented "close.segments(text)")
  end)

  it("has every member of an event and a response", function()
    for _, class in ipairs { "Event", "Response", "Error" } do
      for _, name in ipairs(annotated(class)) do
        assert.truthy(reference:find("`" .. name .. "`", 1, true), name)
      end
    end
  end)
end)

describe("the version", function()
  it("is the same everywhere", function()
    local header = read "src/core/clo_version.h":match 'CLO_VERSION "([%d.]+)"'
    assert.equal(header, close._VERSION)
    assert.equal(header, read "CHANGELOG.md":match "\n## %[([%d.]+)%]")
  end)
end)

describe("the readme", function()
  it("names only files that exist", function()
    for path in read "README.md":gmatch "%]%(([%w/_.-]+)%)" do
      local file = io.open(path)
      assert.truthy(file, path)
      file:close()
    end
  end)
end)
