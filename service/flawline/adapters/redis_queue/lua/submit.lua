-- ARGV: id, class (1..), line, remaining_ms, meta, picture ('' when it lies under its own key),
--       capacity, line_capacity, replies, expired outcome, consumer that sweeps
local id, class, line, remaining_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local meta, picture = ARGV[5], ARGV[6]
local capacity, line_capacity = tonumber(ARGV[7]), tonumber(ARGV[8])
local replies, expired, sweeper = ARGV[9], ARGV[10], ARGV[11]
local now = now_ms()

-- A repeat, because the answer to the first time was lost.
if redis.call('EXISTS', wanted_key(id)) == 1 then return {'accepted'} end

local function over(fields)
  return waiting_for_nobody(fields) or tonumber(fields.deadline_ms) <= now
end

local function finish_expired(stream, entry_id, fields)
  finish(stream, entry_id, fields.id, fields.line, expired)
end

-- Cancelled and expired jobs stay in their stream until somebody reads them. Where no worker does,
-- they are read here, or the stream would grow for ever: always from its head, so that the group's
-- lag stays right. Those that were handed back have been read.
local function sweep(stream)
  redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0')
  for _, back in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', 256, NOBODY)) do
    local entry = redis.call('XRANGE', stream, back[1], back[1])[1]
    local fields = entry and fields_of(entry[2])
    if fields and over(fields) then finish_expired(stream, back[1], fields) end
  end
  for _ = 1, 256 do
    local last = fields_of(redis.call('XINFO', 'GROUPS', stream)[1])['last-delivered-id']
    local head = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
    local fields = head and fields_of(head[2])
    if not fields or not over(fields) then return end
    redis.call('XREADGROUP', 'GROUP', GROUP, sweeper, 'COUNT', 1, 'STREAMS', stream, '>')
    finish_expired(stream, head[1], fields)
  end
end

local function full()
  return waiting() >= capacity
    or redis.call('ZCARD', line_key(line)) >= line_capacity
    or entries() >= 4 * capacity + 1024
end

if full() then
  leave_out_what_is_gone()
  for _, stream in ipairs(STREAMS) do
    if redis.call('EXISTS', stream) == 1 then sweep(stream) end
  end
end
if full() then
  local count = waiting()
  local oldest = redis.call('LINDEX', RESOLVED, -1)
  local elapsed_ms = oldest and (now - tonumber(oldest)) or 0
  local of_line = count < capacity and redis.call('ZCARD', line_key(line)) >= line_capacity
  local what = of_line and 'line_full' or 'full'
  return {what, count, redis.call('LLEN', RESOLVED), elapsed_ms}
end

local entry = {'id', id, 'line', line, 'deadline_ms', now + remaining_ms, 'submitted_ms', now,
  'meta', meta}
if picture ~= '' then
  entry[#entry + 1] = 'picture'
  entry[#entry + 1] = picture
end
redis.call('XADD', STREAMS[class], '*', unpack(entry))
redis.call('SADD', wanted_key(id), replies)
redis.call('PEXPIRE', wanted_key(id), remaining_ms + GRACE_MS)
wait(class, id, line, now)
ring()
return {'accepted'}
