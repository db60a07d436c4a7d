-- give: a chunk of what another node lacks.  It is kept for a minute behind the
-- last one.
--
-- KEYS  1 the fill's stream
-- ARGV  1 the chunk's id, 2 place, 3 items
--
-- {"OK"}. {"NONE"}: nobody wants it any more.

if redis.call('PEXPIRE', KEYS[1], 60000) == 0 then
    return {'NONE'}
end

redis.call('XADD', KEYS[1], ARGV[1], 'p', ARGV[2], 'd', ARGV[3])

return {'OK'}
