-- How much of the fault tests is played: all of it by one Lua; by the others,
-- and by slow builds, what differs between them.
local sanitized = os.getenv "CLOSE_SPEC_SANITIZED" ~= nil
local whole = (os.getenv "CLOSE_SPEC_LUA" or "lua5.4") == "lua5.4"
  and not sanitized

return {
  whole = whole,
  statuses = whole and { "outbox", "draft", "inbox" } or { "outbox" },
  creates = whole and 20000 or sanitized and 480 or 960, -- with random faults
  sends = whole and 5000 or 500,
  kills = whole and 200 or 20, -- of processes inside of a send
}
