-- close.sms.send delivers exactly once: over a network that breaks three in ten
-- exchanges, and if its process is killed and another one continues. The seed
-- is printed, and read from CLOSE_SPEC_SEED.
local close = require "close"
local modes = require "spec.support.faults.mode"
local process = require "spec.support.process"
local sandbox = require "close.sandbox"
local socket = require "socket"

local BROKEN = 0.3 -- of all exchanges
local AT_ONCE = 150
local SILENCE = 1.5 -- seconds, longer than an attempt may take
-- Before, while and after the server acts.
local FAULTS = {
  { kind = "close", place = "before" },
  { kind = "reset", place = "headers" },
  { kind = "reset", place = "half" },
  { kind = "close", place = "read" },
  { kind = "reset", place = "read" },
  { kind = "status", status = 503 },
  { kind = "stall", seconds = SILENCE },
  { kind = "close", acted = true },
  { kind = "reset", acted = true },
  { kind = "status", status = 500, acted = true },
  { kind = "stall", seconds = SILENCE, acted = true },
  { kind = "body", body = "<html>" },
  { kind = "body", body = '{"status": "draft"}' },
  { kind = "close", place = "answer" },
  { kind = "reset", place = "answer" },
}

local seed = tonumber(os.getenv "CLOSE_SPEC_SEED") or os.time()
local report = {}
local server

local function params(i)
  return { text = "message " .. i, local_phone = "+14155550100",
    remote_phone = "+14155550123" }
end

-- What the server holds of each text: how many were delivered, how many are
-- drafts.
local function held()
  local texts = {}
  for _, message in ipairs(server:messages()) do
    local text = texts[message.text] or { delivered = 0, drafts = 0 }
    texts[message.text] = text
    local kind = message.status == "draft" and "drafts" or "delivered"
    text[kind] = text[kind] + 1
  end
  return texts
end

before_each(function()
  server = assert(sandbox.start { seed = seed, interpreter = "luajit" })
end)
after_each(function() server:stop() end)
teardown(function()
  process.stop_all()
  io.stdout:write("\n", table.concat(report, "\n"), "\n")
end)

describe("send over a network that breaks", function()
  local function break_exchanges()
    local each, left = BROKEN / #FAULTS, 1
    for _, fault in ipairs(FAULTS) do
      local with_share = { share = each / left }
      for name, value in pairs(fault) do with_share[name] = value end
      assert(server:fault(with_share))
      left = left - each -- the next ones meet what this one spares
    end
  end

  it("delivers each message exactly once", function()
    break_exchanges()
    local client = assert(close.new { loop = "poll", base_url = server.url,
      api_key = server.api_key, attempt_timeout = SILENCE / 3, timeout = 600 })
    local begun, ended, failed, requests = 0, 0, {}, 0
    local left_behind, may_be_left = 0, {}
    local before = socket.gettime()
    while ended < modes.sends and socket.gettime() < before + 600 do
      while begun < modes.sends and begun - ended < AT_ONCE do
        begun = begun + 1
        local given = params(begun)
        client.sms.send_async(given, function(sms, err, response)
          ended = ended + 1
          if not sms then
            failed[#failed + 1] = tostring(err)
            return
          end
          requests = requests + response.attempts
          may_be_left[given.text] = response.stray_drafts
          assert.equal(given.text, sms.text)
        end)
      end
      client:wait(0.05)
    end
    local seconds = socket.gettime() - before
    client:close()
    server:clear_faults()
    assert.same({}, failed)
    assert.equal(modes.sends, ended)

    local met = 0
    for _, request in ipairs(assert(server:requests())) do
      if request.fault then met = met + 1 end
    end
    local texts = held()
    for i = 1, modes.sends do
      local text = texts["message " .. i] or { delivered = 0, drafts = 0 }
      assert.equal(1, text.delivered, "message " .. i)
      local bound = may_be_left["message " .. i]
      assert.is_true(text.drafts <= bound, "drafts of message " .. i)
      left_behind = left_behind + text.drafts
    end
    report[#report + 1] = ("send, seed %d: %d messages, %d at once, all "
      .. "delivered once, %.0f s, %.2f requests a message, %d drafts left, all "
      .. "of them counted"):format(seed, modes.sends, AT_ONCE, seconds,
      requests / modes.sends, left_behind)
    assert.is_true(met > modes.sends * BROKEN / 2)
  end)
end)

describe("send in a process that is killed", function()
  -- Tells what happens, at once: whoever kills it reads what it said.
  local CHILD = [[
    io.stdout:setvbuf "no"
    local client = require "close".new { base_url = %q, api_key = %q,
      on_event = function(event)
        if event.draft_id then print("draft " .. event.draft_id) end
      end }
    print "begin"
    client.sms.send { text = %q, local_phone = "+14155550100",
      remote_phone = "+14155550123" }
    print "end"
  ]]
  local PAUSE = 0.05 -- seconds that each answer takes
  local LONGEST = 0.12 -- seconds; about what a send takes then

  -- -> the draft's id, where the child has told it; whether it came to its end
  local function killed_inside(text, after)
    local child = process.start(process.lua(CHILD:format(server.url,
      server.api_key, text)), { stdout = "pipe" })
    assert.equal("begin", child.stdout:read "*l")
    socket.sleep(after)
    child:kill "KILL"
    local draft_id, is_over
    for line in child.stdout:lines() do
      draft_id = line:match "^draft (.*)" or draft_id
      is_over = is_over or line == "end"
    end
    child:stop()
    return draft_id, is_over
  end

  it("goes on from the draft that it had told of", function()
    math.randomseed(seed)
    local slow = { kind = "delay", seconds = PAUSE, share = 1 }
    assert(server:fault(slow))
    local client = assert(close.new { base_url = server.url,
      api_key = server.api_key })
    local inside, with_draft, tries = 0, 0, 0
    -- Under load many a kill comes too late.
    while inside < modes.kills and tries < 25 * modes.kills do
      tries = tries + 1
      local given = params(tries)
      local draft_id, is_over = killed_inside(given.text,
        math.random() * LONGEST)
      if not is_over then
        inside = inside + 1
        if draft_id then
          with_draft = with_draft + 1
          given = { draft_id = draft_id }
        end
        assert(client.sms.send(given))
      end
    end
    client:close()
    local texts = held()
    for i = 1, tries do
      assert.equal(1, texts["message " .. i].delivered, "message " .. i)
    end
    assert.equal(modes.kills, inside)
    report[#report + 1] = ("killed inside of send, seed %d: %d times, %d of "
      .. "them with a draft that was told; all delivered once"):format(seed,
      inside, with_draft)
    assert.is_true(with_draft > inside / 10)
  end)
end)
