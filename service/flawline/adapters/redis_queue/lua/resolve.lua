-- ARGV, of each job: class, entry id, job id, line, outcome, why it is a dead letter ('' when it is none)
-- Save, acknowledge and delete are one step; whoever comes second finds nothing to do. Returns 1 or 0 of each.
local now = now_ms()

local function resolve(class, entry_id, id, line, outcome, reason)
  local stream = STREAMS[tonumber(class)]
  local pending = redis.call('XPENDING', stream, GROUP, entry_id, entry_id, 1)[1]
  if not pending then return 0 end
  if reason ~= '' then
    local entry = redis.call('XRANGE', stream, entry_id, entry_id)[1]
    if entry then bury(entry[2], reason, pending[4], now) end
  end
  finish(stream, entry_id, id, line, outcome)
  redis.call('LPUSH', RESOLVED, now)
  return 1
end

local done = {}
for i = 1, #ARGV, 6 do done[#done + 1] = resolve(unpack(ARGV, i, i + 5)) end
redis.call('LTRIM', RESOLVED, 0, RATE_WINDOW - 1)
redis.call('PEXPIRE', RESOLVED, RATE_LIFE_MS)
return done
