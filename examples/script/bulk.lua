-- Sends a text to each person of a CSV file, each of them once:
--   lua5.4 examples/script/bulk.lua [people.csv [people.journal]] [--yes]
-- The file's first line names its columns: name, phone and text. {name} in a
-- text becomes the name. All of it is checked first, and what it will take is
-- shown, before anything leaves.
--
-- It may be interrupted at any moment, by Ctrl-C, a kill or a crash. Run it
-- again with the same file: it goes on, and sends nothing twice. For that the
-- journal gets the id of each draft before Close is told to send it. The next
-- run goes on with these drafts by send { draft_id = ... }, which looks first.
--   * Killed after the request for a draft has left, and before the draft's id
--     was written, it leaves a stray draft in Close. That one is never sent.
--   * Of several runs with one journal at the same time, one goes on at most.
--   * A journal belongs to its file: after a change of the file, the number to
--     send from, or CLOSE_BASE_URL, it is refused. Put what must be corrected
--     into a file of its own. Do not remove the journal before all is sent.
--   * A person who is in the file twice gets two texts.
--   * It holds after a power failure only as far as the disk has it.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local close = require "close"
local csv = require "csv"
local journals = require "journal"
local setup = require "setup"

local COLUMNS = { "name", "phone", "text" }
local COLUMN_OF = { remote_phone = "phone", local_phone = "CLOSE_LOCAL_PHONE" }
local AT_ONCE = 64   -- as many as a client has in flight
local HOPELESS = 50  -- failures in a row after which it stops
local PATIENCE = 10  -- seconds for what is under way at Ctrl-C

-- ---- the file's messages ----

