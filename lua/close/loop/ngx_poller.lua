-- The timer of a worker that drives the engine while calls are pending: it
-- takes turns, and sleeps between them. There is one at a time, whichever
-- request began it. nginx may refuse a timer, or drop it silently, see
-- ngx_timers.lua. A poller is one table:
--   now, turn, sleep, is_over   functions: a clock in seconds, a turn, the
--               pause after it, and whether there is nothing left to do
--   number      of the last timer that was to drive; those before it end
--   turned      when it had its last turn, or was requested; long ago if it has
--               ended
--   trust_s     for how long it counts as running after that
--   requested   when one was requested that has not run yet; or long ago
--   checked     when the checks were requested

local ngx_timers = require "close.loop.ngx_timers"

local MAX_TURNS = 1000 -- of one timer

-- Seconds. For how long the timer counts as running after its last turn, and
-- after it was requested. When the next one is requested. When further timers
-- check that there is one, in case no request does.
local ALIVE_S, START_S = 1, 0.05
local RETRY_S = 1
local CHECKS_S = { 1, 2, 5, 10, 20 }

local Poller = {}
Poller.__index = Poller

-- What nginx's timers call; its own argument comes first.
local function drive(_, self, number) return self:drive(number) end
local function check(_, self) return self:check() end

--- Whether a timer drives.
function Poller:is_running() return self.now() - self.turned < self.trust_s end

--- Requests a timer if none drives. Pending calls are finished while the worker
--- shuts down, too.
function Poller:start()
  local now = self.now()
  if self:is_running() or now - self.requested < RETRY_S then return end
  self.number = self.number + 1
  if ngx_timers.at(0, drive, self, self.number) then
    self.requested, self.turned, self.trust_s = now, now, START_S
  end
  self:check_later()
end

-- One turn; returns whether there are more to take.
local function take_turn(self)
  self.turned = self.now()
  local ok, why = pcall(self.turn)
  if not ok then
    local ngx = rawget(_G, "ngx")
    ngx.log(ngx.ERR, "close: ", why)
  end
  if ok and not self.is_over() then return true end
  self.turned = -math.huge
  return false
end

-- A new timer takes over after MAX_TURNS: nginx frees the memory of a timer's
-- light threads only at its end. A timer ends at once if there is a later one.
function Poller:drive(number)
  self.requested, self.trust_s = -math.huge, ALIVE_S
  repeat
    for _ = 1, MAX_TURNS do
      if number ~= self.number or not take_turn(self) then return end
      self.sleep()
    end
    self:check_later()
  until ngx_timers.at(0, drive, self, number)
end

function Poller:check()
  if self:is_running() or self.is_over() then return end
  self.number = self.number + 1
  return self:drive(self.number)
end

function Poller:check_later()
  local now = self.now()
  if now - self.checked < CHECKS_S[#CHECKS_S] then return end
  for _, delay in ipairs(CHECKS_S) do
    if ngx_timers.at(delay, check, self) then self.checked = now end
  end
end

local ngx_poller = {}

--- Makes a poller from its functions: now, turn, sleep, is_over.
function ngx_poller.new(functions)
  return setmetatable({ now = functions.now, turn = functions.turn,
    sleep = functions.sleep, is_over = functions.is_over, number = 0,
    turned = -math.huge, trust_s = ALIVE_S, requested = -math.huge,
    checked = -math.huge }, Poller)
end

return ngx_poller
