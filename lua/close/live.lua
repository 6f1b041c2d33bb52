-- The list of a client's operations that are not over, and what its next drain
-- does with some of them. All functions work on the client's state, see
-- client.lua.

local questions = require "close.question"

local live = {}

-- Lua's tables have room for a power of two of keys. Into a full one, each new
-- key is put by allocating the whole table again, even if another key was
-- removed before. With 64 calls, the default of max_in_flight, the tables would
-- be full: so they have one key more, which is no call.
local NONE = {}

--- The tables of what is live, empty.
---@return table live, table requests
function live.new() return { [NONE] = true }, { [-1] = false } end

-- ---- counting ----

--- Counts an operation as pending. It does while it is in state.live;
--- state.pending is how many there are.
function live.count(state, operation)
  local list = state.live
  if list[operation] then return end
  list[operation] = true
  state.pending = state.pending + 1
end

local count = live.count

--- Counts it as pending no longer.
function live.uncount(state, operation)
  local list = state.live
  if not list[operation] then return end
  list[operation] = nil
  state.pending = state.pending - 1
end

local uncount = live.uncount

--- Counts them again, as an error may have come between the two halves of
--- counting. Without a for loop: in Lua 5.1 the collector may run in its steps,
--- and with it a finalizer that changes what is counted.
function live.recount(state)
  local n, list = -1, state.live -- without NONE
  local operation = next(list)
  while operation do
    n = n + 1
    operation = next(list, operation)
  end
  state.pending = n
end

--- How many operations are not over, without those that cannot end before the
--- caller returns.
function live.pending(state)
  local n = state.pending - state.uncounted
  if state.starting > 0 then -- they are told once their caller goes on
    local operation = next(state.live) -- not in a for loop, see recount
    while operation do
      if operation.is_starting and operation.done then n = n - 1 end
      operation = next(state.live, operation)
    end
  end
  return n - questions.count_inside(state)
end

-- ---- what the next drain does ----

--- Calls act(state, operation, response, failure) in the next drain.
function live.defer(state, act, operation, response, failure)
  -- First: an error, or a finalizer that defers others, may come here.
  local late = { act = act, operation = operation, response = response,
    failure = failure }
  local last = state.deferred_last + 1
  state.deferred[last] = late
  state.deferred_last = last
  -- Like count(), but without a call, at which a finalizer could drain it.
  if not state.live[operation] then
    state.live[operation], state.pending = true, state.pending + 1
  end
end

--- Something was deferred for an operation that is over by now: a finalizer may
--- have come in between, and have counted or ended it.
function live.settle(state, operation)
  if not operation.waiter then uncount(state, operation) end
end

--- Puts an operation into the list state.untold. Allocates nothing, as memory
--- may lack for long; may be called twice, as an error may come here, too.
function live.put_off(state, operation)
  local following = operation.next_untold
  -- One that was just taken from the list still refers to the first.
  if following == nil or following == state.untold then
    operation.next_untold = state.untold
    state.untold = operation
  end
end

--- After an error: what waits for an operation is told in a later drain.
function live.put_back(state, operation)
  if not operation.waiter then return uncount(state, operation) end
  count(state, operation) -- first: a finalizer may tell it once it is listed
  live.put_off(state, operation)
end

--- Takes the first operation from the list state.untold.
function live.take_untold(state, operation)
  state.untold = operation.next_untold
  operation.next_untold = nil
end

--- Whether the next drain has something of this to do.
function live.has_late(state)
  return state.deferred_first <= state.deferred_last or state.untold
end

return live
