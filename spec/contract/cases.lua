-- What has to be true of a client in every host. A case is run inside of the
-- host (run.lua); the server's script is set from outside before, and what the
-- server got is looked at after (spec/support/contract.lua):
--   name      what is true
--   steps     the raw server's script, or a function of its url
--   default   what the raw server answers after it
--   requests  how many the server then has taken whole
--   run(t)    t.client(options), t.create(client, params, options),
--             t.call(client, verb, ...), t.params(more), t.message(more),
--             t.upload(client, source, info, options),
--             t.request(client, method, path, options),
--             t.within(client, f), t.until_done(client),
--             t.let_leave(client, holds)
-- A case fails by an error. Nothing of busted is here: the hosts have none.

local cases = {}

local function case(name, fields)
  fields.name = name
  cases[#cases + 1] = fields
end

local function same(expected, got, what)
  if expected ~= got then
    error(("%s: expected %s, got %s"):format(what, tostring(expected),
      tostring(got)), 2)
  end
end

local function failed(err, kind, outcome)
  assert(type(err) == "table", "no error")
  same(kind, err.kind, "kind of " .. tostring(err))
  same(outcome, err.outcome, "outcome of " .. tostring(err))
end

-- A callback that counts, and keeps what it got.
local function collector()
  local got = { calls = 0 }
  return got, function(sms, err, response)
    got.calls = got.calls + 1
    got.sms, got.err, got.response = sms, err, response
  end
end

-- ---- create ----

case("create returns the SMS and the response", {
  requests = 1,
  run = function(t)
    local sms, err, response = t.create(t.client(), t.params())
    same("string", sms and type(sms.id), "id")
    same(nil, err, "err")
    same(200, response.status, "status")
    same(1, response.attempts, "attempts")
    assert(response.elapsed >= 0 and response.elapsed < 10)
  end,
})

case("create refuses wrong params without a request", {
  requests = 0,
  run = function(t)
    local sms, err = t.create(t.client(), t.params{ to = "x" })
    same(nil, sms, "sms")
    failed(err, "validation", "rejected")
    same("to", err.errors[1].field, "field")
  end,
})

case("create uses one connection again and again", {
  requests = 20, connections = 1,
  run = function(t)
    local client = t.client()
    for _ = 1, 20 do assert(t.create(client, t.params())) end
  end,
})

local OUTCOMES = {
  { "400", { status = 400 }, "api", "rejected" },
  { "401", { status = 401 }, "authentication", "rejected" },
  { "404", { status = 404 }, "not_found", "rejected" },
  { "500", { status = 500 }, "server", "unknown" },
  { "307", { status = 307, headers = { Location = "/" } }, "protocol",
    "unknown" },
  { "HTML", { status = 200, body = "<html>" }, "protocol", "unknown" },
  { "a reset after the request", { reset = true }, "connection", "unknown" },
  { "an end after the request", { close = true }, "connection", "unknown" },
}

for _, row in ipairs(OUTCOMES) do
  case("create tells the outcome of " .. row[1], {
    steps = { row[2] }, requests = 1,
    run = function(t)
      local sms, err = t.create(t.client(), t.params())
      same(nil, sms, "sms")
      failed(err, row[3], row[4])
    end,
  })
end

case("create ends in time where no answer comes", {
  steps = { { delay = 5 } },
  run = function(t)
    local _, err = t.create(t.client(), t.params(), { timeout = 0.5 })
    failed(err, "timeout", "unknown")
  end,
})

case("create tries again after a 429", {
  steps = { { status = 429, headers = { ["Retry-After"] = "0" } } },
  requests = 2,
  run = function(t)
    local _, _, response = assert(t.create(t.client(), t.params()))
    same(2, response.attempts, "attempts")
  end,
})

case("create asks for new credentials once", {
  steps = { { status = 401 } }, requests = 2,
  run = function(t)
    local asked = 0
    local client = t.client{ access_token = function()
      asked = asked + 1
      return "token" .. asked
    end }
    assert(t.create(client, t.params()))
    same(2, asked, "asked")
  end,
})

-- ---- create_async ----

case("create_async calls back once, and later", {
  requests = 1,
  run = function(t)
    local client = t.client()
    local got, callback = collector()
    local request, err = client.sms.create_async(t.params(), callback)
    assert(request, tostring(err))
    same(0, got.calls, "calls before it returned")
    same(1, client:pending(), "pending")
    t.until_done(client)
    same(1, got.calls, "calls")
    same("string", got.sms and type(got.sms.id), "id")
    same(nil, got.err, "err")
    same(200, got.response.status, "status")
    same(0, client:pending(), "pending")
    same(false, request:cancel(), "cancel afterwards")
  end,
})

case("create_async tells its callback what is wrong", {
  requests = 0,
  run = function(t)
    local client = t.client()
    local first, tell_first = collector()
    local second, tell_second = collector()
    assert(client.sms.create_async({}, tell_first))
    assert(client.sms.create_async(t.params(), tell_second, { timeout = 0 }))
    same(0, first.calls + second.calls, "calls before it returned")
    same(2, client:pending(), "pending")
    t.until_done(client)
    same(1, first.calls, "calls")
    failed(first.err, "validation", "rejected")
    same(1, second.calls, "calls")
    failed(second.err, "config", "not_sent")
  end,
})

case("create_async needs a function", {
  requests = 0,
  run = function(t)
    local client = t.client()
    local request, err = client.sms.create_async(t.params())
    same(nil, request, "request")
    failed(err, "config", "not_sent")
    same(0, client:pending(), "pending")
  end,
})

case("a hundred calls at once each call back once", {
  requests = 100,
  run = function(t)
    local client, calls, ids = t.client{ max_in_flight = 10 }, {}, 0
    for i = 1, 100 do
      calls[i] = 0
      assert(client.sms.create_async(t.params(), function(sms)
        calls[i] = calls[i] + 1
        if sms then ids = ids + 1 end
      end))
    end
    same(100, client:pending(), "pending")
    t.until_done(client)
    for i = 1, 100 do same(1, calls[i], "calls of " .. i) end
    same(100, ids, "SMS")
  end,
})

-- ---- the other verbs ----

-- What each is called with; the server's SMS has this id.
local ID = "acti_9tRbXcV2nMkLqWzYpJhGfDsA4eUo6iTvCr1yPwBxQm8"
local VERBS = { get = {}, update = { { text = "Hello" } }, cancel = {},
  delete = {} }

for verb, arguments in pairs(VERBS) do
  case(verb .. " returns what it is to, also after a try that failed", {
    steps = { {}, { reset = true } }, requests = 3,
    run = function(t)
      local client = t.client()
      for attempts = 1, 2 do
        local value, err, response = t.call(client, verb, ID, arguments[1])
        assert(value, tostring(err))
        same(verb == "delete" or ID, verb == "delete" and value or value.id,
          "value")
        -- libcurl itself repeats a GET on a kept connection.
        if verb ~= "get" then
          same(attempts, response.attempts, "attempts")
        end
      end
      local value, err = t.call(client, verb, "a/b", arguments[1])
      same(nil, value, "value")
      failed(err, "validation", "rejected")
    end,
  })

  case(verb .. "_async calls back once, and later", {
    requests = 1,
    run = function(t)
      local client = t.client()
      local got, callback = collector()
      local wrong, tell_wrong = collector()
      local begin = client.sms[verb .. "_async"]
      if arguments[1] then
        assert(begin(ID, arguments[1], callback))
        assert(begin("a/b", arguments[1], tell_wrong))
      else
        assert(begin(ID, callback))
        assert(begin("a/b", tell_wrong))
      end
      same(0, got.calls + wrong.calls, "calls before it returned")
      t.until_done(client)
      same(1, got.calls, "calls")
      assert(got.sms, tostring(got.err))
      same(1, wrong.calls, "calls")
      failed(wrong.err, "validation", "rejected")
    end,
  })
end

case("a change that may have been made is no refusal", {
  steps = { { reset = true }, { status = 400 } }, requests = 2,
  run = function(t)
    local _, err = t.call(t.client(), "update", ID, { status = "outbox" })
    failed(err, "api", "unknown")
  end,
})

-- ---- any request ----

case("request returns what was answered", {
  steps = { { status = 201, body = { id = "lead_1" } },
    { status = 200, body = '["user_1"]' }, { status = 204 } }, requests = 3,
  run = function(t)
    local client = t.client()
    local lead, err, response = t.request(client, "POST", "/lead/",
      { body = { name = "Ada" } })
    assert(lead, tostring(err))
    same("lead_1", lead.id, "id")
    same(201, response.status, "status")
    local got, callback = collector()
    local request = assert(client:request_async("GET", "/user/", callback,
      { query = { _limit = 1 } }))
    same(0, got.calls, "calls before it returned")
    t.until_done(client)
    same(1, got.calls, "calls")
    same("user_1", got.sms and got.sms[1], "user")
    same(false, request:cancel(), "cancel afterwards")
    same(true, (t.request(client, "DELETE", "/lead/lead_1/")), "value")
  end,
})

case("request sends no POST twice, and refuses what is no path", {
  steps = { {}, { reset = true } }, requests = 2,
  run = function(t)
    local client = t.client()
    assert(t.request(client, "POST", "/lead/", { body = {} }))
    local _, err = t.request(client, "POST", "/lead/", { body = {} })
    failed(err, "connection", "unknown")
    _, err = t.request(client, "GET", "/../lead/")
    failed(err, "validation", "rejected")
    local got, callback = collector()
    assert(client:request_async("GET", "lead", callback))
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "validation", "rejected")
  end,
})

