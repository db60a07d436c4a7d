-- hello: a node begins its lease, or goes on with it.
--
-- KEYS  1 meta, 2 nodes
-- ARGV  1 term, 2 incarnation, 3 name, 4 ms of the lease,
--       5 "1": a new incarnation; "0": it must be there
--
-- {"OK", EXPIRED, SEQ, INCARNATION, "MS NAME", ...}: a node whose lease is
-- over, or ""; the log's last item; all nodes, and what their leases have left.
-- {"NONE"}, {"TERM", term}, {"GONE"}.

local meta = redis.call('HMGET', KEYS[1], 'term', 'seq')

if not meta[1] then
    return {'NONE'}
end

if meta[1] ~= ARGV[1] then
    return {'TERM', meta[1]}
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nodes = redis.call('HGETALL', KEYS[2])
local answer, found = {'OK', '', meta[2]}, false

for i = 1, #nodes, 2 do
    local ends, name = string.match(nodes[i + 1], '^(%d+) (.*)$')
    local left = tonumber(ends) - now

    if nodes[i] == ARGV[2] then
        found = left >= 0

    else
        if left < 0 then
            answer[2] = nodes[i]
        end

        answer[#answer + 1] = nodes[i]
        answer[#answer + 1] = string.format('%.0f %s', math.max(left, 0), name)
    end
end

if ARGV[5] == '0' and not found then
    return {'GONE'}
end

redis.call('HSET', KEYS[2], ARGV[2],
           string.format('%.0f %s', now + ARGV[4], ARGV[3]))

answer[#answer + 1] = ARGV[2]
answer[#answer + 1] = ARGV[4] .. ' ' .. ARGV[3]

return answer
