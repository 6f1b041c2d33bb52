-- Compressed bodies of the tests: gzip (RFC 1952) of one stored block, which
-- any Lua can write; and a text that grows a thousandfold as it is unpacked.
local gzip = {}

local HEADER = "\31\139\8\0\0\0\0\0\0\255"

-- The exclusive or of two numbers, of which some Luas have none.
local function xor(a, b)
  local result, bit = 0, 1
  while a > 0 or b > 0 do
    if a % 2 ~= b % 2 then result = result + bit end
    a, b, bit = math.floor(a / 2), math.floor(b / 2), bit * 2
  end
  return result
end

-- A number as bytes, the least first.
local function little_endian(number, count)
  local bytes = {}
  for i = 1, count do
    bytes[i] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(bytes)
end

local function crc32(text)
  local sum = 2 ^ 32 - 1
  for i = 1, #text do
    sum = xor(sum, text:byte(i))
    for _ = 1, 8 do
      local odd = sum % 2 == 1
      sum = math.floor(sum / 2)
      if odd then sum = xor(sum, 0xEDB88320) end
    end
  end
  return xor(sum, 2 ^ 32 - 1)
end

--- Packs a text of at most 65,535 bytes.
function gzip.pack(text)
  return HEADER .. "\1" .. little_endian(#text, 2)
    .. little_endian(65535 - #text, 2) .. text .. little_endian(crc32(text), 4)
    .. little_endian(#text, 4)
end

-- A MiB of spaces as deflate writes it (RFC 1951), up to a byte's end.
local MEBIBYTE = "\236\193\49\1\0\0\0\194\160\42\235\159\210\16\190\64\1"
  .. ("\0"):rep(1015) .. "\124\6\0\0\255\255"

--- So many MiB of spaces, in a thousandth of that, without an end.
function gzip.bomb(mebibytes)
  return HEADER .. MEBIBYTE:rep(mebibytes)
end

return gzip