-- ---- send ----

-- The steps of a send, each of them broken: the server's script, and what it
-- then has taken.
local SENDS = {
  { "on a good day", {}, 2 },
  { "whose draft gets no answer", { { reset = true } }, 3 },
  { "whose draft is answered with HTML", { { status = 200,
    body = "<html>" } }, 3 },
  { "whose promotion gets no answer", { {}, { close = true } }, 3 },
  { "whose promotion fails", { {}, { status = 502 } }, 3 },
  { "whose look gets no answer", { {}, { reset = true }, { reset = true } },
    4 },
  { "whose look shows a draft", { {}, { reset = true }, { status = 200,
    body = { id = ID, status = "draft" } } }, 4 },
}

for _, row in ipairs(SENDS) do
  case("a send " .. row[1] .. " delivers", {
    steps = row[2], requests = row[3],
    run = function(t)
      local told
      local client = t.client{ on_event = function(event)
        told = told or event.draft_id
      end }
      local sms, err, response = t.call(client, "send", t.message())
      assert(sms, tostring(err))
      same("outbox", sms.status, "status")
      same(row[3], response.attempts, "attempts")
      same(ID, told, "draft_id")
      same(0, client:pending(), "pending")
    end,
  })

  case("a send_async " .. row[1] .. " calls back once", {
    steps = row[2], requests = row[3],
    run = function(t)
      local client = t.client()
      local got, callback = collector()
      local request = assert(client.sms.send_async(t.message(), callback))
      same(0, got.calls, "calls before it returned")
      same(1, client:pending(), "pending")
      t.until_done(client)
      same(1, got.calls, "calls")
      assert(got.sms, tostring(got.err))
      same(row[3], got.response.attempts, "attempts")
      same(false, request:cancel(), "cancel afterwards")
    end,
  })
