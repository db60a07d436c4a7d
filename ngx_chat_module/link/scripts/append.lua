-- append: adds a worker's batch to the log, or tells why not.
--
-- KEYS  1 meta, 2 log, 3 nodes, 4 the node's last batches, 5 its census,
--       6... an idempotency key for each item that has one
-- ARGV  1 term, 2 the seq that the caller has seen, 3 incarnation,
--       4 worker, 5 nonce, 6 how many events the log keeps,
--       7 ms that idempotency keys are kept,
--       8 "", or of webhooks' tables: the item that has changed them last, as
--       the caller knows, "TERM:SEQ", 9 and the highest id of an event in them,
--       10... two for each item: flags, and the item's bytes.
--            k: it has a key; m: it is of the same request as the one before;
--            sFIELD: kept in the census in that field; dFIELD: that is dropped
--
-- {"OK", "NONCE TIME SEQ ..."}: the engine's ms, and each item's number; of an
-- item that was there already "SEQ@TIME", and nothing was added for it.
-- {"NONE"}: there is no cluster; {"TERM", term}: another term;
-- {"GONE"}: the node's lease is over; {"BEHIND", seq}: the engine has lost
-- what the caller has seen; {"BOOKS"}: another item has changed the tables.

local meta = redis.call('HMGET', KEYS[1], 'term', 'seq', 'nonce', 'first')

if not meta[1] then
    return {'NONE'}
end

if meta[1] ~= ARGV[1] then
    return {'TERM', meta[1]}
end

local seq = tonumber(meta[2])

if seq < tonumber(ARGV[2]) then
    return {'BEHIND', meta[2]}
end

-- the same batch again: its sender has not heard what came of it.  That is
-- touched, so that a WAIT behind it waits for this connection's write

local before = redis.call('HGET', KEYS[4], ARGV[4])

if before and string.sub(before, 1, #ARGV[5] + 1) == ARGV[5] .. ' ' then
    redis.call('PEXPIRE', KEYS[4], 3600000)

    return {'OK', before}
end

local time = redis.call('TIME')
local ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local node = redis.call('HGET', KEYS[3], ARGV[3])

if not node or tonumber(string.match(node, '^%d+')) < tonumber(ms) then
    return {'GONE'}
end

if ARGV[8] ~= ''
    and (redis.call('HGET', KEYS[1], 'books') or '0:0') ~= ARGV[8]
then
    return {'BOOKS'}
end

-- what goes with the entry is done behind it, as that may fail; a key may come
-- twice in one batch

local items, answer, behind = {}, {ARGV[5], ms}, {}
local key, taken, old, created = 6, {}, nil, nil

for i = 10, #ARGV, 2 do
    local flag = string.sub(ARGV[i], 1, 1)

    if flag == 'm' then
        old = old and old + 1

    else
        old = nil

        if flag == 's' then
            behind[#behind + 1] = {'HSET', KEYS[5], string.sub(ARGV[i], 2),
                                   ARGV[i + 1]}

        elseif flag == 'd' then
            behind[#behind + 1] = {'HDEL', KEYS[5], string.sub(ARGV[i], 2)}

        elseif flag == 'k' then
            local name = KEYS[key]
            local kept = taken[name] or redis.call('GET', name)

            if kept then
                old, created = string.match(kept, '^(%d+)@(%d+)$')
                old = tonumber(old)

            else
                taken[name] = string.format('%.0f@%s', seq + 1, ms)
                behind[#behind + 1] = {'SET', name, taken[name],
                                       'PX', ARGV[7]}
            end

            key = key + 1
        end
    end

    if old then
        answer[#answer + 1] = string.format('%.0f@%s', old, created)

    else
        seq = seq + 1
        items[#items + 1] = ARGV[i + 1]
        answer[#answer + 1] = string.format('%.0f', seq)
    end
end

answer = table.concat(answer, ' ')

if #items > 0 then
    local last = string.format('%.0f', seq)
    local entry = {'XADD', KEYS[2]}

    -- ids of an older term are smaller than all of this one: they stay until
    -- this one has as many events as the log keeps

    if seq - ARGV[6] > tonumber(meta[4]) then
        entry[3], entry[4] = 'MINID', '~'
        entry[5] = string.format('%s-%.0f', ARGV[1], seq - ARGV[6])
    end

    entry[#entry + 1] = ARGV[1] .. '-' .. last

    for _, field in ipairs({'n', ARGV[3], 'k', ARGV[5], 'p', meta[3],
                            't', ms, 'c', #items,
                            'd', table.concat(items)}) do
        entry[#entry + 1] = field
    end

    redis.call(unpack(entry))
    redis.call('HSET', KEYS[1], 'seq', last, 'nonce', ARGV[5])

    if ARGV[8] ~= '' then
        redis.call('HSET', KEYS[1], 'books', ARGV[1] .. ':' .. last,
                   'row', ARGV[9])
    end
end

for _, command in ipairs(behind) do
    redis.call(unpack(command))
end

redis.call('HSET', KEYS[4], ARGV[4], answer)
redis.call('PEXPIRE', KEYS[4], 3600000)

return {'OK', answer}
