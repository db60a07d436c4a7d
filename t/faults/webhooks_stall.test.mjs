/*
 * Receivers that could make an event loop wait: one that takes a request, and
 * answers, a byte a second; one that never answers; one whose name nobody
 * resolves, for minutes; and a database that somebody else has locked.  No
 * loop waits, by the measure of stall.test.mjs; POSTs go on; a receiver that
 * answers has all, and nginx ends in its time while a name is being resolved.
 *
 * In full, with CHAT_WHOLE=1, 10,000 subscribers and less than 50 ms, on a
 * machine that does nothing else; in short 500, and less than 10 s.
 *
 * The name server is one that does not answer, in a mount namespace of
 * nginx's own with another /etc/resolv.conf.  Only root can have that, and
 * not in every container; without it the others are there still.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Receiver } from '../e2e/receiver.mjs';
import { withServer } from '../e2e/server.mjs';
import { connections } from './deaths.mjs';
import { keep, locked, member, Probe } from './idle.mjs';
import { Storm } from './storm.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const build = fileURLToPath(new URL('../../build/', import.meta.url));
const IDLE = whole ? 10000 : 500;
const CHANNELS = IDLE / 250;            // of those
const LIMIT = whole ? 50 : 10000;       // ms
const FORGET = 150000;                  // ms, more than chat_status remembers
const POSTS = 50;                       // of a phase, at least

const NAMES = '127.53.0.1';             // of the name server


/* Reads a byte a second, and writes one; or does nothing at all. */

class Sloth {
    taken = 0;                          // connections
    sockets = new Set();

    static async start(ms) {
        const sloth = new Sloth();

        sloth.server = net.createServer({ pauseOnConnect: true }, (socket) => {
            sloth.serve(socket, ms);
        }).listen(0, '127.0.0.2');

        await once(sloth.server, 'listening');
        sloth.port = sloth.server.address().port;
        sloth.url = `http://127.0.0.2:${sloth.port}/hook`;

        return sloth;
    }

    serve(socket, ms) {
        const answer = [...'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'];

        this.taken++;
        this.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
            clearInterval(socket.ticking);
            this.sockets.delete(socket);
        });

        if (ms) {
            socket.ticking = setInterval(() => {
                socket.read(1);
                socket.write(answer.shift() ?? '');
            }, ms);
        }
    }

    close() {
        this.server.close();
        this.sockets.forEach((socket) => {
            clearInterval(socket.ticking);
            socket.destroy();
        });
    }
}


/* A name server that is asked, and does not answer. */

class Silence {
    asked = 0;

    static async start() {
        const silence = new Silence();
        const folder = fs.mkdtempSync(`${build}names-`);

        silence.folder = folder;
        silence.socket = dgram.createSocket('udp4');
        silence.socket.on('message', () => { silence.asked++; });
        silence.socket.bind(53, NAMES);
        await once(silence.socket, 'listening');

        fs.writeFileSync(path.join(folder, 'resolv.conf'),
            `nameserver ${NAMES}\noptions timeout:30 attempts:4\n`);
        fs.writeFileSync(path.join(folder, 'nsswitch.conf'),
                         'hosts: files dns\n');

        silence.under = ['unshare', '--mount', 'sh', '-ec',
            'for f in resolv.conf nsswitch.conf; do'
            + ` mount --bind "${folder}/$f" "/etc/$f"; done; exec "$0" "$@"`];

        return silence;
    }

    close() {
        this.socket.close();
        fs.rmSync(this.folder, { recursive: true });
    }
}


const canHang = process.getuid() === 0
                && spawnSync('unshare', ['--mount', 'true']).status === 0;


async function until(done, what) {
    const end = Date.now() + 120000;

    while (!done()) {
        assert.ok(Date.now() < end, what);
        await sleep(20);
    }
}


/* Waits until each of them has been met again, and so many have posted. */

async function meet(storm, drip, mute, silence) {
    const { taken } = drip;
    const { taken: others } = mute;
    const { length } = storm.posted;

    await until(() => drip.taken > taken, 'a request that takes long');
    await until(() => mute.taken > others, 'a request without an answer');
    await until(() => !silence || silence.asked > 0, 'a name');
    await until(() => storm.posted.length >= length + POSTS, 'POSTs');
}


async function stalls(server, { good, drip, mute, silence }) {
    const storm = new Storm(server, { seed: 1, subscribers: 20, members: 20 });
    const idle = [];
    const seen = {};
    const living = keep(idle);
    let lost = 0;
    let probe;

    try {
        while (idle.length < IDLE) {
            const first = idle.length;

            idle.push(...await Promise.all(
                Array.from({ length: 50 }, (_, i) => (
                    member(server.port, `idle-${first + i}`,
                           `presence-idle-${(first + i) % CHANNELS}`,
                           () => { lost++; })))));
        }

        await storm.start();
        probe = new Probe(server);
        await sleep(1000);
        seen.coming = await probe.look();

        if (whole) {
            await sleep(FORGET);
            await probe.look();
        }

        const phase = async (name, what) => {
            await what();
            seen[name] = await probe.look();
        };

        await phase('receivers', () => meet(storm, drip, mute, silence));
        await phase('locked', () => locked(server, probe, 3000));
        await phase('again', () => meet(storm, drip, mute, silence));
        await storm.stop();

        console.error(JSON.stringify({ ...seen, posted: storm.posted.length,
            drip: drip.taken, mute: mute.taken, asked: silence?.asked,
            good: good.counts }));
        assert.equal(lost, 0, 'all are there to the end');

        for (const [name, { turn }] of Object.entries(seen)) {
            assert.ok(name === 'coming' || turn < LIMIT,
                      `${name}: ${turn} ms`);
        }

        await storm.check();

    } finally {
        clearInterval(living);
        idle.forEach((one) => {
            one.onclose = () => {};
            one.destroy();
        });
        storm.close();
        probe?.child.disconnect();
    }

    // the one that answers is told to the end, whatever the others do
    await until(() => good.books.channels.size === 0, 'all to be vacated');
    assert.deepEqual(good.faults, []);
    assert.ok(connections(mute.port) <= 1 && connections(drip.port) <= 1,
              'one request each');

    // with a name that is being resolved, and requests that hang
    await server.stop('SIGQUIT');
    assert.doesNotMatch(server.log(), /exited on signal/);
}


describe('receivers that hang', { timeout: 1200000 }, () => {

    const named = canHang ? ', a name that nobody resolves' : '';

    it(`${IDLE} idle subscribers${named}`, async () => {
        const all = { good: await Receiver.start(),
                      drip: await Sloth.start(1000),
                      mute: await Sloth.start() };
        const urls = Object.values(all).map(({ url }) => url);

        if (canHang) {
            all.silence = await Silence.start();
            urls.push('http://hooks.example.com/hook');
        }

        await withServer(
            { workers: 4, zone: '64m', connections: 16384,
              under: all.silence?.under,
              app: urls.map((url) => `webhook ${url};`).join('\n') },
            (server) => stalls(server, all)
        ).finally(() => Object.values(all).forEach((one) => one.close()));
    });

    it('may give nginx a name server that does not answer', { skip: canHang
        ? false : 'only root may, where a mount namespace can be had' },
       () => {});
});
