/*
 * Presence under churn: 2,000 connections join and leave 20 channels while
 * workers are killed; in the end everyone knows who is there, and nothing is
 * left in shared memory when all are gone.
 *
 * CHURN_SEED=n repeats what a run has chosen by chance (its timing is another
 * matter); the seed is printed.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crowd, generator } from './churn.mjs';
import { withServer } from './server.mjs';

const CONNECTIONS = 2000;
const USERS = 1500;                     // so some have several connections
const DURATION = 20000;
const KILLS = [6000, 12000];
const TICK = 10;
const STEPS = 4;                        // in a tick, of the whole crowd

const channels = Array.from({ length: 20 }, (_, i) => `presence-${i}`);


/* For a time, the crowd moves, and workers die. */

async function churn(server, crowd, random) {
    const start = Date.now();
    const kills = [...KILLS];

    for ( ;; ) {
        const passed = Date.now() - start;

        if (passed >= DURATION) {
            break;
        }

        if (passed >= kills[0]) {
            const workers = server.workers();

            kills.shift();
            process.kill(workers[random(workers.length)], 'SIGKILL');
        }

        for (let i = 0; i < STEPS; i++) {
            crowd.step();
        }

        await sleep(TICK);
    }

    assert.deepEqual(kills, []);
}


/* What one who comes now is told of who is there; the last stay. */

async function look(server, expected) {
    const end = Date.now() + 30000;

    for ( ;; ) {
        const fresh = new Crowd(server.port, channels, generator(1));

        channels.forEach((channel) => fresh.add('fresh').join(channel));
        await fresh.settle();

        const seen = fresh.connections.map(({ rooms }, i) => (
            [...rooms.get(channels[i])].sort()));

        if (same(seen, expected) || Date.now() > end) {
            assert.deepEqual(seen, expected);
            return fresh;
        }

        fresh.close();
        await sleep(100);
    }
}


function same(one, other) {
    return JSON.stringify(one) === JSON.stringify(other);
}


/* Every connection's own list, at one and the same place of the order. */

async function agree(server, crowds, expected) {
    for (const [i, channel] of channels.entries()) {
        const { id } = await server.publish(channel, 'fence', 'all');
        const inside = crowds.flatMap((crowd) => (
            crowd.connections.filter(({ rooms }) => rooms.has(channel))));

        for (const crowd of crowds) {
            await crowd.until(() => (
                crowd.connections.every(({ rooms, fences }) => (
                    !rooms.has(channel) || fences.get(channel) === id))),
                `told the message on ${channel}`);
        }

        for (const one of inside) {
            assert.deepEqual([...one.rooms.get(channel)].sort(), expected[i],
                             `${channel}, as ${one.user} sees it`);
        }
    }
}


describe('presence under churn', { timeout: 300000 }, () => {

    const seed = Number(process.env.CHURN_SEED
                        ?? Math.floor(Math.random() * 2 ** 32));

    it(`is exact in the end, seed: ${seed}`, () => withServer(
        { workers: 4, connections: 8192, zone: '64m',
          allow: new RegExp('exited on signal 9'
                            + '|shared memory zone .* was locked'
                            + '|chat shared memory was wiped') },
        async (server) => {
            const random = generator(seed);
            const before = await server.status();
            const crowd = new Crowd(server.port, channels, random);
            let fresh;

            try {
                for (let i = 0; i < CONNECTIONS; i++) {
                    crowd.add(`user-${i % USERS}`)
                         .join(channels[random(channels.length)]);
                }

                await crowd.settle();
                await churn(server, crowd, random);
                await crowd.settle();

                const expected = channels.map((channel) => (
                    ['fresh', ...crowd.members(channel)]));

                assert.ok(expected.flat().length > CONNECTIONS / 2);

                fresh = await look(server, expected);
                await agree(server, [crowd, fresh], expected);

                const { connections, registry_wipes: wipes }
                    = await server.status();

                assert.equal(connections, CONNECTIONS + channels.length);

                // it is no fault to be told to reconnect where a worker died
                // with the lock
                assert.deepEqual([...crowd.faults, ...fresh.faults].filter(
                    (text) => !wipes || !/was told {"code":4200,/.test(text)),
                    []);
                assert.deepEqual([...fresh.repeated], []);
                assert.ok(crowd.repeated.size <= KILLS.length,
                          [...crowd.repeated].join(', '));

            } finally {
                crowd.close();
                fresh?.close();
            }

            const after = await server.until(
                (now) => now.connections === 0
                         && now.zone_used_bytes === before.zone_used_bytes,
                `return to ${before.zone_used_bytes} bytes`);

            for (const what of ['channels', 'members', 'subscriptions',
                                'overruns', 'slow_subscribers_closed'])
            {
                assert.equal(after[what], 0, what);
            }

            assert.equal(after.workers, 4);

            if (process.env.CHURN_VERBOSE) {
                console.error(JSON.stringify({ seed, frames: crowd.frames,
                                               after }));
            }
        }));
});
