/*
 * The tutorial's front end, with a token behind its key: it shows what the
 * POST answered and what comes as an event, and drops what it has by its id.
 * Under ten messages a second nginx is reloaded and its workers are killed;
 * in the end everything that is in the history is shown, once, and nobody has
 * read the history for that.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LIBRARIES } from './recovery.mjs';
import { key, packages, withServer } from './server.mjs';

const PAUSE = 100;                      // ms between two messages
const LATE = 60000;                     // ms until all have come


class App {
    messages = [];
    told = [];                          // recovered, each time
    connections = 0;

    constructor(library, server) {
        const Pusher = packages(library);

        this.pusher = new Pusher(`${key};${randomUUID()}`, {
            cluster: '', wsHost: '127.0.0.1', wsPort: server.port,
            forceTLS: false, enabledTransports: ['ws'], disableStats: true,
        });

        this.pusher.connection.bind('connected', () => {
            this.connections++;
        });
        this.pusher.subscribe('chat')
            .bind('new_message', (message) => this.add(message))
            .bind('pusher:recovery', ({ recovered }) => {
                this.told.push(recovered);
            });
    }

    add(message) {
        if (!this.messages.some(({ id }) => id === message.id)) {
            this.messages.push(message);
        }
    }

    get ids() {
        return this.messages.map(({ id }) => id).sort((a, b) => a - b);
    }
}


/* Waits for what clients do by themselves. */

async function until(done, what, details) {
    const end = Date.now() + LATE;

    while (!done()) {
        assert.ok(Date.now() < end, `no ${what} in ${LATE} ms`
                                    + `\n${details?.() ?? ''}`);
        await sleep(10);
    }
}


/* Posts until it is stopped, each time by another app, as its users would. */

class Users {
    constructor(server, apps) {
        this.running = this.run(server, apps);
    }

    async run(server, apps) {
        for (let n = 0; !this.stopped; n++) {
            const app = apps[n % apps.length];

            // whether a killed worker has stored it, the history knows
            await server.post(`message ${n}`)
                        .then((message) => app.add(message), () => {});
            await sleep(PAUSE);
        }
    }

    stop() {
        this.stopped = true;
        return this.running;
    }
}


const ways = {
    'a reload': async (server) => { server.reload(); },

    'two reloads': async (server) => {
        server.reload();
        await sleep(PAUSE);
        server.reload();
    },

    'a killed worker': async (server) => {
        const counts = [...server.connections()];

        // one that has clients
        process.kill(counts.sort((a, b) => b[1] - a[1])[0][0], 'SIGKILL');
    },

    'all workers killed': async (server) => {
        server.workers().forEach((pid) => process.kill(pid, 'SIGKILL'));
    },
};


/*
 * pusher-js gives up for good when two connections that did not last have been
 * cut, so each way has apps of its own.  In Node, but not in browsers, the
 * older ones take each close for a cut, so they are not sent away twice.
 */

async function misses(server, name, cut) {
    const some = name === 'two reloads' ? LIBRARIES.slice(0, 1) : LIBRARIES;
    const apps = [...some, ...some, ...some].map((library) => (
        new App(library, server)));
    const hit = ({ connections }) => connections > 1;
    let users;

    try {
        await until(() => apps.every(({ told }) => told.length),
                    'subscriptions');
        assert.deepEqual(apps.flatMap(({ told }) => told),
                         apps.map(() => false), 'at first');

        apps.forEach((app) => { app.told = []; });
        users = new Users(server, apps);

        await until(() => apps[0].messages.length > 10, 'messages');
        await cut(server);

        // a single worker may not have had them all
        await until(() => (name === 'a killed worker' ? apps.some(hit)
                                                      : apps.every(hit)),
                    'reconnections');

        const n = apps[0].messages.length;

        await until(() => apps.every(({ messages, told, connections }) => (
            messages.length > n + 10 && told.length >= hit({ connections }))),
            'messages behind it');
        await users.stop();

        const stored = (await server.history('?limit=1000'))
            .map(({ id }) => id).sort((a, b) => a - b);

        await until(() => apps.every(({ messages }) => (
            messages.length >= stored.length)), 'messages', () => (
            apps.map(({ pusher, ids, told, connections }) => JSON.stringify({
                missing: stored.filter((id) => !ids.includes(id)), told,
                connections, state: pusher.connection.state })).join('\n')));

        for (const app of apps) {
            assert.deepEqual(app.ids, stored);
            assert.ok(app.told.every((one) => one), `recovered: ${app.told}`);
            assert.ok(app.told.length >= hit(app), 'told');
        }

    } finally {
        await users?.stop();
        apps.forEach(({ pusher }) => pusher.disconnect());
    }
}


describe('the tutorial, with a token', { timeout: 300000 }, () => {

    for (const [name, cut] of Object.entries(ways)) {
        it(`misses nothing, and shows nothing twice: ${name}`, () => withServer(
            { workers: 4, http: 'chat_drain 1s;',
              allow: /exited on signal 9/ },
            (server) => misses(server, name, cut)));
    }

    it('is told so when nginx was away', () => withServer({ workers: 2 },
        async (server) => {
            const apps = LIBRARIES.map((library) => new App(library, server));
            const { port } = server;

            try {
                await until(() => apps.every(({ told }) => told.length),
                            'subscriptions');
                apps.forEach((app) => { app.told = []; });

                await server.stop();
                await server.start(port);

                await until(() => apps.every(({ told }) => told.length),
                            'subscriptions after the restart');
                assert.deepEqual(apps.map(({ told }) => told),
                                 apps.map(() => [false]));

            } finally {
                apps.forEach(({ pusher }) => pusher.disconnect());
            }
        }));
});
