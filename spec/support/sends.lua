-- The ways in which a step of a send breaks, and what each of them comes to.
local socket = require "socket"

local sends = {}

--- Seconds of an attempt, where one is to be silent.
sends.SHORT = 0.3

--- Seconds after which what was silent comes all the same.
sends.LATE = 0.8

--- The ways themselves: faults, but for their method.
sends.BROKEN = {
  { kind = "close", place = "before" }, { kind = "reset", place = "before" },
  { kind = "close", place = "headers" }, { kind = "reset", place = "half" },
  { kind = "close" }, { kind = "close", acted = true },
  { kind = "reset" }, { kind = "reset", acted = true },
  { kind = "close", place = "answer" }, { kind = "reset", place = "answer" },
  { kind = "close", place = "after" }, { kind = "reset", place = "after" },
  { kind = "status", status = 500 },
  { kind = "status", status = 502, acted = true, body = "<html>" },
  { kind = "status", status = 503, place = "headers" },
  { kind = "body", body = "<html>Please log in</html>" },
  { kind = "body", body = '{"id": "acti_' }, { kind = "body", body = "" },
  { kind = "stall", seconds = 3 },
  { kind = "stall", seconds = 3, acted = true },
  { kind = "stall", seconds = sends.LATE, place = "half" }, -- then goes on
  { kind = "stall", seconds = 3, place = "answer" },
  { kind = "delay", seconds = 3 },
}

--- A way as the name of a test.
function sends.name_of(broken)
  return ("%s %s%s%s"):format(broken.kind, broken.place or
    broken.status or #(broken.body or ""), broken.acted and ", acted" or "",
    broken.seconds and ", silent" or "")
end

--- A fault with the method of a step.
function sends.of(method, broken, more)
  local copy = { method = method }
  for name, value in pairs(broken) do copy[name] = value end
  for name, value in pairs(more or {}) do copy[name] = value end
  return copy
end

--- Whether Close has acted on a request that met this fault.
function sends.has_acted(broken)
  return broken.acted or broken.kind == "body" or broken.kind == "delay" or
    broken.place == "answer" or broken.place == "after"
end

--- Whether it has then, or does later, and nobody is told.
function sends.has_lost(broken)
  return sends.has_acted(broken) and broken.place ~= "after" or
    broken.seconds == sends.LATE
end

local TRIES = 5

--- Plays a case with options for its client, which cut a silent attempt short.
--- On a busy machine another attempt may be cut, too: a function tells play,
--- which may then return false, and is called again.
function sends.undisturbed(broken, play)
  for _ = 1, TRIES do
    local cut = 0
    local options = { attempt_timeout = broken.seconds and sends.SHORT or nil,
      on_event = function(event)
        if event.kind == "timeout" then cut = cut + 1 end
      end }
    if play(options, function() return cut > 1 end) ~= false then return end
  end
  error("attempts that should be answered take too long", 2)
end

--- Until nothing comes late any more.
function sends.settle(broken)
  if broken.seconds == sends.LATE then socket.sleep(sends.LATE) end
end

return sends
