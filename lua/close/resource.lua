-- Makes the functions of a resource from descriptions of verbs: for each verb
-- one that waits, and its _async version. A description is one table:
--   name           such as "create"
--   example        how it is called
--   arguments      how many come before the callback and the options: 1 or 2
--   may_omit       whether an _async call may leave out the second of them
--   prepare(state, first, second) -> an operation's first request, task | nil,
--                  nil, err
--   read(response, task) -> the result for an answer | nil, err
-- and, if the verb needs it:
--   step(operation, response, failure, state)   gets the end of a request
--                  -> the next request | nil, response, failure
--   goes_on        whether its step makes further requests
--   explain(err, response, task)   adds to the error of a failure
--   describe(task, err)   fills in the error of one that ran out of memory
--   retries        how often its requests are retried by default
--   uses_on_draft  whether it takes the option on_draft
--   own_options    the names of those that it reads itself
--   perform, launch   replace those of operation.lua

local errors = require "close.errors"
local operations = require "close.operation"

local resource = {}

--- The error for a function that was called with a colon, and so got its own
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
  local is_self = { [self] = true } -- a look calls no metamethod, unlike ==

  local function prepare(first, second)
    if is_self[first] then
      return nil, resource.check_dot(first, self, name, verb.example)
    end
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
    return launch(state, operation, err, callback, options, verb.name)
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
