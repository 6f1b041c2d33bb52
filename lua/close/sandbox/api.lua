-- The API of the sandbox: its paths and methods, authentication, rate limits,
-- and the answer to one request. Takes a request and the time, returns an
-- answer; does no I/O.

local account = require "close.sandbox.account"
local activity = require "close.sandbox.activity"
local fields = require "close.sandbox.fields"
local json = require "close.sandbox.json"
local leads = require "close.sandbox.leads"
local limits = require "close.sandbox.limits"
local mime = require "mime"
local pages = require "close.sandbox.pages"
local sms = require "close.sandbox.sms"
local storage = require "close.sandbox.storage"

---@class close.sandbox.Api
---@field store close.sandbox.Store
---@field leads close.sandbox.Leads
---@field storage close.sandbox.Storage
---@field private origin string
---@field private api_key string
---@field private access_token string
---@field private limits close.sandbox.Limits?
local Api = {}
Api.__index = Api

local api = { ROOT = "/api/v1" }

---@param options close.sandbox.Options
---@param origin string "http://127.0.0.1:8765"
---@return close.sandbox.Api
function api.new(options, origin)
  local rate = options.rate_limit
  local self = setmetatable({
    api_key = options.api_key, access_token = options.access_token,
    limits = rate and limits.new(rate.limit, rate.window), origin = origin,
  }, Api)
  self:empty()
  return self
end

--- Forgets what it holds.
function Api:empty()
  self.storage = storage.new(self.origin)
  self.store = sms.new(self.storage)
  self.leads = leads.new()
end

local function answer(status, body)
  return {
    status = status, headers = { ["Content-Type"] = "application/json" },
    body = json.encode(body),
  }
end

local function refusal(status, words)
  return answer(status, { error = words })
end

-- What a store's method returned, as an answer.
local function outcome(shown, problem)
  if not shown then return answer(400, problem) end
  return answer(200, shown)
end

local function find_sms(self, id, now) return self.store:find(id, now) end
local function find_lead(self, id) return self.leads:find("lead_", id) end
local function find_contact(self, id) return self.leads:find("cont_", id) end

local function show(request, object)
  return answer(200, pages.pick(object, request.query))
end

local function show_found(_, request, _, object)
  return show(request, object)
end

-- A path below ROOT, and what each method does there: given the api, the
-- request, the time, the object of the id in the path, as `find` finds it, and
-- the decoded body.
local function at(path, methods, find)
  methods.template = api.ROOT .. path
  methods.pattern = "^" .. methods.template:gsub("{id}", "([^/]+)") .. "$"
  methods.find = find
  return methods
end

local ROUTES = {
  at("/activity/sms/", {
    GET = function(self, request, now)
      return outcome(self.store:page(request.query, now))
    end,
    POST = function(self, request, now, _, body)
      return outcome(self.store:create(body, request.query, now))
    end,
  }),
  at("/activity/sms/{id}/", {
    GET = function(_, request, _, message)
      return show(request, activity.show(message))
    end,
    PUT = function(self, _, now, message, body)
      return outcome(self.store:update(message, body, now))
    end,
    DELETE = function(self, _, _, message)
      self.store:delete(message.id)
      return answer(200, {})
    end,
  }, find_sms),
  at("/files/upload/", {
    POST = function(self, _, now, _, body)
      local _, problems = fields.check(fields.upload, body)
      if next(problems) then return answer(400, fields.problem(problems)) end
      return answer(200,
        self.storage:new_upload(body.filename, body.content_type, now))
    end,
  }),
  at("/lead/", {
    GET = function(self, request)
      return outcome(self.leads:page_of_leads(request.query))
    end,
    POST = function(self, _, now, _, body)
      return outcome(self.leads:create_lead(body, now))
    end,
  }),
  at("/lead/{id}/", { GET = show_found }, find_lead),
  at("/contact/", {
    GET = function(self, request)
      return outcome(self.leads:page_of_contacts(request.query))
    end,
    POST = function(self, _, now, _, body)
      return outcome(self.leads:create_contact(body, now))
    end,
  }),
  at("/contact/{id}/", { GET = show_found }, find_contact),
  at("/me/", {
    GET = function(_, request) return show(request, account.me) end,
  }),
  at("/phone_number/", {
    GET = function(_, request)
      return outcome(pages.page(account.phone_numbers, request.query,
        { equal = { number = "number" } }))
    end,
  }),
}
local BODY = { POST = true, PUT = true }
local METHODS = { "GET", "POST", "PUT", "DELETE" }

