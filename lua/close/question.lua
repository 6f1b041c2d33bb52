-- Calls of the user's functions that requests wait for: the function for the
-- credentials, and on_draft. Such a function may yield if the loop lets other
-- code resume it. It is called once for all requests that wait; a request
-- leaves the line if it is cancelled or out of time. A question is one table:
--   f, arg               the function, and what it is given
--   time                 seconds after which its result is no longer waited
--                        for, and the function called again; nil: it is called
--                        for one request, and that one's timeout holds
--   check_result(state, ok, value, more) -> why
--                        gets what the function returned or threw, as pcall
--                        has it, and says why that is no answer, or nil
--   line, first          the requests that wait, in order; false: it has left
--   due                  the first moment at which a request is out of time
--   began                when the function was called; nil before
--   thread               the coroutine that it runs in, if it has one
--   is_direct            it is being called, without a coroutine of its own
--   is_over, why         at its end; why there is no answer
--   is_open              whether it was put into state.questions
-- state.questions has those with requests in their line. An interrupt, at any
-- instruction, leaves each request in a line.

local core = require "close.core"
local protect = require "close.protect"

local questions = {}

--- The question with this check_result that is not over, or nil.
function questions.open(state, check_result)
  for _, question in ipairs(state.questions) do
    if question.check_result == check_result and not question.is_over then
      return question
    end
  end
end

--- Makes a question; the function is called once a request waits for it.
function questions.new(f, arg, check_result, time)
  return { f = f, arg = arg, check_result = check_result, time = time,
    line = {}, first = 1, due = math.huge, is_open = false }
end