end

case("a send that is refused names its draft, and goes on with it", {
  steps = { {}, { status = 400 },
    { status = 200, body = { id = ID, status = "draft" } } }, requests = 4,
  run = function(t)
    local client = t.client()
    local _, err = t.call(client, "send", t.message())
    failed(err, "api", "rejected")
    same(ID, err.draft_id, "draft_id")
    assert(t.call(client, "send", { draft_id = err.draft_id }))
  end,
})

case("a send asks for new credentials at each step", {
  steps = { { status = 401 }, {}, { status = 401 } }, requests = 4,
  run = function(t)
    local asked = 0
    local client = t.client{ access_token = function()
      asked = asked + 1
      return "token" .. asked
    end }
    assert(t.call(client, "send", t.message()))
    same(3, asked, "asked")
  end,
})

case("on_draft gets the draft's id before the promotion, and may refuse", {
  requests = 4,
  run = function(t)
    local seen, answer = {}, true
    local client = t.client{ on_draft = function(id)
      seen[#seen + 1] = id
      return answer
    end }
    assert(t.call(client, "send", t.message()))
    same(ID, seen[1], "id")
    answer = false
    local _, err = t.call(client, "send", t.message())
    failed(err, "cancelled", "not_sent")
    same(ID, err.draft_id, "draft_id")
    local got, callback = collector()
    assert(client.sms.send_async(t.message(), callback, { on_draft = function()
      same(0, got.calls, "calls")
      error "no disk"
    end }))
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "cancelled", "not_sent")
    same(2, #seen, "asked")
  end,
})

case("on_draft may take calls of its own client", {
  requests = 3,
  run = function(t)
    local client, status
    client = t.client{ on_draft = function(id)
      status = assert(client.sms.get(id)).status
    end }
    local got, callback = collector()
    assert(client.sms.send_async(t.message(), callback))
    t.until_done(client)
    assert(got.sms, tostring(got.err))
    same("outbox", status, "status")
  end,
})

case("a send is cancelled with what is true then", {
  steps = { {}, { delay = 5 } }, requests = 2,
  run = function(t)
    local has_draft
    local client = t.client{ on_event = function(event)
      has_draft = has_draft or event.draft_id
    end }
    local got, callback = collector()
    local request = assert(client.sms.send_async(t.message(), callback))
    t.let_leave(client, function() return has_draft end)
    same(0, got.calls, "calls")
    same(true, request:cancel(), "cancel")
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "cancelled", "unknown")
    same(ID, got.err.draft_id, "draft_id")
  end,
})

