-- herald: a node wants to be the one that sends webhooks, or to stay it.
--
-- KEYS  1 meta, 2 herald, 3 whether a node lacks something
-- ARGV  1 term, 2 incarnation, 3 ms of the lease,
--       4 "1": the tables of this node count, whatever they lack; "0"
--       5 the item that has changed them last there, "TERM:SEQ"
--
-- {"OK", "1", BOOKS, ROW, LACKS}: it is; the item that has changed the
-- webhooks' tables last, or "0:0"; the highest id of an event in them; "1"
-- where a node lacks something of them, else "".  For "1": "2", it is from now
-- on; "0", another node is; "", nobody is but perhaps this one, which lacks
-- something.
-- {"NONE"}, {"TERM", term}.

local meta = redis.call('HMGET', KEYS[1], 'term', 'books', 'row')

if not meta[1] then
    return {'NONE'}
end

if meta[1] ~= ARGV[1] then
    return {'TERM', meta[1]}
end

local holder = redis.call('GET', KEYS[2])
local books = meta[2] or '0:0'

if holder and holder ~= ARGV[2] then
    return {'OK', '0', books, meta[3] or '0'}
end

if books ~= ARGV[5] then

    if ARGV[4] == '0' then
        return {'OK', '', books, meta[3] or '0'}
    end

    books = ARGV[5]
    redis.call('HSET', KEYS[1], 'books', books)
end

redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])

return {'OK', holder and '1' or '2', books, meta[3] or '0',
        redis.call('DEL', KEYS[3]) == 1 and '1' or ''}
