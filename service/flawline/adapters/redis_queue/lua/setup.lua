-- The group of each stream, from its first entry on; what was added before the group counts.
for _, stream in ipairs(STREAMS) do
  local made = redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
end
return 1
