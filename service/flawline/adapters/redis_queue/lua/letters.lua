-- ARGV: after which dead letter, how many bytes and how many letters are enough
-- Returns {{id, fields}, ...} of those that follow it, the oldest first, without their pictures.
-- Each picture is copied on its way here, and nobody else is served meanwhile: so it is one after the
-- other, and a few at a time.
local after, enough_bytes, enough = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local letters, bytes = {}, 0
while #letters < enough and bytes < enough_bytes do
  local entry = redis.call('XRANGE', DEAD, '(' .. after, '+', 'COUNT', 1)[1]
  if not entry then break end
  local flat, fields = entry[2], {}
  for i = 1, #flat, 2 do
    bytes = bytes + #flat[i + 1]
    if flat[i] ~= 'picture' then
      fields[#fields + 1] = flat[i]
      fields[#fields + 1] = flat[i + 1]
    end
  end
  after = entry[1]
  letters[#letters + 1] = {after, fields}
end
return letters
