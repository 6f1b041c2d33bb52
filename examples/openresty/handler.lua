-- The form: shows itself, and texts the person who sent it. While Close is
-- asked, the worker answers others.
-- luacheck: std max+ngx_lua

local close = require "close"

local FROM = assert(os.getenv "CLOSE_LOCAL_PHONE",
  "CLOSE_LOCAL_PHONE: a number of yours")
-- The countries that are texted, by their codes. Others may cost many times as
-- much, and are what those want who abuse such a form. "+1" includes the
-- Caribbean, which costs more, too: "+1415 +1212" texts two area codes only.
local COUNTRIES = os.getenv "CLOSE_COUNTRY_CODES" or "+1"
local client, why = close.new() -- CLOSE_API_KEY, CLOSE_BASE_URL
if not client then error(tostring(why)) end -- nginx prints no tables

local PAGE = [[
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Get a text</title>
<style>
body { font: 1rem/1.5 sans-serif; max-width: 30rem; margin: 2rem auto }
label, input, .fault { display: block } .fault { color: #a00 }
</style>
<h1>Get a text</h1>
@notice@
<form method="post" action="/">
<label for="name">Your name</label>
<input id="name" name="name" value="@name@" maxlength="60">
@name_fault@
<label for="phone">Your phone number</label>
<input id="phone" name="phone" type="tel" value="@phone@" maxlength="40">
@phone_fault@
<button>Text me</button>
</form>
</html>
]]

-- What a visitor is told of a field of the message, and beside which input. The
-- library's own sentences are for the owner: they name fields and rules.
local FAULTS = {
  remote_phone = { input = "phone", text = "Please give your number with its "
    .. "country code, such as +1 415 444 5555." },
  text = { input = "name", text = "Please write your name in other "
    .. "characters." },
}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
  ['"'] = "&quot;", ["'"] = "&#39;" }

local function escape(text)
  return (text:gsub("[&<>\"']", ENTITIES))
end

local function marked(class, text)
  return text and ('<p class="%s">%s</p>'):format(class, escape(text)) or ""
end

-- form: name and phone as they came; faults: by the name of the input.
local function show(status, form, faults, notice)
  local values = {
    name = escape(form.name), name_fault = marked("fault", faults.name),
    phone = escape(form.phone), phone_fault = marked("fault", faults.phone),
    notice = marked("notice", notice),
  }
  ngx.status = status
  ngx.header["Content-Type"] = "text/html; charset=utf-8"
  ngx.print((PAGE:gsub("@([%l_]+)@", values)))
end

-- What went wrong, in words for the visitor: beside the inputs that it belongs
-- to, or as one text. The log has the error itself.
local function explain(err)
  ngx.log(ngx.NOTICE, "not sent: ", tostring(err))
  if err.outcome == "unknown" then -- it may be sent twice if asked for again
    return {}, "We cannot tell whether the message is on its way. "
      .. "Please wait a few minutes before you try again."
  end
  local faults = {}
  for _, item in ipairs(err.errors) do
    local fault = FAULTS[item.field]
    if not fault then return {}, "The message was not sent." end
    faults[fault.input] = fault.text
  end
  return faults, not next(faults) and "The message was not sent." or nil
end

-- A number without what people write between its digits, and without what their
-- address books add: the spaces, dashes and marks from U+2000 to U+202F.
local function bare(phone)
  return (phone:gsub("\226\128[\128-\175]", ""):gsub("\194\160", "")
    :gsub("[ ().-]", ""))
end

-- What goes into the text must be no message of its own: a stranger could have
-- it sent to others in the owner's name.
local function is_name(name)
  return #name <= 60 and not name:find "[%d/:@]" and not name:find "%.%a%a"
end

local function is_texted(phone)
  for code in COUNTRIES:gmatch "%S+" do
    if phone:sub(1, #code) == code then return true end
  end
  return false
end

local function text_of(form)
  return ("Hi %s! You asked for this text on our page."):format(form.name)
end

local function send(form)
  if form.name == "" then
    return show(422, form, { name = "Please tell us your name." })
  end
  if not is_name(form.name) then
    return show(422, form, { name = "Please give a short name, without "
      .. "digits or links." })
  end
  local phone = bare(form.phone)
  if phone:sub(1, 1) ~= "+" then
    return show(422, form, { phone = FAULTS.remote_phone.text })
  end
  if not is_texted(phone) then
    return show(422, form, { phone = "We only text numbers that begin with "
      .. COUNTRIES:gsub("%s+", ", ") .. "." })
  end
  local sms, err = client.sms.send {
    local_phone = FROM, remote_phone = phone, text = text_of(form),
  }
  if sms then
    return show(200, { name = "", phone = "" }, {}, "Your text is on its way.")
  end
  local faults, notice = explain(err)
  show(next(faults) and 422 or 502, form, faults, notice)
end

-- A field as one line of text; a field may come twice, or without a value.
local function line(value)
  if type(value) == "table" then value = value[1] end
  if type(value) ~= "string" then return "" end
  return (value:gsub("%c+", " "):gsub("^ +", ""):gsub(" +$", ""))
end

local handler = {}

--- The answer to who has asked for too many texts.
function handler.later()
  show(429, { name = "", phone = "" }, {},
    "That was a lot of texts. Please wait a minute, and try again.")
end

function handler.answer()
  if ngx.req.get_method() ~= "POST" then
    return show(200, { name = "", phone = "" }, {})
  end
  ngx.req.read_body()
  local given = ngx.req.get_post_args(10) or {}
  send { name = line(given.name):sub(1, 240), phone = line(given.phone) }
end

return handler
