/*
 * The engine of a cluster stands still while clients post, read and join.  No
 * event loop waits for it, by the measure of stall.test.mjs: Pings are
 * answered, and in the end all requests are, and all joins.  Where it stands
 * for as long as they may wait, some are refused, by 503.
 *
 * In full, with CHAT_WHOLE=1, 2,000 members are there, the engine stands for
 * 10 s, and less than 50 ms are wanted, on a machine that does nothing else;
 * in short 200, 3 s, and less than 10 s.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Engine } from '../e2e/engine.mjs';
import { withServer } from '../e2e/server.mjs';
import { keep, member, Probe } from './idle.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const MEMBERS = whole ? 2000 : 200;
const CHANNELS = MEMBERS / 50;
const STANDS = whole ? 10000 : 3000;    // ms
// ms that a read waits, and a message for the batch before it; then it is 503
const WAITS = 10000;
const LIMIT = whole ? 50 : 10000;       // ms
const PATIENT = 60000;                  // ms for an answer
const FORGET = 150000;                  // ms, more than chat_status remembers
const ALLOW = /chat cluster: /;


async function join(server, members, n, lost) {
    const first = members.length;

    members.push(...await Promise.all(Array.from({ length: n }, (_, i) => (
        member(server.port, `member-${first + i}`,
               `presence-stall-${(first + i) % CHANNELS}`, lost)))));
}


/* Posts, and reads, until it is told to end; how often each status came. */

function requests(server) {
    const counts = {};
    const work = { counts, ended: false };

    const loops = Array.from({ length: 8 }, async (_, i) => {
        const method = i % 2 ? 'GET' : 'POST';
        const members = i % 2 ? null : { content: 'text' };

        while (!work.ended) {
            const { status } = await server.request(method, '/messages',
                                                    members, {}, PATIENT);
            const name = `${method} ${status}`;

            counts[name] = (counts[name] ?? 0) + 1;
        }
    });

    work.end = () => {
        work.ended = true;
        return Promise.all(loops);
    };

    return work;
}


async function stalls(server, engine) {
    const members = [];
    const seen = {};
    const living = keep(members);
    let lost = 0;
    let probe;
    let work;

    const leave = () => { lost++; };

    try {
        while (members.length < MEMBERS) {
            await join(server, members, 50, leave);
        }

        probe = new Probe(server);
        await probe.answered();
        await probe.look();

        if (whole) {
            await sleep(FORGET);
            await probe.look();
        }

        work = requests(server);

        engine.stop();

        const late = join(server, members, 20, leave);
        const stands = sleep(STANDS);

        await probe.answered();
        await stands;
        seen.stands = await probe.look();
        engine.go();

        await late;
        seen.again = await probe.look();
        await work.end();
        await server.post('the end');

        console.error(JSON.stringify({ ...seen, ...work.counts }));

        assert.equal(lost, 0, 'all are there to the end');
        assert.ok(seen.stands.pings > 0, 'Pings were answered');
        assert.deepEqual(Object.keys(work.counts).filter((name) => (
            !name.endsWith(' 503') || STANDS < WAITS)).sort(),
                         ['GET 200', 'POST 201'],
                         'all requests were answered in the end');

        for (const [name, { turn }] of Object.entries(seen)) {
            assert.ok(turn < LIMIT, `${name}: ${turn} ms`);
        }

    } finally {
        clearInterval(living);
        work?.end().catch(() => {});
        members.forEach((one) => {
            one.onclose = () => {};
            one.destroy();
        });
        probe?.child.disconnect();
    }
}


describe('an engine that stands still', { timeout: 600000 }, () => {
    it(`${MEMBERS} members, ${STANDS} ms`, async () => {
        const engine = await Engine.start();

        try {
            await withServer({
                workers: 2, zone: '64m', connections: 16384, allow: ALLOW,
                http: `chat_cluster ${engine.url} timeout=1m lease=5m`
                      + ' isolate=5m;',
            }, (server) => stalls(server, engine));

        } finally {
            await engine.finish();
        }
    });
});
