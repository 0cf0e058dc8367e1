-- ARGV: id, line, replies. Its entry stays until it is read; nobody waits for it, so it is dropped.
local id, line, replies = ARGV[1], ARGV[2], ARGV[3]
redis.call('SREM', wanted_key(id), replies)
if redis.call('EXISTS', wanted_key(id)) == 0 then
  wait_no_more(id, line)
  redis.call('DEL', picture_key(id))
end
return 1
