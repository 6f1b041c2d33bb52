-- Runs a script with another libcurl than the one we were built with, which
-- build/other_curl.so plays.
local process = require "spec.support.process"

local other_curl = {}

-- Returns what the script prints. variables: those of other_curl.c, without
-- CLOSE_SPEC_; more: a further library to preload, or nil.
function other_curl.run(script, variables, more)
  local command = { "env", "LD_PRELOAD=" .. (os.getenv "LD_PRELOAD" or "") ..
    ":build/other_curl.so" .. (more and ":" .. more or "") }
  for name, value in pairs(variables) do
    command[#command + 1] = ("CLOSE_SPEC_%s=%s"):format(name, value)
  end
  for _, word in ipairs(process.lua(script)) do
    command[#command + 1] = word
  end
  return process.capture(command)
end

return other_curl
