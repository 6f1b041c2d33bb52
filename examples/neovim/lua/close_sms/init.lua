-- Sends lines of a buffer as a text message, and never waits for it: the answer
-- comes as a notification. The API key is taken from CLOSE_API_KEY, the numbers
-- from vim.g.close_sms = { local_phone = "+1...", remote_phone = "+1..." }.
-- When Neovim quits, it waits for messages under way: 5 seconds, or as many as
-- vim.g.close_sms.wait says.
--
-- A buffer of filetype sms is one message. It may begin with lines such as
-- "to: +18183334444" (and "from:", "at:" with a date), then an empty line. What
-- is wrong with it shows as you type.
-- luacheck: globals vim

local close = require "close"

local close_sms = {}

local HEADERS = {
  to = "remote_phone", from = "local_phone", at = "date_scheduled",
}

local TITLE = { title = "Close" }
local WAIT_S = 5

local client -- made with the first message: it needs the key
local unsent -- what was not sent, as lines, once Neovim quits

local found = vim.api.nvim_create_namespace "close_sms"

local function message(text)
  local numbers = vim.g.close_sms or {}
  return {
    text = text,
    local_phone = numbers.local_phone, remote_phone = numbers.remote_phone,
  }
end

-- Reads a whole message. Also returns where each field stands, from 0.
local function read(lines)
  local params, places, first = message(), { text = 0 }, 1
  for i, line in ipairs(lines) do
    local name, value = line:match "^(%l+):%s*(.-)%s*$"
    if not HEADERS[name] then break end
    params[HEADERS[name]], places[HEADERS[name]] = value, i - 1
    first = i + 1
  end
  if first > 1 and lines[first] == "" then first = first + 1 end
  params.text = table.concat(lines, "\n", math.min(first, #lines + 1))
  places.text = math.min(first, #lines) - 1
  return params, places
end

--- Shows all that is wrong with a buffer's message, each where it stands.
function close_sms.check(buffer)
  local params, places = read(vim.api.nvim_buf_get_lines(buffer, 0, -1, false))
  local shown = {}
  params.status = params.date_scheduled and "scheduled" or "outbox"
  local ok, err = close.sms.validate(params)
  for _, fault in ipairs(ok and {} or err.errors) do
    shown[#shown + 1] = {
      lnum = places[fault.field] or 0, col = 0, message = fault.message,
      code = fault.code, source = "close",
      severity = vim.diagnostic.severity.ERROR,
    }
  end
  vim.diagnostic.set(found, buffer, shown)
end

--- Checks a buffer now, and whenever it changes.
function close_sms.watch(buffer)
  vim.api.nvim_create_autocmd(
    { "TextChanged", "TextChangedI", "BufWritePost" }, {
      group = "close_sms", buffer = buffer,
      callback = function() close_sms.check(buffer) end,
    })
  close_sms.check(buffer)
end

local function show(sms, err, to)
  if sms then
    local done = sms.status == "scheduled" and "Scheduled for " or "Sent to "
    return vim.notify(done .. sms.remote_phone .. ".", vim.log.levels.INFO,
      TITLE)
  end
  local line = tostring(err)
  if err.outcome == "unknown" then
    line = line .. "\nIt may have been sent. This goes on with it, and " ..
      "never sends it twice:\n:lua =require('close').sms.send " ..
      ('{ draft_id = "%s" }'):format(tostring(err.draft_id))
  end
  if unsent then
    unsent[#unsent + 1] = ("To %s: %s"):format(to, line)
    return
  end
  vim.notify(line, vim.log.levels.ERROR, TITLE)
end

local function send(params)
  local why, request, err
  if not client then client, why = close.new() end
  if not client then return show(nil, why) end
  request, err = client.sms.send_async(params, function(sms, problem)
    show(sms, problem, params.remote_phone)
  end)
  if not request then show(nil, err) end
end

--- :CloseSms, with what Neovim tells a command.
function close_sms.command(command)
  local is_whole = command.range == 0 and vim.bo.filetype == "sms"
  local lines = vim.api.nvim_buf_get_lines(0,
    is_whole and 0 or command.line1 - 1, is_whole and -1 or command.line2,
    false)
  local params = is_whole and read(lines) or message(table.concat(lines, "\n"))
  if command.args ~= "" then params.remote_phone = command.args end
  send(params)
end

--- Neovim quits: nothing is sent after this, and what was not is said. The
--- screen is gone in a moment, so that asks for a key, or goes to stderr.
function close_sms.leave()
  if not client or client:pending() == 0 then return end
  unsent = {}
  vim.api.nvim_echo({ { "Sending a text message; Ctrl-C stops that" } }, false,
    {})
  vim.cmd "redraw"
  client:wait((vim.g.close_sms or {}).wait or WAIT_S)
  client:close()
  if not unsent[1] then return end
  local text = "Neovim quits.\n" .. table.concat(unsent, "\n")
  if vim.api.nvim_list_uis()[1] then
    vim.fn.confirm(text, "&OK", 1, "Warning")
  else
    io.stderr:write(text, "\n")
  end
end

return close_sms
