-- The walk over all pages of a list: it returns every SMS once, in order, while
-- others are added or removed; it is lazy; and it reports where it failed.
local listing = require "spec.support.listing"
local modes = require "spec.support.faults.mode"
local raw = require "spec.support.raw_server"
local sandbox = require "close.sandbox"
local support = require "spec.support.client"

after_each(support.close_all)

local function set(list)
  local found = {}
  for _, id in ipairs(list) do found[id] = true end
  return found
end

-- All ways to part n items into moments, as lists of dates: 2 ^ (n - 1).
local function patterns(n)
  local all = {}
  for mask = 0, 2 ^ (n - 1) - 1 do
    local dates, micros, rest = {}, 10, mask
    for i = 1, n do
      dates[i] = micros
      if rest % 2 == 1 then micros = micros + 10 end
      rest = math.floor(rest / 2)
    end
    all[#all + 1] = dates
  end
  return all
end

-- Asserts that what was there all the time was given, nothing was given twice,
-- and it was in order.
local function is_whole(list, ids, always, err)
  assert.is_nil(err, tostring(err))
  local seen, newest = {}, math.huge
  for _, id in ipairs(ids) do
    assert(not seen[id], id .. " came twice")
    seen[id] = true
  end
  for id in pairs(always) do assert(seen[id], id .. " was left out") end
  for _, id in ipairs(ids) do
    for _, item in ipairs(list.items) do
      if item.id == id then
        assert(item.micros <= newest, id .. " came out of order")
        newest = item.micros
      end
    end
  end
end

describe("pages without end and without anything new", function()
  local walk = require "close.walk"

  -- How many pages are taken before it is an error.
  local function taken(page_of)
    local walker = walk.new{}
    for i = 1, 1000 do
      assert(walker:ask())
      local page = page_of(i)
      page.has_more = true
      local fresh, why = walker:take(page, "body " .. i)
      if not fresh then
        assert.equal("string", type(why))
        return i
      end
    end
  end

  local function item(id, at)
    return { id = id, date_created =
      os.date("!%Y-%m-%dT%H:%M:%SZ", 1700000000 + at) }
  end

  it("are an error soon, whatever moves", function()
    local sorts = {
      function(i) return { data = { item("same", -i) } } end,
      function(i) return { data = { item("same", -i), item("same", -i) } } end,
      function(i) return { data = { item("same", i) } } end,
      function(i)
        return { data = { item("same", -i), item("same", -i - 1) } }
      end,
      function() return { data = { item("same", 0) } } end,
      function(i) return { data = { { id = "same", date_created = i } } } end,
    }
    for place, page_of in ipairs(sorts) do
      local count = taken(page_of)
      assert(count and count <= 20, place .. ": " .. tostring(count))
    end
  end)
end)

-- Page by page: {the page, as ids with their moments; what is new in it; the
-- _skip and the moment of the next query}. The caller's _skip comes first.
describe("a window of a walk", function()
  local walk = require "close.walk"

  local function date(second)
    return ("2026-01-01T00:00:%02dZ"):format(second)
  end

  local function page(words)
    local data = {}
    for id, second in words:gmatch "(%a)(%d)" do
      data[#data + 1] = { id = id, date_created = date(second) }
    end
    return { data = data, has_more = true }
  end

  for name, case in pairs {
    ["is read again from its begin where its items have moved"] = { 2,
      { "a9 b8", "ab", nil, 8 }, { "b8 c8", "c", 1, 8 },
      { "d8 e8", "", nil, 8 }, { "d8 e8", "de", 1, 8 } },
    ["is read again from the caller's _skip, as long as that is its begin"] =
      { 2, { "a9 b9", "ab", 3 }, { "c9 d9", "", 2 }, { "a9 d9", "d", 3 } },
    ["begins anew at an older moment"] = { 0,
      { "a9 b8", "ab", nil, 8 }, { "b8 c8", "c", 1, 8 },
      { "c8 d7", "d", nil, 7 }, { "d7 e6", "e", nil, 6 } },
    ["gets on where pages have one item"] = { 0,
      { "a9", "a", nil, 9 }, { "a9", "", 1, 9 }, { "b9", "b", 2, 9 },
      { "c9", "c", 3, 9 }, { "d8", "d", nil, 8 } },
    ["gives an item once that is twice in a page"] = { 0,
      { "a9 b8 b8", "ab", nil, 8 } },
  } do
    it(name, function()
      local walker = walk.new { _skip = case[1], _limit = 2 }
      for i = 2, #case do
        local words, new, skip, bound = case[i][1], case[i][2], case[i][3],
          case[i][4]
        local fresh, ids = assert(walker:take(page(words))), {}
        for j, item in ipairs(fresh) do ids[j] = item.id end
        assert.equal(new, table.concat(ids), words)
        assert.same({ _limit = 2, _skip = skip,
          date_created__lte = bound and date(bound) }, walker:ask())
      end
    end)
  end
end)

describe("a walk", function()
  it("gives everything, in pages of any size and moments of any length",
    function()
      for n = 1, 7 do
        for _, dates in ipairs(patterns(n)) do
          for _, limit in ipairs{ 1, 2, 3, 5, 100 } do
            local list = listing.new(dates)
            local ids, err = listing.walk(list:each{ _limit = limit })
            assert.same(list:ids(), ids)
            assert.is_nil(err)
          end
        end
      end
    end)

  it("gives nothing of an empty list, in one call", function()
    local list = listing.new{}
    assert.same({}, (listing.walk(list:each{})))
    assert.equal(1, #list.asked)
  end)

  it("starts behind the caller's _skip, in moments of any length", function()
    for _, dates in ipairs(patterns(6)) do
      for skip = 0, 7 do
        local list = listing.new(dates)
        local expected = {}
        for i, id in ipairs(list:ids()) do
          if i > skip then expected[#expected + 1] = id end
        end
        assert.same(expected, (listing.walk(
          list:each{ _limit = 2, _skip = skip })))
      end
    end
  end)

  it("keeps the caller's filters, and tightens date_created__lte", function()
    local dates = {}
    for i = 1, 10 do dates[i] = i end
    local list = listing.new(dates)
    local given = { _limit = 3, date_created__lte = listing.date(8),
      date_created__gt = listing.date(2), lead_id = { "l1", "l2" },
      _fields = "text" }
    local copy = support.copy(given)
    local ids = listing.walk(list:each(given))
    assert.same({ "acti_8", "acti_7", "acti_6", "acti_5", "acti_4", "acti_3" },
      ids)
    assert.same(copy, given)
    for n, query in ipairs(list.asked) do
      assert.equal("l1,l2", query.lead_id)
      assert.equal(listing.date(2), query.date_created__gt)
      assert.equal("text,id,date_created", query._fields)
      assert.equal(listing.date(({ 8, 6, 4 })[n]), query.date_created__lte)
    end
    assert.equal(3, #list.asked)
  end)

  it("costs about one call a page", function()
    local dates = {}
    for i = 1, 1000 do dates[i] = i end
    local list = listing.new(dates)
    assert.equal(1000, #listing.walk(list:each{}))
    assert.equal(11, #list.asked)
    assert.equal(100, list.asked[1]._limit)
  end)
end)

-- Tagged once: what is plain Lua alike in every Lua is played by one of them.
describe("a walk during which something", function()
  -- Each change at each moment of the walk, for all lists of n items.
  local function with_each_change(n, changes)
    for _, dates in ipairs(patterns(n)) do
      for _, limit in ipairs{ 1, 2, 3 } do
        for moment = 2, 6 do
          for place = 1, changes.places(n) do
            local list = listing.new(dates)
            local always = set(list:ids())
            local ids, err = listing.walk(list:each({ _limit = limit },
              function(page)
                if page == moment then changes.act(list, always, place) end
              end))
            is_whole(list, ids, always, err)
          end
        end
      end
    end
  end

  it("is removed leaves nothing out #once", function()
    with_each_change(6, {
      places = function(n) return n end,
      act = function(list, always, place) always[list:remove(place)] = nil end,
    })
  end)

  it("is added gives nothing twice #once", function()
    with_each_change(5, {
      places = function() return 11 end, -- at each moment, and between
      act = function(list, _, place) list:add(place * 5) end,
    })
  end)

  it("is added and removed in one moment is whole #once", function()
    with_each_change(5, {
      places = function(n) return n end,
      act = function(list, always, place)
        local item = list.items[place]
        always[list:remove(place)] = nil
        list:add(item.micros)
        list:add(item.micros)
      end,
    })
  end)

  it("is removed as it is given leaves nothing out", function()
    for _, dates in ipairs(patterns(8)) do
      local list = listing.new(dates)
      local step, count = list:each{ _limit = 2 }, 0
      local sms, err = step()
      while sms do
        count = count + 1
        for place, item in ipairs(list.items) do
          if item.id == sms.id then
            list:remove(place)
            break
          end
        end
        sms, err = step()
      end
      assert.is_nil(err, tostring(err))
      assert.equal(8, count)
    end
  end)

  it("is removed as it is given leaves nothing out of a long moment",
    function()
      local dates = {}
      for i = 1, 40 do dates[i] = 1 end
      local list, count = listing.new(dates), 0
      local step = list:each{ _limit = 3 }
      local sms, err = step()
      while sms do
        count = count + 1
        for place, item in ipairs(list.items) do
          if item.id == sms.id then
            list:remove(place)
            break
          end
        end
        sms, err = step()
      end
      assert.is_nil(err, tostring(err))
      assert.equal(40, count)
    end)

  it("changes at random is whole", function()
    math.randomseed(20261123)
    for _ = 1, modes.main and 300 or 100 do
      local dates = {}
      for i = 1, 30 do dates[i] = math.random(1, 8) end
      local list, changes = listing.new(dates), 0
      local always = set(list:ids())
      local ids, err = listing.walk(list:each({ _limit = math.random(2, 5) },
        function()
          if changes == 6 or math.random() < 0.5 then return end
          changes = changes + 1
          if math.random() < 0.5 then
            always[list:remove(math.random(#list.items))] = nil
          else
            list:add(math.random(1, 9))
          end
        end))
      is_whole(list, ids, always, err)
    end
  end)
end)

describe("a walk over pages that lead nowhere", function()
  local function ends(dates, filters, answer, most)
    local list = listing.new(dates)
    local ids, err, after = listing.walk(list:each(filters, nil, answer))
    assert.is_table(err)
    assert.is_nil(support.fault_of(err))
    assert.equal("protocol", err.kind)
    assert.is_nil(after)
    assert(#list.asked <= most, #list.asked .. " calls")
    local seen = {}
    for _, id in ipairs(ids) do
      assert(not seen[id] or id == "?", id .. " came twice")
      seen[id] = true
    end
    return err
  end

  local function more(page)
    page.has_more = true
    return page
  end

  it("ends where the same page comes again and again", function()
    for _, dates in ipairs{ { 1, 2 }, { 1, 1 }, { 1 }, { 1, 1, 2 } } do
      local page
      local err = ends(dates, { _limit = 3 }, function(got)
        page = page or more(got)
        return page
      end, 20)
      assert.matches("pages? of SMS", err.message)
    end
  end)

  it("ends where they do not come newest first", function()
    local function turned(page)
      local data = page.data
      data[1], data[#data] = data[#data], data[1]
      return page
    end
    ends({ 1, 2, 3, 4 }, {}, turned, 1)
    ends({ 1, 2, 3, 4 }, { _limit = 2 }, function(page, n)
      return n == 2 and turned(page) or page
    end, 2)
  end)

  it("ends where a page is newer than was asked for", function()
    ends({ 1, 2, 3, 4, 5 }, { _limit = 2 }, function(_, n)
      return n > 1 and more{ data = {
        { id = "acti_9", date_created = listing.date(9) },
        { id = "acti_8", date_created = listing.date(8) } } } or nil
    end, 2)
  end)

  it("ends where an item has no id, or no date_created", function()
    for _, name in ipairs{ "id", "date_created" } do
      local err = ends({ 1, 2 }, {}, function(page)
        page.data[1][name] = nil
        return page
      end, 1)
      assert.matches("without id and date_created", err.message, 1, true)
    end
  end)

  it("ends where the pages of one moment turn in a circle", function()
    ends({ 1, 1, 1, 1, 1, 1 }, { _limit = 3 }, function(page, n, query)
      if n == 1 then return more(page) end
      return { has_more = true, data = {
        { id = (query._skip or 0) > 0 and "acti_4" or "acti_6",
          date_created = listing.date(1) },
        { id = "acti_5", date_created = listing.date(1) },
        { id = "acti_4", date_created = listing.date(1) } } }
    end, 20)
  end)

  it("ends where a page is empty, and more are promised", function()
    ends({}, {}, more, 1)
    ends({ 1, 2, 3, 4 }, { _limit = 2 }, function(page, n)
      if n > 1 then page.data = {} end
      return more(page)
    end, 2)
  end)

  it("ends where a page does not say whether there are more", function()
    for _, said in ipairs { {}, { "false" }, { 0 } } do
      ends({ 1 }, {}, function(page)
        page.has_more = said[1]
        return page
      end, 1)
    end
  end)

  it("ends where an answer is no page", function()
    for _, body in ipairs{ "{}", "[]", '{"data":null}', '{"data":5}',
      '{"data":{"a":{}},"has_more":false}', '{"data":["x"],"has_more":false}',
      "", "<html>", '{"data":[{"id":"a"}' } do
      ends({}, {}, function() return body end, 1)
    end
  end)
end)

describe("a walk", function()
  local walk = require "close.walk"

  it("asks for the fields that it needs, by their whole names", function()
    for given, asked in pairs{
      text = "text,id,date_created", id = "id,date_created",
      ["lead_id,date_created_by"] = "lead_id,date_created_by,id,date_created",
      ["date_created,id"] = "date_created,id",
    } do
      assert.equal(asked, walk.new{ _fields = given }:ask()._fields)
    end
  end)

  it("keeps the ids of one moment alone", function()
    local dates, taken = {}, 0
    for i = 1, 300 do dates[i] = math.floor(i / 2) end
    local list, walker = listing.new(dates), walk.new{ _limit = 10 }
    while not walker.over do
      taken = taken + #assert(walker:take(list:page(walker:ask())))
      local known = 0
      for _ in pairs(walker.known) do known = known + 1 end
      assert.is_true(known <= 2 and known == walker.known_count)
    end
    assert.equal(300, taken)
  end)
end)

describe("each over HTTP", function()
  local server, client

  setup(function() server = assert(sandbox.start()) end)
  teardown(function() server:stop() end)
  before_each(function() assert(server:reset()) end)

  local function connect(options)
    local copy = { api_key = server.api_key }
    for name, value in pairs(options or {}) do copy[name] = value end
    client = support.new(server, copy)
    return client
  end

  local function draft(i, moment)
    return { status = "draft", text = tostring(i),
      date_created = moment and moment(i) or 1e9 + i }
  end

  -- Makes n SMS, one after the other: of one moment, the last comes first.
  local function seed(n, moment)
    for i = 1, n do assert(client.sms.create(draft(i, moment))) end
  end

  -- The same in any order.
  local function seed_quickly(n, moment)
    for i = 1, n do
      assert(client.sms.create_async(draft(i, moment), function(sms, err)
        assert(sms, tostring(err))
      end))
    end
    client:wait()
  end

  local function gets()
    local count = 0
    for _, request in ipairs(server:requests()) do
      if request.method == "GET" then count = count + 1 end
    end
    return count
  end

  it("keeps its options where the caller changes the table", function()
    connect()
    seed(5)
    local options, texts = { timeout = 20 }, {}
    local step = assert(client.sms.each({ _limit = 2 }, options))
    assert.equal(0, gets())
    options.timeout = "changed"
    for sms, err in step do
      assert(sms, tostring(err))
      texts[#texts + 1] = sms.text
    end
    options.timeout = 20
    assert(client.sms.each_async({ _limit = 2 }, function(sms, err)
      assert.is_nil(err)
      options.timeout = "changed"
      texts[#texts + 1] = sms and sms.text
    end, options))
    assert.equal(0, client:wait(5))
    assert.equal("5 4 3 2 1 5 4 3 2 1", table.concat(texts, " "))
  end)

  it("asks for a page when it is needed, and not before", function()
    connect()
    seed(5)
    local step = assert(client.sms.each{ limit = 2 })
    assert.equal(0, gets())
    assert.equal("5", step().text)
    assert.equal(1, gets())
    assert.equal("4", step().text)
    assert.equal(1, gets())
    assert.equal("3", step().text)
    assert.equal(2, gets())
    for i = 2, 1, -1 do assert.equal(tostring(i), step().text) end
    local calls = gets()
    for _ = 1, 3 do assert.is_nil(step()) end
    assert.equal(calls, gets())
  end)

  it("walks in a for loop", function()
    connect()
    seed(12, function(i) return 1e9 + math.floor(i / 5) end)
    local texts = {}
    for sms, err in assert(client.sms.each{ _limit = 3 }) do
      assert(sms, tostring(err))
      texts[#texts + 1] = sms.text
    end
    assert.equal("12 11 10 9 8 7 6 5 4 3 2 1", table.concat(texts, " "))
  end)

  it("says at once what is wrong", function()
    connect()
    local step, err = client.sms.each{ status = "outbox" }
    assert.is_nil(step)
    assert.same({ "status: unknown_field" }, support.faults(err))
    step, err = client.sms.each({}, { timeout = 0 })
    assert.is_nil(step)
    assert.equal("config", err.kind)
    step, err = client.sms:each{}
    assert.is_nil(step)
    assert.matches("dot", err.message)
    client:close()
    step, err = client.sms.each{}
    assert.is_nil(step)
    assert.equal("config", err.kind)
    assert.equal(0, gets())
  end)

  it("does not end a for loop without a word", function()
    connect{ max_retries = 0 }
    seed(5)
    server:fault{ kind = "close", place = "answer", method = "GET", after = 1 }
    local good, bad = 0, 0
    for sms, err in assert(client.sms.each{ _limit = 2 }) do
      if sms then
        good = good + 1
      else
        bad = bad + 1
        assert.equal("connection", err.kind)
      end
    end
    assert.same({ 2, 1 }, { good, bad })
  end)

  it("ends where the client is closed in the middle", function()
    connect()
    seed(3)
    local step = assert(client.sms.each{ _limit = 2 })
    step()
    client:close()
    assert.is_table(step()) -- is there already
    local sms, err = step()
    assert.equal(false, sms)
    assert.equal("config", err.kind)
    assert.is_nil(step())
  end)

  it("keeps no more than a page #once", function()
    -- A call's time begins when it is queued.
    connect{ max_in_flight = 32, timeout = 300 }
    local N = 2000
    seed_quickly(N, function(i) return 1e9 + math.floor(i / 3) end)
    local count, sum, most, floor = 0, 0, 0, nil
    for sms, err in assert(client.sms.each{ _fields = { "id", "text" } }) do
      assert(sms, tostring(err))
      count = count + 1
      sum = sum + tonumber(sms.text)
      if count % 500 == 0 then
        collectgarbage()
        collectgarbage()
        local now = collectgarbage "count"
        floor = floor or now
        most = math.max(most, now - floor)
      end
    end
    assert.equal(N, count)
    assert.equal(N * (N + 1) / 2, sum)
    assert(most < 64, "grew by " .. most .. " KiB")
  end)

  describe("in a coroutine of the loop poll", function()
    -- Runs f in one; drives the client until it has ended.
    local function run(f)
      local thread = coroutine.create(f)
      local ok, why = coroutine.resume(thread)
      assert(ok, why)
      while coroutine.status(thread) ~= "dead" do
        assert(client:pending() > 0, "it waits for nothing")
        client:wait(5)
      end
    end

    before_each(function()
      connect{ loop = "blocking" }
      seed(7)
      connect{ loop = "poll" }
    end)

    it("yields, stepped by hand", function()
      local texts = {}
      run(function()
        local step = assert(client.sms.each{ _limit = 3 })
        local sms, err = step()
        while sms do
          texts[#texts + 1] = sms.text
          sms, err = step()
        end
        texts[#texts + 1] = tostring(err)
      end)
      assert.equal("7 6 5 4 3 2 1 nil", table.concat(texts, " "))
    end)

    it("yields in a for loop, or says that it cannot", function()
      local texts, failures = {}, {}
      run(function()
        for sms, err in assert(client.sms.each{ _limit = 3 }) do
          texts[#texts + 1] = sms and sms.text or nil
          failures[#failures + 1] = err
        end
      end)
      if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
        assert.same({}, texts)
        assert.equal(1, #failures)
        assert.equal("config", failures[1].kind)
        assert.matches("by hand", failures[1].message)
      else
        assert.equal("7 6 5 4 3 2 1", table.concat(texts, " "))
        assert.same({}, failures)
      end
    end)

    it("is an error outside of one", function()
      local step = assert(client.sms.each{})
      local sms, err = step()
      assert.equal(false, sms)
      assert.equal("config", err.kind)
      assert.is_nil(step())
    end)

    it("is over where it was interrupted", function()
      local step, err = assert(client.sms.each{}), nil
      local thread = coroutine.create(step)
      assert(coroutine.resume(thread))
      if coroutine.close then coroutine.close(thread) end
      thread = coroutine.create(function() err = select(2, step()) end)
      assert(coroutine.resume(thread))
      assert.matches("was interrupted", err.message)
      client:wait(5)
    end)

    it("is stepped by one coroutine at a time", function()
      local step, first, second = assert(client.sms.each{}), nil, nil
      local thread = coroutine.create(function() first = { step() } end)
      assert(coroutine.resume(thread))
      local other = coroutine.create(function() second = { step() } end)
      assert(coroutine.resume(other))
      assert.equal(false, second[1])
      assert.matches("another coroutine", second[2].message)
      client:wait(5)
      assert.equal(false, first[1])
      assert.equal(second[2], first[2])
      assert.is_nil(step())
    end)
  end)

  describe("without waiting", function()
    -- The texts that a callback gets, and how it ended.
    local function collector()
      local got = { texts = {}, ends = 0 }
      return got, function(sms, err, response)
        if sms then
          got.texts[#got.texts + 1] = sms.text
          return nil
        end
        got.ends = got.ends + 1
        got.err, got.response = err, response
      end
    end

    it("tells the callback what is wrong", function()
      connect()
      local got, callback = collector()
      assert(client.sms.each_async({ status = "x" }, callback))
      local late, tell_late = collector()
      assert(client.sms.each_async({}, tell_late, { timeout = 0 }))
      assert.equal(0, got.ends + late.ends)
      client:wait(5)
      assert.same({ 1, "validation" }, { got.ends, got.err.kind })
      assert.same({ 1, "config" }, { late.ends, late.err.kind })
      local request, err = client.sms.each_async({})
      assert.is_nil(request)
      assert.equal("config", err.kind)
      client:close()
      request, err = client.sms.each_async({}, callback)
      assert.is_nil(request)
      assert.equal("config", err.kind)
      assert.equal(1, got.ends)
    end)

    it("tells of lack of memory between two pages, once", function()
      connect()
      seed(3)
      local Walk = getmetatable(require("close.walk").new{})
      local take = Walk.take
      Walk.take = function()
        Walk.take = take
        error("not enough memory", 0)
      end
      local got, callback = collector()
      local request = assert(client.sms.each_async({ _limit = 2 }, callback))
      assert.equal(0, client:wait(5))
      Walk.take = take
      assert.same({ 1, "memory", "unknown" },
        { got.ends, got.err.kind, got.err.outcome })
      assert.is_nil(got.err.draft_id)
      assert.is_nil(got.err.stray_drafts)
      assert.same({}, got.texts)
      assert.is_false(request:cancel())
    end)

    it("goes on to the end, with its response, unless it gets false", function()
      connect()
      seed(3)
      for _, returned in ipairs{ true, "false", 0 } do
        local got, tell = collector()
        assert(client.sms.each_async({ _limit = 2 }, function(...)
          tell(...)
          return returned
        end))
        assert.equal(0, client:wait(5))
        assert.same({ "3", "2", "1" }, got.texts)
        assert.same({ 1, 200 }, { got.ends, got.response.status })
        assert.is_nil(got.err)
      end
    end)

    it("tells of lack of memory for the next page", function()
      connect()
      seed(3)
      local requests = require "close.request"
      local begin, begun = requests.begin, 0
      requests.begin = function(...)
        begun = begun + 1
        if begun == 2 then error("not enough memory", 0) end
        return begin(...)
      end
      finally(function() requests.begin = begin end)
      local got, callback = collector()
      assert(client.sms.each_async({ _limit = 2 }, callback))
      assert.equal(0, client:wait(5))
      assert.same({ "3", "2" }, got.texts)
      assert.same({ 1, "memory", "not_sent" },
        { got.ends, got.err.kind, got.err.outcome })
    end)

    it("tells of a failure in the middle", function()
      connect{ max_retries = 0 }
      seed(5)
      server:fault{ kind = "status", status = 500, method = "GET", after = 1 }
      local got, callback = collector()
      assert(client.sms.each_async({ _limit = 2 }, callback))
      client:wait(5)
      assert.equal("5 4", table.concat(got.texts, " "))
      assert.same({ 1, "server", 500 },
        { got.ends, got.err.kind, got.response.status })
    end)

    it("ends without a word where the callback returns false", function()
      connect()
      seed(9)
      for last = 1, 9 do
        local before, calls = gets(), 0
        local request = assert(client.sms.each_async({ _limit = 3 },
          function(sms)
            calls = calls + 1
            assert(sms)
            if calls == last then return false end
          end))
        client:wait(5)
        assert.equal(last, calls)
        -- 3, then 2 new ones on each further page.
        local expected = last <= 3 and 1 or 1 + math.ceil((last - 3) / 2)
        assert.equal(before + expected, gets())
        assert.equal(false, request:cancel())
      end
    end)

    it("goes on after what the callback throws, which on_event gets",
      function()
        local thrown = {}
        connect{ on_event = function(event)
          thrown[#thrown + 1] = event.callback_error and event.path
        end }
        seed(5)
        local calls, ends = 0, 0
        assert(client.sms.each_async({ _limit = 2 }, function(sms)
          if not sms then
            ends = ends + 1
            error "at the end, too"
          end
          calls = calls + 1
          error "oh no"
        end))
        client:wait(5)
        assert.same({ 5, 1, 6 }, { calls, ends, #thrown })
        assert.equal("/activity/sms/", thrown[1])
      end)

    it("is not lost where an interrupt comes between two callbacks", function()
      connect()
      seed(3)
      local walk, struck = require "close.walk", false
      local got, callback = collector()
      local taking = stub(getmetatable(walk.new{}).__index, "take", function()
        struck = true
        error("interrupted!", 0)
      end)
      assert(client.sms.each_async({}, callback))
      local ok, why = pcall(client.wait, client, 5)
      taking:revert()
      assert.same({ true, false, "interrupted!" }, { struck, ok, why })
      assert.equal(0, client:wait(5))
      assert.same({ 0, 1, "cancelled" },
        { #got.texts, got.ends, got.err.kind })
    end)

    it("throws what a hook raises between two callbacks", function()
      local jit = rawget(_G, "jit") -- whose compiled code calls no hook
      if jit then jit.off() jit.flush() end
      local walk, is_taking = require "close.walk", false
      connect()
      seed(3)
      local taking = stub(getmetatable(walk.new{}).__index, "take", function()
        is_taking = true
        for _ = 1, 1e7 do end -- the hook strikes here
      end)
      finally(function()
        debug.sethook()
        taking:revert()
        if jit then jit.on() end
      end)
      local got, callback = collector()
      assert(client.sms.each_async({}, callback))
      debug.sethook(function()
        if not is_taking then return end
        debug.sethook()
        error("struck", 0)
      end, "", 1000)
      assert.same({ false, "struck" }, { pcall(client.wait, client, 5) })
      assert.equal(0, client:wait(5))
      assert.same({ 1, "cancelled" }, { got.ends, got.err.kind })
    end)

    it("is cancelled before the first page", function()
      connect()
      seed(3)
      local got, callback = collector()
      local request = assert(client.sms.each_async({}, callback))
      assert.is_true(request:cancel())
      assert.is_false(request:cancel())
      assert.equal(0, got.ends)
      client:wait(5)
      assert.same({ 0, 1, "cancelled" },
        { #got.texts, got.ends, got.err.kind })
      assert.equal(0, gets())
    end)

    -- How its callback may end a walk from inside.
    local ENDS = {
      { "an interrupt", function() error("interrupted!", 0) end, true },
      { "its callback", function(request) assert(request:cancel()) end },
      { "the client's end", function() client:close() end },
    }

    for _, row in ipairs(ENDS) do
      it("is cancelled by " .. row[1] .. ", wherever it is", function()
        connect()
        seed(6)
        for last = 1, 6 do
          connect()
          local got, tell = collector()
          local request
          request = assert(client.sms.each_async({ _limit = 2 },
            function(...)
              tell(...)
              if ... and #got.texts == last then row[2](request) end
            end))
          local ok, why = pcall(client.wait, client, 5)
          if row[3] then
            assert.same({ false, "interrupted!" }, { ok, why })
            assert.is_false(request:cancel()) -- its end is on its way
          end
          client:wait(5)
          assert.same({ last, 1, "cancelled" },
            { #got.texts, got.ends, got.err.kind })
          assert.is_false(request:cancel())
        end
      end)
    end

    it("is told of its end though an error comes before that", function()
      connect()
      seed(2)
      local got, tell = collector()
      assert(client.sms.each_async({}, function(...)
        tell(...)
        if ... then error("interrupted!", 0) end
      end))
      assert.is_false((pcall(client.wait, client, 5)))
      local new = stub(require "close.errors", "new", error)
      pcall(client.wait, client, 5)
      new:revert()
      assert.same({ 1, 1, "cancelled" },
        { #got.texts, got.ends, got.err and got.err.kind })
    end)

    it("is told of its end though its clean-up is interrupted", function()
      local ensure = require "close.protect".ensure
      local jit = rawget(_G, "jit") -- whose compiled code calls no hook
      if jit then jit.off() jit.flush() end
      finally(function()
        if jit then jit.on() end
      end)
      local function cleans_up()
        for level = 4, 20 do -- 3 is ensure itself, before it calls anything
          local info = debug.getinfo(level, "f")
          if not info then return false end
          if info.func == ensure then return true end
        end
      end
      connect()
      seed(2)
      local n, struck = 0
      repeat
        n = n + 7
        local got, tell = collector()
        local left = n
        struck = false
        connect()
        assert(client.sms.each_async({}, function(...)
          tell(...)
          if not ... then return end
          debug.sethook(function()
            if not cleans_up() then return end
            left = left - 1
            if left > 0 then return end
            debug.sethook()
            struck = true
            error("interrupted!", 0)
          end, "", 1)
          error("interrupted!", 0)
        end))
        pcall(function()
          pcall(client.wait, client, 5)
          debug.sethook()
        end)
        debug.sethook()
        assert.equal(0, client:wait(2))
        assert.same({ 1, 1 }, { #got.texts, got.ends })
      until not struck
      assert.is_true(n > 100)
    end)

    it("hands on a page in slices, so that no tick takes long", function()
      connect()
      seed(50)
      connect{ loop = "poll" }
      local count, most, ends = 0, 0, 0
      assert(client.sms.each_async({}, function(sms)
        if not sms then
          ends = ends + 1
          return
        end
        count = count + 1
        local till = os.clock() + 0.0005
        repeat until os.clock() > till
      end))
      while ends == 0 do
        local before = count
        assert(client:poll())
        most = math.max(most, count - before)
        if count > 0 and ends == 0 then assert(client:pending() > 0) end
      end
      assert.equal(50, count)
      assert(most <= 10, most .. " in one tick")
    end)

    it("ends with the client between two slices", function()
      connect()
      seed(50)
      connect{ loop = "poll" }
      local count, ends, kind = 0, 0, nil
      assert(client.sms.each_async({}, function(sms, err)
        if not sms then
          ends, kind = ends + 1, err.kind
          return
        end
        count = count + 1
        local till = os.clock() + 0.0005
        repeat until os.clock() > till
      end))
      while count == 0 do client:poll() end
      assert(count < 50)
      local before = count
      client:close()
      assert.same({ before, 1, "cancelled", 0 },
        { count, ends, kind, client:pending() })
    end)

    it("does not nest, however many there are", function()
      connect()
      seed(400)
      local count, deepest = 0, 0
      assert(client.sms.each_async({ _limit = 2 }, function(sms)
        if not sms then return end
        count = count + 1
        -- A traceback would leave out the middle.
        while debug.getinfo(deepest + 1, "l") do deepest = deepest + 1 end
      end))
      client:wait(60)
      assert.equal(400, count)
      assert(deepest < 150, deepest)
    end)
  end)
end)

describe("each of a raw server", function()
  local server

  setup(function() server = raw.start{} end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)

  local PAGE = '{"has_more":true,"data":[' ..
    '{"id":"acti_1","date_created":"2026-11-23T08:00:00.000001+00:00"},' ..
    '{"id":"acti_2","date_created":"2026-11-23T08:00:00+00:00"}]}'

  it("ends where it answers the same page for ever", function()
    server:default{ status = 200, body = PAGE }
    local ids, err = listing.walk(assert(support.new(server).sms.each{}))
    assert.same({ "acti_1", "acti_2" }, ids)
    assert.equal("protocol", err.kind)
    assert(#server:ledger() < 10)
  end)

  it("asks for the moment as it came, escaped", function()
    server:script{ { status = 200, body = PAGE },
      { status = 200, body = '{"has_more":false,"data":[]}' } }
    local client = support.new(server)
    assert.equal(2, #listing.walk(assert(client.sms.each{ lead_id = "l&=é" })))
    local ledger = server:ledger()
    assert.equal("/api/v1/activity/sms/?_limit=100&lead_id=l%26%3D%C3%A9",
      ledger[1].target)
    assert.equal("/api/v1/activity/sms/?_limit=100&lead_id=l%26%3D%C3%A9" ..
      "&date_created__lte=2026-11-23T08%3A00%3A00%2B00%3A00", ledger[2].target)
  end)

  it("reads a page with half an emoji, as list does", function()
    server:default{ status = 200, body = [[{"has_more":false,"data":[{
      "id":"acti_1","date_created":"2026-11-23T08:00:00Z","text":"a \ud83d"},
      {"id":"acti_2","date_created":"2026-11-23T08:00:00Z","text":"b"}]}]] }
    local client = support.new(server)
    assert.same({ "acti_1", "acti_2" },
      (listing.walk(assert(client.sms.each{}))))
    local page = assert(client.sms.list())
    assert.equal("a \239\191\189", page.data[1].text)
  end)

  it("drops what a window brings again by coarser dates", function()
    local function item(n, micros)
      return ('{"id":"acti_%d","date_created":"2026-11-23T08:00:00.%06dZ"}')
        :format(n, micros)
    end
    server:script{
      { status = 200, body = ('{"has_more":true,"data":[%s,%s]}'):format(
        item(1, 1900), item(2, 1500)) },
      { status = 200, body = ('{"has_more":true,"data":[%s,%s,%s]}'):format(
        item(1, 1900), item(2, 1500), item(3, 1200)) },
      { status = 200, body = ('{"has_more":false,"data":[%s,%s,%s]}'):format(
        item(2, 1500), item(3, 1200), item(4, 7)) } }
    local client = support.new(server)
    assert.same({ "acti_1", "acti_2", "acti_3", "acti_4" },
      (listing.walk(assert(client.sms.each{}))))
  end)
end)
