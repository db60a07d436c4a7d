/*
 * restart.mjs [CLIENTS [RATE [WAY]]]: what a restart of nginx costs clients
 * that run the published pusher-js, by each way to restart; prints a table.
 *
 * Half of the clients only listen.  The others have a token and the lines of
 * the documents: they read the history where they are told that something may
 * be missing.  RATE messages a second are posted, each on a connection of its
 * own, whether the one before is answered or not.  Something knocks at the
 * port every few milliseconds, to see whether it is refused.
 *
 * nginx is started and stopped by the very lines of conf/systemd/; hold.pl
 * keeps the socket open as systemd does.
 */

import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { key, packages, request } from '../e2e/server.mjs';
import { DEBIAN, Held, Plain, Reloaded, Upgraded, until } from './ways.mjs';

const KNOCK = 5;                        // ms


/* nginx may be away for a while, and the socket open all the same. */

function ask(port, method, target, members) {
    return request(`http://127.0.0.1:${port}${target}`, method, members, {},
                   60000);
}


/* A page that listens, and notes what it gets and how long it is away. */

class Page {
    ids = new Set();
    whole = 0;                          // history is read up to this id
    isWhole = false;                    // and nothing is missing behind it
    subscribed = 0;
    left = 0;                           // when it was last cut off
    away = [];                          // ms, each time
    told = [];                          // recovered, each time

    constructor({ port }, token) {
        const Pusher = packages('pusher-js');

        this.port = port;
        this.pusher = new Pusher(token ? `${key};${randomUUID()}` : key, {
            cluster: '', wsHost: '127.0.0.1', wsPort: port,
            forceTLS: false, enabledTransports: ['ws', 'wss'],
            disableStats: true,
        });

        /* it calls itself connected for another second where it was cut */
        this.pusher.connection.bind('connected', () => {
            this.pusher.connection.connection.bind('closed', () => {
                this.left ||= performance.now();
            });
        });

        this.pusher.subscribe('chat')
            .bind('new_message', ({ id }) => this.ids.add(id))
            .bind('pusher:subscription_succeeded', (told) => {
                if (this.left) {
                    this.away.push(performance.now() - this.left);
                    this.left = 0;
                }

                this.subscribed++;
                this.told.push(told?.recovered);

                if (token && !(told.recovered && this.isWhole)) {
                    this.reading = this.catchUp();
                }
            });
    }

    /* The documents' recipe, in short; a read that fails is done again. */

    async catchUp() {
        const n = this.subscribed;
        let after = this.whole;

        this.isWhole = false;

        for ( ;; ) {
            try {
                const { status, text } = await ask(this.port, 'GET',
                    `/messages?limit=1000&after=${after}`);

                if (status !== 200) {
                    throw new Error(`history answered ${status}`);
                }

                const page = JSON.parse(text);

                page.forEach(({ id }) => this.ids.add(id));
                after = page.at(-1)?.id ?? after;

                if (page.length < 1000) {
                    break;
                }

            } catch {
                await sleep(100);
            }

            if (n !== this.subscribed) {
                return;                 // another one reads
            }
        }

        this.whole = after;
        this.isWhole = true;
    }
}


/* Posts, and knocks at the port. */

class Load {
    posted = 0;
    failed = {};                        // by the error or the status
    waits = [];                         // ms until a 201
    acknowledged = [];
    refused = [];                       // when a knock was

    constructor({ port }, rate) {
        this.port = port;
        this.pending = new Set();
        this.timers = [setInterval(() => this.post(), 1000 / rate),
                       setInterval(() => this.knock(), KNOCK)];
    }

    post() {
        const start = performance.now();
        const done = ask(this.port, 'POST', '/messages',
                         { content: `message ${this.posted++}` })
            .then(({ status, text }) => {
                if (status !== 201) {
                    throw Object.assign(new Error(text), { code: status });
                }

                this.waits.push(performance.now() - start);
                this.acknowledged.push(JSON.parse(text).id);
            })
            .catch(({ code }) => {
                this.failed[code] = (this.failed[code] ?? 0) + 1;
            })
            .then(() => this.pending.delete(done));

        this.pending.add(done);
    }

    knock() {
        const socket = net.connect(this.port, '127.0.0.1');

        socket.on('connect', () => socket.destroy());
        socket.on('error', ({ code }) => {
            this.refused.push([performance.now(), code]);
        });
    }

    async stop() {
        this.timers.forEach((timer) => clearInterval(timer));
        await Promise.all(this.pending);
    }
}


/* What half of the values are at most, and all. */

function spread(values) {
    const sorted = [...values].sort((a, b) => a - b);

    return { half: sorted[sorted.length >> 1] ?? 0, most: sorted.at(-1) ?? 0 };
}


