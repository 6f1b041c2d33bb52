-- Sends a picture. Its address must be one that Close can fetch.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local setup = require "setup"

setup.run(function(client)
  setup.print_result(client.sms.send {
    local_phone = setup.local_phone,
    remote_phone = setup.remote_phone,
    text = "The way to our door:",
    attachments = {
      {
        content_type = "image/png",
        filename = "map.png",
        url = os.getenv "ATTACHMENT_URL" or "https://example.com/map.png",
      },
    },
  })
end)
