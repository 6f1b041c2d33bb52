-- :CloseSms sends text messages through Close; *.sms are messages to write.
-- Nothing is loaded before it is needed.
-- luacheck: globals vim

local group = vim.api.nvim_create_augroup("close_sms", {})

vim.api.nvim_create_user_command("CloseSms", function(command)
  require("close_sms").command(command)
end, {
  nargs = "?", range = true,
  desc = "Send this line, or the lines that are selected, to a number",
})

vim.api.nvim_create_autocmd({ "BufRead", "BufNewFile" }, {
  group = group, pattern = "*.sms",
  callback = function() vim.bo.filetype = "sms" end,
})

vim.api.nvim_create_autocmd("FileType", {
  group = group, pattern = "sms",
  callback = function(event) require("close_sms").watch(event.buf) end,
})

vim.api.nvim_create_autocmd("VimLeavePre", {
  group = group,
  callback = function()
    local close_sms = package.loaded.close_sms
    if close_sms then close_sms.leave() end
  end,
})
