-- Child processes and temporary directories of the tests. A child lives no
-- longer than this process: a watcher (watcher.c) reads from a pipe that only
-- we hold open, and ends the child at its end, however we end. Only processes
-- that were started here are ever signalled.
local socket = require "socket"

local unpack = table.unpack or unpack -- luacheck: ignore

local process = {}
local Process = {}
Process.__index = Process

local POLL, PATIENCE = 0.002, 30
local TRIES = 4
local started, count = {}, 0
local scratch, janitor

local WATCHER = "build/watcher"
local FIFOS = 16 -- that one command makes: a process is dear

-- Removes at its end what it was told of; again while somebody still writes.
local JANITOR = [=[
exec 2>/dev/null
trap '' INT HUP TERM
while IFS= read -r dir; do set -- "$@" "$dir"; done
n=0
while [ "$n" -lt 50 ]; do
  rm -rf "$@" && break
  sleep 0.1
  n=$((n + 1))
done
]=]

function process.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function command_line(argv)
  local words = {}
  for i, word in ipairs(argv) do words[i] = process.quote(word) end
  return table.concat(words, " ")
end

-- Runs a command (a string for sh, or a list of words) to its end; true if it
-- succeeded.
function process.run(command)
  if type(command) == "table" then command = command_line(command) end
  local result = os.execute(command)
  return result == true or result == 0
end

-- The same, with what it printed, without the last newline.
function process.capture(command)
  if type(command) == "table" then command = command_line(command) end
  local pipe = assert(io.popen(command, "r"))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""))
end

-- A program that reads from us.
local function popen(words)
  local pipe = assert(io.popen("exec " .. command_line(words), "w"))
  pipe:setvbuf("no")
  return pipe
end

-- A new directory; gone when this process is, if not removed before.
function process.tempdir()
  -- Out of the reach of a signal to our whole process group: it outlives us.
  janitor = janitor or popen{ "setsid", "sh", "-c", JANITOR, "sh" }
  local base = (os.getenv("TMPDIR") or "/tmp"):gsub("/+$", "")
  local dir = process.capture{ "mktemp", "-d", base .. "/close-test-XXXXXX" }
  assert(dir ~= "", "mktemp failed")
  janitor:write(dir, "\n")
  return dir
end

-- Removes a directory that tempdir made.
function process.remove(dir)
  assert(dir:find("/close%-test%-%w+$"), "not one of ours: " .. dir)
  return process.run{ "rm", "-rf", dir }
end

-- Is there a process of this number? Sends nothing.
function process.exists(pid)
  return process.run(("kill -0 %d 2>/dev/null"):format(pid))
end

-- The program that runs this test, to start children under the same one.
function process.interpreter()
  local words, i = rawget(_G, "arg"), -1
  if not (words and words[i]) then
    return rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("[%d.]+")
  end
  while words[i - 1] do i = i - 1 end
  return words[i]
end

-- A command line without the sanitizers' runtime, which slows down what has
-- none of our C.
function process.unsanitized(argv)
  if not os.getenv "LD_PRELOAD" then return argv end
  return { "env", "-u", "LD_PRELOAD", unpack(argv) }
end

-- Command line that runs Lua code in a child, with our package paths.
function process.lua(code)
  local set = ("package.path, package.cpath = %q, %q\n"):format(
    package.path, package.cpath)
  return { process.interpreter(), "-e", set .. code }
end

--- Waits until something holds: what it returned, or false where it never did
--- (30 seconds unless told).
function process.eventually(holds, seconds)
  local deadline = socket.gettime() + (seconds or PATIENCE)
  repeat
    local value = holds()
    if value then return value end
    socket.sleep(POLL)
  until socket.gettime() > deadline
  return false
end

--- Whether something holds in one of a few tries: for what takes longer now and
--- then on a busy machine, but not each time.
function process.sometimes(holds)
  for _ = 1, TRIES do
    if holds() then return true end
  end
  return false
end

local function exit_status(self)
  if not self.status then
    local file = io.open(self.status_file)
    self.status = file and tonumber(file:read("*l") or "")
    if file then file:close() end
  end
  return self.status
end

-- The names of two new fifos, and of a file that is not there yet.
local function new_names()
  scratch = scratch or process.tempdir()
  count = count + 1
  local base = scratch .. "/" .. count
  if count % FIFOS == 1 then
    assert(io.open(WATCHER)):close() -- who waits for it would wait for ever
    local fifos = { "mkfifo" }
    for i = count, count + FIFOS - 1 do
      fifos[#fifos + 1] = ("%s/%d.out"):format(scratch, i)
      fifos[#fifos + 1] = ("%s/%d.in"):format(scratch, i)
    end
    assert(process.run(fifos), "mkfifo failed")
  end
  return base .. ".out", base .. ".in", base .. ".status"
end

-- Starts a command (a list of words) in the background. Options: stdin and
-- stdout, each "pipe" or a file name (else /dev/null), stderr a file name
-- (else ours). Returns a process with pid, and with stdin and stdout as files
-- where they were to be pipes.
function process.start(argv, options)
  options = options or {}
  local out, input, status_file = new_names()
  local stdin, stdout = options.stdin or "/dev/null", options.stdout
  local self = { status_file = status_file }
  if stdin ~= "pipe" then input = stdin end
  self.watch = popen{ WATCHER, out, status_file, input,
    stdout == "pipe" and "-" or stdout or "/dev/null", options.stderr or "-",
    unpack(argv) }
  if stdin == "pipe" then
    self.stdin = assert(io.open(input, "w"))
    self.stdin:setvbuf("no")
  end
  self.stdout = assert(io.open(out, "r"))
  self.pid = assert(tonumber(self.stdout:read("*l") or ""), "no child")
  if stdout ~= "pipe" then
    self.stdout:close()
    self.stdout = nil
  end
  setmetatable(self, Process)
  started[self] = true
  return self
end

function Process:alive()
  return exit_status(self) == nil
end

-- Waits at most so many seconds. Returns the exit status as sh counts it (128
-- and the signal's number, where one ended it), or nil, "timeout".
function Process:wait(seconds)
  local deadline = socket.gettime() + seconds
  while not exit_status(self) do
    if socket.gettime() > deadline then return nil, "timeout" end
    socket.sleep(POLL)
  end
  return self.status
end

-- Sends a signal ("TERM" unless told) if the child still runs.
function Process:kill(signal)
  if not self:alive() then return false end
  return process.run(("kill -%s %d 2>/dev/null"):format(signal or "TERM",
    self.pid))
end

-- Ends the child: TERM, and KILL about a second later. Returns its exit status.
-- May be called again.
function Process:stop()
  if not self.watch then return self.status end
  for _, name in ipairs{ "stdin", "stdout", "watch" } do
    if self[name] then self[name]:close() end
    self[name] = nil
  end
  started[self] = nil
  return exit_status(self)
end

-- Ends all children that still run.
function process.stop_all()
  for child in pairs(started) do child:stop() end
end

return process
