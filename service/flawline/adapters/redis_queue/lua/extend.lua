-- ARGV: consumer, then class and entry id of each lease. Only the one who still holds it extends it.
local consumer = ARGV[1]
local extended = 0
for i = 2, #ARGV, 2 do
  local stream, entry_id = STREAMS[tonumber(ARGV[i])], ARGV[i + 1]
  local pending = redis.call('XPENDING', stream, GROUP, entry_id, entry_id, 1)[1]
  if pending and pending[2] == consumer then
    redis.call('XCLAIM', stream, GROUP, consumer, 0, entry_id, 'JUSTID')
    extended = extended + 1
  end
end
return extended
