/*
 * 10,000 members of 40 channels leave at once: all are told to be gone, once
 * each, in batches, and no worker needs much more memory for it.
 *
 * In short 1,000 of 10; in full with CHAT_WHOLE=1.
 */

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Receiver } from '../e2e/receiver.mjs';
import { withServer } from '../e2e/server.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const MEMBERS = whole ? 10000 : 1000;
const CHANNELS = whole ? 40 : 10;
const MORE = 16 * 1024;                 // kB of a worker, at most
const LATE = 300000;


/* What the process has in memory now, and the most since it was forgotten. */

function memory(pid) {
    const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');

    return { now: +/^VmRSS:\s+(\d+)/m.exec(text)[1],
             most: +/^VmHWM:\s+(\d+)/m.exec(text)[1] };
}


function forget(pid) {
    fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
}


async function leave(server, receiver) {
    const throng = fork(fileURLToPath(new URL('throng.mjs', import.meta.url)),
                        [server.port, MEMBERS, CHANNELS].map(String));
    const gone = once(throng, 'exit');

    const told = (name, n) => receiver.events.until(
        () => receiver.tally[name] >= n, `${n} ${name}`, LATE);

    try {
        const [said] = await Promise.race([once(throng, 'message'), gone]);

        assert.equal(said, 'there');
        await told('member_added', MEMBERS);

        const { length: batches } = receiver.requests.items;
        const workers = server.workers();

        workers.forEach(forget);

        const before = workers.map((pid) => memory(pid).now);

        throng.kill('SIGKILL');
        await told('channel_vacated', CHANNELS);

        const more = workers.map((pid, i) => memory(pid).most - before[i]);
        const sent = receiver.requests.items.length - batches;

        console.error(JSON.stringify({ members: MEMBERS, batches, sent,
                                       before, more }));

        assert.equal(receiver.tally.member_removed, MEMBERS);
        assert.equal(receiver.tally.member_added, MEMBERS);
        assert.deepEqual(receiver.books.sum(), {});
        assert.deepEqual(receiver.faults, []);
        assert.ok(sent <= (MEMBERS + CHANNELS) / 10, `${sent} batches`);
        assert.ok(more.every((kb) => kb < MORE), `${more} kB more`);
        assert.deepEqual(server.workers(), workers);

    } finally {
        throng.kill('SIGKILL');
        await gone;
    }
}


describe('all leave at once', { timeout: 900000 }, () => {

    it(`${MEMBERS} members`, async () => {
        const receiver = await Receiver.start();

        await withServer(
            { workers: 4, zone: '64m', connections: 16384,
              app: `webhook ${receiver.url};` },
            (server) => leave(server, receiver)
        ).finally(() => receiver.close());
    });
});