-- The route of a path, and the id in it.
local function route_of(path)
  for _, route in ipairs(ROUTES) do
    local capture = path:match(route.pattern)
    if capture then return route, route.find and capture end
  end
  return nil
end

--- A request's path without its id; safe to log.
---@param path string
---@return string
function api.template(path)
  if storage.is_for(path) then return storage.template(path) end
  local route = route_of(path)
  return route and route.template or "(other)"
end

local function allowed(route)
  local methods = {}
  for _, method in ipairs(METHODS) do
    if route[method] then methods[#methods + 1] = method end
  end
  return table.concat(methods, ", ")
end

-- The key or token of a request, and which of the two it is.
local function credentials(request)
  local header = request.headers.authorization or ""
  local scheme, value = header:match "^(%a+) +(%S+)$"
  scheme = scheme and scheme:lower()
  if scheme == "bearer" then return value, scheme end
  if scheme ~= "basic" then return "", nil end
  local decoded = mime.unb64(value) or ""
  -- The key is the user, the password is empty.
  return decoded:match "^(.*):$" or "", scheme
end

function Api:is_known(secret, scheme)
  if scheme == "bearer" then return secret == self.access_token end
  return scheme == "basic" and secret == self.api_key
end

-- The body of a request that needs one, or the answer that refuses it.
local function body_of(request)
  local content_type = request.headers["content-type"] or ""
  if content_type:lower():match "^[^;%s]*" ~= "application/json" then
    return nil, refusal(415, "Unsupported media type: use application/json.")
  end
  local body, problem = json.decode_object(request.body)
  if problem == "invalid" then
    return nil, refusal(400, "The request body is not valid JSON.")
  end
  if problem then
    return nil, refusal(400, "Invalid request: JSON dictionary expected.")
  end
  return body
end

function Api:carry_out(request, now)
  local route, id = route_of(request.path)
  if not route then return refusal(404, "The URL was not found.") end
  local handle = route[request.method]
  if not handle then
    local refused = refusal(405, "The method is not allowed for this URL.")
    refused.headers.Allow = allowed(route)
    return refused
  end
  local object = id and route.find(self, id, now)
  if id and not object then return refusal(404, "Object does not exist.") end
  local body, refused
  if BODY[request.method] then
    body, refused = body_of(request)
    if refused then return refused end
  end
  return handle(self, request, now, object, body)
end

--- The largest body that a path takes.
---@param path string
---@param usual integer
---@return integer
function api.most_bytes(path, usual)
  return storage.is_for(path) and math.max(usual, storage.MAX_BODY) or usual
end

--- Answers one request.
---@param request close.sandbox.Request
---@param now number
---@return close.sandbox.Answer
function Api:answer(request, now)
  if storage.is_for(request.path) then
    return self.storage:answer(request, now)
  end
  local secret, scheme = credentials(request)
  local group = request.method .. " " .. api.template(request.path)
  local header, retry_after
  if self.limits then
    header, retry_after = self.limits:take(group, secret, now)
  end
  local result
  if not self:is_known(secret, scheme) then
    result = refusal(401, "The API key or access token is missing or invalid.")
    result.headers["WWW-Authenticate"] = 'Basic realm="Close"'
  elseif retry_after then
    result = refusal(429, "Too many requests.")
    result.headers["Retry-After"] = ("%d"):format(retry_after)
  else
    result = self:carry_out(request, now)
  end
  result.headers.RateLimit = header
  return result
end

--- Forgets everything, and what was counted against the limits.
function Api:reset()
  self:empty()
  if self.limits then self.limits:reset() end
end

return api
