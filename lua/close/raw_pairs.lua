-- The pairs of a table, without its metamethods, for a for loop.
-- It is not pairs() or next() itself: if LuaJIT has compiled a loop over one of
-- these, and a finalizer runs that loop for a table with keys of another type,
-- it gets the first pair again and again (seen with 2.1-20230119; of the kind
-- of github.com/LuaJIT/LuaJIT, issue 744). Finalizers may call this library.

local function following(t, key) return next(t, key) end

return function(t) return following, t end
