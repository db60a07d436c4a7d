/*
 * What stalls are measured with: members that are there and do nothing else,
 * a process that sends Pings, and another one that locks the database.
 */

import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { key } from '../e2e/server.mjs';
import { sign } from '../e2e/signer.mjs';
import { WebSocket } from '../e2e/websocket.mjs';


/*
 * A member that looks at nothing any more once it has come; lost() is called
 * where it is closed after that.
 */

export function member(port, name, channel, lost) {
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

export function keep(members) {
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


export class Probe {
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

export async function locked(server, probe, ms) {
    const shell = spawn('sqlite3',
                        ['-batch', path.join(server.prefix, 'data/chat.db')]);
    let answered = false;

    shell.stdin.write('.timeout 10000\nBEGIN IMMEDIATE;\n.print locked\n');
    await once(shell.stdout, 'data');

    const post = server.post('waits').finally(() => { answered = true; });

    try {
        await Promise.all([sleep(ms), probe.answered().then(() => {
            assert.ok(!answered, 'a POST waits');
        })]);

    } finally {
        shell.stdin.end('COMMIT;\n');
        await Promise.all([post, once(shell, 'exit')]);
    }
}
