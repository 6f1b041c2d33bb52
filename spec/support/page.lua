-- The code in the pages of documentation, as it stands there.
local files = require "spec.support.files"

local page = {}

--- The fenced blocks of a page, in order: lang, text, and the heading that they
--- stand below.
function page.blocks(path)
  local blocks, heading, block = {}, "", nil
  for line in files.read(path):gmatch "([^\n]*)\n" do
    local lang = line:match "^```(%l*)$"
    if block and lang then
      block.text = table.concat(block, "\n") .. "\n"
      blocks[#blocks + 1], block = block, nil
    elseif lang then
      block = { lang = lang, heading = heading, path = path }
    elseif block then
      block[#block + 1] = line
    else
      heading = line:match "^#+ (.*)" or heading
    end
  end
  return blocks
end

--- The only block below a heading that begins so, or of the page's top.
function page.block(path, heading)
  local found = {}
  for _, block in ipairs(page.blocks(path)) do
    if block.heading:find(heading, 1, true) == 1 then
      found[#found + 1] = block
    end
  end
  if not found[1] or found[2] then
    error(("%s: %d blocks below %s"):format(path, #found, heading), 2)
  end
  return found[1].text
end

return page
