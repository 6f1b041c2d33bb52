-- What has become of the messages of a bulk run, in a file that outlives it:
--   run COUNT CHECKSUM    a run began, with these messages
--   draft NUMBER ID       a draft is there, and may be promoted from now on
--   sent NUMBER ID
-- A record begins with a line feed and ends with a full stop. So one that was
-- written by half is never read, whatever is written after it.

local Journal = {}
Journal.__index = Journal

local journal = {}

-- Most messages are sent in order: a number and few exceptions hold them all.
function Journal:note_sent(number)
  self.sent[number], self.drafts[number] = true, nil
  while self.sent[self.sent_to + 1] do
    self.sent_to = self.sent_to + 1
    self.sent[self.sent_to] = nil
  end
end

function Journal:note(word, number, id)
  number = tonumber(number)
  if word == "run" then
    self.checksum = id
  elseif word == "draft" and not self:is_sent(number) then
    self.drafts[number] = id
  elseif word == "sent" and not self:is_sent(number) then
    self:note_sent(number)
  end
end

--- Whether the message of this number was sent by an earlier run.
function Journal:is_sent(number)
  return number <= self.sent_to or self.sent[number] == true
end

--- Reads a journal; one that is not there is empty.
--- Its drafts are the ids of those that were made and, as far as it knows, not
--- sent, by the messages' numbers.
function journal.read(path)
  local self = setmetatable({ path = path, size = 0, sent_to = 0, sent = {},
    drafts = {} }, Journal)
  local file = io.open(path, "rb")
  if not file then return self end
  self.size = file:seek "end" -- before it is read: see write
  file:seek "set"
  for line in file:lines() do
    local word, number, id = line:match "^(%l+) (%d+) (%S+) %.$"
    if word then self:note(word, number, id) end
  end
  file:close()
  return self
end

--- Why it cannot be the journal of messages with this checksum, or nil.
function Journal:why_not(checksum)
  if self.checksum and self.checksum ~= checksum then
    return self.path .. " belongs to other messages, another number to " ..
      "send from, or another server"
  end
end

--- Opens it for a run of so many messages.
function Journal:begin(count, checksum)
  local file, why = io.open(self.path, "ab")
  if not file then return nil, why end
  self.file = file
  return self:write("run", count, checksum)
end

--- Adds a record. Returns true when the operating system has it, so that it
--- is there after this process was killed. (After a power failure it may be
--- lost: Lua cannot wait for the disk.) Returns nil and why if it may not be
--- there, or if another process writes to the journal, too. That process may
--- not have read this record, so nothing may be sent for it. LuaJIT loses an
--- error of flush() in code that it has compiled: only the size tells then.
function Journal:write(word, number, id)
  local record = ("\n%s %d %s ."):format(word, number, id)
  local ok, why = self.file:write(record)
  if ok then ok, why = self.file:flush() end
  if not ok then return nil, why end
  self.size = self.size + #record
  local size = self.file:seek "end"
  if size < self.size then
    return nil, self.path .. " has no room for another record"
  elseif size > self.size then
    return nil, "another process writes to " .. self.path
  end
  return true
end

function Journal:close() self.file:close() end

return journal
