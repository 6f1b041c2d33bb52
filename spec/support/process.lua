-- Child processes and temporary directories of the tests. A child lives no
-- longer than this process: a watcher in its shell reads from a pipe that only
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
local scratch, janitor, detach

-- $1 fifo, $2 file for the exit status, $3 stdin, $4 stdout, $5 stderr, then
-- the command. "-" stands for: inherited (stderr) or the fifo (stdout). The
-- fifo's first line is the pid, written by the process that becomes the child.
local SHELL = [=[
exec 3<&0 </dev/null
fifo=$1 status=$2 in=$3 out=$4 err=$5
shift 5
[ "$err" = - ] || exec 2>"$err"
if [ "$out" = - ]; then
  sh -c 'echo $$; exec "$@"' sh "$@" <"$in" >"$fifo" 3<&- &
else
  sh -c 'out=$1; shift; echo $$; exec "$@" >"$out"' sh "$out" "$@" \
    <"$in" >"$fifo" 3<&- &
fi
child=$!
exec 2>/dev/null
trap '' INT HUP TERM
(
  trap 'exit 0' USR1
  read -r word <&3
  kill -TERM "$child"
  n=0
  while [ "$n" -lt 100 ] && kill -0 "$child"; do
    sleep 0.01
    n=$((n + 1))
  done
  kill -KILL "$child"
) >/dev/null &
watcher=$!
exec 3<&-
wait "$child"
echo "$?" >"$status"
kill -USR1 "$watcher"
wait "$watcher"
]=]

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

-- A shell script that reads from us, out of the reach of a signal to our whole
-- process group: it is there to outlive us, shortly.
local function popen_script(script, words)
  detach = detach or process.capture("command -v setsid")
  local line = { "sh", "-c", script, "sh" }
  for _, word in ipairs(words) do line[#line + 1] = word end
  local pipe = assert(io.popen(("exec %s %s"):format(
    detach, command_line(line)), "w"))
  pipe:setvbuf("no")
  return pipe
end

-- A new directory; gone when this process is, if not removed before.
function process.tempdir()
  janitor = janitor or popen_script(JANITOR, {})
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

-- Starts a command (a list of words) in the background. Options: stdin and
-- stdout, each "pipe" or a file name (else /dev/null), stderr a file name
-- (else ours). Returns a process with pid, and with stdin and stdout as files
-- where they were to be pipes.
function process.start(argv, options)
  options = options or {}
  scratch = scratch or process.tempdir()
  count = count + 1
  local base = scratch .. "/" .. count
  local fifo, status_file = base .. ".out", base .. ".status"
  local stdin, stdout = options.stdin or "/dev/null", options.stdout
  local fifos, self = { "mkfifo", fifo }, { status_file = status_file }
  if stdin == "pipe" then
    stdin = base .. ".in"
    fifos[3] = stdin
  end
  assert(process.run(fifos), "mkfifo failed")
  local words = { fifo, status_file, stdin,
    stdout == "pipe" and "-" or stdout or "/dev/null", options.stderr or "-" }
  for _, word in ipairs(argv) do words[#words + 1] = word end
  self.watch = popen_script(SHELL, words)
  if fifos[3] then
    self.stdin = assert(io.open(stdin, "w"))
    self.stdin:setvbuf("no")
  end
  self.stdout = assert(io.open(fifo, "r"))
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
