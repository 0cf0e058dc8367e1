-- ARGV: what this worker serves, whether it still does (1 or 0). Stale unless said again in time.
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now_ms())
if ARGV[2] == '1' then
  redis.call('ZADD', WORKERS, now_ms() + ANNOUNCEMENT_LIFE_MS, ARGV[1])
  redis.call('PEXPIRE', WORKERS, ANNOUNCEMENT_LIFE_MS)
else
  redis.call('ZREM', WORKERS, ARGV[1])
end
return 1
