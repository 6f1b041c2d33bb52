-- What runs inside of the nginx that nginx_host.lua starts: a client made in
-- init_by_lua, and handlers that say as JSON how a call went.
-- luacheck: std max+ngx_lua

local close = require "close"
local json = require("cjson").new()
local side = require "spec.support.host_side"

local app = { notes = {}, begun = 0, answered = 0, params = side.params }

--- What a call returned, as plain values.
function app.facts(sms, err, response)
  local facts = side.facts(sms, err, response)
  facts.attempts = response and response.attempts
  return facts
end

--- Keeps what a call returned under a name, for /note.
function app.note(name, ...)
  app.notes[name] = app.facts(...)
end

--- Tries both ways of sending where this is called.
function app.try(name)
  app.note(name, app.client.sms.create(app.params(name)))
  local _, err = app.client.sms.create_async(app.params(name .. " async"),
    function(...) app.note(name .. " async", ...) end)
  if err then app.note(name .. " async", nil, err) end
end

--- Creates one and answers the request with how that went.
function app.answer(options)
  app.begun = app.begun + 1
  local text = ngx.var.arg_text
  local facts = app.facts(app.client.sms.create(app.params(text), options))
  facts.worker = ngx.worker.pid()
  ngx.say(json.encode(facts))
  ngx.exit(200)
end

--- Keeps how a wait for all calls went, while there is one.
function app.try_wait(name)
  app.client.sms.create_async(app.params(name), function() end)
  local pending, err = app.client:wait(0.1)
  app.notes[name] = app.facts(nil, err)
  app.notes[name].pending = pending
end

--- Answers with the state of this worker, and the notes.
function app.state()
  collectgarbage()
  collectgarbage()
  ngx.say(json.encode {
    worker = ngx.worker.pid(), pending = app.client:pending(),
    begun = app.begun, answered = app.answered, notes = app.notes,
    lua_kilobytes = collectgarbage "count",
  })
end

--- Makes the client; to be called in init_by_lua. heard is called with each
--- event.
function app.start(options)
  local heard = options.heard or function() end
  options.heard = nil
  function options.on_event(event)
    heard(event)
    if event.status == 200 then app.answered = app.answered + 1 end
    if event.callback_error then
      app.notes.callback_error = { message = event.callback_error }
    end
  end
  app.client = assert(close.new(options))
  return app
end

return app
