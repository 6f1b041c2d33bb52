-- Fails validation, before anything is sent, and prints all that is wrong.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local setup = require "setup"

setup.run(function(client)
  local sms, err = client.sms.create {
    status = "outbox",
    to = "+18183334444",
    local_phone = "(415) 444-5555",
    text = "Both a text and a template",
    template_id = "smstmpl_1",
    send_in = 60,
    attachments = { { filename = "map.png", content_type = "image/pgn" } },
  }
  assert(not sms and err.kind == "validation" and err.outcome == "rejected")
  for _, violation in ipairs(err.errors) do
    print(("%-27s %-14s %s"):format(violation.field, violation.code,
      violation.message))
  end
end)
