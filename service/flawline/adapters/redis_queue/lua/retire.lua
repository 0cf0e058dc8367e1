-- ARGV: consumer. Takes it, and those long gone, off the groups; never one that still holds jobs,
-- which would be lost with it.
redis.call('ZREM', TAKERS, ARGV[1])
for _, stream in ipairs(STREAMS) do
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, GROUP)) do
    local known = fields_of(flat)
    local gone = known.name == ARGV[1] or tonumber(known.idle) > IDLE_CONSUMER_MS
    if gone and tonumber(known.pending) == 0 then
      redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, known.name)
    end
  end
end
return 1
