-- Returns {jobs that wait, age of the oldest in ms, leased, dead letters, what workers announced, the time}.
local oldest = redis.call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')
local leased = 0
for _, stream in ipairs(STREAMS) do
  leased = leased + redis.call('XPENDING', stream, GROUP)[1]
end
local oldest_ms = oldest[2] and age_ms(oldest[2]) or 0
return {redis.call('ZCARD', WAITING), oldest_ms, leased, redis.call('XLEN', DEAD),
  redis.call('ZRANGEBYSCORE', WORKERS, now_ms(), '+inf'), now_ms()}
