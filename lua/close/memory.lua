-- Lack of memory, as Lua throws it: told apart from all other errors, and from
-- what a function of others' is given.

local memory = {}

local MESSAGE = "not enough memory" -- the same in every Lua

--- Whether what was thrown says that memory is used up.
function memory.is_out_of_memory(thrown) return thrown == MESSAGE end

local function pass(ok, value, ...)
  if not ok and value == MESSAGE then error(MESSAGE, 0) end
  return ok, value, ...
end

--- pcall that lets lack of memory go on: it says nothing of what f was given.
function memory.try(f, ...) return pass(pcall(f, ...)) end

return memory
