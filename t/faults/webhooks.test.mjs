/*
 * Books that are kept from webhooks alone: 2,000 connections come and go on
 * presence channels and public ones, workers are killed, all of nginx is
 * killed and started again, it is reloaded, and the receiver is down for a
 * minute, has errors, hangs, takes a request and breaks the connection.  In
 * the end the books are what the HTTP API tells, channel by channel, member by
 * member; on the way nothing was told twice but under the same id, and nothing
 * in an order that can't be.  Who is back at once was never told to be gone.
 *
 * The end is an event: a channel that is occupied and vacated last of all.
 * When its channel_vacated comes, all that was before it has come; what was
 * lost with nginx is told 13 s behind its start, and so maybe behind another.
 *
 * In short, 300 connections and 11 s; in full with CHAT_WHOLE=1.
 * STORM_SEED=n repeats what was chosen by chance.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { generator } from '../e2e/churn.mjs';
import { freePort } from '../e2e/port.mjs';
import { Receiver } from '../e2e/receiver.mjs';
import { withServer } from '../e2e/server.mjs';
import { killAll, senders } from './deaths.mjs';
import { recount } from './recount.mjs';
import { Visitors } from './visitors.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);

const CONNECTIONS = whole ? 2000 : 300;
const STEADY = whole ? 50 : 20;
const STEPS = whole ? 4 : 2;            // of the crowd, in a tick
const TICK = 10;
const LATE = 60000;                     // ms until the books must agree
const CHANNELS = whole ? { large: 4, small: 1000, open: 1500 }
                       : { large: 2, small: 150, open: 250 };

// by the time of the churn, in ms; the sender is killed 3 s after a reload, so
// that its successor reads again of those who were away just then
const PLAN = whole ? [
    [5000, 'kill a worker'], [10000, 'reload'],
    [15000, 'down'], [25000, 'kill all'], [30000, 'reload'],
    [33500, 'kill the sender'], [35000, 'error'], [55000, 'hangs'],
    [75000, 'answers'], [80000, 'reload'], [90000, 'end'],
] : [
    [1000, 'kill a worker'], [2000, 'reload'],
    [2500, 'down'], [4000, 'kill all'], [5000, 'reload'], [5500, 'error'],
    [6500, 'hangs'], [8000, 'answers'], [8500, 'kill the sender'],
    [9500, 'reload'], [11000, 'end'],
];

// what the second one wants, which is never down
const SOME = /^(presence-small-1|room-1)/;

const KINDS = 'events=channel_occupied,channel_vacated,'
              + 'member_added,member_removed';


class Trial {
    restarts = [];                      // { killed, started }
    fences = 0;

    constructor(server, seed, [all, some]) {
        this.server = server;
        this.random = generator(seed);
        this.all = all;
        this.some = some;

        // some requests are taken, but have no answer or half of one
        all.lapse = (n) => (n % 40 === 17 ? 'cut'
                            : n % 40 === 37 ? 'half' : 'answers');
        some.lapse = (n) => (n % 400 === 399 ? 'cut' : 'answers');
    }

    async start() {
        this.crowd = new Visitors(this.server.port, this.random, CHANNELS);

        const { channels } = this.crowd;

        for (let i = 0; i < CONNECTIONS; i++) {
            const n = i % 4 === 0 ? CHANNELS.large : channels.length;

            this.crowd.add(`user-${i % Math.ceil(CONNECTIONS * 0.75)}`)
                      .join(channels[this.random(n)]);
        }

        for (let i = 0; i < STEADY; i++) {
            this.crowd.addSteady(`steady-${i}`, i % 2 ? channels[0]
                                                      : 'presence-steady');
        }

        await this.crowd.settle();
    }

    async churn() {
        const start = Date.now();
        const plan = [...PLAN];

        for ( ;; ) {
            if (Date.now() - start >= plan[0][0]) {
                const [, what] = plan.shift();

                if (what === 'end') {
                    return;
                }

                await this.does(what);
            }

            for (let i = 0; i < STEPS; i++) {
                this.crowd.step();
            }

            await sleep(TICK);
        }
    }

    async does(what) {
        const { server } = this;
        const workers = server.workers();

        switch (what) {

        case 'kill the sender':
            process.kill(senders(workers, this.some.port)[0]
                         ?? workers[this.random(workers.length)], 'SIGKILL');
            return;

        case 'kill a worker':
            process.kill(workers[this.random(workers.length)], 'SIGKILL');
            return;

        case 'reload':
            server.reload();
            return;

        case 'kill all': {
            const killed = performance.now();

            await killAll(server);

            // whoever does not come back must not stay in the books
            this.crowd.replace(CONNECTIONS / 10, (i) => `late-${i}`);
            this.restarts.push({ killed, started: performance.now() });
            await server.start(server.port);
            return;
        }

        default:
            await this.all.be(what);
        }
    }

    /* A channel is vacated last: all that was before is told before it. */

    async fence() {
        const channel = `room-1-fence-${this.fences++}`;
        const one = this.crowd.add('fence');

        const told = (name) => (
            Promise.all([this.all, this.some].map((receiver) => (
                receiver.told(name, { channel }, 180000)))));

        one.join(channel);
        await told('channel_occupied');
        one.leave(channel);
        await told('channel_vacated');
        await this.crowd.settle();
    }

    /*
     * Removals of the steady ones.  None may be where one can't have been
     * away for a second, or has come back within 8 s of nginx's restart: 3 s
     * of grace and 10 s until the census, less what a busy machine adds.
     */

    checkSteady() {
        const short = ({ from, to }) => (
            to - from < 1000 || this.restarts.some(({ killed, started }) => (
                from < killed && killed - from < 1000 && killed < to
                && to - started < 8000)));
        const removed = this.all.of('member_removed');
        let times = 0, proved = 0;

        for (const { user, away } of this.crowd.steady) {
            const n = removed.filter(({ user_id: id }) => id === user).length;
            const long = away.filter((one) => !short(one)).length;

            times += away.length;
            proved += away.length - long;
            assert.ok(n <= long, `${user} was told to be gone ${n} times, `
                                 + JSON.stringify(away));
        }

        return { times, proved };
    }

    sum() {
        const { counts, events, requests } = this.all;

        return { ...counts, events: events.items.length,
                 batches: requests.items.length,
                 some: this.some.counts,
                 fences: this.fences,
                 occupied: this.all.of('channel_occupied').length,
                 vacated: this.all.of('channel_vacated').length,
                 added: this.all.of('member_added').length,
                 removed: this.all.of('member_removed').length };
    }
}


