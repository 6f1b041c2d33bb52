std = "max"
max_line_length = 80
cache = false
files["spec"] = { std = "max+busted" }
files["lua/close/types.lua"] = { ignore = { "" } }