case("close ends a send in its promotion", {
  steps = { {}, { delay = 5 } }, requests = 2,
  run = function(t)
    local has_draft
    local client = t.client{ on_event = function(event)
      has_draft = has_draft or event.draft_id
    end }
    local got, callback = collector()
    assert(client.sms.send_async(t.message(), callback))
    t.let_leave(client, function() return has_draft end)
    client:close()
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "cancelled", "unknown")
    same(ID, got.err.draft_id, "draft_id")
    same(0, client:pending(), "pending")
  end,
})

case("twenty sends at once deliver once each", {
  requests = 40,
  run = function(t)
    local client, calls, sent = t.client{ max_in_flight = 5 }, 0, 0
    for i = 1, 20 do
      assert(client.sms.send_async(t.message{ text = "No. " .. i },
        function(sms)
          calls = calls + 1
          if sms then sent = sent + 1 end
        end))
    end
    t.until_done(client)
    same(20, calls, "calls")
    same(20, sent, "sent")
  end,
})

-- ---- what a callback may do ----

case("a callback may throw", {
  requests = 3,
  run = function(t)
    local thrown = {}
    local client = t.client{ on_event = function(event)
      if event.callback_error then
        thrown[#thrown + 1] = event.callback_error
      end
    end }
    local got, callback = collector()
    assert(client.sms.create_async(t.params(), function() error "oh no" end))
    assert(client.sms.create_async(t.params(), callback))
    assert(client.sms.create_async(t.params(), function() error{} end))
    t.until_done(client)
    same(1, got.calls, "calls")
    same(2, #thrown, "thrown")
    assert(table.concat(thrown):find("oh no", 1, true))
  end,
})

case("a callback may begin another call", {
  requests = 5,
  run = function(t)
    local client, left, got = t.client(), 5, 0
    local function again(sms)
      if sms then got = got + 1 end
      left = left - 1
      if left > 0 then
        assert(client.sms.create_async(t.params(), again))
      end
    end
    left = left + 1
    again()
    t.until_done(client)
    same(5, got, "SMS")
  end,
})

case("a callback may cancel another call", {
  steps = { {}, { delay = 5 } },
  run = function(t)
    local client = t.client{ max_in_flight = 1 }
    local got, callback = collector()
    local other, answer
    assert(client.sms.create_async(t.params(), function()
      answer = other:cancel()
    end))
    other = assert(client.sms.create_async(t.params(), callback))
    t.until_done(client)
    same(true, answer, "cancel")
    same(1, got.calls, "calls")
    same("cancelled", got.err and got.err.kind, "kind")
  end,
})

case("a callback may close the client", {
  steps = { {}, { delay = 5 }, { delay = 5 } },
  run = function(t)
    local client = t.client{ max_in_flight = 1 }
    local second, tell_second = collector()
    local third, tell_third = collector()
    assert(client.sms.create_async(t.params(), function() client:close() end))
    assert(client.sms.create_async(t.params(), tell_second))
    assert(client.sms.create_async(t.params(), tell_third))
    t.until_done(client)
    same(1, second.calls, "calls of the second")
    same(1, third.calls, "calls of the third")
    failed(third.err, "cancelled", "not_sent")
    same(0, client:pending(), "pending")
  end,
})

-- ---- cancelling, waiting, closing ----

case("a call that has not left is cancelled without a request", {
  requests = 0,
  run = function(t)
    local client = t.client{ max_in_flight = 1 }
    local got, callback = collector()
    -- Nginx lets the first one leave at once.
    assert(t.leaves_later or client.sms.create_async({}, function() end))
    local request = assert(client.sms.create_async(
      t.params{ status = "draft" }, callback))
    if t.leaves_later then
      same(true, request:cancel(), "cancel")
      same(false, request:cancel(), "cancel again")
    else
      client:close()
    end
    same(0, t.leaves_later and got.calls or 0, "calls inside of cancel")
    t.until_done(client)
    same(1, got.calls, "calls")
    same("cancelled", got.err.kind, "kind")
  end,
})

case("a call that has left is cancelled as unknown", {
  steps = { { delay = 5 } },
  run = function(t)
    local client = t.client()
    local got, callback = collector()
    local request = assert(client.sms.create_async(t.params(), callback))
    t.let_leave(client)
    same(0, got.calls, "calls")
    same(true, request:cancel(), "cancel")
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "cancelled", "unknown")
  end,
})

case("a call that is cancelled is not tried again with new credentials", {
  steps = { { chunks = { "HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\nab", 9,
    "cd" } } },
  requests = 1,
  run = function(t)
    local asked = 0
    local client = t.client{ access_token = function()
      asked = asked + 1
      return "token"
    end }
    local got, callback = collector()
    local request = assert(client.sms.create_async(t.params(), callback))
    for _ = 1, 2 do t.let_leave(client) end -- and its answer may come
    same(true, request:cancel(), "cancel")
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "cancelled", "rejected")
    same(1, asked, "asked")
  end,
})