/* What some books have, and others have not. */

function surplus(books, others) {
    return Object.entries(books).flatMap(([channel, users]) => [
        ...(others[channel] ? [] : [channel]),
        ...users.filter((user) => !others[channel]?.includes(user))
                .map((user) => `${user} of ${channel}`)]);
}


function agree(books, truth, whose) {
    assert.deepEqual({ ghosts: surplus(books, truth),
                       missing: surplus(truth, books) },
                     { ghosts: [], missing: [] }, whose);
}


async function truth(server, receivers, seed) {
    const trial = new Trial(server, seed, receivers);
    const [all, some] = receivers;

    try {
        await trial.start();
        await trial.churn();
        receivers.forEach((one) => { one.lapse = () => 'answers'; });

        await server.left();
        await trial.crowd.settle();

        const counted = await recount(server);

        agree(counted, trial.crowd.sum(), 'the HTTP API');

        const end = Date.now() + LATE;

        do {
            await trial.fence();
        } while (!isDeepStrictEqual(all.books.sum(), counted)
                 && Date.now() < end);

        // and so it stays
        await trial.fence();
        agree(all.books.sum(), counted, 'the books');
        agree(some.books.sum(), Object.fromEntries(
            Object.entries(counted).filter(([name]) => SOME.test(name))),
            'the books of some channels');
        agree(await recount(server), counted, 'the HTTP API again');

        for (const receiver of receivers) {
            assert.deepEqual(receiver.faults, []);
            assert.equal(receiver.epochs.size, 1);
            assert.equal(receiver.pending, null);
        }

        await server.until(({ webhooks: { queued, dead } }) => (
            queued === 0 && dead === 0), 'empty outbox');

        assert.ok(Object.keys(counted).length > 50);
        assert.ok(all.counts.repeated > 0);
        assert.deepEqual(trial.crowd.faults, []);

        console.error(JSON.stringify({ seed, ...trial.sum(),
                                       steady: trial.checkSteady() }));

    } finally {
        trial.crowd?.close();
    }
}


describe('webhooks and the truth', { timeout: 900000 }, () => {

    const seed = Number(process.env.STORM_SEED
                        ?? Math.floor(Math.random() * 2 ** 32));

    it(`${CONNECTIONS} connections, seed: ${seed}`, async () => {
        const all = await Receiver.start();
        const some = await Receiver.start({ largest: 1 });

        await withServer(
            { workers: 4, connections: 8192, zone: '64m',
              http: 'chat_drain 1s;', port: await freePort(),
              app: `webhook ${all.url} ${KINDS};
                    webhook ${some.url} ${KINDS} batch=off
                            channels=presence-small-1*,room-1*;`,
              allow: new RegExp('exited on signal 9'
                                + '|shared memory zone .* was locked'
                                + '|chat shared memory was wiped') },
            (server) => truth(server, [all, some], seed)
        ).finally(() => Promise.all([all.close(), some.close()]));
    });
});
