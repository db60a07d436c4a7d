/*
 * The load under which nginx is killed, reloaded and watched: clients that
 * post, subscribers that re-read history after their last id whenever they
 * come back, and a crowd on presence channels; and what must hold for all of
 * them in the end.
 */

import assert from 'node:assert/strict';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crowd, generator } from '../e2e/churn.mjs';
import { key } from '../e2e/server.mjs';
import { WebSocket } from '../e2e/websocket.mjs';


/*
 * One connection that is kept alive and posts, one message after the other.
 * Every message is another, so that each can be looked for in history.
 */

class Poster {
    acknowledged = [];                  // [id, content]
    unknown = [];                       // contents without an answer
    idle = [];                          // the same, without a byte of one
    other = [];                         // answers that are not 201

    constructor(port, name, pause) {
        this.port = port;
        this.name = name;
        this.pause = pause;
    }

    async run() {
        for (let n = 0; !this.stopped; n++) {
            await this.post(`${this.name}-${n}`);
            await sleep(this.pause());
        }

        this.socket?.destroy();
    }

    async post(content) {
        const cached = this.acknowledged.length % 10 === 9;
        const body = JSON.stringify({ content });
        const head = cached
            ? 'POST /events HTTP/1.1\r\nX-Channel: cache-storm\r\n'
              + 'X-Event: new_message\r\n'
            : 'POST /messages HTTP/1.1\r\n';

        const text = await this.exchange(
            `${head}Host: 127.0.0.1\r\nContent-Type: application/json\r\n`
            + `Content-Length: ${body.length}\r\n\r\n${body}`);

        const answer = /^HTTP\/1.1 (\d+) [^]*?\r\n\r\n([^]*)$/.exec(text);

        if (!answer) {
            (text ? this.unknown : this.idle).push(content);

        } else if (answer[1] !== '201') {
            this.other.push(`${answer[1]} ${answer[2]}`);

        } else {
            this.acknowledged.push([JSON.parse(answer[2]).id, content,
                                    cached]);
        }
    }

    /* The answer, or what came of it before the connection ended. */

    exchange(request) {
        return new Promise((resolve) => {
            let text = '';
            const socket = this.socket ?? net.connect(
                { port: this.port, host: '127.0.0.1', noDelay: true });

            this.socket = socket;

            const done = (whole) => {
                socket.removeAllListeners('data');
                socket.removeAllListeners('close');

                if (!whole || /^connection: close/im.test(text)) {
                    socket.destroy();
                    this.socket = null;
                }

                resolve(text);
            };

            if (!socket.listenerCount('error')) {
                socket.on('error', () => {});
            }

            socket.on('close', () => done(false));
            socket.on('data', (data) => {
                text += data;

                const end = text.indexOf('\r\n\r\n');
                const length = /^content-length: (\d+)/im.exec(text);

                if (end >= 0 && length
                    && Buffer.byteLength(text) >= end + 4 + +length[1])
                {
                    done(true);
                }
            });

            if (socket.destroyed) {
                done(false);
                return;
            }

            socket.write(request);
        });
    }
}


/*
 * Follows the recipe of conf/recovery.md: subscribe, wait for the answer, read
 * what follows the last id, drop what was seen.
 */

class Subscriber {
    ids = [];
    last = 0;
    faults = [];
    closes = {};
    waiting = [];                       // live, while history is being read

    constructor(storm) {
        this.storm = storm;
        this.connect();
    }

    connect() {
        const socket = new WebSocket(this.storm.server.port,
                                     `/app/${key}?protocol=7`);

        this.socket = socket;
        this.live = 0;
        this.reading = true;
        this.waiting = [];

        socket.onmessage = (text) => this.message(socket, text);
        socket.onclose = () => {
            const code = socket.code ?? 'cut';

            this.reading = true;

            if (!this.storm.closing) {
                this.closes[code] = (this.closes[code] ?? 0) + 1;
                this.timer = setTimeout(() => this.connect(),
                                        this.storm.random(200));
            }
        };
    }

    message(socket, text) {
        if (text.startsWith('{"event":"new_message"')) {
            this.take(+/\\"id\\":(\d+)/.exec(text)[1]);
            return;
        }

        const { event } = JSON.parse(text);

        if (event === 'pusher:connection_established') {
            socket.send('{"event":"pusher:subscribe",'
                        + '"data":{"channel":"chat"}}');

        } else if (event === 'pusher_internal:subscription_succeeded') {
            this.reread(socket);
        }
    }

    take(id) {
        if (id <= this.live) {
            this.faults.push(`${id} came after ${this.live}`);
        }

        this.live = id;

        if (this.reading) {
            this.waiting.push(id);

        } else {
            this.see(id);
        }
    }

    see(id) {
        if (id > this.last) {
            this.ids.push(id);
            this.last = id;
        }
    }

    async reread(socket) {
        const { server } = this.storm;

        for ( ;; ) {
            let page;

            try {
                page = await server.history(`?limit=1000&after=${this.last}`);

            } catch {
                await sleep(10);        // its worker was killed
                page = null;
            }

            if (socket !== this.socket || !socket.open) {
                return;
            }

            page?.forEach(({ id }) => this.see(id));

            if (page?.length === 0) {
                break;
            }

            if (page && page.length < 1000) {
                break;
            }
        }

        this.reading = false;
        this.waiting.forEach((id) => this.see(id));
        this.waiting = [];
    }

    close() {
        clearTimeout(this.timer);
        this.socket.destroy();
    }
}


export class Storm {
    closing = false;

