-- offered: a node that had all has given the others what they may lack.
--
-- KEYS  1 meta
-- ARGV  1 term
--
-- {"OK"}. {"NONE"}, {"TERM", term}.

local term = redis.call('HGET', KEYS[1], 'term')

if not term then
    return {'NONE'}
end

if term ~= ARGV[1] then
    return {'TERM', term}
end

redis.call('HSET', KEYS[1], 'offered', '1')

return {'OK'}
