/*
 * Stalls: how long an event loop serves nobody, under what could make it
 * wait: a database that somebody else has locked, pages of 1,000 messages, a
 * large presence channel that is joined, a reader that does not read; with
 * many idle subscribers, and load.
 *
 * The longest turn is what chat_status tells of each worker, of the last
 * minute or two, where it does; and what Pings from another process meet.
 * While the database is locked each of these has answers, and a POST has none.
 *
 * In full, with CHAT_WHOLE=1, it is a measurement: 10,000 subscribers, less
 * than 50 ms by chat_status, and nothing else should run.  That so many come
 * at once is shown ("coming"), and is forgotten before the rest begins.
 *
 * In short, 500 subscribers, it may run beside anything.  A turn takes up to
 * 30 ms on an idle machine, up to a second on a busy one; it fails at ten.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { key, withServer } from '../e2e/server.mjs';
import { WebSocket } from '../e2e/websocket.mjs';
import { keep, locked, member, Probe } from './idle.mjs';
import { Storm } from './storm.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const IDLE = whole ? 10000 : 500;
const LIMIT = whole ? 50 : 10000;       // ms
const FORGET = 150000;                  // ms, more than chat_status remembers


async function pages(server, ms) {
    const end = Date.now() + ms;

    await Promise.all(Array.from({ length: 8 }, async () => {
        while (Date.now() < end) {
            const page = await server.history('?limit=1000');

            assert.ok(page.length === 1000);
        }
    }));
}


/* It subscribes, and never reads; the events come to more than its queue. */

async function slow(server) {
    const socket = net.connect({ port: server.port, host: '127.0.0.1' });
    const { slow_subscribers_closed: before } = await server.status();

    socket.on('error', () => {});
    socket.write(`GET /app/${key}?protocol=7 HTTP/1.1\r\nHost: a\r\n`
                 + 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
                 + 'Sec-WebSocket-Version: 13\r\n'
                 + `Sec-WebSocket-Key: ${btoa('0123456789abcdef')}\r\n\r\n`);
    await once(socket, 'data');
    await sleep(100);
    WebSocket.prototype.write.call({ socket }, 1, Buffer.from(
        '{"event":"pusher:subscribe","data":{"channel":"slow"}}'));
    await sleep(200);
    socket.pause();

    const content = 'x'.repeat(10000);

    for ( ;; ) {
        await Promise.all(Array.from({ length: 8 }, () => (
            server.publish('slow', 'large', content))));

        const { slow_subscribers_closed: now } = await server.status();

        if (now > before) {
            break;
        }
    }

    socket.destroy();
}


describe('stalls', { timeout: 1200000 }, () => {

    it(`${IDLE} idle subscribers`, () => withServer(
        { workers: 4, zone: '64m', connections: 16384 },
        async (server) => {
            const storm = new Storm(server, { seed: 1, subscribers: 20,
                                              members: 20 });
            const idle = [];
            const seen = {};
            const living = keep(idle);
            let lost = 0;
            let probe;
            const join = (name) => member(server.port, name, 'presence-idle',
                                          () => { lost++; });

            try {
                while (idle.length < IDLE) {
                    const first = idle.length;

                    idle.push(...await Promise.all(
                        Array.from({ length: 50 }, (_, i) => (
                            join(`idle-${first + i}`)))));
                }

                for (let i = 0; i < 125; i++) {
                    await Promise.all(Array.from({ length: 8 }, (_, n) => (
                        server.post(`message ${i} ${n}`))));
                }

                await storm.start();
                probe = new Probe(server);
                await sleep(1000);

                const before = await probe.look();

                seen.coming = before;

                if (whole && before.turn !== null) {
                    await sleep(FORGET);
                    await probe.look();
                }

                const phase = async (name, what) => {
                    await what();
                    seen[name] = await probe.look();
                };

                await phase('load', () => sleep(2000));
                await phase('locked', () => locked(server, probe, 2000));
                await phase('pages', () => pages(server, 2000));
                await phase('joins', async () => {
                    for (let i = 0; i < 20; i++) {
                        idle.push(await join(`late-${i}`));
                    }
                });
                await phase('slow', () => slow(server));
                await storm.stop();

                console.error(JSON.stringify(seen));
                assert.equal(lost, 0, 'all are there to the end');

                for (const [name, { ping, turn }] of Object.entries(seen)) {
                    if (name !== 'coming') {
                        assert.ok((turn ?? ping) < LIMIT,
                                  `${name}: ${turn ?? ping} ms`);
                    }
                }

            } finally {
                clearInterval(living);
                idle.forEach((one) => {
                    one.onclose = () => {};
                    one.destroy();
                });
                storm.close();
                probe?.child.disconnect();
            }
        }));
});
