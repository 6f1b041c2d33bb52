-- Random callers: callbacks, functions for the credentials, on_event and
-- finalizers that call anything, and throw anything, wherever they are called.
-- Whatever they do, each callback is called once, nothing stays pending, and no
-- message leaves twice. The seed is printed if that fails. With
--   CLOSE_SPEC_SEED=n CLOSE_SPEC_ROUNDS=1
-- that round is played again. More rounds look further, and CLOSE_SPEC_GHOSTS=5
-- makes five finalizers where there was one.
-- Left out: in Lua 5.2 finalizers throw nothing, as it may run them where a
-- callback is called, before its first instruction. (5.3 may, too, where the
-- stack grows: many rounds show it.) LuaJIT's compiler is off: LuaJIT crashes
-- in its unwinder when a finalizer throws into compiled code.
local process = require "spec.support.process"

local seed = tonumber(os.getenv "CLOSE_SPEC_SEED") or os.time()
local ghosts = tonumber(os.getenv "CLOSE_SPEC_GHOSTS") or 1
local rounds = tonumber(os.getenv "CLOSE_SPEC_ROUNDS") or 5
local LIMIT_S = 60 + rounds -- a child that hangs is ended

-- -> what the child said last, and the seed it was at
local function play(loop)
  local settings = ('{"loop": "%s", "seed": %.0f, "rounds": %.0f, ' ..
    '"ghosts": %.0f}'):format(loop, seed, rounds, ghosts)
  local main = ("require('spec.support.callers').main(%q)"):format(settings)
  local path = process.tempdir() .. "/out"
  local child = process.start(process.lua(main), { stdout = path })
  local status, why = child:wait(LIMIT_S)
  child:stop()
  local at, last
  for line in io.lines(path) do
    at = line:match "^seed (%d+)$" or at
    last = line
  end
  if status ~= 0 then last = "status " .. tostring(status or why) end
  return last, at
end

describe("callers at random", function()
  for _, loop in ipairs{ "blocking", "poll" } do
    it("lose no callback with the loop " .. loop, function()
      local said, at = play(loop)
      local callbacks = tonumber(said and said:match "^ok (%d+)$")
      if not callbacks then
        error(("CLOSE_SPEC_SEED=%s: %s"):format(at, said))
      end
      assert.is_true(callbacks > rounds)
    end)
  end
end)
