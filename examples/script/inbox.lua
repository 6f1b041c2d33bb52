-- Logs a message that was received: the example of Close's own page.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local setup = require "setup"

setup.run(function(client)
  setup.print_result(client.sms.create {
    status = "inbox",
    contact_id = "cont_q4xYmlGhA3060dEl0NDJuHRxPMuVjqLn30AFSzh1fRk",
    direction = "inbound",
    lead_id = "lead_iuSXNk1x3446ggPVwQS7ynmp8pGRIDieRYiCnuo4yFb",
    local_phone = setup.local_phone,
    remote_phone = setup.remote_phone,
    source = "External",
    text = "Hi! This is a reminder that we have a call scheduled for 12pm " ..
      "PT today.",
  })
end)
