-- The fault matrix: a cell is a fault at a place of the stack, met by a new or
-- a reused connection. Plays cells with a caller, judges them by the server's
-- ledger, and writes the table.
local marks = require "spec.support.faults.ledger"

local matrix = {}
local Matrix = {}
Matrix.__index = Matrix

local SMALL = 20 -- bytes of a message's text
local BEHIND = 3e5  -- the same of a large one, behind nginx
-- Seconds: a call's timeout, and what it may add on a machine under load.
local PATIENCE, SLACK = 10, 10
local MEETINGS = 5 -- tries to meet a fault; the last one must

-- server: of server.lua; new_caller: a function of caller.lua. Options:
-- statuses (a list; "outbox" unless told), patience (seconds: a call's timeout
-- where the fault has none), judge_letters (false: any outcome will do, only
-- the ledger counts), brief (second tries only over kept connections, where
-- libcurl has its own, and where they need no pause).
function matrix.new(server, new_caller, options)
  options = options or {}
  return setmetatable({
    server = server, new_caller = new_caller, played = {},
    statuses = options.statuses or { "outbox" },
    lenient = options.judge_letters == false,
    patience = options.patience or PATIENCE,
    brief = options.brief,
  }, Matrix)
end

-- ---- playing ----

local serial = 0 -- of all matrices, since they may share a server

-- Lua calls memcpy for each copy that rep makes: few for millions of bytes.
local BLOCK = ("x"):rep(1000)

