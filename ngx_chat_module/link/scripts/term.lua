-- term: begins a new term, where the engine's is still the one that the caller
-- has read.
--
-- A term begins where there is no cluster yet, and where the engine has lost
-- what a node has seen.  Numbers go on behind the larger one, so that none is
-- given twice.
--
-- KEYS  1 meta, 2 log
-- ARGV  1 the engine's term, as read; "": there was none
--       2 the seq that the caller has seen, 3 epoch, 4 nonce,
--       5 the cluster's id, where the engine has none
--       6 the term of that seq, 7 the nonce there,
--       8 the item that has changed the webhooks' tables last there,
--       "TERM:SEQ"; or a later one that the engine knows
--
-- {"OK"}, {"TERM", term}: another one, or "" where there is none.

local meta = redis.call('HMGET', KEYS[1], 'term', 'seq', 'id', 'books')
local term = meta[1] or ''

if term ~= ARGV[1] then
    return {'TERM', term}
end

local seq = math.max(tonumber(meta[2] or '0'), tonumber(ARGV[2]))
local last = string.format('%.0f', seq)
local new = math.max(tonumber(meta[1] or '0'), tonumber(ARGV[6]))

-- a log without its meta: ids must grow

local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]

if newest then
    new = math.max(new, tonumber(string.match(newest[1], '^%d+')))
end

new = new + 1

local books, known = {string.match(ARGV[8], '^(%d+):(%d+)$')},
                     {string.match(meta[4] or '0:0', '^(%d+):(%d+)$')}
local later = tonumber(known[1]) - tonumber(books[1])

if later > 0 or later == 0 and tonumber(known[2]) > tonumber(books[2]) then
    books = known
end

redis.call('HSET', KEYS[1], 'term', string.format('%.0f', new),
           'seq', last, 'first', last, 'nonce', ARGV[4], 'start', ARGV[4],
           'epoch', ARGV[3], 'id', meta[3] or ARGV[5], 'format', '1',
           'books', table.concat(books, ':'), 'from_term', ARGV[6],
           'from_seq', ARGV[2], 'from_nonce', ARGV[7],
           -- the first term of all has lost nothing
           'offered', ARGV[6] == '0' and '1' or '0')

return {'OK'}
