-- Rate limits as Close counts them: per endpoint group (method and path
-- template) and key, in windows that begin with their first request.

---@class close.sandbox.Limits
---@field private limit integer
---@field private window number seconds
---@field private counts table<string, table>
local Limits = {}
Limits.__index = Limits

local limits = {}

---@param limit integer how many requests a window takes
---@param window number its length in seconds
---@return close.sandbox.Limits
function limits.new(limit, window)
  return setmetatable({ limit = limit, window = window, counts = {} }, Limits)
end

-- Three decimals at most, rounded up: a client that waits so long is not early.
local function decimal(seconds)
  local text = ("%.3f"):format(math.ceil(seconds * 1000) / 1000)
  return (text:gsub("%.?0+$", ""))
end

--- Counts one request.
---@param group string
---@param key string
---@param now number
---@return string header the value of RateLimit
---@return integer? retry_after whole seconds, where the limit is used up
function Limits:take(group, key, now)
  local name = group .. "\n" .. key
  local count = self.counts[name]
  if not count or now >= count.stop then
    count = { used = 0, stop = now + self.window }
    self.counts[name] = count
  end
  local reset = count.stop - now
  local refused = count.used >= self.limit
  if not refused then count.used = count.used + 1 end
  local header = ("limit=%d, remaining=%d, reset=%s"):format(
    self.limit, self.limit - count.used, decimal(reset))
  return header, refused and math.ceil(reset) or nil
end

--- Forgets all counts.
function Limits:reset()
  self.counts = {}
end

return limits