-- Where each column stands, or nil and what is wrong.
local function read_header(fields)
  local columns = { count = fields and #fields }
  for i, name in ipairs(fields or {}) do
    columns[name:lower():match "^%s*(.-)%s*$"] = i
  end
  for _, name in ipairs(COLUMNS) do
    if not columns[name] then
      return nil, "the columns must be name, phone and text, with commas " ..
        "between them: " .. name .. " is missing"
    end
  end
  return columns
end

-- The message of a record; or nil and a list of mistakes.
local function to_message(fields, columns)
  if #fields ~= columns.count then
    return nil, { ("%d fields, where the first line has %d"):format(#fields,
      columns.count) }
  end
  local name, mistakes = fields[columns.name], {}
  for _, column in ipairs { "phone", "text" } do
    if fields[columns[column]] == "" then
      mistakes[#mistakes + 1] = column .. ": it is empty"
    end
  end
  local text = fields[columns.text]:gsub("{(%a+)}", function(word)
    if word ~= "name" then
      mistakes[#mistakes + 1] = "text: a word in braces that is not {name}"
    elseif name == "" then
      mistakes[#mistakes + 1] = "name: it is empty, and the text needs it"
    end
    return name
  end)
  return { local_phone = setup.local_phone, text = text,
    remote_phone = fields[columns.phone] }, mistakes
end

-- Returns a function that reads the next message of the file: its number, its
-- line, and the message, its mistakes, or both. The file is read twice and not
-- kept, so memory does not grow with it.
local function messages(file)
  file:seek "set"
  local records, number = csv.records(file), 0
  local _, header, fault = records()
  local columns, why = read_header(header)
  return function()
    if not columns then
      if number > 0 then return nil end
      number = 1
      return number, 1, nil, { fault or why }
    end
    local line, fields, broken = records()
    if not line then return nil end
    number = number + 1
    if not fields then return number, line, nil, { broken } end
    return number, line, to_message(fields, columns)
  end
end

-- ---- the first pass: checks ----

-- A checksum of text, put on top of another; no product is above 2^53.
local function mix(sum, text)
  for i = 1, #text do sum = (sum * 257 + text:byte(i)) % 4294967291 end
  return sum
end

local function check(client, message, mistakes)
  message.status = "outbox"
  local _, err = client.sms.validate(message)
  for _, violation in ipairs(err and err.errors or {}) do
    if violation.code ~= "required" then -- to_message has said so
      local column = COLUMN_OF[violation.field] or violation.field
      mistakes[#mistakes + 1] = column .. ": " .. violation.message
    end
  end
end

-- Checks all messages, prints all mistakes, and adds up what they take.
local function survey(client, file, journal)
  local found = { count = 0, mistakes = 0, to_send = 0, segments = 0,
    drafts = 0, ["GSM-7"] = 0, ["UCS-2"] = 0,
    sum = mix(0, os.getenv "CLOSE_BASE_URL" or "") }
  for number, line, message, mistakes in messages(file) do
    if message then check(client, message, mistakes) end
    for _, mistake in ipairs(mistakes) do
      print(("line %d: %s"):format(line, mistake))
    end
    found.count, found.mistakes = number, found.mistakes + #mistakes
    if #mistakes == 0 then
      found.sum = mix(found.sum, message.local_phone .. "\0" ..
        message.remote_phone .. "\0" .. message.text .. "\0")
      if not journal:is_sent(number) then
        local count = close.segments(message.text)
        found.to_send = found.to_send + 1
        found.segments = found.segments + count.segments
        found[count.encoding] = found[count.encoding] + 1
        found.drafts = found.drafts + (journal.drafts[number] and 1 or 0)
      end
    end
  end
  return found
end

local function show_survey(found)
  print(("%d messages, %d of them sent before"):format(found.count,
    found.count - found.to_send))
  print(("%d to send: %d segments; %d texts in GSM-7, %d in UCS-2"):format(
    found.to_send, found.segments, found["GSM-7"], found["UCS-2"]))
  if found.drafts > 0 then
    print(("%d of these were begun before, and are looked at first"):format(
      found.drafts))
  end
end

local function is_wanted(is_sure)
  if is_sure then return true end
  io.write "Send them? (yes) "
  io.flush()
  return io.read "*l" == "yes"
end

-- ---- the second pass: sending ----

local Run = {}
Run.__index = Run

local function in_words(seconds)
  if seconds < 60 then return ("%d s"):format(seconds) end
  return ("%d min %d s"):format(math.floor(seconds / 60), seconds % 60)
end

function Run:show_progress()
  local done = self.sent + self.failed + self.unknown
  local seconds = os.time() - self.begun
  if seconds == 0 or done == 0 then return end
  self.shows = true
  local left = math.floor((self.to_send - done) * seconds / done)
  io.stderr:write(("\r%d of %d sent, %d failed, %d unknown; %.1f a second, "
    .. "%s left   "):format(self.sent, self.to_send, self.failed, self.unknown,
    done / seconds, in_words(left)))
end

-- A line of its own, in the place of the progress.
function Run:say(text)
  if self.shows then io.stderr:write("\r", (" "):rep(78), "\r") end
  print(text)
end

function Run:stop(why)
  self.stopped = self.stopped or why
end

-- A message has come to its end.
function Run:finish(number, line, sms, err)
  if sms then
    self.sent, self.in_a_row = self.sent + 1, 0
    local ok, why = self.journal:write("sent", number, sms.id)
    if not ok then self:stop(why) end
    return
  end
  local which = err.outcome == "unknown" and "unknown" or "failed"
  self[which], self.in_a_row = self[which] + 1, self.in_a_row + 1
  if not self.stopped then
    self:say(("line %d: %s"):format(line, tostring(err)))
  end
  if err.kind == "authentication" or err.kind == "config" then
    self:stop(err.message)
  elseif self.in_a_row >= HOPELESS then
    self:stop(HOPELESS .. " failures in a row")
  end
end

function Run:send(number, line, message)
  local draft = self.journal.drafts[number]
  -- The first of the two things that keep a message from being sent twice: no
  -- draft is sent whose id is not in the journal.
  local function on_draft(id)
    local ok, why = self.journal:write("draft", number, id)
    if not ok then self:stop(why) end
    return ok, why
  end
  -- The second: a draft that is in the journal is gone on with.
  local request, err = self.client.sms.send_async(
    draft and { draft_id = draft } or message,
    function(sms, failure)
      self:finish(number, line, sms, failure)
      self:send_next()
    end, { on_draft = on_draft })
  if not request then self:finish(number, line, nil, err) end
end

-- Begins one more. A call's time runs from its begin, so no more are begun than
-- can be in flight. The library keeps to Close's rate limit.
function Run:send_next()
  while not self.stopped do
    local number, line, message = self.messages()
    if not number then return end
    if not self.journal:is_sent(number) then
      return self:send(number, line, message)
    end
  end
end

function Run:send_all()
  for _ = 1, AT_ONCE do self:send_next() end
  while self.client:wait(1) > 0 do self:show_progress() end
end

local function send_all(client, file, journal, found)
  local run = setmetatable({ client = client, journal = journal,
    messages = messages(file), to_send = found.to_send, sent = 0, failed = 0,
    unknown = 0, in_a_row = 0, begun = os.time() }, Run)
  local ok, why = pcall(run.send_all, run)
  if not ok then -- Ctrl-C: what is under way may end
    run:stop(tostring(why))
    pcall(client.wait, client, PATIENCE)
  end
  client:close() -- what is not over ends as cancelled
  run:say(("%d of %d sent, %d failed, %d unknown, in %s"):format(run.sent,
    run.to_send, run.failed, run.unknown, in_words(os.time() - run.begun)))
  if run.stopped then print("stopped: " .. run.stopped) end
  return run.sent == run.to_send
end

-- ---- all of it ----

-- Returns the exit status: 0 if all is sent, 1 if not, 2 if nothing was tried.
local function bulk(client, path, journal_path, is_sure)
  local file, why = io.open(path, "rb")
  if not file then
    print(why)
    return 2
  end
  local journal = journals.read(journal_path)
  local found = survey(client, file, journal)
  if found.mistakes > 0 then
    print(found.mistakes .. " mistakes: nothing was sent")
    return 2
  end
  local checksum = ("%.0f"):format(found.sum)
  why = journal:why_not(checksum)
  if why then
    print(why .. ": nothing was sent")
    return 2
  end
  show_survey(found)
  if found.to_send == 0 then return 0 end
  if not is_wanted(is_sure) then
    print "Nothing was sent."
    return 2
  end
  local ok
  ok, why = journal:begin(found.count, checksum)
  if not ok then
    print(why .. ": nothing was sent")
    return 2
  end
  local is_all = send_all(client, file, journal, found)
  journal:close()
  if is_all then return 0 end
  print "Run it again with the same file: it sends the others, and none twice."
  return 1
end

local words, is_sure = {}, false
for _, word in ipairs(arg) do
  if word == "--yes" then is_sure = true else words[#words + 1] = word end
end

local status
setup.run(function(client, server)
  local path = words[1] or arg[0]:gsub("%.lua$", ".csv")
  -- A sandbox that is started here forgets all: so does its journal.
  local forgotten = server and not words[2] and os.tmpname()
  status = bulk(client, path, words[2] or forgotten or path .. ".journal",
    is_sure)
  if forgotten then os.remove(forgotten) end
end, { remote_phone = false })
os.exit(status)
