-- The example that sends a CSV file: what it reads, what it refuses, and that
-- it sends each message once, however often it is ended and run again. The
-- moments are random; the seed is printed where it fails, and taken from
-- CLOSE_SPEC_SEED.

local files = require "spec.support.files"
local process = require "spec.support.process"
local sandbox = require "close.sandbox"
local socket = require "socket"
local journals = dofile "examples/script/journal.lua"

local seed = tonumber(os.getenv "CLOSE_SPEC_SEED") or os.time()
local LOCAL = "+14154445555"
local server, dir, csv, journal

setup(function()
  server = assert(sandbox.start { seed = seed,
    rate_limit = { limit = 60, window = 0.2 } })
  dir = process.tempdir()
  csv, journal = dir .. "/people.csv", dir .. "/people.csv.journal"
  math.randomseed(seed)
end)
teardown(function()
  server:stop()
  process.remove(dir)
end)
before_each(function()
  assert(server:reset())
  os.remove(journal)
end)

-- Begins a run; a shell's command may go before it.
local function start(before)
  return process.start({ "env", "-u", "CLOSE_ACCESS_TOKEN",
    "CLOSE_API_KEY=" .. server.api_key, "CLOSE_BASE_URL=" .. server.url,
    "CLOSE_LOCAL_PHONE=" .. LOCAL, "sh", "-c", (before or "") ..
    ' exec "$@"', "sh", process.interpreter(), "examples/script/bulk.lua", csv,
    "--yes" }, { stdout = dir .. "/out", stderr = dir .. "/err" })
end

-- A run to its end: its exit status and what it printed.
local function run(before)
  local status = start(before):wait(20)
  return status, files.read(dir .. "/out") .. files.read(dir .. "/err")
end

local function people(count)
  local lines = { "name,phone,text" }
  for i = 1, count do
    lines[i + 1] = ("Person %d,+1202555%04d,Hello {name}"):format(i, i)
  end
  files.write(csv, table.concat(lines, "\n") .. "\n")
end

