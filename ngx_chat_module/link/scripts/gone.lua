-- gone: a node whose lease is over is taken out, and the log says so.
--
-- KEYS  1 meta, 2 log, 3 nodes, 4 the node's last batches, 5 its census,
--       6 herald, 7 what nodes are asked for
-- ARGV  1 term, 2 incarnation, 3 nonce,
--       4 "1": whatever its lease; "0": only where that is over
--       5 the item for the log
--
-- {"OK"}: it is out, or was before, or its lease is not over.
-- {"NONE"}, {"TERM", term}.

local meta = redis.call('HMGET', KEYS[1], 'term', 'seq', 'nonce')

if not meta[1] then
    return {'NONE'}
end

if meta[1] ~= ARGV[1] then
    return {'TERM', meta[1]}
end

local node = redis.call('HGET', KEYS[3], ARGV[2])

if not node then
    return {'OK'}
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if ARGV[4] == '0' and tonumber(string.match(node, '^%d+')) >= now then
    return {'OK'}
end

local seq = string.format('%.0f', meta[2] + 1)

redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[4], KEYS[5])
redis.call('HDEL', KEYS[7], ARGV[2])

if redis.call('GET', KEYS[6]) == ARGV[2] then
    redis.call('DEL', KEYS[6])
end

redis.call('XADD', KEYS[2], ARGV[1] .. '-' .. seq, 'n', ARGV[2], 'k', ARGV[3],
           'p', meta[3], 't', string.format('%.0f', now), 'c', '1',
           'd', ARGV[5])
redis.call('HSET', KEYS[1], 'seq', seq, 'nonce', ARGV[3])

return {'OK'}
