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
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { key, withServer } from '../e2e/server.mjs';
import { sign } from '../e2e/signer.mjs';
import { WebSocket } from '../e2e/websocket.mjs';
import { Storm } from './storm.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const IDLE = whole ? 10000 : 500;
const LIMIT = whole ? 50 : 10000;       // ms
const FORGET = 150000;                  // ms, more than chat_status remembers


/*
 * A member that looks at nothing any more once it has come; lost() is called
 * where it is closed after that.
 */

function member(port, name, channel, lost) {
    return new Promise((resolve, reject) => {
        const socket = new WebSocket(port, `/app/${key}?protocol=7`);

        socket.onclose = () => reject(new Error(`${name} was closed`));
        socket.onmessage = (text) => {
            const { event, data } = JSON.parse(text);

            if (event === 'pusher:connection_established') {
                const { socket_id: id } = JSON.parse(data);
                const channel_data = JSON.stringify({ user_id: name });

                socket.send(JSON.stringify({
                    event: 'pusher:subscribe',
                    data: { channel, channel_data,
                            auth: sign(`${id}:${channel}:${channel_data}`) },
                }));

            } else if (event === 'pusher_internal:subscription_succeeded') {
                socket.socket.removeAllListeners('data');
                socket.socket.on('data', () => {});
                socket.onclose = lost;
                resolve(socket);
            }
        };
    });
}


/*
 * They do not see the server's Pings, so each gives a sign of life every 40 s:
 * a Pong that was not asked for (RFC 6455, section 5.5.3).  By the clock, as
 * the timer comes late where this process has much to read.
 */

function keep(members) {
    let next = 0;
    let then = performance.now();

    return setInterval(() => {
        const now = performance.now();
        const n = Math.ceil(members.length * Math.min(1, (now - then) / 40000));

        then = now;

        for (let i = 0; i < n; i++) {
            members[next++ % members.length].write(10, Buffer.alloc(0));
        }
    }, 250);
}


class Probe {
    constructor(server) {
        this.server = server;
        this.child = fork(fileURLToPath(new URL('probe.mjs',
                                                import.meta.url)),
                          [String(server.port)]);
    }

    /* Each connection has sent some Pings, and has the answers. */

    async answered() {
        this.child.send({ answers: 10 });
        await once(this.child, 'message',
                   { signal: AbortSignal.timeout(60000) });
    }

    /* The worst since the last call, in ms: of Pings, of chat_status. */

    async look() {
        this.child.send({});

        const [{ worst, count }] = await once(this.child, 'message');
        const status = await this.server.status();
        const told = Object.values(status).filter(Array.isArray).flat()
            .map((worker) => worker.stall_recent_max_microseconds)
            .filter((value) => value !== undefined);

        return { pings: count, ping: Math.round(worst * 10) / 10,
                 turn: told.length ? Math.max(...told) / 1000 : null };
    }
}


/*
 * Another process has the database's write lock.  A POST waits for it, and
 * nobody waits for the POST.
 */

async function locked(server, probe, ms) {
    const shell = spawn('sqlite3',
                        ['-batch', path.join(server.prefix, 'data/chat.db')]);
    let answered = false;

    shell.stdin.write('.timeout 10000\nBEGIN IMMEDIATE;\n.print locked\n');
    await once(shell.stdout, 'data');

    const post = server.post('waits').finally(() => { answered = true; });

    try {
        await probe.answered();
        assert.ok(!answered, 'a POST waits');
        await sleep(ms);

    } finally {
        shell.stdin.end('COMMIT;\n');
        await Promise.all([post, once(shell, 'exit')]);
    }
}


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