case("a call may be cancelled while new credentials are fetched", {
  steps = { { status = 401 } }, requests = 1,
  run = function(t)
    local asked, request = 0, nil
    local client = t.client{ access_token = function()
      asked = asked + 1
      if asked == 2 then request:cancel() end
      return "token" .. asked
    end }
    local got, callback = collector()
    request = assert(client.sms.create_async(t.params(), callback))
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "authentication", "rejected")
    same(2, asked, "asked")
  end,
})

case("calls that meet a 401 together ask for new credentials once", {
  steps = { { status = 401, delay = 0.5 }, { status = 401, delay = 0.5 },
    { status = 401, delay = 0.5 } },
  requests = 6,
  run = function(t)
    local asked, got = 0, 0
    local client = t.client{ access_token = function()
      asked = asked + 1
      return "token" .. asked
    end }
    for _ = 1, 3 do
      assert(client.sms.create_async(t.params(), function(sms)
        if sms then got = got + 1 end
      end))
    end
    t.until_done(client)
    same(3, got, "SMS")
    same(2, asked, "asked")
  end,
})

case("credentials may take calls of another client, once for all", {
  steps = { {}, { status = 401 } }, requests = 8,
  run = function(t)
    local other, asked, got = t.client(), 0, 0
    local client = t.client{ access_token = function()
      asked = asked + 1
      local sms, err = other.sms.create(t.params())
      return sms and "token" .. asked, tostring(err)
    end }
    for _ = 1, 5 do
      assert(client.sms.create_async(t.params(), function(sms)
        if sms then got = got + 1 end
      end))
    end
    for _ = 1, 500 do
      if client:pending() == 0 then break end
      other:wait(0.01)
      client:wait(0.01)
    end
    same(5, got, "SMS")
    same(2, asked, "asked")
  end,
})

