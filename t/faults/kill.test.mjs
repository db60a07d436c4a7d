/*
 * Kill anywhere: under load a random worker of four is killed by SIGKILL, at
 * a random moment or, about a third of them, at a failpoint: inside a change of
 * shared memory, which is wiped then, so that everybody has to come back, or
 * between a commit and what follows it.
 *
 * 20 kills; CHAT_WHOLE=1: 200, and every failpoint that the load comes by.
 * STORM_SEED=n repeats what was chosen by chance.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { withServer } from '../e2e/server.mjs';
import { Storm } from './storm.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const build = fileURLToPath(new URL('../../build/', import.meta.url));
const KILLS = whole ? 200 : 20;

// those of a load without unusual ends, in no order
const POINTS = [
    'commit', 'committed', 'sent', 'clean', 'resent', 'publish', 'published',
    'rouse', 'append', 'append reserved', 'append packed', 'appended',
    'ring mark held', 'ring tail', 'ring record', 'ring commit', 'ring mark',
    'ring marked', 'alloc', 'free', 'subscribed', 'member joined',
    'member told to leave', 'cached', 'clear', 'slot leased', 'slot reaped',
    'wipe', '*',
];

// somebody must die first for these, and where: with the lock only for "wipe"
const FIRST = { 'slot leased': 'published', 'slot reaped': 'published',
                clear: 'published', resent: 'committed',
                wipe: 'member joined' };


/* The file that tells the workers where to die. */

class Failpoints {
    constructor() {
        this.path = fs.mkdtempSync(`${build}failpoints-`) + '/control';
        fs.writeFileSync(this.path, Buffer.alloc(128));
        this.fd = fs.openSync(this.path, 'r+');
        process.env.CHAT_FAILPOINTS = this.path;
    }

    /* One of two, i. */

    arm(i, name, passes) {
        const text = Buffer.alloc(56);
        const number = Buffer.alloc(8);

        number.writeBigInt64LE(BigInt(passes));
        text.write(name);
        fs.writeSync(this.fd, Buffer.alloc(56), 0, 56, i * 64);
        fs.writeSync(this.fd, number, 0, 8, i * 64 + 56);
        fs.writeSync(this.fd, text, 0, 56, i * 64);
    }

    left(i) {
        const number = Buffer.alloc(8);

        fs.readSync(this.fd, number, 0, 8, i * 64 + 56);
        return number.readBigInt64LE();
    }

    /* Waits until somebody has died there: whether one has. */

    async fired(i, ms) {
        const end = Date.now() + ms;

        while (this.left(i) > 0 && Date.now() < end) {
            await sleep(2);
        }

        fs.writeSync(this.fd, Buffer.alloc(56), 0, 56, i * 64);
        return this.left(i) <= 0;
    }

    remove() {
        fs.closeSync(this.fd);
        fs.rmSync(fileURLToPath(new URL('.', `file://${this.path}`)),
                  { recursive: true });
    }
}


function shuffled(list, random) {
    return list.map((one) => [random(2 ** 32), one])
               .sort(([a], [b]) => a - b).map(([, one]) => one);
}


function deaths(server) {
    return [...server.log().matchAll(
        /worker process (\d+) exited on signal 9/g)].length;
}


/* Kills one, or two, and waits for their successors: how many have died. */

async function kill(server, storm, points, name) {
    const before = deaths(server);
    let n = 0;

    if (FIRST[name]) {
        points.arm(1, name, 1);
        points.arm(0, FIRST[name], 1);

        n += await points.fired(0, 5000);
        n += await points.fired(1, 5000);

    } else if (name) {
        points.arm(0, name, 1 + storm.random(name === '*' ? 200 : 3));
        n += await points.fired(0, whole ? 5000 : 1000);

    } else {
        const workers = server.workers();

        await sleep(storm.random(100));
        process.kill(workers[storm.random(workers.length)], 'SIGKILL');
        n = 1;
    }

    while (deaths(server) < before + n || server.workers().length < 4) {
        await sleep(5);
    }

    return n;
}


describe('kill anywhere', { timeout: 1800000 }, () => {

    const seed = Number(process.env.STORM_SEED
                        ?? Math.floor(Math.random() * 2 ** 32));

    it(`${KILLS} kills, seed: ${seed}`, async () => {
        const points = new Failpoints();

        await withServer(
            { workers: 4, zone: '8m', main: 'env CHAT_FAILPOINTS;',
              module: `${build}failpoints/ngx_chat_module.so`,
              app: 'cache_ttl 1s;',
              allow: new RegExp('exited on signal 9'
                                + '|shared memory zone .* was locked'
                                + '|chat shared memory was wiped') },
            async (server) => {
                const storm = new Storm(server, { seed });
                const missed = [];
                const order = shuffled(POINTS, storm.random);
                let kills = 0, placed = 0, next = 0;

                try {
                    await storm.start();

                    while (kills < KILLS) {
                        const name = storm.random(3) === 0
                                     ? order[next++ % order.length] : null;

                        const n = await kill(server, storm, points, name);

                        kills += n;
                        placed += name ? n : 0;

                        if (n === 0 || (FIRST[name] && n === 1)) {
                            missed.push(name);
                        }

                        await sleep(storm.random(200));
                    }

                    await storm.stop();

                    const history = await storm.check();
                    const status = await storm.checkEmpty();

                    assert.equal(deaths(server), kills, 'only the killed');
                    assert.equal(status.workers, 4);

                    // who dies with the lock is noticed by the master, too
                    const locked = server.log().split('was locked by').length
                                   - 1;

                    assert.ok(status.registry_wipes <= locked,
                              `${status.registry_wipes} wipes`);

                    console.error(JSON.stringify({
                        seed, kills, placed, missed,
                        stored: history.length,
                        acknowledged: storm.posted.length,
                        locked, wipes: status.registry_wipes,
                        resent: server.log().split('may have stored').length
                                - 1,
                        closes: storm.closes() }));

                } finally {
                    storm.close();
                }
            }).finally(() => points.remove());
    });
});
