-- How long nginx's loop sleeps between two turns of the engine. nginx cannot
-- watch its sockets, so each turn that comes before an answer is for nothing,
-- and one that comes after it delays a call. Arithmetic alone: the caller gives
-- the moments and the seconds. An interval is one table:
--   active    when there was new work, or a call ended
--   answered  when a call ended
--   between   seconds that are usual between such moments
--   misses    turns since one that came in time for an answer found it
--   is_due    whether the sleep lasts until an answer can be expected
--   wakes     when the sleep ends; long ago if there is none

-- The loop sleeps until an answer can be expected, at most MAX_WAIT_S. From
-- then on, or if that moment is not known, it sleeps for a share of the time
-- since it was active; from then on at least for a share of the time between
-- the last answers. There are bounds: nginx counts milliseconds.
local MAX_WAIT_S = 0.1
local MIN_SLEEP_S, MAX_SLEEP_S = 0.001, 0.003
local IDLE_SHARE, ANSWER_SHARE = 1 / 20, 1 / 2
-- What the last answer counts for in the time between answers. A longer time
-- counts as the one whose share is the longest sleep.
local LAST_SHARE = 1 / 8
local MAX_BETWEEN_S = MAX_SLEEP_S / ANSWER_SHARE
-- After so many turns that came when an answer could be expected, and found
-- none, they come later, by the share of the time between answers. One of so
-- many comes in time all the same: answers may have become faster.
local MISSES = 8

local Interval = {}
Interval.__index = Interval

local function comes_in_time(self)
  return self.misses < MISSES or self.misses % MISSES == 0
end

-- Seconds until the next turn; whether it comes when an answer is expected.
local function sleep_time(self, now, expected, deadline)
  local time = math.min((now - self.active) * IDLE_SHARE, MAX_SLEEP_S)
  local is_due = expected ~= nil and expected > 0
  if expected then
    local share = self.between * ANSWER_SHARE
    if is_due and not comes_in_time(self) then expected = expected + share end
    time = math.max(time, share, math.min(expected, MAX_WAIT_S))
  end
  return math.max(math.min(time, deadline or time), MIN_SLEEP_S), is_due
end

--- Begins a sleep; returns its seconds.
---@param expected number|nil seconds until an answer can be expected, if known
---@param deadline number|nil seconds until the engine must have a turn
function Interval:sleep(now, expected, deadline)
  local time
  time, self.is_due = sleep_time(self, now, expected, deadline)
  self.wakes = now + time
  return time
end

--- The sleep has ended, or is about to.
function Interval:wake() self.wakes = -math.huge end

--- Notes that there is new work.
function Interval:note_work(now) self.active = now end

--- Whether the sleep ends later than one that begins with the new work. Less
--- than a millisecond is no gain: nginx counts them.
function Interval:is_late(expected, deadline)
  local time = sleep_time(self, self.active, expected, deadline)
  return self.active + time + MIN_SLEEP_S < self.wakes
end

local function note_answer(self, now)
  local seconds = math.min(now - self.answered, MAX_BETWEEN_S)
  self.between = self.between + (seconds - self.between) * LAST_SHARE
  self.answered, self.active = now, now
end

--- Notes a turn, by the numbers of pending calls before and after it.
function Interval:note_turn(before, after, now)
  local found = after < before
  if self.is_due then
    self.misses = found and comes_in_time(self) and 0 or self.misses + 1
  end
  if found then
    note_answer(self, now)
  elseif after > before then
    self.active = now
  end
end

local ngx_interval = {}

function ngx_interval.new()
  return setmetatable({ active = 0, answered = 0, between = 0, misses = 0,
    is_due = false, wakes = -math.huge }, Interval)
end

return ngx_interval