case("a call that waits for credentials ends alone", {
  steps = { { delay = 0.2 } }, requests = 2,
  run = function(t)
    local other = t.client()
    local client = t.client{ access_token = function()
      return other.sms.create(t.params()) and "token"
    end }
    local late, tell_late = collector()
    local good, tell_good = collector()
    local gone, tell_gone = collector()
    assert(client.sms.create_async(t.params(), tell_late, { timeout = 0.05 }))
    local request = client.sms.create_async(t.params(), tell_gone)
    same(true, request:cancel(), "cancel")
    assert(client.sms.create_async(t.params(), tell_good))
    for _ = 1, 500 do
      if client:pending() == 0 then break end
      other:wait(0.01)
      client:wait(0.01)
    end
    failed(late.err, "timeout", "not_sent")
    failed(gone.err, "cancelled", "not_sent")
    assert(good.sms, tostring(good.err))
    same(3, late.calls + gone.calls + good.calls, "calls")
  end,
})

case("a function for credentials may close the client", {
  requests = 0,
  run = function(t)
    local client
    client = t.client{ access_token = function()
      client:close()
      return "token"
    end }
    local got, callback = collector()
    assert(client.sms.create_async(t.params(), callback))
    t.until_done(client)
    same(1, got.calls, "calls")
    same("not_sent", got.err.outcome, "outcome")
  end,
})

case("callbacks that begin what fails at once do not hold up a wait", {
  requests = 0,
  run = function(t)
    local client, calls, over = t.client(), 0, false
    local function again()
      calls = calls + 1
      if not over then client.sms.create_async({}, again) end
    end
    again()
    client:wait(0.05)
    over = true
    t.until_done(client)
    assert(calls > 1)
    same(0, client:pending(), "pending")
  end,
})

case("callbacks may wait inside each other, however many", {
  requests = 150,
  run = function(t)
    local client, calls = t.client{ max_in_flight = 200 }, {}
    for i = 1, 150 do
      calls[i] = 0
      assert(client.sms.create_async(t.params(), function()
        calls[i] = calls[i] + 1
        client:wait(0.01)
      end))
    end
    t.until_done(client)
    for i = 1, 150 do same(1, calls[i], "calls of " .. i) end
    same(0, client:pending(), "pending")
  end,
})

case("wait comes back when its time is over", {
  steps = { { delay = 5 } },
  run = function(t)
    local client = t.client()
    assert(client.sms.create_async(t.params(), function() end))
    same(1, client:wait(0.05), "pending")
    same(1, client:wait(0), "pending")
    same(1, client:poll(), "pending")
    local _, err = client:wait(-1)
    failed(err, "config", "not_sent")
  end,
})

