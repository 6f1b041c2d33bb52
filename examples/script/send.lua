-- Sends a message now, and exactly once. send_in leaves five seconds in which
-- it can be undone.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local setup = require "setup"

setup.run(function(client)
  setup.print_result(client.sms.send {
    local_phone = setup.local_phone,
    remote_phone = setup.remote_phone,
    text = "Your table for two is ready. 🍝",
    send_in = 5,
  })
end)
