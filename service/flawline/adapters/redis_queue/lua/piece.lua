-- ARGV: id, piece. How long the picture is with it; 0 when the picture is gone: begun anew here, it would stay for ever.
local key = picture_key(ARGV[1])
if redis.call('EXISTS', key) == 0 then return 0 end
return redis.call('APPEND', key, ARGV[2])
