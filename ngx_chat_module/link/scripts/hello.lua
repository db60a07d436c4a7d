-- hello: a node begins its lease, or goes on with it.
--
-- KEYS  1 meta, 2 nodes
-- ARGV  1 term, 2 incarnation, 3 name, 4 ms of the lease,
--       5 "1": a new incarnation; "0": it must be there
--
-- {"OK", INCARNATION, ...}: those whose lease is over.
-- {"NONE"}, {"TERM", term}, {"GONE"}.

local term = redis.call('HGET', KEYS[1], 'term')

if not term then
    return {'NONE'}
end

if term ~= ARGV[1] then
    return {'TERM', term}
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nodes = redis.call('HGETALL', KEYS[2])
local answer, found = {'OK'}, false

for i = 1, #nodes, 2 do
    local ends = tonumber(string.match(nodes[i + 1], '^%d+'))

    if nodes[i] == ARGV[2] then
        found = ends >= now

    elseif ends < now then
        answer[#answer + 1] = nodes[i]
    end
end

if ARGV[5] == '0' and not found then
    return {'GONE'}
end

redis.call('HSET', KEYS[2], ARGV[2],
           string.format('%.0f %s', now + ARGV[4], ARGV[3]))

return answer
