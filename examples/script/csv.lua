-- Reads a CSV file record by record (RFC 4180): a field in quotation marks may
-- hold commas, line breaks and doubled quotation marks. Lines end in LF or
-- CRLF. A UTF-8 byte order mark and empty lines are left out.

local csv = {}

local MAX_RECORD = 65536 -- bytes; so that an open quotation mark ends, too

-- Where a quoted field ends that begins at this place; nil: not in this text.
local function closing_mark(text, at)
  while true do
    at = text:find('"', at + 1, true)
    if not at or text:sub(at + 1, at + 1) ~= '"' then return at end
    at = at + 1
  end
end

-- The fields of a record. Or nil and what is wrong; only nil where a quotation
-- mark is open, and the record goes on with the next line.
local function split(text)
  local fields, at = {}, 1
  repeat
    local stop
    if text:sub(at, at) == '"' then
      local mark = closing_mark(text, at)
      if not mark then return nil end
      stop = mark + 1
      if stop <= #text and text:sub(stop, stop) ~= "," then
        return nil, "a comma must follow the second quotation mark of a field"
      end
      fields[#fields + 1] = text:sub(at + 1, mark - 1):gsub('""', '"')
    else
      stop = text:find(",", at, true) or #text + 1
      local field = text:sub(at, stop - 1)
      if field:find('"', 1, true) then
        return nil, "a field with quotation marks must begin with one"
      end
      fields[#fields + 1] = field
    end
    at = stop + 1
  until at > #text + 1
  return fields
end

--- Returns a function that reads the next record of an open file: the number
--- of its first line and its fields, or that number, nil and what is wrong.
function csv.records(file)
  local number = 0
  local function next_line()
    local text = file:read "*l"
    number = number + 1
    return text and text:gsub("\r$", "")
  end
  return function()
    local text, line
    repeat text, line = next_line(), number until text ~= ""
    if not text then return nil end
    if line == 1 then text = text:gsub("^\239\187\191", "") end
    local fields, why = split(text)
    while not fields and not why do
      local more = #text < MAX_RECORD and next_line()
      if not more then return line, nil, "a quotation mark is not closed" end
      text = text .. "\n" .. more
      fields, why = split(text)
    end
    return line, fields, why
  end
end

return csv
