-- Credentials that a function of the user's gives, and the calls that wait for
-- them. There is one refresh at a time: the function is called once for all
-- that wait. It may yield where the loop has somebody to resume it; meanwhile
-- calls join, and leave where they are cancelled or out of time.
-- A refresh is one table:
--   line, first          the calls that wait, in order; false: it has left
--   due                  no call of the line is out of time before
--   began                when the function was called; nil before
--   thread, is_direct    what it runs in: a coroutine, or the caller's
--   is_over, why         at its end; why it failed
-- state.refreshes are those whose calls have not all gone on; only the last of
-- them may not be over. An interrupt, at any place, leaves all calls in a line.

local core = require "close.core"
local options = require "close.options"
local protect = require "close.protect"

local credentials = {}

-- The refresh that calls join, or nil.
local function current(state)
  local last = state.refreshes[#state.refreshes]
  return last and not last.is_over and last or nil
end

--- A call waits from now on.
function credentials.join(state, call)
  local refresh = current(state)
  if not refresh then
    refresh = { line = {}, first = 1, due = math.huge }
    state.refreshes[#state.refreshes + 1] = refresh
  end
  refresh.due = math.min(refresh.due, call.due)
  call.refresh = refresh
  refresh.line[#refresh.line + 1] = call
end

--- A call waits no more. Says whether it did.
function credentials.leave(call)
  local refresh = call.refresh
  for i = refresh and refresh.first or 1, refresh and #refresh.line or 0 do
    if refresh.line[i] == call then
      refresh.line[i] = false
      return true
    end
  end
  return false
end

-- The first call of a line; with a moment, the first that is out of time then.
local function find(refresh, now)
  for i = refresh.first, #refresh.line do
    local call = refresh.line[i]
    if call and (not now or call.due <= now) then return call end
    if not call and i == refresh.first then refresh.first = i + 1 end
  end
end

-- ---- the function ----

local function finish(state, refresh, secret, why)
  if refresh.is_over then return end
  -- One that was given up may still be of use.
  if secret and (refresh == current(state) or not current(state)) then
    state.secret = state.secret or secret
  end
  refresh.why = why
  refresh.is_over = true
  state.loop.kick()
end

-- Checks what the function has returned, or thrown.
-- -> secret | nil, why
local function check(state, ok, secret, why)
  local said = ok and why or not ok and secret
  said = type(said) == "string" and ": " .. said or ""
  if not ok then return nil, "failed" .. said end
  if secret == nil then return nil, "returned nothing" .. said end
  why = options.check_secret(state.settings, secret) or
    state.closed and "it closed the client"
  if why then return nil, why end
  return secret
end

-- Where it was interrupted it is called anew.
local function forget(refresh)
  refresh.began, refresh.thread, refresh.is_direct = nil, nil, nil
end

-- The end of the function, as protect.call has it.
local function take(state, refresh, ok, value, more)
  refresh.is_direct, refresh.thread = nil, nil
  if not ok and more then
    forget(refresh)
    protect.raise(value)
  end
  finish(state, refresh, check(state, ok, value, more))
end

-- In a context that the host has made.
local function run_in_host(state, refresh)
  refresh.thread = coroutine.running()
  take(state, refresh, protect.call(state.source))
end

local function run_in_coroutine(state, refresh)
  local function over(...) take(state, refresh, ...) end
  local function source()
    refresh.thread = coroutine.running()
    return state.source()
  end
  protect.spawn(source, nil, over)
  if not state.loop.resumes then
    finish(state, refresh, nil, 'yielded, and with loop "blocking" nothing ' ..
      "can resume it while calls wait")
  end
end

local function run_directly(state, refresh)
  refresh.is_direct = true
  take(state, refresh, protect.call(state.source))
end

local function call_function(state, refresh)
  refresh.began = core.now()
  local loop, way = state.loop, run_directly
  if loop.spawns then
    way = run_in_host
  elseif loop.resumes or protect.is_in_coroutine() then
    way = run_in_coroutine
  end
  if loop.run then return loop.run(way, state, refresh) end
  way(state, refresh)
end

--- Calls the function where calls wait for it and it was not called yet.
function credentials.ask(state)
  local refresh = current(state)
  if not refresh or refresh.began or not find(refresh) then return end
  if state.secret then return finish(state, refresh) end
  local ok, thrown = protect.catch(call_function, state, refresh)
  if ok then return end
  if not refresh.is_over then forget(refresh) end
  error(thrown, 0)
end

--- Whether the caller has been called by the function: what waits for it cannot
--- end before the caller returns.
function credentials.is_inside(state)
  local refresh = current(state)
  if not refresh or not refresh.began then return false end
  local thread = refresh.thread
  return refresh.is_direct or thread ~= nil and
    (thread == coroutine.running() or not state.loop.spawns and
    coroutine.status(thread) == "normal")
end

-- ---- the calls that wait ----

-- The moment at which a function has had the time that a call may take. It may
-- be lost: calls that still wait then have it called anew.
local function limit(state, refresh)
  return (refresh.began or math.huge) + state.settings.timeout
end

local function look_after(state, refresh, now)
  if not state.loop.spawns and refresh.thread and
     coroutine.status(refresh.thread) == "dead" then -- it threw; in Lua 5.1
    finish(state, refresh, nil, "failed")
  elseif now >= limit(state, refresh) then
    local line = refresh.line
    finish(state, refresh)
    for i = refresh.first, #line do
      if line[i] and line[i].due > now then
        credentials.join(state, line[i])
        line[i] = false
      end
    end
  end
end

-- The next call that is out of time, of those that wait for the function.
local function next_late(state)
  local refresh, now = current(state), core.now()
  if not refresh or credentials.is_inside(state) then return nil end
  if now < refresh.due then return nil end
  local late = find(refresh, now)
  if late then return late end
  refresh.due = math.huge
  for i = refresh.first, #refresh.line do
    local call = refresh.line[i]
    if call then refresh.due = math.min(refresh.due, call.due) end
  end
end

--- The next call that waits no more, and why the function has failed it; it
--- stays in its line until it leaves.
function credentials.next(state)
  local refresh = current(state)
  if refresh and not credentials.is_inside(state) then
    look_after(state, refresh, core.now())
  end
  refresh = state.refreshes[1]
  while refresh and refresh.is_over do
    local call = find(refresh)
    if call then return call, refresh.why end
    table.remove(state.refreshes, 1)
    refresh = state.refreshes[1]
  end
  return next_late(state)
end

--- Seconds to the moment at which next() or ask() has something to do, or nil.
function credentials.deadline(state)
  local first = state.refreshes[1]
  if not first then return nil end
  if first.is_over then return 0 end
  if credentials.is_inside(state) or not find(first) then return nil end
  if not first.began then return 0 end
  return math.max(math.min(first.due, limit(state, first)) - core.now(), 0)
end

--- How many calls wait for the function.
function credentials.count(state)
  local refresh, n = current(state), 0
  for i = refresh and refresh.first or 1, refresh and #refresh.line or 0 do
    if refresh.line[i] then n = n + 1 end
  end
  return n
end

--- The client was closed: no call waits any more.
function credentials.close(state)
  local refresh = current(state)
  if not refresh then return end
  finish(state, refresh, nil, credentials.is_inside(state) and
    "it closed the client" or nil)
end

return credentials
