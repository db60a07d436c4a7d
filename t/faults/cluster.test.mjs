/*
 * Three nodes as one, under load, while workers and nodes are killed and
 * stopped, nodes reload, and the engine is stopped and killed.  In the end
 * each node's history has every message that got a 201, once and under its
 * id, none that got a 503, and all three are the same; and no subscriber has
 * seen anything else, or in another order.
 *
 * 8 faults; CHAT_WHOLE=1: 40, and 300 subscribers.  STORM_SEED=n repeats what
 * was chosen by chance.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { generator } from '../e2e/churn.mjs';
import { Engine } from '../e2e/engine.mjs';
import { freePort } from '../e2e/port.mjs';
import { key, withServer } from '../e2e/server.mjs';
import { WebSocket } from '../e2e/websocket.mjs';
import { killAll } from './deaths.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const FAULTS = whole ? 40 : 8;
const SUBSCRIBERS = whole ? 100 : 20;   // of each node
const PUBLISHERS = 12;
const NODES = ['a', 'b', 'c'];
const COMMAND = JSON.stringify({ event: 'pusher:subscribe',
                                 data: { channel: 'chat' } });

// what happens to workers and to the engine is logged, as are requests that
// are not answered in time
const ALLOW = new RegExp([
    'exited on signal 9', 'was locked by', 'shared memory was wiped',
    'chat cluster: ', 'open socket',
].join('|'));


/* Comes back whenever it is cut off or sent away. */

class Subscriber {
    seen = new Map();                   // contents by id
    faults = [];
    ended = false;

    constructor(server) {
        this.server = server;
        this.open();
    }

    open() {
        let last = 0;

        if (this.ended) {
            return;
        }

        this.ws = new WebSocket(this.server.port, `/app/${key}?protocol=7`);
        this.ws.onclose = () => setTimeout(() => this.open(), 100);
        this.ws.onmessage = (text) => {
            const { event, data } = JSON.parse(text);

            if (event === 'pusher:connection_established') {
                this.ws.send(COMMAND);

            } else if (event === 'new_message') {
                const { id, content } = JSON.parse(data);

                if (id <= last) {
                    this.faults.push(`${id} behind ${last}`);
                }

                last = id;
                this.seen.set(id, content);
            }
        };
    }

    end() {
        this.ended = true;
        this.ws.onclose = () => {};
        this.ws.socket.destroy();
    }
}


class Load {
    answers = new Map();                // statuses by content
    ids = new Map();                    // contents by id, of each 201
    ended = false;

    constructor(servers, random) {
        this.subscribers = servers.flatMap((server) => (
            Array.from({ length: SUBSCRIBERS }, () => new Subscriber(server))
        ));
        this.publishers = Array.from({ length: PUBLISHERS },
                                     (_, i) => this.publish(i, servers,
                                                            random));
    }

    async publish(i, servers, random) {
        for (let k = 0; !this.ended; k++) {
            const content = `${i}-${k}`;
            const server = servers[random(servers.length)];

            await server.request('POST', '/messages', { content })
                .then(({ status, text }) => {
                    this.answers.set(content, status);

                    if (status === 201) {
                        this.ids.set(JSON.parse(text).id, content);
                        return;
                    }

                    return sleep(50);
                })
                .catch(() => sleep(50));
        }
    }

    async end() {
        this.ended = true;
        await Promise.all(this.publishers);
    }
}


async function allOf(server) {
    const all = [];

    for ( ;; ) {
        const after = all.at(-1)?.id ?? 0;
        const page = await server.history(`?limit=1000&after=${after}`);

        if (page.length === 0) {
            return all.map(({ id, content }) => [id, content]);
        }

        all.push(...page);
    }
}


/* One thing that goes wrong, and right again. */

async function harm(kind, servers, engine, random) {
    const server = servers[random(servers.length)];
    const pids = server.workers();

    switch (kind) {

    case 'worker':
        process.kill(pids[random(pids.length)], 'SIGKILL');
        break;

    case 'node':
        await killAll(server);
        await sleep(random(1500));
        await server.start(server.port);
        break;

    case 'stopped':
        pids.forEach((pid) => process.kill(pid, 'SIGSTOP'));
        await sleep(random(4000));
        pids.forEach((pid) => process.kill(pid, 'SIGCONT'));
        break;

    case 'reload':
        server.reload();
        break;

    case 'engine stopped':
        engine.stop();
        await sleep(random(1500));
        engine.go();
        break;

    case 'engine killed':
        await engine.kill();
        await sleep(random(500));
        await engine.run();
        break;
    }
}


function check(load, histories) {
    const [first] = histories;
    const ids = new Map(first);
    const contents = first.map(([, content]) => content);
    const there = new Set(contents);
    const faults = load.subscribers.flatMap((one) => one.faults);

    histories.forEach((history) => assert.deepEqual(history, first));

    assert.equal(there.size, contents.length, 'a message is there twice');
    assert.deepEqual([...load.ids].filter(([id, content]) => (
        ids.get(id) !== content)), [], 'a message with a 201 is not there');
    assert.deepEqual([...load.answers].filter(([content, status]) => (
        status === 503 && there.has(content))), [],
        'a message with a 503 is there');
    assert.deepEqual(faults, [], 'a subscriber has seen another order');
    assert.deepEqual(load.subscribers.flatMap(({ seen }) => (
        [...seen].filter(([id, content]) => ids.get(id) !== content))), [],
        'a subscriber has seen what is not there');
}


/* Calls test with so many nodes. */

async function withNodes(names, engine, test, servers = []) {
    const [name, ...others] = names;

    if (!name) {
        return test(servers);
    }

    await withServer({
        workers: 2, port: await freePort(), allow: ALLOW,
        http: `chat_cluster ${engine.url} name=${name} lease=3s timeout=5s;
               chat_drain 1s;`,
    }, (server) => withNodes(others, engine, test, [...servers, server]));
}


describe('a cluster', () => {
    it('loses nothing, and has one order', async () => {
        const seed = Number(process.env.STORM_SEED ?? Date.now() % 1e9);
        const random = generator(seed);
        const kinds = ['worker', 'worker', 'node', 'stopped', 'reload',
                       'engine stopped', 'engine killed'];
        const engine = await Engine.start();
        const done = [];

        try {
            await withNodes(NODES, engine, async (servers) => {
                const load = new Load(servers, random);

                for (let i = 0; i < FAULTS; i++) {
                    const kind = kinds[random(kinds.length)];
                    const n = load.ids.size;

                    done.push(kind);
                    await harm(kind, servers, engine, random);

                    /* until it goes on */
                    while (load.ids.size < n + 200) {
                        await sleep(20);
                    }
                }

                await load.end();

                /* the last one is behind all others, on each node */
                for (const [i, server] of servers.entries()) {
                    await server.post(`the end ${i}`);
                }

                const histories = [];

                for (const server of servers) {
                    histories.push(await allOf(server));
                }

                load.subscribers.forEach((one) => one.end());

                console.log(JSON.stringify({ seed, done: done.join(','),
                    acknowledged: load.ids.size,
                    stored: histories[0].length }));
                check(load, histories);
            });

        } finally {
            await engine.finish();
        }
    });
});
