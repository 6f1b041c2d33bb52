-- Finalizers run wherever memory is asked for, inside of the glue too, and may
-- call anything of the library there.
local process = require "spec.support.process"
local raw = require "spec.support.raw_server"
local support = require "spec.support.client"

local server

setup(function() server = raw.start{} end)
teardown(function() server:stop() end)
before_each(function() server:reset() end)
after_each(support.close_all)

-- An object without an owner, whose finalizer is f.
local function ghost(f)
  -- luacheck: globals newproxy
  if newproxy then
    getmetatable(newproxy(true)).__gc = f
  else
    setmetatable({}, { __gc = f })
  end
end

local over -- the ghosts of an earlier test are to do nothing any more

before_each(function() over = false end)
after_each(function() over = true end)

-- Makes a ghost, whose finalizer f is to run soon, inside of the next call.
local function haunt(f)
  ghost(function()
    if not over then f() end
  end)
  collectgarbage "restart"
end

-- Calls act, with a collector that rests until somebody haunts, and then goes
-- through everything as soon as memory is asked for.
local function haunted(act)
  local multiplier = _VERSION == "Lua 5.4" and 1000 or 1e6
  local pause = collectgarbage("setpause", 0)
  local old = collectgarbage("setstepmul", multiplier)
  collectgarbage "stop"
  local ok, why = pcall(act)
  over = true
  collectgarbage "restart"
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", old)
  assert(ok, why)
end

describe("a finalizer", function()
  it("may make a call while an answer is read", function()
    local ran, busy, failed = 0, false, nil
    local client, other
    local function nested()
      if busy then return end
      busy = true
      ran = ran + 1
      for _, one in ipairs{ other, client } do
        local sms, err = one.sms.create(support.params())
        if not sms then failed = tostring(err) end
      end
      busy = false
    end
    other = support.new(server)
    client = support.new(server, { on_event = function() haunt(nested) end })
    haunted(function()
      for _ = 1, 50 do
        assert(client.sms.create(support.params()))
        collectgarbage "stop"
      end
    end)
    assert.is_nil(failed)
    assert.is_true(ran > 10)
    assert.equal(50 + 2 * ran, #server:ledger())
  end)

  it("may close the client while a call is under way", function()
    local ran, failed = 0, nil
    haunted(function()
      for _ = 1, 50 do
        local client
        client = support.new(server, { on_event = function()
          haunt(function() ran = ran + 1; client:close() end)
        end })
        for _ = 1, 3 do
          local sms, err = client.sms.create(support.params())
          if not sms and err.kind ~= "config" and err.kind ~= "cancelled" then
            failed = tostring(err)
          end
        end
        collectgarbage "stop"
      end
    end)
    assert.is_nil(failed)
    assert.is_true(ran > 10)
  end)
end)

describe("a client that nobody has any more", function()
  it("is collected, though its own functions refer to it", function()
    local alive = setmetatable({}, { __mode = "k" })
    for i = 1, 50 do
      local client
      local function refer() return client and "x" or "y" end
      client = require "close".new{ base_url = server.url, on_event = refer,
        access_token = refer }
      alive[client] = i
    end
    for _ = 1, 4 do collectgarbage() end
    assert.is_nil(next(alive))
  end)
end)

-- In a child, which a slip would crash.
describe("validate within validate", function()
  it("loses nothing of either call", function()
    local said = process.capture(process.lua([[
      collectgarbage("setpause", 0)
      collectgarbage("setstepmul", 1000)
      local close = require "close"
      local inside, nested, wrong = false, 0, 0

      local function finalize()
        if inside then return end
        inside = true
        local ok, err = close.sms.validate{ status = "draft" }
        if ok ~= true then wrong = wrong + 1 end
        ok, err = close.sms.validate{ status = "draft", cc = "x", text = 5 }
        if ok or #err.errors ~= 2 then wrong = wrong + 1 end
        nested = nested + 1
        inside = false
      end

      local function ghost()
        if not newproxy then
          return setmetatable({}, { __gc = finalize })
        end
        getmetatable(newproxy(true)).__gc = finalize
      end

      for i = 1, 3000 do
        ghost()
        local ok, err = close.sms.validate{ status = "draft",
          to = "+14154445555", date_created = i, date_scheduled = i + 1,
          activity_at = i + 2, text = false }
        if ok or #err.errors ~= 2 then wrong = wrong + 1 end
      end
      print(nested > 100, wrong)
    ]]))
    assert.equal("true\t0", said)
  end)
end)
