-- Loops over the pairs of a table.
local process = require "spec.support.process"
local raw_pairs = require "close.raw_pairs"

local unpack = table.unpack or unpack -- luacheck: ignore

local function boom() error("a metamethod ran", 0) end

-- LuaJIT compiles count() for keys that are strings, and a finalizer calls it
-- for others.
local COMPILED = [[
  local raw_pairs = require "close.raw_pairs"
  local function count(t)
    local n = 0
    for _ in raw_pairs(t) do n = n + 1 end
    return n
  end
  for _ = 1, 1000 do count{ a = 1, b = 2, c = 3 } end
  local ends = false
  local function finalize()
    ends = count{ [1.5] = true, [2.5] = "x" } == 2 and count{} == 0
  end
  if newproxy then
    getmetatable(newproxy(true)).__gc = finalize
  else
    setmetatable({}, { __gc = finalize })
  end
  collectgarbage()
  collectgarbage()
  assert(ends)
]]

describe("a loop over the pairs of a table", function()
  it("has each of them once, without metamethods", function()
    local t = setmetatable({ 1, 2, a = 3, [0.5] = false },
      { __pairs = boom, __index = boom, __len = boom })
    local got = {}
    for key, value in raw_pairs(t) do
      assert.is_nil(rawget(got, key))
      got[key] = value
    end
    assert.same({ 1, 2, a = 3, [0.5] = false }, got)
  end)

  it("ends in a finalizer, though it is compiled", function()
    assert(process.run{ "timeout", "20", unpack(process.lua(COMPILED)) })
  end)
end)
