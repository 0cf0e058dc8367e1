-- Returns {{jobs that wait, age of the oldest in ms} of each class, leased, dead letters, what workers announced,
-- the time}.
leave_out_what_is_gone()
local waits, leased = {}, 0
for class, stream in ipairs(STREAMS) do
  local oldest = redis.call('ZRANGE', WAITING[class], 0, 0, 'WITHSCORES')
  waits[class] = {redis.call('ZCARD', WAITING[class]), oldest[2] and age_ms(oldest[2]) or 0}
  -- What was handed back waits.
  for _, holder in ipairs(redis.call('XPENDING', stream, GROUP)[4] or {}) do
    if holder[1] ~= NOBODY then leased = leased + tonumber(holder[2]) end
  end
end
return {waits, leased, redis.call('XLEN', DEAD), redis.call('ZRANGEBYSCORE', WORKERS, now_ms(), '+inf'), now_ms()}
