-- Asks an independent validator (validate.py, python3-jsonschema) whether a
-- JSON text is what the API's schema says. It is started at the first question
-- and kept.
local json = require("cjson").new()
local process = require "spec.support.process"

local schema = {}

local HERE = debug.getinfo(1, "S").source:match("^@(.*)[/\\]") or "."
local PYTHON = "/usr/bin/python3" -- Debian's, which has Debian's package
local child

local function ask(question)
  child = child or process.start({ PYTHON, HERE .. "/validate.py" },
    { stdin = "pipe", stdout = "pipe" })
  child.stdin:write(json.encode(question), "\n")
  local line = child.stdout:read("*l")
  if not line then error("the schema validator ended", 3) end
  return line
end

-- name: "create" (a request's body) or "activity" (an answer). Returns true,
-- or nil and a list of sentences.
function schema.check(name, json_text)
  assert(name == "create" or name == "activity", "no such schema")
  local reply = json.decode(ask{ schema = name, text = json_text })
  if reply.ok then return true end
  return nil, reply.errors
end

-- Ends the validator. The next question starts a new one.
function schema.stop()
  if child then child:stop() end
  child = nil
end

return schema
