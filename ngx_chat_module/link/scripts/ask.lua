-- ask: a node asks another one for what it lacks.  Where nobody gives anything
-- for a minute, nothing of it stays.
--
-- KEYS  1 what nodes are asked for, 2 the fill's stream
-- ARGV  1 the node that is asked, 2 what it is asked for
--
-- {"OK"}. {"NONE"}: it was asked for something else before.

if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then
    return {'NONE'}
end

redis.call('PEXPIRE', KEYS[1], 60000)
redis.call('XGROUP', 'CREATE', KEYS[2], 'taker', '$', 'MKSTREAM')
redis.call('PEXPIRE', KEYS[2], 60000)

return {'OK'}
