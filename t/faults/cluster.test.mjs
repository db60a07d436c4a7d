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
import { key } from '../e2e/server.mjs';
import { WebSocket } from '../e2e/websocket.mjs';
import { harm, withNodes } from './nodes.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const FAULTS = whole ? 40 : 8;
const SUBSCRIBERS = whole ? 100 : 20;   // of each node
const PUBLISHERS = 12;
const NODES = ['a', 'b', 'c'];
const COMMAND = JSON.stringify({ event: 'pusher:subscribe',
                                 data: { channel: 'chat' } });


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

            await this.post(server, content);
        }
    }

    /* Whether it got a 201. */

    async post(server, content) {
        try {
            const { status, text } = await server.request('POST', '/messages',
                                                          { content });

            this.answers.set(content, status);

            if (status === 201) {
                this.ids.set(JSON.parse(text).id, content);
                return true;
            }

        } catch {
            /* nobody knows */
        }

        await sleep(50);

        return false;
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

                /* the last one is behind all others, on each node, which may
                   be out of the cluster for a moment yet */
                for (const [i, server] of servers.entries()) {
                    for (let k = 0; !await load.post(server, `end ${i}-${k}`);
                         k++)
                    {
                        /* void */
                    }
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
