-- ARGV: consumer, how many, lease_ms, max_deliveries, turn, how many it holds,
--       expired outcome, outcome of a dead letter
-- Returns {jobs, last ring of the bell, counts, ids of dead letters, 1 when no more wait}.
local consumer, most, lease_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local max_deliveries, turn, held = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local expired_outcome, dead_outcome = ARGV[7], ARGV[8]
local now = now_ms()
local taken, dead = {}, {}

-- All that waits or is worked on is shared out among the workers that ask for work: one that took what comes at once
-- would leave the others without. Who asks has room, and gets one at least. One that died, stops or stands by does not
-- ask; one that has nothing to do asks every second.
redis.call('ZREMRANGEBYSCORE', TAKERS, '-inf', now - TAKER_LIFE_MS)
redis.call('ZADD', TAKERS, now, consumer)
redis.call('PEXPIRE', TAKERS, TAKER_LIFE_MS)
local workers = redis.call('ZCARD', TAKERS)
most = math.min(most, math.max(1, math.ceil(entries() / workers) - held))

local reclaimed, expired, unwanted = 0, 0, 0

local function consider(class, entry_id, flat, deliveries)
  local stream, fields = STREAMS[class], fields_of(flat)
  local id, line = fields.id, fields.line
  if waiting_for_nobody(fields) then
    forget(stream, entry_id, id, line)
    unwanted = unwanted + 1
  elseif deliveries > max_deliveries then
    bury(flat, 'its workers died, or their engines failed on anything', deliveries - 1, now)
    finish(stream, entry_id, id, line, dead_outcome)
    dead[#dead + 1] = id
  elseif tonumber(fields.deadline_ms) <= now then
    finish(stream, entry_id, id, line, expired_outcome)
    expired = expired + 1
  else
    wait_no_more(id, line)
    taken[#taken + 1] = {class, entry_id, id, line, tonumber(fields.deadline_ms) - now,
      age_ms(fields.submitted_ms), fields.meta, fields.picture or '', deliveries}
  end
end

-- One call looks at ten entries only, and those in front may be in good hands.
local function claim_one(stream)
  local cursor = '0-0'
  for _ = 1, 100 do
    local reply = redis.call('XAUTOCLAIM', stream, GROUP, consumer, lease_ms, cursor, 'COUNT', 1)
    if reply[2][1] then return reply[2][1] end
    cursor = reply[1]
    if cursor == '0-0' then return nil end
  end
end

-- First what dead workers held: it has waited longest. It may be what killed them, so it is given
-- alone; what was handed back is not suspected.
local suspect = false
for class, stream in ipairs(STREAMS) do
  for _ = 1, most do
    if #taken == most or suspect then break end
    local entry = claim_one(stream)
    if not entry then break end
    local deliveries =
      tonumber(redis.call('XPENDING', stream, GROUP, entry[1], entry[1], 1)[1][4])
    local before = #taken
    consider(class, entry[1], entry[2], deliveries)
    suspect = #taken > before and deliveries > 1
    if deliveries > 1 then reclaimed = reclaimed + 1 end
  end
end

local function read_one()
  for _, class in ipairs(ORDERS[(turn % #ORDERS) + 1]) do
    local reply = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', 1,
      'STREAMS', STREAMS[class], '>')
    if reply then
      local before, entry = #taken, reply[1][2][1]
      consider(class, entry[1], entry[2], 1)
      if #taken > before then turn = turn + 1 end
      return true
    end
  end
  return false
end

local looked_at, emptied = 0, 0
while not suspect and #taken < most and looked_at < most + 256 do
  if not read_one() then
    emptied = 1
    break
  end
  looked_at = looked_at + 1
end

local rung = redis.call('XREVRANGE', BELL, '+', '-', 'COUNT', 1)[1]
return {taken, rung and rung[1] or '0-0', {reclaimed, expired, unwanted}, dead, emptied}
