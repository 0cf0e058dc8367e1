-- ARGV: consumer, class, entry id, idle_ms, '1' where that it was delivered here counts. Made to look idle for so long,
-- so that the next one claims it. It is nobody's until then: an extension that its worker sent
-- before, and that comes after this, must not make it look worked on.
local consumer, class, entry_id = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local stream, idle_ms = STREAMS[class], tonumber(ARGV[4])
local pending = redis.call('XPENDING', stream, GROUP, entry_id, entry_id, 1)[1]
if not pending or pending[2] ~= consumer then return 0 end
local entry = redis.call('XRANGE', stream, entry_id, entry_id)[1]
local fields = fields_of(entry[2])
if waiting_for_nobody(fields) then
  forget(stream, entry_id, fields.id, fields.line)
  return 0
end
redis.call('XCLAIM', stream, GROUP, NOBODY, 0, entry_id, 'IDLE', idle_ms,
  'RETRYCOUNT', math.max(0, tonumber(pending[4]) - (ARGV[5] == '1' and 0 or 1)), 'JUSTID')
wait(class, fields.id, fields.line, tonumber(fields.submitted_ms))
ring()
return 1
