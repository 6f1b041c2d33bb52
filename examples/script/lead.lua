-- Makes a lead with a contact, and texts that contact. client:request makes any
-- request of Close's API, for what the library has no verb for.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local setup = require "setup"

setup.run(function(client)
  local lead, err = client:request("POST", "/lead/", { body = {
    name = "Lovelace & Co.",
    contacts = { {
      name = "Ada Lovelace",
      phones = { { phone = setup.remote_phone, type = "mobile" } },
    } },
  } })
  if not lead then
    print("no lead: " .. tostring(err))
    if err.outcome == "unknown" then -- a POST is not repeated after that
      print "Close may have made it. Look there before you make another one."
    end
    return
  end
  local contact = lead.contacts[1]
  print(("made the lead %s with the contact %s"):format(lead.display_name,
    contact.name))
  setup.print_result(client.sms.send {
    lead_id = lead.id,
    contact_id = contact.id,
    local_phone = setup.local_phone,
    remote_phone = contact.phones[1].phone,
    text = "Hello Ada, welcome! When may we call you?",
  })
end)