case("close ends what is pending, and all that comes later", {
  steps = { { delay = 5 } },
  run = function(t)
    local client = t.client()
    local got, callback = collector()
    assert(client.sms.create_async(t.params(), callback))
    t.let_leave(client)
    client:close()
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "cancelled", "unknown")
    client:close()
    local _, err = t.create(client, t.params())
    failed(err, "config", "not_sent")
    local request
    request, err = client.sms.create_async(t.params(), callback)
    same(nil, request, "request")
    failed(err, "config", "not_sent")
    same(nil, client:poll(), "poll")
    same(nil, client:wait(), "wait")
    same(0, client:pending(), "pending")
    same(1, got.calls, "calls")
  end,
})

-- ---- an upload, which is two requests ----

-- The first is answered with an address on the same server.
local function storage(...)
  local second = { ... }
  return function(url)
    return { { body = { upload = { url = url .. "/bucket",
      fields = { key = "k" } }, download = { url = "https://a.example/f" } } },
      (table.unpack or unpack)(second) }
  end
end

local FILE, INFO = { data = "GIF89a\0" }, { filename = "a.gif" }

case("upload returns the attachment and the last response", {
  steps = storage{ status = 201, delay = 0.05 }, requests = 2,
  run = function(t)
    local client = t.client()
    local attachment, err, response = t.upload(client, FILE, INFO)
    same(nil, err, "err")
    same("https://a.example/f", attachment.url, "url")
    same("image/gif", attachment.content_type, "content_type")
    same(201, response.status, "status")
    same(2, response.attempts, "attempts")
    same(0, client:pending(), "pending")
  end,
})

case("upload says that the second step failed", {
  steps = storage{ close = true }, requests = 2,
  run = function(t)
    local attachment, err = t.upload(t.client(), FILE, INFO)
    same(nil, attachment, "attachment")
    failed(err, "connection", "unknown")
    assert(err.message:find("second step", 1, true), err.message)
  end,
})

case("upload_async calls back once, after both steps", {
  steps = storage{ status = 201 }, requests = 2,
  run = function(t)
    local client = t.client()
    local got, callback = collector()
    assert(client.files.upload_async(FILE, INFO, callback))
    same(0, got.calls, "calls before it returned")
    same(1, client:pending(), "pending")
    t.until_done(client)
    same(1, got.calls, "calls")
    same("a.gif", got.sms and got.sms.filename, "filename")
    same(0, client:pending(), "pending")
  end,
})

case("an upload is cancelled in its second step", {
  steps = storage{ delay = 5 }, requests = 2,
  run = function(t)
    local has_place
    local client = t.client{ on_event = function() has_place = true end }
    local got, callback = collector()
    local request = assert(client.files.upload_async(FILE, INFO, callback))
    t.let_leave(client, function() return has_place end)
    same(0, got.calls, "calls")
    same(true, request:cancel(), "cancel")
    t.until_done(client)
    same(1, got.calls, "calls")
    failed(got.err, "cancelled", "unknown")
  end,
})