local function open(state, question)
  if question.is_open then return end
  state.questions[#state.questions + 1] = question
  question.is_open = true
end

-- ---- the requests that wait ----

--- Puts a request into the line.
function questions.join(state, question, request)
  local line = question.line
  local place = #line + 1
  question.due = math.min(question.due, request.operation.due)
  request.line, request.place = line, place
  line[place] = request
  open(state, question)
end

--- Whether a request waits.
function questions.waits(request)
  local line = request.line
  return line ~= nil and line[request.place] == request
end

--- Takes a request out of its line; returns whether it was still there. In
--- some Luas a finalizer may run wherever a function is called: none is called
--- in between.
function questions.leave(request)
  local line, place = request.line, request.place
  if not line or line[place] ~= request then return false end
  line[place] = false
  return true
end

-- The first request of a line; with now, the first one that is out of time.
local function find(question, now)
  local line = question.line
  for i = question.first, #line do
    local request = line[i]
    if request and (not now or request.operation.due <= now) then
      return request
    end
    if not request and i == question.first then question.first = i + 1 end
  end
end

-- ---- the function ----

local function finish(state, question, why)
  if question.is_over then return end
  question.why = why
  question.is_over = true
  state.loop.kick()
end

-- For a reason of our own.
local function fail(state, question, why)
  finish(state, question, question.check_result(state, false, why))
end

-- After an interrupt the function for the credentials is called again. on_draft
-- is not: it may have refused already. Allocates nothing: another error here
-- would leave the question open for ever.
local function after_interrupt(state, question)
  if question.time then
    question.began, question.thread, question.is_direct = nil, nil, nil
    return
  end
  finish(state, question, "the function that it waited for was interrupted")
end

-- The end of the function, as protect.call has it.
local function take(state, question, ok, value, more)
  if not ok and more then
    after_interrupt(state, question)
    protect.raise(value)
  end
  if question.is_over then return end
  finish(state, question, question.check_result(state, ok, value, more))
  question.thread = nil
end

-- In a context that the host has made.
local function run_in_host(state, question)
  question.thread = coroutine.running()
  take(state, question, protect.call(question.f, question.arg))
end

local function run_in_coroutine(state, question)
  local function over(...) take(state, question, ...) end
  local function f(arg)
    question.thread = coroutine.running()
    return question.f(arg)
  end
  protect.spawn(f, question.arg, over)
  if not state.loop.resumes then
    fail(state, question, 'it yielded, and with loop "blocking" nothing can ' ..
      "resume it while calls wait")
  end
end

local function run_directly(state, question)
  take(state, question, protect.call(question.f, question.arg))
end

local function call_function(state, question)
  local loop, way, now = state.loop, run_directly, core.now()
  if question.began or question.is_over then return end -- by a finalizer
  -- Both at once: what a finalizer begins from here on must not wait for it.
  question.began, question.is_direct = now, not loop.spawns
  if loop.spawns then
    way = run_in_host
  elseif loop.resumes or protect.is_in_coroutine() then
    way = run_in_coroutine
  end
  if loop.run then
    loop.run(way, state, question)
  else
    way(state, question)
  end
  question.is_direct = nil
end

--- Calls the functions that requests wait for and that were not called yet.
function questions.ask(state)
  for i = 1, #state.questions do
    local question = state.questions[i]
    if question and not question.is_over and not question.began and
       find(question) then
      -- An error may come inside protect.catch, too.
      local called, ok, thrown =
        pcall(protect.catch, call_function, state, question)
      if not (called and ok) then
        if not question.is_over then after_interrupt(state, question) end
        if not called then thrown = protect.note(ok) end
        error(thrown, 0)
      end
    end
  end
end

-- Whether a question's function has called the caller: requests that wait for
-- it cannot end before the caller returns.
local function is_inside(state, question)
  if question.is_over or not question.began then return false end
  local thread = question.thread
  return question.is_direct or thread ~= nil and
    (thread == coroutine.running() or not state.loop.spawns and
    coroutine.status(thread) == "normal")
end

questions.is_inside = is_inside

--- How many requests wait for a function that has called the caller.
function questions.count_inside(state)
  local n = 0
  for _, question in ipairs(state.questions) do
    if is_inside(state, question) then
      for i = question.first, #question.line do
        if question.line[i] then n = n + 1 end
      end
    end
  end
  return n
end

-- ---- its end ----

-- The moment at which the function's time is over. It may never return: then it
-- is called again for the requests that still wait.
local function limit(question)
  return (question.began or math.huge) + (question.time or math.huge)
end

local function ask_again(state, question)
  local again = questions.new(question.f, question.arg, question.check_result,
    question.time)
  open(state, again)
  again.due = question.due
  again.line, question.line = question.line, again.line
  again.first, question.first = question.first, again.first
end

local function look_after(state, question)
  if not state.loop.spawns and question.thread and
     coroutine.status(question.thread) == "dead" then -- it threw; in Lua 5.1
    fail(state, question)
  elseif core.now() >= limit(question) then
    if find(question) then ask_again(state, question) end
    finish(state, question)
  elseif not question.time and not find(question) then
    finish(state, question) -- nothing waits for it any more
  end
end

-- A waiting request that is out of time.
local function next_late(question)
  local now = core.now()
  if now < question.due then return nil end
  local late = find(question, now)
  if late then return late end
  local due, line = math.huge, question.line
  for i = question.first, #line do
    local request = line[i]
    if request then due = math.min(due, request.operation.due) end
  end
  question.due = due
end

--- The next request that need not wait any longer, and its question. It stays
--- in its line until leave(): where that returns true it is the caller's.
function questions.next(state)
  local i = 1
  while i <= #state.questions do
    local question = state.questions[i]
    if not question.is_over and not is_inside(state, question) then
      look_after(state, question)
    end
    -- Looked at once: if a finalizer ends it below, requests still wait.
    local is_over = question.is_over
    local request
    if is_over then
      request = find(question)
    else
      request = next_late(question)
    end
    if request then return request, question end
    if is_over and state.questions[i] == question then
      table.remove(state.questions, i)
    else
      i = i + 1
    end
  end
end

--- Seconds to the moment at which next() or ask() has something to do, or nil.
function questions.deadline(state)
  local due
  for _, question in ipairs(state.questions) do
    local moment
    if question.is_over then
      moment = -math.huge
    elseif find(question) then
      moment = not question.began and -math.huge or
        is_inside(state, question) and question.due or
        math.min(question.due, limit(question))
    end
    if moment then due = math.min(due or math.huge, moment) end
  end
  return due and math.max(due - core.now(), 0)
end

--- The client was closed: ends all questions.
function questions.close(state)
  for _, question in ipairs(state.questions) do
    if is_inside(state, question) then
      fail(state, question, "it closed the client")
    else
      finish(state, question)
    end
  end
end

return questions
