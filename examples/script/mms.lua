-- Uploads a picture and sends it: its bytes here, a path in your program.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local setup = require "setup"

-- A red dot.
local DOT = "GIF89a\1\0\1\0\128\0\0\255\0\0\0\0\0,\0\0\0\0\1\0\1\0\0" ..
  "\2\2D\1\0;"

setup.run(function(client)
  -- client.files.upload "dot.gif" would read a file.
  local picture, err = client.files.upload({ data = DOT },
    { filename = "dot.gif" })
  if not picture then
    print("not uploaded: " .. tostring(err)) -- to try again does no harm
    return
  end
  setup.print_result(client.sms.send {
    local_phone = setup.local_phone,
    remote_phone = setup.remote_phone,
    text = "Red, as you asked:",
    attachments = { picture },
  })
end)
