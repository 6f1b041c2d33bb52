-- Prints the messages of a lead, newest first, and what each would cost to send
-- again. each() asks for a page when the one before is used up.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local close = require "close"
local setup = require "setup"

local LEAD = "lead_iuSXNk1x3446ggPVwQS7ynmp8pGRIDieRYiCnuo4yFb"

setup.run(function(client, sandbox)
  if sandbox then -- which begins empty
    for i = 1, 3 do
      assert(client.sms.create { status = "sent", lead_id = LEAD,
        text = ("Message %d%s"):format(i, (" 👋"):rep(i * 20)) })
    end
  end
  for sms, err in assert(client.sms.each { lead_id = LEAD, _limit = 2 }) do
    if not sms then error(tostring(err), 0) end
    local count = close.segments(sms.text or "")
    print(("%s  %-8s %d segments of %s"):format(sms.date_created, sms.status,
      count.segments, count.encoding))
  end
end)
