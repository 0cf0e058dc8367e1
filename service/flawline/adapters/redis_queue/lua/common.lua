-- What several scripts share. A script is atomic: nobody sees a job between two places.

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Never below 0, to which a clock that was set back would lead.
local function age_ms(since_ms)
  return math.max(0, now_ms() - tonumber(since_ms))
end

local function fields_of(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- Jobs that wait, and those that are leased.
local function entries()
  local count = 0
  for _, stream in ipairs(STREAMS) do count = count + redis.call('XLEN', stream) end
  return count
end

local function ring()
  redis.call('XADD', BELL, 'MAXLEN', '=', 1, '*', 'ring', 1)
end

local function waiting()
  local count = 0
  for _, of_class in ipairs(WAITING) do count = count + redis.call('ZCARD', of_class) end
  return count
end

-- What nobody waits for does not wait: another version may have taken it, which knows of other keys.
local function leave_out_what_is_gone()
  for _, of_class in ipairs(WAITING) do
    for _, id in ipairs(redis.call('ZRANGE', of_class, 0, 255)) do
      if redis.call('EXISTS', wanted_key(id)) == 0 then redis.call('ZREM', of_class, id) end
    end
  end
end

local function wait(class, id, line, since_ms)
  redis.call('ZADD', WAITING[class], since_ms, id)
  redis.call('ZADD', line_key(line), since_ms, id)
end

local function wait_no_more(id, line)
  for _, of_class in ipairs(WAITING) do redis.call('ZREM', of_class, id) end
  redis.call('ZREM', line_key(line), id)
end

-- Acknowledged is deleted: the stream holds what waits and what is leased, and nothing else.
local function forget(stream, entry_id, id, line)
  redis.call('XACK', stream, GROUP, entry_id)
  redis.call('XDEL', stream, entry_id)
  redis.call('DEL', picture_key(id))
  wait_no_more(id, line)
end

-- The outcome goes to all who want it, once: `wanted` is gone afterwards.
local function finish(stream, entry_id, id, line, outcome)
  local listeners = redis.call('SMEMBERS', wanted_key(id))
  forget(stream, entry_id, id, line)
  for _, replies in ipairs(listeners) do
    redis.call('XADD', replies, 'MAXLEN', '~', MOST_REPLIES, '*', 'id', id, 'outcome', outcome)
    redis.call('PEXPIRE', replies, REPLIES_LIFE_MS)
  end
  redis.call('DEL', wanted_key(id))
end

local function short_of_memory()
  local memory = redis.pcall('INFO', 'memory')
  if type(memory) ~= 'string' then return false end -- not every user may ask
  local function figure(name) return tonumber(string.match(memory, '\n' .. name .. ':(%d+)')) end
  return figure('maxmemory') > 0 and figure('used_memory') > figure('maxmemory') / 2
end

local function bytes_of(flat)
  local bytes = 0
  for _, part in ipairs(flat) do bytes = bytes + string.len(part) end
  return bytes
end

-- Keeps the whole job, its picture too, where a person can look at it. Only a person drops letters, and what is to
-- be inspected must not want for memory until then: once half of it is used, the oldest make room for the new one.
-- No more of them go, since it may be what waits, for a while, that takes the half.
local function bury(flat, reason, deliveries, now)
  local fields, letter = fields_of(flat), {}
  for i = 1, #flat do letter[i] = flat[i] end
  if not fields.picture then
    local picture = redis.call('GET', picture_key(fields.id))
    if picture then
      letter[#letter + 1] = 'picture'
      letter[#letter + 1] = picture
    end
  end
  for _, extra in ipairs({'reason', reason, 'deliveries', deliveries, 'buried_ms', now}) do
    letter[#letter + 1] = extra
  end
  redis.call('XADD', DEAD, 'MAXLEN', '~', MOST_DEAD_LETTERS, '*', unpack(letter))
  local over = short_of_memory() and bytes_of(letter) or 0
  while over > 0 and redis.call('XLEN', DEAD) > 1 do
    local oldest = redis.call('XRANGE', DEAD, '-', '+', 'COUNT', 1)[1]
    over = over - bytes_of(oldest[2])
    redis.call('XDEL', DEAD, oldest[1])
  end
end

local function waiting_for_nobody(fields)
  return redis.call('EXISTS', wanted_key(fields.id)) == 0
end