-- The texts that were delivered, sorted.
local function delivered()
  local texts = {}
  for _, message in ipairs(assert(server:messages())) do
    if message.status ~= "draft" then texts[#texts + 1] = message.text end
  end
  table.sort(texts)
  return texts
end

local function is_each_once(count)
  local wanted = {}
  for i = 1, count do wanted[i] = "Hello Person " .. i end
  table.sort(wanted)
  assert.same(wanted, delivered(), "seed " .. seed)
end

local function records(word)
  return select(2, files.read(journal):gsub("\n" .. word .. " ", ""))
end

-- Waits until the journal has so many drafts, then sends a signal to the run.
local function signal_at(child, drafts, signal)
  while records "draft" < drafts and child:alive() do socket.sleep(0.002) end
  child:kill(signal)
  return child:wait(20)
end

describe("a bulk run", function()
  it("sends each message once, killed three times", function()
    people(100)
    for _, kind in ipairs { "reset", "close" } do
      for _, acted in ipairs { false, true } do
        server:fault { kind = kind, acted = acted, share = 0.02 }
      end
    end
    server:fault { kind = "status", status = 500, acted = true, share = 0.02 }
    local killed = 0
    for i = 1, 3 do
      local status = signal_at(start(), 15 * i + math.random(-14, 15), "KILL")
      killed = killed + (status == 137 and 1 or 0)
    end
    assert.is_true(killed > 0, "seed " .. seed) -- all three, if they are slow
    local status, said = run()
    assert.equal(0, status, said)
    is_each_once(100)
    assert.matches("100 messages, %d+ of them sent before", said)
  end)

  it("ends what is under way at Ctrl-C", function()
    people(90)
    local status = signal_at(start(), math.random(1, 20), "INT")
    local said = files.read(dir .. "/out")
    -- It may come when all are sent.
    if status ~= 0 then
      assert.matches("stopped: [^\n]*interrupted!", said)
    end
    -- It may come in the callback of one that was sent.
    local unrecorded = #delivered() - records "sent"
    assert.is_true(unrecorded == 0 or unrecorded == 1, unrecorded)
    assert.equal(#delivered() == 90 and 0 or 1, status, said)
    assert.equal(0, (run()))
    is_each_once(90)
  end)

  it("sends no draft that the journal cannot take", function()
    people(12) -- two kibibytes at most hold fewer
    local status, said = run "trap '' XFSZ; ulimit -f 1;"
    assert.equal(1, status, said)
    -- LuaJIT may lose the error, see journal.lua.
    if not rawget(_G, "jit") or not said:find "has no room for another" then
      assert.matches("stopped: [^\n]*[Ff]ile too large", said)
    end
    assert.is_true(#delivered() < 12)
    assert.equal(0, (run()))
    is_each_once(12)
    status, said = run()
    assert.equal(0, status)
    assert.matches("0 to send", said)
  end)

  it("notices a record that is not in the journal, and one of another's",
    function()
      local mine = journals.read(journal)
      assert(mine:begin(2, "abc"))
      assert(mine:write("draft", 1, "acti_1"))
      io.open(journal, "wb"):close()
      local ok, why = mine:write("draft", 2, "acti_2")
      assert.is_nil(ok)
      assert.matches("has no room for another record", why, 1, true)
      mine:close()
      mine = journals.read(journal)
      assert(mine:begin(2, "abc"))
      files.write(journal, files.read(journal) .. "\nsent 1 acti_1 .")
      ok, why = mine:write("draft", 2, "acti_2")
      assert.is_nil(ok)
      assert.matches("another process writes", why, 1, true)
      mine:close()
    end)

  it("reads quotation marks, CRLF and a byte order mark", function()
    files.write(csv, "\239\187\191Phone,text,name,note\r\n\r\n" ..
      '+12025550101,"{name}, it is ""ready"",\r\nsince {name} asked",Ada,\r\n'
      .. '+12025550102,Olá,,"unused, too"')
    assert.equal(0, (run()))
    assert.same({ 'Ada, it is "ready",\nsince Ada asked', "Olá" }, delivered())
  end)

  it("shows all mistakes with their lines, and sends nothing", function()
    files.write(csv, 'name,phone,text\nAda,0202,Hello\nAda,+12025550101,""\n' ..
      'Ada,+12025550101\n"A\nB",+12025550101,{when}\n,+12025550101,{name}\n' ..
      'Ada,"+1202"5550101,Hello\nAda,+12025550101,\255\nAda,"+120')
    local status, said = run()
    assert.equal(2, status)
    for _, mistake in ipairs { "line 2: phone: ", "line 3: text: it is empty",
      "line 4: 2 fields", "line 5: text: a word in braces",
      "line 7: name: it is empty", "line 8: a comma must follow",
      "line 9: text", "line 10: a quotation mark", "8 mistakes:" } do
      assert.truthy(said:find(mistake, 1, true), mistake .. " in " .. said)
    end
    files.write(csv, "phone;name;text\n")
    assert.matches("line 1: .* name is missing", (select(2, run())))
    assert.equal(0, #server:requests())
  end)

  it("refuses the journal of another file, number or server", function()
    people(2)
    assert.equal(0, (run()))
    local function is_refused(before)
      local status, said = run(before)
      assert.equal(2, status)
      assert.matches("belongs to other messages", said)
    end
    is_refused("CLOSE_LOCAL_PHONE=+14154445556;")
    is_refused("CLOSE_BASE_URL=" .. server.url:gsub("127.0.0.1", "localhost")
      .. ";")
    people(3)
    is_refused()
    assert.equal(2, #delivered())
  end)
end)

describe("its journal", function()
  it("is read right where it was cut off at any byte", function()
    local first = journals.read(journal)
    assert(first:begin(3, "17"))
    for i = 1, 3 do assert(first:write("draft", i, "acti_" .. i)) end
    assert(first:write("sent", 2, "acti_2"))
    first:close()
    local whole = files.read(journal)
    for bytes = 0, #whole do
      files.write(journal, whole:sub(1, bytes))
      assert(journals.read(journal):begin(3, "17"))
      local again = journals.read(journal)
      for i = 1, 3 do
        local id = again.drafts[i]
        assert.is_true(id == nil or id == "acti_" .. i)
        local ends = select(2, whole:find("acti_" .. i .. " .", 1, true))
        if bytes >= ends then assert.truthy(id or again:is_sent(i)) end
      end
      assert.equal(bytes == #whole, again:is_sent(2))
    end
  end)

  it("has one owner, the last run that began", function()
    local first = journals.read(journal)
    assert(first:begin(3, "17"))
    assert(first:write("draft", 1, "acti_1"))
    local second, late = journals.read(journal), journals.read(journal)
    assert.equal("acti_1", second.drafts[1])
    assert(second:begin(3, "17"))
    local ok, why = first:write("draft", 2, "acti_2")
    assert.is_nil(ok)
    assert.matches("another process", why)
    assert.is_nil(second:write("draft", 2, "acti_3"))
    assert.is_nil(late:begin(3, "17"))
  end)
end)