    // so many that some are empty now and then
    rooms = Array.from({ length: 24 }, (_, i) => `presence-${i}`);

    constructor(server, { seed, posters = 8, subscribers = 100,
                          members = 40, pause = 60 })
    {
        this.server = server;
        this.random = generator(seed);
        this.posters = Array.from({ length: posters }, (_, i) => (
            new Poster(server.port, `p${i}`, () => this.random(pause))));
        this.nsubscribers = subscribers;
        this.nmembers = members;
    }

    async start() {
        this.base = await this.server.status();
        this.crowd = new Crowd(this.server.port, this.rooms, this.random);

        for (let i = 0; i < this.nmembers; i++) {
            this.crowd.add(`user-${i % Math.ceil(this.nmembers * 0.75)}`)
                      .join(this.rooms[i % this.rooms.length]);
        }

        this.subscribers = Array.from({ length: this.nsubscribers },
                                      () => new Subscriber(this));
        this.running = this.posters.map((poster) => poster.run());
        this.ticking = setInterval(() => this.crowd.step(), 20);
    }

    get posted() {
        return this.posters.flatMap(({ acknowledged }) => acknowledged);
    }

    closes() {
        const sum = {};

        for (const { closes } of this.subscribers) {
            for (const [code, n] of Object.entries(closes)) {
                sum[code] = (sum[code] ?? 0) + n;
            }
        }

        return sum;
    }

    async stop() {
        clearInterval(this.ticking);
        this.posters.forEach((poster) => { poster.stopped = true; });
        await Promise.all(this.running);
    }

    async history(what = '/messages') {
        const all = [];

        for ( ;; ) {
            const after = all.length ? all.at(-1).id : 0;
            const { status, text } = await this.server.request(
                'GET', `${what}?limit=1000&after=${after}`);

            assert.equal(status, 200);

            const page = JSON.parse(text);

            if (page.length === 0) {
                return all;
            }

            all.push(...page);
        }
    }

    /* Each message exactly once: in history, and with each subscriber. */

    async check() {
        const history = await this.history();
        const ids = history.map(({ id }) => id);
        const contents = new Map(history.map(({ id, content }) => (
            [content, id])));

        assert.equal(contents.size, history.length, 'no message twice');

        for (const [id, content, cached] of this.posted) {
            if (!cached) {
                assert.equal(contents.get(content), id,
                             `${content} was acknowledged as ${id}`);
            }
        }

        for (const { other } of this.posters) {
            assert.deepEqual(other, [], 'answers other than 201');
        }

        const last = ids.at(-1);
        const end = Date.now() + 30000;

        while (this.subscribers.some((one) => one.last < last)
               && Date.now() < end)
        {
            await sleep(20);
        }

        for (const one of this.subscribers) {
            assert.deepEqual(one.faults, []);
            assert.deepEqual(one.ids, ids, 'what a subscriber has seen');
        }

        await this.checkPresence();

        return history;
    }

    /* Who comes now, and who is there, sees who is there. */

    async checkPresence() {
        const { crowd, server, rooms } = this;

        await crowd.settle();

        const expected = rooms.map((name) => (
            ['fresh', ...crowd.members(name)].sort()));
        const fresh = new Crowd(server.port, rooms, generator(1));

        try {
            rooms.forEach((name) => fresh.add('fresh').join(name));
            await fresh.settle();

            const end = Date.now() + 10000;
            const seen = () => fresh.connections.map(({ rooms: own }, i) => (
                [...own.get(rooms[i])].sort()));

            // a dead worker's members leave within a second or so
            while (JSON.stringify(seen()) !== JSON.stringify(expected)
                   && Date.now() < end)
            {
                await sleep(50);
            }

            assert.deepEqual(seen(), expected, 'members, as told to one new');

            await this.agree([crowd, fresh], expected);
            // to reconnect is no fault, at once or, from who leaves, soon
            assert.deepEqual([...crowd.faults, ...fresh.faults].filter(
                (text) => !/was told {"code":(4200|4100),/.test(text)), []);
            assert.deepEqual([...crowd.repeated], []);

        } finally {
            fresh.close();
        }
    }

    /* Every connection's own list, at one place of the order. */

    async agree(crowds, expected) {
        for (const [i, name] of this.rooms.entries()) {
            const { id } = await this.server.publish(name, 'fence', 'all');

            for (const crowd of crowds) {
                await crowd.until(() => (
                    crowd.connections.every(({ rooms, fences }) => (
                        !rooms.has(name) || fences.get(name) === id))),
                    `told the message on ${name}`);

                for (const one of crowd.connections) {
                    if (one.rooms.has(name)) {
                        assert.deepEqual([...one.rooms.get(name)].sort(),
                                         expected[i],
                                         `${name}, as ${one.user} sees it`);
                    }
                }
            }
        }
    }

    close() {
        this.closing = true;
        this.subscribers?.forEach((one) => one.close());
        this.crowd?.close();
        clearInterval(this.ticking);
        this.posters.forEach((poster) => { poster.stopped = true; });
    }

    /* All have gone: nothing is left of them. */

    async checkEmpty() {
        const { zone_used_bytes: bytes } = this.base;

        this.close();

        const status = await this.server.until(
            (now) => now.connections === 0 && now.zone_used_bytes === bytes,
            `return to ${bytes} bytes`);

        for (const what of ['channels', 'members', 'subscriptions',
                            'overruns', 'slow_subscribers_closed'])
        {
            assert.equal(status[what], 0, what);
        }

        return status;
    }
}