local function filler(size)
  local rest = size % #BLOCK
  return BLOCK:rep((size - rest) / #BLOCK) .. BLOCK:sub(1, rest)
end

local function text_of(size)
  serial = serial + 1
  return marks.mark(serial) .. filler(size), ("%d"):format(serial)
end

-- The caller's client, with a connection that has served, where it is to.
local function client_of(self, cell)
  local client = self.new_caller(self.server, cell.url, cell)
  if cell.reused then
    local warm = client:create(text_of(SMALL), { timeout = PATIENCE })
    assert(warm.letter == "S", "before the fault: " .. tostring(warm.err))
  end
  return client
end

-- Plays one cell once. cell: fault or cut (a table, with name), url (its name),
-- reused, status, times, max_retries, expect (letters), column, token; timeout
-- and size, where they are not the fault's.
function Matrix:play(cell)
  local what = cell.fault or cell.cut
  self.server:arm()
  local client = client_of(self, cell)
  local text, its_serial = text_of(cell.size or what.size or SMALL)
  self.server:arm{ fault = cell.fault and what.name, cut = cell.cut,
    times = cell.times, size = #text, name = cell.url }
  cell.result = client:create(text, {
    status = cell.status, max_retries = cell.max_retries,
    timeout = cell.timeout or what.deadline or self.patience,
  })
  if what.holds_nobody then
    self.server:arm()
    local after = client:create(text_of(SMALL), { timeout = PATIENCE })
    assert(after.letter == "S", "after the fault: " .. tostring(after.err))
  end
  client:finish()
  cell.serial = its_serial
  self.played[#self.played + 1] = cell
  return cell.result.letter
end

-- The letters that are right in a column: for all attempts, and for the first.
local function letters_of(what, column)
  if column.behind and what.behind then
    return what.behind, what.once_behind or what.behind
  end
  local kept = column.reused and what.kept or ""
  return what.expect .. kept, (what.once or what.expect) .. kept
end

-- Plays a cell, again where its deadline passed before it met the fault, as a
-- short one may on a machine under load: nothing had left then. Each try has
-- twice the time.
local function play_until_met(self, make_cell)
  local letter
  for i = 1, MEETINGS do
    local cell = make_cell()
    local what = cell.fault or cell.cut
    cell.timeout = what.deadline and what.deadline * 2 ^ (i - 1)
    letter = self:play(cell)
    local met = letter ~= "N" or not what.deadline or cell.expect:find "N"
    if met or i == MEETINGS then break end
    cell.expect = "N"
  end
  return letter
end

-- Plays a fault in one column: all attempts meet it; and only the first one
-- does, with one more allowed (with one status only, where that costs a pause).
local function play_column(self, what, column)
  local expect, once = letters_of(what, column)
  -- nginx keeps what is large in a file, and is slow at it.
  local size = column.behind and what.size and BEHIND or nil
  for i, status in ipairs(self.statuses) do
    local function cell(times, retries, letters)
      return play_until_met(self, function()
        return {
          [what.from and "cut" or "fault"] = what, token = what.token,
          url = what.tls and column.tls_url or column.url, status = status,
          reused = column.reused, column = column.name, times = times,
          max_retries = retries, expect = letters, size = size,
        }
      end)
    end
    local letter = cell(-1, 0, expect)
    -- A deadline that has passed leaves no time for another attempt.
    local again = i == 1 or letter == "U"
    if self.brief then again = letter ~= "N" and column.reused end
    if what.pauses then again = i == 1 and column.name == "h1r" end
    if again and what.ending ~= "silence" then cell(1, 1, once) end
  end
end

-- Whether there is such a fault in such a column.
function matrix.meet(what, column)
  if column.behind and what.behind == false then return false end
  return not what.version or what.version == column.version
    or what.version == 1 and column.behind
end

-- Plays one part of columns.lua.
function Matrix:play_all(part)
  for _, what in ipairs(part.list) do
    for _, column in ipairs(part.columns) do
      if matrix.meet(what, column) then play_column(self, what, column) end
    end
  end
end

-- ---- judging ----

-- How many of the copies that came were not answered in a way that permits
-- another try (429 does, and 401 once, with a token function); the newest one
-- does not count as such.
local function repeats(entry, token)
  local n, renewed = 0, not token
  for i = 1, entry.taken - 1 do
    local status = entry.answers[i]
    if status ~= 429 and (status ~= 401 or renewed) then n = n + 1 end
    renewed = renewed or status == 401
  end
  return n
end

local NOTHING = { taken = 0, acted = 0, answers = {} }

-- What is wrong with a cell, as a list of sentences. Judge when all calls are
-- over: what has left may arrive late.
local function wrongs(self, cell, entry)
  local result, list = cell.result, {}
  local n = repeats(entry, cell.token)
  local function wrong(...) list[#list + 1] = string.format(...) end
  if n > 0 or entry.acted > 1 then
    wrong("%d copies, %d acted on", entry.taken, entry.acted)
  end
  if result.letter == "S" and entry.acted ~= 1 then
    wrong("an SMS, but %d in the ledger", entry.acted)
  end
  if result.id and result.id ~= "acti_" .. cell.serial then
    wrong("another one's SMS: %s", result.id)
  end
  if (result.letter == "N" or result.letter == "R") and entry.acted > 0 then
    wrong("%s, but the server acted on it", result.letter)
  end
  if result.letter == "N" and entry.answers[entry.taken] == 0 then
    wrong("N, but the server took it")
  end
  if self.lenient then return list end
  local what = cell.fault or cell.cut
  local most = what.within or (what.deadline or self.patience) + SLACK
  if result.seconds > most then wrong("%.2f s", result.seconds) end
  if not cell.expect:find(result.letter, 1, true) then
    wrong("%s, expected %s: %s", result.letter, cell.expect,
      tostring(result.err))
  end
  return list
end

-- Judges all cells that were played: each gets copies. Returns the violations
-- as a list of sentences.
function Matrix:judge()
  local messages = self.server:ledger().messages
  local found = {}
  for _, cell in ipairs(self.played) do
    local entry = messages[cell.serial] or NOTHING
    cell.copies = repeats(entry, cell.token) + math.min(entry.taken, 1)
    for _, sentence in ipairs(wrongs(self, cell, entry)) do
      found[#found + 1] = ("%s, %s, %s, %s: %s"):format(
        (cell.fault or cell.cut).name, cell.column, cell.status,
        cell.times == 1 and "once" or "always", sentence)
    end
  end
  return found
end

-- ---- the table ----

local function add_letter(set, letter)
  if not set:find(letter, 1, true) then set = set .. letter end
  return set
end

-- The letters of a cell: always, and after a stroke, where it differs, once.
local function merged(cells)
  local always, once = "", ""
  for _, cell in ipairs(cells) do
    local letter = cell.result.letter
    if cell.copies and cell.copies > 1 then letter = tostring(cell.copies) end
    if cell.times == 1 then
      once = add_letter(once, letter)
    else
      always = add_letter(always, letter)
    end
  end
  if always == once or once == "" then return always end
  return always .. "/" .. once
end

-- The lines of a table of the cells of one part that were played and judged:
-- faults down, columns across.
function Matrix:lines(part)
  local rows, order = {}, {}
  for _, cell in ipairs(self.played) do
    local name = (cell.fault or cell.cut).name
    if not rows[name] then
      rows[name], order[#order + 1] = {}, name
    end
    local row = rows[name]
    row[cell.column] = row[cell.column] or {}
    table.insert(row[cell.column], cell)
  end
  local lines = { ("%-35s"):format(part.title) }
  for _, column in ipairs(part.columns) do
    lines[1] = lines[1] .. (" %-5s"):format(column.name)
  end
  for _, name in ipairs(order) do
    local line = ("%-35s"):format(name)
    for _, column in ipairs(part.columns) do
      local cells = rows[name][column.name]
      line = line .. (" %-5s"):format(cells and merged(cells) or "-")
    end
    lines[#lines + 1] = line
  end
  return lines
end

-- The names of the faults that led to more copies than one, each once.
function Matrix:repeated()
  local names, seen = {}, {}
  for _, cell in ipairs(self.played) do
    local name = (cell.fault or cell.cut).name
    if cell.copies > 1 and not seen[name] then
      seen[name], names[#names + 1] = true, name
    end
  end
  return names
end

-- How many cells ended in each letter, in how many there were more copies than
-- one, and the most of them.
function Matrix:counts()
  local counts = { S = 0, N = 0, R = 0, U = 0, E = 0, twice = 0, most = 0 }
  for _, cell in ipairs(self.played) do
    local letter = cell.result.letter
    counts[letter] = counts[letter] + 1
    if cell.copies > 1 then counts.twice = counts.twice + 1 end
    counts.most = math.max(counts.most, cell.copies)
  end
  return counts
end

return matrix
