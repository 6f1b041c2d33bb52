-- Lua's error for lack of memory, which is handled apart from all others.

local memory = {}

--- What Lua throws then; the same in every Lua.
local MESSAGE = "not enough memory"
memory.MESSAGE = MESSAGE

--- Whether an error is the one for lack of memory.
function memory.is_out_of_memory(thrown) return thrown == MESSAGE end

local function pass(ok, value, ...)
  if not ok and value == MESSAGE then error(MESSAGE, 0) end
  return ok, value, ...
end

--- pcall that raises lack of memory again: it is no error of f's arguments.
function memory.try(f, ...) return pass(pcall(f, ...)) end

return memory