case("on_event gets a table for each attempt", {
  steps = { { status = 429, headers = { ["Retry-After"] = "0" } } },
  requests = 3,
  run = function(t)
    local events = {}
    local client = t.client{ on_event = function(event)
      events[#events + 1] = event.status
    end }
    assert(client.sms.create_async(t.params(), function() end))
    t.until_done(client)
    assert(t.create(client, t.params()))
    same("429 200 200", table.concat(events, " "), "statuses")
  end,
})

-- ---- list and each ----

local function activity(n)
  return ('{"id":"acti_%d","date_created":"2026-11-23T08:00:0%d+00:00"}')
    :format(n, n)
end

local function page(has_more, ...)
  local items = {}
  for i, n in ipairs{ ... } do items[i] = activity(n) end
  return { status = 200, body = ('{"has_more":%s,"data":[%s]}'):format(
    tostring(has_more), table.concat(items, ",")) }
end

case("list returns a page", {
  steps = { page(true, 9, 8) }, requests = 1,
  run = function(t)
    local client, found, err, response = t.client(), nil, nil, nil
    t.within(client, function()
      found, err, response = client.sms.list{ _limit = 2, lead_id = "a&b" }
    end)
    assert(found, tostring(err))
    same(2, #found.data, "items")
    same(true, found.has_more, "has_more")
    same(200, response.status, "status")
  end,
})

case("list_async calls back once, and later", {
  steps = { page(false, 9), page(false) }, requests = 2,
  run = function(t)
    local client = t.client()
    local got, callback = collector()
    assert(client.sms.list_async({}, callback))
    assert(client.sms.list_async(nil, callback))
    same(0, got.calls, "calls before it returned")
    t.until_done(client)
    same(2, got.calls, "calls")
  end,
})

case("each steps through all pages", {
  steps = { page(true, 9, 8), page(true, 8, 7, 6), page(false, 6) },
  requests = 3,
  run = function(t)
    local client, ids = t.client(), {}
    t.within(client, function()
      local step = assert(client.sms.each{ _limit = 3 })
      local sms, err = step()
      while sms do
        ids[#ids + 1] = sms.id
        sms, err = step()
      end
      ids[#ids + 1] = tostring(err)
    end)
    same("acti_9 acti_8 acti_7 acti_6 nil", table.concat(ids, " "), "ids")
  end,
})

case("each tells once where it fails", {
  steps = { page(true, 9, 8), { status = 400 } }, requests = 2,
  run = function(t)
    local client, got = t.client(), {}
    t.within(client, function()
      local step = assert(client.sms.each{})
      for i = 1, 5 do
        local sms, err = step()
        got[i] = sms and sms.id or tostring(err and err.kind)
      end
    end)
    same("acti_9 acti_8 api nil nil", table.concat(got, " "), "steps")
  end,
})

case("each_async goes through all pages", {
  steps = { page(true, 9, 8), page(true, 8, 7, 6), page(false, 6) },
  requests = 3,
  run = function(t)
    local client, ids, ends = t.client(), {}, 0
    assert(client.sms.each_async({ _limit = 3 }, function(sms, err, response)
      if sms then
        ids[#ids + 1] = sms.id
        return
      end
      ends = ends + 1
      same(nil, err, "err")
      same(200, response.status, "status")
    end))
    same(0, #ids, "calls before it returned")
    t.until_done(client)
    same("acti_9 acti_8 acti_7 acti_6", table.concat(ids, " "), "ids")
    same(1, ends, "ends")
  end,
})

case("each_async ends where its callback says so", {
  steps = { page(true, 9, 8) }, requests = 1,
  run = function(t)
    local client, calls = t.client(), 0
    assert(client.sms.each_async({}, function()
      calls = calls + 1
      return calls < 2
    end))
    t.until_done(client)
    same(2, calls, "calls")
  end,
})

case("each_async is cancelled on its way", {
  steps = { page(true, 9, 8), { delay = 5 } },
  run = function(t)
    local client, calls, ends, kind = t.client(), 0, 0, nil
    local request = assert(client.sms.each_async({}, function(sms, err)
      if sms then
        calls = calls + 1
      else
        ends, kind = ends + 1, err and err.kind
      end
    end))
    for _ = 1, 100 do
      if calls == 2 then break end
      client:wait(0.05)
    end
    client:wait(0.05)
    same(true, request:cancel(), "cancel")
    same(false, request:cancel(), "cancel again")
    t.until_done(client)
    same(2, calls, "calls")
    same(1, ends, "ends")
    same("cancelled", kind, "kind")
  end,
})

return cases
