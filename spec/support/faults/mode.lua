-- How much of the fault tests is played: most of it by one Lua; by the others,
-- and by slow builds, what differs between them. CLOSE_SPEC_WHOLE=1 has that
-- one Lua play all of it, which takes minutes.
local sanitized = os.getenv "CLOSE_SPEC_SANITIZED" ~= nil
local main = (os.getenv "CLOSE_SPEC_LUA" or "lua5.4") == "lua5.4"
  and not sanitized
local whole = main and os.getenv "CLOSE_SPEC_WHOLE" ~= nil

return {
  main = main,
  statuses = whole and { "outbox", "draft", "inbox" } or
    main and { "outbox", "draft" } or { "outbox" },
  witness_parts = whole and 3 or 1, -- of columns.lua
  -- With random faults; and how many processes make them, each of which needs
  -- servers of its own.
  creates = whole and 20000 or main and 2000 or sanitized and 480 or 960,
  workers = whole and 8 or sanitized and 2 or 4,
  sends = whole and 5000 or main and 1500 or sanitized and 200 or 500,
  kills = whole and 200 or main and 60 or 20, -- of processes inside of a send
}
