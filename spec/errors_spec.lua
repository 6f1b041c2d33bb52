-- close.errors by itself: what it reads from a body, its limits, and the one
-- line that an error prints as.
local core = require "close.core"
local errors = require "close.errors"
local json = require("cjson").new()
local support = require "spec.support.client"

-- The error of an answer with this body, as the client makes it.
local function of_body(body, more)
  local response = { status = 400, headers = {}, body = body }
  local failure = { kind = "api", outcome = "rejected", message = "",
    status = 400, attempts = 1 }
  for name, value in pairs(more or {}) do failure[name] = value end
  local err = errors.from_call(failure, response)
  assert.is_nil(support.fault_of(err))
  return err
end

-- err.errors of a table's JSON as a sorted list of "field: message".
local function read(body)
  local list = {}
  if type(body) == "table" then body = json.encode(body) end
  for i, item in ipairs(of_body(body).errors) do
    assert.equal("string", type(item.message))
    list[i] = (item.field and item.field .. ": " or "") .. item.message
  end
  table.sort(list)
  return list
end

-- A table in a table, depth times, around value.
local function nested(depth, value)
  for _ = 1, depth do value = { a = value } end
  return value
end

describe("the errors in a body", function()
  it("are those of error, errors and field-errors", function()
    assert.same({ "a", "b", "c", "d: e" }, read{ error = "a",
      errors = { "b", "c" }, ["field-errors"] = { d = "e" }, other = "f" })
    assert.same({}, read{ detail = "x" })
    assert.same({}, read{ errors = {}, ["field-errors"] = {} })
  end)

  it("have the path to their field, places counted from 1", function()
    assert.same({ "a.b[1].c: x", "a.b[2].c: y" }, read{ ["field-errors"] = {
      a = { b = { { c = "x" }, { c = "y" } } } } })
    assert.same({ "a[1].b: x", "a[2].b: y" }, read{ ["field-errors"] = {
      a = { { b = "x" }, { b = { "y" } } } } })
    assert.same({ "a: x", "a: y" }, read{ ["field-errors"] = {
      a = { "x", "y" } } })
  end)

  it("have a path of bounded length, in whole characters", function()
    local fields = {}
    for i = 1, 1000 do fields["f" .. i] = 1 end
    for _, character in ipairs{ "x", "\195\164", "\240\159\145\139" } do
      for shift = 0, 3 do
        local key = ("x"):rep(shift) .. character:rep(200000)
        collectgarbage()
        local before = collectgarbage("count")
        local list = of_body(json.encode{
          ["field-errors"] = { [key] = fields } }).errors
        assert.is_true(collectgarbage("count") - before < 40 * 1024)
        assert.equal(1000, #list)
        for _, item in ipairs(list) do
          assert.is_true(#item.field > 150 and #item.field <= 200)
          local rest = item.field:gsub("[%z\1-\127]", "")
          assert.equal(0, #rest % #character)
        end
      end
    end
    assert.same({ ("a."):rep(18) .. "a: x" }, read{
      ["field-errors"] = nested(19, "x") })
  end)

  it("have places from 1 where Close writes them as names from 0", function()
    assert.same({ "a[1].b: x", "a[3].b: y" }, read{ ["field-errors"] = {
      a = { ["0"] = { b = "x" }, ["2"] = { b = "y" } } } })
  end)

  it("come in order, lists by their places", function()
    local map = { b = "x", a = "x", list = {} }
    for i = 0, 11 do map.list[tostring(i)] = { c = "x" } end
    local fields = {}
    for i, item in ipairs(of_body(json.encode{ ["field-errors"] = map })
      .errors) do
      fields[i] = item.field
    end
    assert.equal("a b list[1].c list[2].c", table.concat(fields, " ", 1, 4))
    assert.equal("list[11].c list[12].c", table.concat(fields, " ", 13, 14))
  end)

  it("lose the members that only group them", function()
    assert.same({ "a.b: y", "a: x" }, read{ ["field-errors"] = {
      a = { errors = { "x" }, ["field-errors"] = { b = "y" } } } })
  end)

  it("come from records, too", function()
    local err = of_body(json.encode{ errors = { { message = "Odd.",
      field = "text", code = "odd" }, { message = "Worse." } } })
    assert.same({ { field = "text", code = "odd", message = "Odd." },
      { message = "Worse." } }, err.errors)
    assert.same({ "Odd." }, read{ error = { message = "Odd." } })
    assert.same({ "lead: x", "message: y" }, read{ ["field-errors"] = {
      message = "y", lead = "x" } })
  end)

  it("are fields where a field's value has members of these names", function()
    for _, name in ipairs{ "errors", "field-errors" } do
      assert.same({ "custom[1].code: odd", "custom[1].message: Odd." },
        read{ [name] = { custom = { { message = "Odd.", code = "odd" } } } })
    end
  end)

  it("are text, whatever they were", function()
    assert.same({ "a: 5", "b: true", "c: 0.5" }, read{ ["field-errors"] = {
      a = 5, b = true, c = 0.5 } })
    assert.same({ "Odd." }, read([[{"errors": [{"message": "Odd.",
      "field": {"x": 1}, "code": [1]}]}]]))
    assert.same({ "Odd." }, read('{"errors": [{"message": "Odd.", '
      .. '"field": null, "code": false}]}'))
    local err = of_body('{"errors": [{"message": "Odd.", "code": 5}]}')
    assert.same({ { message = "Odd." } }, err.errors)
  end)

  it("do not come from nulls", function()
    assert.same({ "b: x" }, read([[{"error": null, "errors": null,
      "field-errors": {"a": null, "b": "x"}}]]))
  end)

  it("are as many as they are, to a bound", function()
    local list = {}
    for i = 1, 100 do list[i] = "reason " .. i end
    assert.equal(100, #read{ errors = list })
    for i = 1, 200000 do list[i] = "reason " .. i end
    local count = #read{ errors = list }
    assert.is_true(count >= 100 and count <= 10000)
    assert.equal(count, #read{ errors = { a = list, b = list } })
  end)

  it("are as deep as they are, to a bound", function()
    local path = ("a."):rep(9) .. "a"
    assert.same({ path .. ": x" }, read{ ["field-errors"] = nested(10, "x") })
    assert.is_true(#read{ ["field-errors"] = nested(900, "x") } <= 1)
    local wide = { b = "y", a = nested(900, "x") }
    assert.equal("b: y", (read{ ["field-errors"] = wide })[1])
  end)

  -- The processor time that f needs, the least of three times.
  local function least_time(f)
    local least = math.huge
    for _ = 1, 3 do
      collectgarbage()
      local from = os.clock()
      f()
      least = math.min(least, os.clock() - from)
    end
    return least
  end

  it("are found in little more time than the answer is read in", function()
    local numbers, members, empty = {}, {}, {}
    for i = 1, 50000 do
      numbers[i] = "1"
      members[i] = ('"%x":"1"'):format(i * 7919)
      empty[i] = "{}"
    end
    for _, body in ipairs{ "[" .. table.concat(numbers, ",") .. "]",
      "{" .. table.concat(members, ",") .. "}",
      "[" .. table.concat(empty, ",") .. "]" } do
      body = '{"errors":' .. body .. "}"
      local list
      local decoding = least_time(function() json.decode(body) end)
      local all = least_time(function() list = of_body(body).errors end)
      assert(all < 4 * decoding + 0.1, all .. " s, of them " .. decoding)
      assert.is_true(#list <= 1000)
    end
  end)

  it("are none in what is no JSON object", function()
    for _, body in ipairs{ "", " ", "[]", '["x"]', '"x"', "5", "null", "{",
      "<html>", "\0", "\255", '{"error": "x"', '{"error": "x"} x',
      ("["):rep(5000), ('{"errors":'):rep(5000) } do
      assert.same({}, read(body))
    end
  end)
end)

describe("the message of an error", function()
  it("has the status, and what Close said", function()
    local err = of_body('{"field-errors": {"lead": "Required."}}')
    assert.matches("400", err.message)
    assert.matches("lead: Required.", err.message, 1, true)
  end)

  it("says that there is nothing to say", function()
    assert.matches("empty", of_body("").message)
    assert.matches("400", of_body("<html>").message)
    assert.matches("400 without a reason", of_body("<html>").message)
  end)

  it("is one line without control bytes", function()
    for _, text in ipairs{ "a\nb", "a\r\nb", "a\0b", "a\27[31mb", "a\127b",
      "a\tb", "\n", "a\vb\fc", "a\194\128b", "a\194\155b", "\194\159",
      "a\226\128\168b\226\128\169", "a\226\128\170b\226\128\174c",
      "a\226\129\166b\226\129\169c", "a\226\128\139b\226\128\143c",
      "\226\129\160a\226\129\175", "a\216\156b", "a\239\187\191b",
      "a\194\173b", "a\243\160\129\129b" } do
      local err = of_body(json.encode{ error = text })
      assert.is_nil(err.message:find("[\128-\255]"))
      assert.is_nil(err.message:find("%c"))
      assert.is_nil(tostring(err):find("%c"))
      assert.equal(text, err.errors[1].message)
    end
  end)

  it("is UTF-8, whatever it was", function()
    for _, text in ipairs{ "a\128b", "a\155[31mb", "\194", "a\194b",
      "\192\155x", "\237\160\128", "\240\143\191\191", "\244\144\128\128",
      "\226\128", "\255\254", "\194\160\155x", "\195\164\155" } do
      local line = tostring(of_body('{"error": "<' .. text .. '>"}'))
      assert.matches("<.*>", line)
      assert(core.segments(line), line)
      assert.is_nil(line:gsub("\195\164", ""):find("[\128-\255]"))
    end
  end)

  it("keeps all that can be read", function()
    local text = "\194\160\194\191 \195\164 \226\128\167\226\128\175"
      .. " \240\159\145\139"
    assert.matches(text, of_body(json.encode{ error = text }).message, 1, true)
  end)

  it("has a length that fits a log, in whole characters", function()
    for _, character in ipairs{ "x", "\195\164", "\226\130\172",
      "\240\159\145\139" } do
      for shift = 0, 3 do
        local text = ("x"):rep(shift) .. character:rep(100000)
        local line = tostring(of_body(json.encode{ error = text }))
        assert.is_true(#line < 1000)
        local rest = line:gsub("[%z\1-\127]", "")
        assert.equal(0, #rest % #character)
      end
    end
    local many = {}
    for i = 1, 1000 do many[i] = "a reason that is long " .. i end
    assert.is_true(#tostring(of_body(json.encode{ errors = many })) < 1000)
  end)
end)

describe("the line of an error", function()
  it("is shown, whatever was made of it", function()
    local err = of_body('{"error": "Sorry."}')
    local show = getmetatable(err).__tostring
    for _, fake in ipairs{ {}, "x", 5, print, { outcome = {}, kind = 1 } } do
      assert.equal("string", type(show(fake)))
    end
    err.outcome, err.kind, err.message = nil, nil, nil
    assert.equal("string", type(tostring(err)))
  end)

  it("has kind, message, outcome, status and attempts", function()
    local line = tostring(of_body('{"error": "Sorry."}', { attempts = 3 }))
    for _, word in ipairs{ "close", "api", "Sorry.", "rejected", "400",
      "3 attempts" } do
      assert.matches(word, line, 1, true)
    end
  end)

  it("has what is known in this order, and no single attempt", function()
    local text = "close: api: Close answered 400: Sorry. (outcome: rejected, "
    assert.equal(text .. "status 400, 3 attempts, Close asks to wait 2 s, " ..
      "draft acti_1)", tostring(of_body('{"error": "Sorry."}',
      { attempts = 3, retry_after = 2, draft_id = "acti_1" })))
    assert.equal(text .. "status 400)",
      tostring(of_body('{"error": "Sorry."}')))
  end)

  it("has the seconds that Close asks to wait, rounded up", function()
    for seconds, shown in pairs{ [30] = "30 s", [30.009] = "31 s",
      [0.2] = "1 s" } do
      local line = tostring(of_body("", { retry_after = seconds }))
      assert.matches(", Close asks to wait " .. shown, line, 1, true)
    end
  end)

  it("has no blanks around its message, and single ones in it", function()
    assert.equal("a b", errors.one_line " a\t\n b\r\n")
    assert.equal("close: config: a b (outcome: not_sent)",
      tostring(errors.config "\n  a  b  "))
  end)

  it("does without what is not known", function()
    local line = tostring(errors.new{ kind = "config", outcome = "not_sent",
      message = "Odd." })
    assert.is_nil(line:find("nil", 1, true))
    assert.is_nil(line:find("status", 1, true))
    assert.matches("Odd.", line, 1, true)
  end)

  it("is what assert and error show, where Lua can", function()
    local err = errors.config "Odd."
    local ok, thrown = pcall(assert, nil, err)
    assert.is_false(ok)
    assert.matches("Odd.", tostring(thrown), 1, true)
  end)
end)

describe("an answer without reasons", function()
  local function message(status, body, kind)
    return errors.from_call({ kind = "api", outcome = "rejected", message = "",
      status = status, attempts = 1 }, { status = status, body = body,
      headers = { ["content-type"] = kind } }).message
  end

  it("is told by what it is", function()
    assert.equal("Close answered 500 with an empty body", message(500, ""))
    assert.equal("Close answered 500 with text/html, without a reason that " ..
      "can be read; see err.body", message(500, "<html>", "text/html"))
    assert.equal("Close answered 500 without a reason that can be read; see " ..
      "err.body", message(500, "<html>"))
    for _, status in ipairs{ 300, 302, 399 } do
      assert.equal("Close answered " .. status .. ", a redirect, which is " ..
        "never followed: check base_url", message(status, ""))
    end
  end)

  it("does not take the place of another message", function()
    local err = of_body('{"error": "Sorry."}', { message = "Odd." })
    assert.equal("Odd.", err.message)
    assert.same({ { message = "Sorry." } }, err.errors)
  end)

  it("is searched for them up to a bound", function()
    local lists = {}
    for i = 1, 10 do
      lists[i] = {}
      for j = 1, 1000 do lists[i][j] = {} end
    end
    lists[11] = { "x" }
    assert.same({}, read{ errors = lists })
    lists[1] = { "y" }
    assert.same({ "y" }, read{ errors = lists })
  end)
end)

describe("what a caller gave", function()
  it("is in a message if it is a name, and short", function()
    assert.equal("a_1", errors.shown "a_1")
    assert.equal(("x"):rep(40), errors.shown(("x"):rep(41)))
    for _, other in ipairs{ "a b", "", "\n", 5, {}, true } do
      assert.equal("?", errors.shown(other))
    end
  end)

  it("is in a message if it is a reason", function()
    assert.equal(": no", errors.reason "no")
    assert.equal(": Odd.", errors.reason(errors.config "Odd."))
    for _, other in ipairs{ 5, {}, true, { message = "no" } } do
      assert.equal("", errors.reason(other))
    end
  end)
end)

describe("an error of validation", function()
  it("tells of many without telling all of them", function()
    local list = {}
    for i = 1, 1000 do
      local field = "f" .. i
      list[i] = { field = field, code = "type", message = field .. " odd" }
    end
    local err = errors.validation(list, 5000)
    assert.equal(1000, #err.errors)
    assert.matches("f1 odd", err.message, 1, true)
    assert.matches("; 5990 more$", err.message)
    assert.is_true(#tostring(err) < 1000)
    assert.is_nil(support.fault_of(err))
  end)
end)

describe("an answer that cannot be read", function()
  it("is an error that says what came", function()
    for body, word in pairs{ [""] = "empty", ["<html>"] = "not" } do
      local err = errors.unreadable({ status = 200, headers = {}, body = body,
        attempts = 2 }, "an SMS activity")
      assert.equal("protocol", err.kind)
      assert.equal("unknown", err.outcome)
      assert.equal(200, err.status)
      assert.equal(body, err.body)
      assert.equal(2, err.attempts)
      assert.matches(word, err.message)
      assert.is_nil(support.fault_of(err))
    end
  end)
end)