async function history(port, after) {
    const ids = [];

    for ( ;; ) {
        const { text } = await ask(port, 'GET',
            `/messages?limit=1000&after=${ids.at(-1) ?? after}`);
        const page = JSON.parse(text);

        page.forEach(({ id }) => ids.push(id));

        if (page.length < 1000) {
            return ids;
        }
    }
}


/*
 * Runs a server with pages and load, does something to it by act(), waits
 * until all are back and have what they will get; says what it was like.
 */

export async function measure(server, { clients, rate, act }) {
    const pages = [];
    let load;

    await server.open();
    server.configure();

    try {
        await server.start();

        for (let i = 0; i < clients; i++) {
            pages.push(new Page(server, i % 2));
        }

        const states = () => pages.map(({ pusher, subscribed }) => (
            `${pusher.connection.state} ${subscribed}`)).join(', ');

        await until(() => pages.every(({ subscribed }) => subscribed),
                    'subscriptions', states);
        await Promise.all(pages.map(({ reading }) => reading));

        const before = (await history(server.port, 0)).at(-1) ?? 0;

        load = new Load(server, rate);
        await until(() => load.acknowledged.length >= rate, 'messages');
        await act();

        /* some may come to an old worker first, which sends them on */
        const back = () => pages.every(({ subscribed, left }) => (
            subscribed > 1 && !left));

        await until(back, 'reconnections', states);

        const n = load.acknowledged.length;

        await until(() => load.acknowledged.length >= n + rate, 'messages');
        await load.stop();
        await until(back, 'reconnections', states);

        /* the last one tells that all before it have come */
        const { text } = await ask(server.port, 'POST', '/messages',
                                   { content: 'the last' });
        const { id: last } = JSON.parse(text);

        await until(() => pages.every(({ ids }) => ids.has(last)),
                    'last message', states);
        await Promise.all(pages.map(({ reading }) => reading));

        const stored = await history(server.port, before);
        const missed = (token) => pages.filter((_, i) => i % 2 === token)
            .map(({ ids }) => stored.filter((id) => !ids.has(id)).length);

        return {
            stored, pages, load,
            missed: missed(0), missedWithToken: missed(1),
            away: pages.flatMap(({ away }) => away),
        };

    } finally {
        await load?.stop();
        pages.forEach(({ pusher }) => pusher.disconnect());
    }
}


const ways = {
    'Debian\'s restart': () => new Plain(),
    'at once (TERM)': () => new Plain({ stop: 'TERM/5' }),
    'kept, Debian\'s stop': () => new Held({ stop: DEBIAN }),
    'kept, at once (TERM)': () => new Held({ stop: 'TERM/5' }),
    'kept, conf/systemd': () => new Held(),
    'kept, and chat_drain 1s': () => new Held({ drain: '1s' }),
    'kept, the master killed': () => new Held(),
    'upgrade in place (USR2)': () => new Upgraded(),
    'reload': () => new Reloaded(),
};

const header = `${''.padEnd(26)}    away, s      missed, each of  refused`
    + `  POST  POSTs, and those that failed
${''.padEnd(26)} half   most  half / most, token     for, s   max, s`;


function seconds(ms, width) {
    return (ms / 1000).toFixed(2).padStart(width);
}


/*
 * A line of the table: how long clients were away, how many messages those
 * without and those with a token missed, from when to when somebody was
 * refused, and how long a POST waited for its 201.
 */

export function summary(name, { away, missed, missedWithToken, load }) {
    const out = spread(away);
    const times = load.refused.map(([at]) => at);
    const lost = [missed, missedWithToken].map(spread)
                     .map(({ half, most }) => `${half} / ${most}`.padStart(11));

    return name.padEnd(26) + seconds(out.half, 5) + seconds(out.most, 7)
           + lost.join('')
           + seconds((times.at(-1) ?? 0) - (times[0] ?? 0), 9)
           + seconds(spread(load.waits).most, 9)
           + `  ${load.posted} ${JSON.stringify(load.failed)}`;
}


export async function table(clients, rate, only = '') {
    console.error(`${clients} clients, ${rate} messages a second\n${header}`);

    for (const [name, make] of Object.entries(ways)) {
        const server = make();
        const act = /killed/.test(name) ? () => server.kill()
                                        : () => server.restart();

        try {
            if (name.includes(only)) {
                console.error(summary(name, await measure(
                    server, { clients, rate, act })));
            }

        } catch (error) {
            error.message += `\n${server.log().slice(-2000)}`;
            throw error;

        } finally {
            await server.close();
        }
    }
}


if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const [, , clients = 200, rate = 20, only] = process.argv;

    await table(Number(clients), Number(rate), only);
    process.exit();
}
