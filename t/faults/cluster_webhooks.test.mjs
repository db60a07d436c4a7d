/*
 * Books that are kept from a cluster's webhooks alone: clients come and go on
 * three nodes, while workers and nodes are killed and stopped, nodes reload,
 * the engine is stopped and killed, and the receiver refuses, hangs or breaks
 * the connection.  In the end the books are what each node's HTTP API tells;
 * on the way nothing was told twice but under the same id, nor in an order
 * that can't be.
 *
 * The end is an event, as in webhooks.test.mjs: a channel that is vacated last.
 *
 * 6 faults; CHAT_WHOLE=1: 30.  STORM_SEED=n repeats what was chosen by chance.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { generator } from '../e2e/churn.mjs';
import { Engine } from '../e2e/engine.mjs';
import { Receiver } from '../e2e/receiver.mjs';
import { harm, withNodes } from './nodes.mjs';
import { recount } from './recount.mjs';
import { Visitors } from './visitors.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);

const FAULTS = whole ? 30 : 6;
const CONNECTIONS = whole ? 200 : 60;   // of each node
const STEPS = 60;                       // of each crowd, behind a fault
const TICK = 10;
const LATE = 120000;                    // ms until the books must agree
const NODES = ['a', 'b', 'c'];
const CHANNELS = { large: 2, small: 40, open: 60 };
const KINDS = ['worker', 'worker', 'node', 'stopped', 'reload',
               'engine stopped', 'engine killed'];


class Trial {
    fences = 0;

    constructor(servers, engine, random, receiver) {
        Object.assign(this, { servers, engine, random, receiver });

        receiver.lapse = (n) => (n % 20 === 17 ? 'cut'
                                 : n % 20 === 7 ? 'half' : 'answers');

        this.crowds = servers.map(({ port }) => (
            new Visitors(port, random, CHANNELS)));
    }

    each(what) {
        return Promise.all(this.crowds.map(what));
    }

    async start() {
        this.crowds.forEach((crowd, at) => {
            for (let i = 0; i < CONNECTIONS; i++) {
                const channels = crowd.channels;

                // two in three have a window at another node as well
                crowd.add(`user-${i % 3 ? i : `${at}-${i}`}`)
                     .join(channels[this.random(channels.length)]);
            }
        });

        await this.each((crowd) => crowd.settle());
    }

    async churn(done) {
        const modes = ['error', 'hangs'];

        for (let i = 0; i < FAULTS; i++) {
            const kind = KINDS[this.random(KINDS.length)];

            done.push(kind);
            await this.receiver.be(i % 3 === 2 ? modes[i % 2] : 'answers');
            await harm(kind, this.servers, this.engine, this.random);

            for (let step = 0; step < STEPS; step++) {
                this.crowds.forEach((crowd) => crowd.step());
                await sleep(TICK);
            }
        }

        await this.receiver.be('answers');
        this.receiver.lapse = () => 'answers';
    }

    /* A channel is vacated last: all that was before is told before it. */

    async fence() {
        const channel = `room-fence-${this.fences++}`;
        const [crowd] = this.crowds;
        const one = crowd.add('fence');

        one.join(channel);
        await this.receiver.told('channel_occupied', { channel }, LATE);
        one.leave(channel);
        await this.receiver.told('channel_vacated', { channel }, LATE);
        await crowd.settle();
    }

    /* Who is there, as the clients have it. */

    truth() {
        const all = {};

        for (const sum of this.crowds.map((crowd) => crowd.sum())) {
            for (const [channel, users] of Object.entries(sum)) {
                all[channel] = [...new Set([...(all[channel] ?? []),
                                            ...users])].sort();
            }
        }

        return Object.fromEntries(Object.entries(all).sort());
    }

    close() {
        this.crowds.forEach((crowd) => crowd.close());
    }
}


async function truth(trial, done) {
    const { receiver, servers } = trial;

    await trial.start();
    await trial.churn(done);
    await trial.each((crowd) => crowd.settle());

    /* all agree: what clients have, each node, and the books */

    const end = Date.now() + LATE;
    let counted = null;

    do {
        await trial.fence();
        counted = trial.truth();
    } while (!isDeepStrictEqual(receiver.books.sum(), counted)
             && Date.now() < end);

    for (const server of servers) {
        assert.deepEqual(await recount(server), counted,
                         'the HTTP API');
    }

    await trial.fence();
    assert.deepEqual(receiver.books.sum(), counted, 'the books');
    assert.deepEqual(receiver.faults, []);
    assert.equal(receiver.epochs.size, 1);
    assert.equal(receiver.pending, null);
    assert.ok(Object.keys(counted).length > 20);
    assert.ok(receiver.counts.repeated > 0);
}


describe("a cluster's webhooks", { timeout: 1800000 }, () => {
    const seed = Number(process.env.STORM_SEED ?? Date.now() % 1e9);

    it(`tell the truth, seed: ${seed}`, async () => {
        const random = generator(seed);
        const engine = await Engine.start();
        const receiver = await Receiver.start();
        const done = [];

        try {
            await withNodes(NODES, engine, async (servers) => {
                const trial = new Trial(servers, engine, random, receiver);

                try {
                    await truth(trial, done);

                } finally {
                    trial.close();
                    console.error(JSON.stringify({
                        seed, done: done.join(','), ...receiver.counts,
                        tally: receiver.tally }));
                }
            }, {
                app: `webhook ${receiver.url} events=channel_occupied,`
                     + 'channel_vacated,member_added,member_removed;',
            });

        } finally {
            await engine.finish();
            await receiver.close();
        }
    });
});
