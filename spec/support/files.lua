-- Small files of the tests, read and written whole.
local files = {}

-- What a file holds; nothing where there is none.
function files.read(path)
  local file = io.open(path)
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

function files.write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

return files
