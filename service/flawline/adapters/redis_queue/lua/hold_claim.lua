-- ARGV: key of the claim, who holds it, for how long from now, ms
if redis.call('GET', ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('PTTL', ARGV[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', ARGV[1], ARGV[3]) end
return 1
