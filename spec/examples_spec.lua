-- The examples, each as a user would run it: without a key, against a sandbox.

local process = require "spec.support.process"

-- What a script printed and its exit status, without the caller's credentials.
local function run(name, environment, arguments)
  local command = ("env -u CLOSE_API_KEY -u CLOSE_ACCESS_TOKEN " ..
    "-u CLOSE_BASE_URL %s %s examples/script/%s.lua %s </dev/null 2>&1; " ..
    "echo \"exit $?\""):format(environment or "",
    process.quote(process.interpreter()), name, arguments or "")
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text:match "^(.*)exit (%d+)\n$"
end

local function sends(name, wanted)
  it(name .. ".lua prints the activity", function()
    local text, status = run(name)
    assert.equal("0", status, text)
    assert.truthy(text:find("sms = {", 1, true), text)
    for _, part in ipairs(wanted) do
      assert.truthy(text:find(part, 1, true), part .. " in " .. text)
    end
  end)
end

describe("examples/script", function()
  sends("inbox", { 'status = "inbox"', 'direction = "inbound"',
    'lead_id = "lead_', 'contact_id = "cont_' })
  sends("send", { 'status = "outbox"', 'direction = "outbound"', "🍝" })
  sends("scheduled", { 'status = "scheduled"', 'date_scheduled = "20' })
  sends("attachment", { 'filename = "map.png"', 'content_type = "image/png"' })
  sends("mms", { 'filename = "dot.gif"', 'content_type = "image/gif"',
    "size = 35" })
  sends("demo", { "POST ", "PUT ", '{"status":"outbox"}',
    "the sandbox is stopped", "👋" })

  sends("undo", { "in the outbox", 'status = "draft"' })

  it("history.lua prints every message", function()
    local text, status = run "history"
    assert.equal("0", status, text)
    assert.matches("3 segments of UCS%-2\n.*2 segments.*1 segments", text)
    assert.equal(3, select(2, text:gsub("sent ", "")))
  end)

  it("invalid.lua prints every violation", function()
    local text, status = run "invalid"
    assert.equal("0", status, text)
    for _, code in ipairs { "unknown_field", "format", "conflict", "range",
      "enum", "required" } do
      assert.truthy(text:find(code, 1, true), code .. " in " .. text)
    end
  end)

  it("lead.lua makes whom it texts", function()
    local text, status = run "lead"
    assert.equal("0", status, text)
    assert.matches("\nmade the lead Lovelace & Co%. with the contact Ada", text)
    assert.matches('contact_id = "cont_.*lead_id = "lead_.*"outbox"', text)
  end)

  it("preview.lua shows segments, encoding and what forced it", function()
    local text, status = run "preview"
    assert.equal("0", status, text)
    for _, part in ipairs { "1 segment of GSM-7, 20 units, room for 140 more",
      "UCS-2 because of ’ (U+2019)", "with plain characters: 1 segment of GSM",
      "2 segments of UCS-2, 90 units", "UCS-2 because of 🍝 (U+1F35D)" } do
      assert.truthy(text:find(part, 1, true), part .. " in " .. text)
    end
    text = run("preview", nil, "'olá\194\160ç'")
    assert.truthy(text:find("á (U+00E1), \194\160 (U+00A0), ç (U+00E7)", 1,
      true), text)
    assert.matches("^close: validation", (run("preview", nil, "'\255'")))
  end)

  it("bulk.lua asks, and sends its three messages", function()
    local text, status = run "bulk"
    assert.equal("2", status, text)
    assert.matches("3 to send: 4 segments.*Nothing was sent", text)
    text, status = run("bulk", nil, "--yes")
    assert.equal("0", status, text)
    assert.matches("3 of 3 sent, 0 failed, 0 unknown", text)
  end)

  it("asks for phone numbers where it would really send", function()
    local text, status = run("send", "CLOSE_API_KEY=api_x")
    assert.equal("2", status)
    assert.truthy(text:find("CLOSE_LOCAL_PHONE", 1, true), text)
  end)

  it("says that nobody gets anything where no key is set", function()
    assert.matches("no key is set: [^\n]* to nobody\n", (run "send"))
    assert.matches("no key is set: [^\n]* to nobody\n", (run("bulk", nil,
      "--yes")))
  end)
end)
