-- Which loop waits for a client's calls: one file below loop/ for each host. A
-- loop is made of a driver, the engine's verbs, and has
--   why_not(verb, name)  why it cannot be done here and now, or nil: "await"
--                     (one call), "begin" (one, without waiting), "wait" (for
--                     all); name is the user's function, such as "send"
--   kick()            there is something new to do
--   await(operation)  waits until operation.done; see its waiter
--   wait(due)         waits until nothing is pending, or the clock says due
--   close()           lets go of what it holds of the host
--   yields()          whether await yields the coroutine or the light thread
--   run(f, ...)       runs a function of the user's, where that takes more than
--                     a call: now or later, in a context of its own
--   tell(f, event)    the same for on_event, which may share its context; false
--                     where it has to be called here and now
--   spawns            true where run does not wait for the function's end
--   coroutines        true where each callback has a coroutine of its own; it
--                     has one elsewhere, too, where a coroutine drives the loop
--   resumes           true where other code of the host's runs while a call
--                     waits, and may resume a function that has yielded

local LOOPS = {
  blocking = require "close.loop.blocking",
  luv = require "close.loop.luv",
  ngx = require "close.loop.ngx",
  poll = require "close.loop.poll",
}

local loops = {}

-- The host's own, by what it defines; nothing of it is called.
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
