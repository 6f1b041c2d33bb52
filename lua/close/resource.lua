-- From descriptions of verbs to the functions of a resource: each verb that
-- waits, and its _async twin. A description, of which all operations of a verb
-- are made, is one table:
--   name           such as "create"
--   example        how it is called
--   arguments      how many come before the callback and the options: 1 or 2
--   may_omit       whether an _async call may leave out the second of them
--   prepare(state, first, second) -> an operation's first request, task | nil,
--                  nil, err
--   read(response, task) -> what its caller gets of an answer | nil, err
-- and, where it has one:
--   step(operation, response, failure, state)   takes the end of a request
--                  -> the next request | nil, response, failure
--   goes_on        whether its step makes further requests
--   explain(err, response, task)   says more of the error of a failure
--   describe(task, err)   fills in the error of one that ran out of memory
--   retries        how often its requests are tried again where nobody says
--   asks           whether it calls on_draft
--   perform, launch   what it has instead of those of operation.lua

local errors = require "close.errors"
local operations = require "close.operation"

local resource = {}

--- What is wrong where a function was called with a colon, and got its own
--- table as the first argument; or nil.
function resource.check_dot(first, self, name, example)
  if not first or not rawequal(first, self) then return nil end
  return errors.validation { {
    field = "params", code = "type",
    message = "the first argument is the resource itself: call with a dot, " ..
      "as in " .. name .. "." .. example .. ", not with a colon",
  } }
end

-- Adds both functions of a verb to a resource.
local function add(self, state, name, verb)
  local perform = verb.perform or operations.perform
  local launch = verb.launch or operations.launch

  local function prepare(first, second)
    local wrong = resource.check_dot(first, self, name, verb.example)
    if wrong then return nil, wrong end
    local request, task, err = verb.prepare(state, first, second)
    if not request then return nil, err end
    return operations.new(verb, request, task)
  end

  self[verb.name] = function(first, second, options)
    if verb.arguments == 1 then second, options = nil, second end
    local operation, err = prepare(first, second)
    return perform(state, operation, err, options)
  end

  self[verb.name .. "_async"] = function(first, second, callback, options)
    if verb.arguments == 1 or verb.may_omit and type(second) == "function" then
      second, callback, options = nil, second, callback
    end
    local operation, err = prepare(first, second)
    return launch(state, operation, err, callback, options)
  end
end

--- Makes a resource of a client.
---@param name string as users write it, such as "sms"
---@param verbs table[] descriptions
---@return table
function resource.new(state, name, verbs)
  local self = {}
  for _, verb in ipairs(verbs) do add(self, state, name, verb) end
  return self
end

--- The names of all functions of a resource.
function resource.names(verbs)
  local names = {}
  for _, verb in ipairs(verbs) do
    names[#names + 1] = verb.name
    names[#names + 1] = verb.name .. "_async"
  end
  return names
end

return resource
