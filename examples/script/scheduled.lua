-- Sends a message in an hour: a date may be a number, as os.time() gives it.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local setup = require "setup"

setup.run(function(client)
  setup.print_result(client.sms.send {
    date_scheduled = os.time() + 3600,
    local_phone = setup.local_phone,
    remote_phone = setup.remote_phone,
    text = "See you tomorrow at ten.",
  })
end)
