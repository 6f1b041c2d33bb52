-- Sends a message, and takes it back: it waits in the outbox for send_in
-- seconds, and is a draft again after cancel.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local setup = require "setup"

setup.run(function(client)
  local sms, err = client.sms.send {
    local_phone = setup.local_phone,
    remote_phone = setup.remote_phone,
    text = "We are closed today. Or are we?",
    send_in = 30,
  }
  if not sms then return setup.print_result(nil, err) end
  print("in the " .. sms.status .. ", to be sent in 30 seconds")
  setup.print_result(client.sms.cancel(sms.id))
end)
