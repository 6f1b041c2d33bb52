-- How a client waits: one file in loop/ for each host. A loop is made from a
-- driver (the engine's functions, see driver.lua), and has
--   why_not(verb, name)  why this is impossible now, or nil: "await" (wait for
--                     one call), "begin" (begin one), "wait" (wait for all);
--                     name is the user's function, such as "send"
--   kick()            there is new work
--   await(operation)  waits until operation.done; may set its waiter
--   wait(due)         waits until nothing is pending, or until the moment due
--   close()           releases what it has of the host
--   yields()          whether await yields the coroutine or the light thread
-- and, if its host needs them:
--   run(f, ...)       runs a function of the user's in its own context, now or
--                     later; without it such a function is simply called
--   emit(f, event)    the same for on_event, which may share a context; returns
--                     false if the caller must call it
--   spawns            true if run does not wait for the function's end
--   coroutines        true if each callback gets a coroutine of its own (in the
--                     other loops: if a coroutine drives the loop)
--   resumes           true if the host runs other code while a call waits,
--                     which can resume a function that has yielded

local LOOPS = {
  blocking = require "close.loop.blocking",
  luv = require "close.loop.luv",
  ngx = require "close.loop.ngx",
  poll = require "close.loop.poll",
}

local loops = {}

-- The host's loop, by the globals that the host defines.
local function host()
  local ngx, vim = rawget(_G, "ngx"), rawget(_G, "vim")
  if type(ngx) == "table" and ngx.get_phase then return "ngx" end
  if type(vim) == "table" and (vim.uv or vim.loop) then return "luv" end
  return "blocking"
end

--- Makes a loop.
---@param name string as the option has it
---@param driver table
---@return table|nil loop, string? why
function loops.new(name, driver)
  if name == "auto" then name = host() end
  return LOOPS[name].new(driver)
end

return loops
