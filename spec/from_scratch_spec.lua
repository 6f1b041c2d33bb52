-- docs/from-scratch.md, followed word for word: its scripts are saved, its
-- commands typed in one shell, and what they print is compared. Not typed are
-- git clone and what installs packages; those are compared with packages.txt.
-- Where the reader pastes a key, the shell gets a sandbox's instead, so nothing
-- is sent.

local files = require "spec.support.files"
local page = require "spec.support.page"
local process = require "spec.support.process"
local sandbox = require "close.sandbox"

local PAGE = "docs/from-scratch.md"
local MARK = "-- end of command --"
local SKIPPED = { "^apt%-get ", "^git clone " }

local function is_skipped(command)
  for _, pattern in ipairs(SKIPPED) do
    if command:find(pattern) then return true end
  end
  return false
end

-- The page's commands, each with what it prints.
local function read_commands()
  local commands = {}
  for _, block in ipairs(page.blocks(PAGE)) do
    if block.lang == "console" then
      for line in block.text:gmatch "([^\n]*)\n" do
        local typed = line:match "^%$ (.*)"
        if typed then
          commands[#commands + 1] = { typed = typed, shown = "" }
        else
          local last = commands[#commands]
          last.shown = last.shown .. line .. "\n"
        end
      end
    end
  end
  return commands
end

-- "..." in what is shown stands for anything.
local function is_as_shown(shown, printed)
  local pattern = shown:gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", ".-")
  return shown == "...\n" or printed:find("^" .. pattern .. "$") ~= nil
end

-- The script that types the commands. The id that a text got takes the place of
-- the page's.
local function to_script(commands, server)
  local lines = { "exec 2>&1" }
  for _, command in ipairs(commands) do
    local typed = command.typed
    if typed:find "^read %-rs" then
      typed = ("export CLOSE_API_KEY=%s CLOSE_BASE_URL=%s"):format(
        server.api_key, server.url)
    end
    typed = typed:gsub("acti_%.%.%.", '"$id"')
    if not is_skipped(typed) then
      lines[#lines + 1] = "{ " .. typed .. "; } >printed"
      lines[#lines + 1] = "cat printed; echo '" .. MARK .. "'"
      lines[#lines + 1] =
        "new=$(sed -n 's/^accepted as //p' printed); id=${new:-$id}"
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("docs/from-scratch.md", function()
  local server, dir

  setup(function()
    server = assert(sandbox.start())
    dir = process.tempdir()
    assert(process.run('ln -s "$PWD" ' .. dir .. "/close"))
    for _, block in ipairs(page.blocks(PAGE)) do
      local name = block.text:match "^%-%- ([%w_]+%.lua)"
      if block.lang == "lua" then
        files.write(dir .. "/" .. assert(name, "no name"), block.text)
      end
    end
  end)
  teardown(function()
    server:stop()
    process.remove(dir)
  end)

  it("prints what it shows #once", function()
    local commands, printed = read_commands(), {}
    files.write(dir .. "/typed.sh", to_script(commands, server))
    local text = process.capture("cd " .. dir .. " && env -u CLOSE_API_KEY " ..
      "-u CLOSE_ACCESS_TOKEN -u CLOSE_BASE_URL -u LUA_PATH -u LUA_CPATH " ..
      "-u MAKEFLAGS -u MAKELEVEL -u MFLAGS sh typed.sh </dev/null")
    for part in (text .. "\n"):gmatch("(.-)" .. MARK:gsub("%p", "%%%0") ..
      "\n") do
      printed[#printed + 1] = part
    end
    for _, command in ipairs(commands) do
      if not is_skipped(command.typed) then
        local got = table.remove(printed, 1)
        assert.is_true(got and is_as_shown(command.shown, got),
          ("%s\n%s"):format(command.typed, tostring(got)))
      end
    end
    assert.equal(0, #printed)
    assert.equal("Hello from Lua", server:messages()[1].text)
    assert.equal(1, #server:messages())
  end)

  it("installs what make demo does, git and make", function()
    local wanted = { "git", "make" }
    local demo = files.read "packages.txt":match "%[demo%]\n(.-)\n\n"
    for line in demo:gmatch "[^\n]+" do
      wanted[#wanted + 1] = line:match "^%S+"
    end
    local words = read_commands()[2].typed:match "^apt%-get install %-y (.*)"
    assert.equal(table.concat(wanted, " "), words)
  end)
end)
