-- Dates as Close writes them (2019-02-05T13:18:43.186000+00:00) and reads them
-- (ISO 8601). In Lua they are seconds since 1970, UTC.

local dates = {}

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function days_in(year, month)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  return month == 2 and leap and 29 or DAYS[month]
end

-- Days from 1970-01-01 to a date of the Gregorian calendar. Its year is taken
-- to start in March, so that the leap day is the last.
local function days_since_1970(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  local leap_days = math.floor(year / 4) - math.floor(year / 100)
    + math.floor(year / 400)
  return year * 365 + leap_days + math.floor((153 * month - 457) / 5) + day
    - 719469
end

-- The date that is so many days after 1970-01-01; os.date ends in 2038 where
-- the system's time has 32 bits.
local function date_of(days)
  local year, month = 1970 + math.floor(days / 365.2425), 1
  while days < days_since_1970(year, 1, 1) do year = year - 1 end
  while days >= days_since_1970(year + 1, 1, 1) do year = year + 1 end
  local day = days - days_since_1970(year, 1, 1) + 1
  while day > days_in(year, month) do
    day, month = day - days_in(year, month), month + 1
  end
  return year, month, day
end

--- Writes an instant.
---@param seconds number
---@return string
function dates.format(seconds)
  -- Rounded first, so that .9999999 carries over into the seconds.
  local micros = math.floor(seconds * 1e6 + 0.5)
  local whole = math.floor(micros / 1e6)
  local days = math.floor(whole / 86400)
  local second = whole - days * 86400
  local year, month, day = date_of(days)
  return ("%04d-%02d-%02dT%02d:%02d:%02d.%06d+00:00"):format(year, month, day,
    math.floor(second / 3600), math.floor(second / 60) % 60, second % 60,
    micros - whole * 1e6)
end

-- Minutes east of UTC. A time without an offset is UTC.
local function offset(text)
  if text == "" or text == "Z" or text == "z" then return 0 end
  local sign, hours, minutes = text:match "^([+-])(%d%d):?(%d%d)$"
  hours, minutes = tonumber(hours), tonumber(minutes)
  if not sign or hours > 23 or minutes > 59 then return nil end
  return (sign == "-" and -1 or 1) * (hours * 60 + minutes)
end

-- Seconds since midnight in UTC, and the digits of their fraction.
local function time_of_day(text)
  if text == "" then return 0, "" end
  local hour, minute, second, fraction, zone =
    text:match "^[Tt ](%d%d):(%d%d):(%d%d)(%.?%d*)(.*)$"
  if not hour or fraction == "." then return nil end
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  local east = offset(zone)
  if hour > 23 or minute > 59 or second > 60 or not east then return nil end
  return hour * 3600 + (minute - east) * 60 + second, fraction:sub(2)
end

-- Whole seconds since 1970, and the digits of their fraction; nil: not a date.
local function read(text)
  local year, month, day, rest = text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$"
  if not year then return nil end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if month < 1 or month > 12 or day < 1 or day > days_in(year, month) then
    return nil
  end
  local seconds, digits = time_of_day(rest)
  if not seconds then return nil end
  return days_since_1970(year, month, day) * 86400 + seconds, digits
end

--- Reads a date, or a date and time.
---@param text string
---@return number? seconds nil: not a date
function dates.parse(text)
  local seconds, digits = read(text)
  return seconds and seconds + (tonumber("0." .. digits) or 0)
end

--- Reads a date in microseconds, which are exact: equal ones are the same
--- instant, however they were written. Digits beyond them add a half.
---@param text string
---@return number? micros nil: not a date
function dates.micros(text)
  local seconds, digits = read(text)
  if not seconds then return nil end
  local micros = tonumber((digits .. "000000"):sub(1, 6))
  if digits:find("[1-9]", 7) then micros = micros + 0.5 end
  return seconds * 1e6 + micros
end

return dates
