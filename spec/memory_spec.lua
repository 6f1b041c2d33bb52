-- Many calls leave nothing behind: memory, by Lua's count and the system's, and
-- open descriptors.
local lfs = require "lfs"
local close = require "close"
local nginx = require "spec.support.nginx"
local ports = require "spec.support.ports"
local support = require "spec.support.client"

local server

setup(function()
  server = nginx.start{ static = true }
  ports.refusing() -- it has a descriptor from here on
end)
teardown(function() server:stop() end)
after_each(support.close_all)

local function collect()
  collectgarbage()
  collectgarbage()
end

local function lua_kilobytes()
  collect()
  return collectgarbage("count")
end

-- Of this process, in pages of memory.
local function resident_pages()
  collect()
  local file = assert(io.open("/proc/self/statm"))
  local pages = file:read("*a"):match("^%d+ (%d+)")
  file:close()
  return tonumber(pages)
end

local function descriptors()
  collect()
  local count = 0
  for _ in lfs.dir("/proc/self/fd") do count = count + 1 end
  collect()
  return count
end

-- Runs f a number of times, once the first runs have filled all caches;
-- asserts that what measure says has not grown by more than bound.
local function stays_flat(measure, bound, warm, times, f)
  for i = 1, warm do f(i) end
  local before = measure()
  for i = 1, times do f(i) end
  local grown = measure() - before
  assert.is_true(grown <= bound, "grew by " .. grown)
end

local function good_call(client)
  return function(i)
    assert(client.sms.create(support.params{ text = "message " .. i,
      attachments = { support.attachment() }, extra = { n = i } }))
  end
end

-- Fails in many ways: by rule, by option, on the network.
local function bad_calls(client, dead)
  return function(i)
    assert.is_nil((client.sms.create{ status = "outbox", ["n" .. i] = i,
      attachments = { {}, { url = "\255" } } }))
    assert.is_nil((client.sms.create(support.params(), { timeout = -i })))
    assert.is_nil((client.sms.create{ status = "draft", extra = {
      a = 0 / 0 } }))
    assert.is_nil((dead.sms.create(support.params())))
    assert.is_nil((close.new{ api_key = "a:" .. i }))
  end
end

local function nobody()
  return support.new(("http://127.0.0.1:%d"):format(ports.refusing()),
    { max_retries = 0 })
end

describe("calls, by the thousand", function()
  it("leave nothing in Lua", function()
    local client = support.new(server.http)
    stays_flat(lua_kilobytes, 50, 200, 2000, good_call(client))
  end)

  it("leave nothing in the process #unsanitized", function()
    local client = support.new(server.http)
    stays_flat(resident_pages, 100, 500, 2000, good_call(client))
  end)

  it("leave nothing in the process over HTTP/2 #unsanitized", function()
    local client = support.new(server.h2, { ca_file = server.ca_file,
      http2 = true })
    stays_flat(resident_pages, 100, 500, 1000, good_call(client))
  end)

  it("leave nothing in Lua where they fail", function()
    local client, dead = support.new(server.http), nobody()
    stays_flat(lua_kilobytes, 50, 100, 500, bad_calls(client, dead))
  end)

  it("leave nothing in the process where they fail #unsanitized", function()
    local client, dead = support.new(server.http), nobody()
    stays_flat(resident_pages, 100, 200, 1000, bad_calls(client, dead))
  end)

  it("leave no descriptor but one connection", function()
    local before = descriptors()
    local client, dead = support.new(server.http), nobody()
    for i = 1, 50 do
      good_call(client)(i)
      bad_calls(client, dead)(i)
    end
    assert.is_true(descriptors() <= before + 8)
    client:close()
    dead:close()
    assert.equal(before, descriptors())
  end)
end)

describe("a program that the host starts", function()
  it("inherits no connection of a client's", function()
    local function inherited()
      local pipe = assert(io.popen("ls /proc/self/fd | wc -l"))
      local count = tonumber(pipe:read("*l"))
      pipe:close()
      return count
    end
    local before = inherited()
    local client = support.new(server.http)
    assert(client.sms.create(support.params()))
    -- libcurl 7.88 lets it inherit a pair of sockets of its own.
    assert.is_true(inherited() <= before + 2)
    client:close()
  end)
end)

describe("clients", function()
  local function used()
    local client = assert(close.new{ api_key = "k", base_url = server.http })
    assert(client.sms.create(support.params()))
    return client
  end

  it("that were closed leave no descriptor", function()
    local before = descriptors()
    for _ = 1, 50 do used():close() end
    assert.equal(before, descriptors())
  end)

  it("that were dropped are collected, connections and all", function()
    local before = descriptors()
    for _ = 1, 50 do used() end
    assert.equal(before, descriptors())
  end)

  it("that were dropped leave nothing in Lua", function()
    stays_flat(lua_kilobytes, 50, 20, 200, used)
  end)

  it("that were dropped leave nothing in the process #unsanitized", function()
    stays_flat(resident_pages, 200, 100, 300, function()
      used()
      collect()
    end)
  end)

  it("that are held through their call alone still work", function()
    for _ = 1, 20 do
      local create = assert(close.new{ api_key = "k",
        base_url = server.http }).sms.create
      collect()
      assert(create(support.params()))
    end
  end)

  it("made by close.configure replace the one before", function()
    local options = { api_key = "k", base_url = server.http }
    assert(close.configure(options))
    assert(close.sms.create(support.params()))
    local before = descriptors()
    for _ = 1, 20 do
      assert(close.configure(options))
      assert(close.sms.create(support.params()))
    end
    assert.equal(before, descriptors())
  end)
end)
