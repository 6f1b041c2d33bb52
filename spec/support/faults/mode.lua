-- How much of the fault tests is played: all of it by one Lua; by the others,
-- and by slow builds, what differs between them.
local whole = (os.getenv "CLOSE_SPEC_LUA" or "lua5.4") == "lua5.4"
  and not os.getenv "CLOSE_SPEC_SANITIZED"

return {
  whole = whole,
  statuses = whole and { "outbox", "draft", "inbox" } or { "outbox" },
  creates = whole and 20000 or 2000, -- that meet random faults
  sends = whole and 5000 or 500,
  kills = whole and 200 or 20, -- of processes inside of a send
}
