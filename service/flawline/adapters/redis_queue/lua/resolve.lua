-- ARGV: class, entry id, job id, line, outcome, why it is a dead letter ('' when it is none)
-- Save, acknowledge and delete are one step; whoever comes second finds nothing to do.
local stream, entry_id, id, line = STREAMS[tonumber(ARGV[1])], ARGV[2], ARGV[3], ARGV[4]
local outcome, reason = ARGV[5], ARGV[6]
local now = now_ms()
local pending = redis.call('XPENDING', stream, GROUP, entry_id, entry_id, 1)[1]
if not pending then return 0 end
if reason ~= '' then
  local entry = redis.call('XRANGE', stream, entry_id, entry_id)[1]
  if entry then bury(entry[2], reason, pending[4], now) end
end
finish(stream, entry_id, id, line, outcome)
redis.call('LPUSH', RESOLVED, now)
redis.call('LTRIM', RESOLVED, 0, RATE_WINDOW - 1)
redis.call('PEXPIRE', RESOLVED, RATE_LIFE_MS)
return 1
