-- The parts of the fault matrix: a title, a list of faults, and its columns,
-- the places of the stack at which each of them is met. A column has a name,
-- url (a name of server.lua's; tls_url where a fault needs TLS), version (of
-- HTTP), reused (the connection has served before), behind (there is something
-- between the client and the server, which takes whole requests first).
local cuts = require "spec.support.faults.cuts"
local faults = require "spec.support.faults.table"

-- Over HTTP/1.1 and HTTP/2, each new and reused.
local function columns(first, second, more)
  local list = {}
  for version, url in ipairs{ first, second } do
    for _, reused in ipairs{ false, true } do
      local column = { name = ("h%d%s"):format(version, reused and "r" or "n"),
        url = url, version = version, reused = reused }
      for name, value in pairs(more) do column[name] = value end
      list[#list + 1] = column
    end
  end
  return list
end

local raw = columns("raw1", "raw2", {})
for _, column in ipairs(raw) do
  column.tls_url = column.version == 1 and "tls1" or nil
end

return {
  { title = "a server alone", list = faults.list, columns = raw },
  { title = "behind nginx", list = faults.list,
    columns = columns("nginx1", "nginx2", { behind = true }) },
  { title = "a relay before nginx", list = cuts,
    columns = columns("relay1", "relay2", {}) },
}
