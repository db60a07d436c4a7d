/*
 * The published pusher-js against the module: connecting, public channels,
 * the socket_id rule, refusal, liveness, and a worker that dies.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Inbox } from './inbox.mjs';
import { key, packages, withServer } from './server.mjs';

const Pusher = packages('pusher-js');
const limit = { timeout: 60000 };


class Client {
    frames = new Inbox();               // all that the server sent
    states = new Inbox();               // from the first 'connecting' on
    errors = new Inbox();
    messages = new Inbox();             // new_message on the channel chat
    subscribed = new Inbox();           // the socket id, each time

    constructor(server, appKey = key) {
        this.pusher = new Pusher(appKey, {
            cluster: '',
            wsHost: '127.0.0.1',
            wsPort: server.port,
            forceTLS: false,
            enabledTransports: ['ws', 'wss'],
            disableStats: true,
        });

        const { connection } = this.pusher;

        connection.bind('message', (frame) => this.frames.push(frame));
        connection.bind('error', (error) => this.errors.push(error));
        connection.bind('state_change',
                        ({ current }) => this.states.push(current));
    }

    get socketId() {
        return this.pusher.connection.socket_id;
    }

    async subscribe() {
        const n = this.subscribed.items.length + 1;

        this.pusher.subscribe('chat')
            .bind('new_message', (message) => this.messages.push(message))
            .bind('pusher:subscription_succeeded',
                  () => this.subscribed.push(this.socketId));

        await this.subscribed.count(n, 'subscription_succeeded');
    }

    /* The server has handled all that was sent before, when it answers. */

    async roundTrip() {
        const pongs = () => this.frames.items.filter(
                                ({ event }) => event === 'pusher:pong').length;
        const n = pongs() + 1;

        this.pusher.connection.send_event('pusher:ping', {});
        await this.frames.until(() => pongs() === n, 'pong');
    }

    newMessages() {
        return this.frames.items.filter(
                                ({ event }) => event === 'new_message');
    }
}


/* A test with a server and clients that are sent away at its end. */

function withClients(options, test) {
    return () => withServer(options, async (server) => {
        const clients = [];

        const connect = (appKey) => {
            const client = new Client(server, appKey);

            clients.push(client);
            return client;
        };

        const subscribers = async (n) => {
            const made = Array.from({ length: n }, () => connect());

            await Promise.all(made.map((client) => client.subscribe()));
            return made;
        };

        try {
            await test({ server, connect, subscribers });

        } finally {
            clients.forEach(({ pusher }) => pusher.disconnect());
        }
    });
}


for (const workers of [1, 4]) {
    describe(`pusher-js, workers: ${workers}`, limit, () => {

        it('gets what the answer to the POST has', withClients({ workers },
            async ({ server, subscribers }) => {
                const [client] = await subscribers(1);
                const sent = [];

                for (const content of ['hello', ' two\nlines ', '"\\/\u0001',
                                       '<b>&amp;', 'žluť 漢字 😀'])
                {
                    sent.push(await server.post(content));
                    assert.equal(sent.at(-1).content, content);
                }

                await client.messages.count(sent.length, 'messages');
                assert.deepEqual(client.messages.items, sent);
                assert.deepEqual(await server.history(), sent);
                assert.deepEqual(Object.keys(client.messages.items[0]),
                                 ['id', 'content', 'created_at',
                                  'updated_at']);
            }));

        it('does not get what its own socket_id sent', withClients({ workers },
            async ({ server, subscribers }) => {
                const [sender, other] = await subscribers(2);
                const first = await server.post('mine', sender.socketId);
                const second = await server.post('for all');

                await sender.messages.count(1, 'message');
                await other.messages.count(2, 'messages');
                assert.deepEqual(sender.messages.items, [second]);
                assert.deepEqual(other.messages.items, [first, second]);
            }));

        it('gets nothing after unsubscribe', withClients({ workers },
            async ({ server, subscribers }) => {
                const [client, other] = await subscribers(2);

                client.pusher.unsubscribe('chat');
                await client.roundTrip();
                await server.post('missed');
                await other.messages.count(1, 'message');

                await client.subscribe();

                const last = await server.post('seen again');

                await client.messages.count(1, 'message');
                assert.deepEqual(client.messages.items, [last]);
                assert.deepEqual(client.newMessages().map((e) => e.data),
                                 [last]);
            }));

        it('shows many clients one order', withClients({ workers },
            async ({ server, subscribers }) => {
                const clients = await subscribers(16);
                const sent = [];

                const connections = server.connections();

                assert.equal(connections.size, workers);
                assert.equal([...connections.values()]
                                 .reduce((sum, n) => sum + n), 16);

                if (workers > 1) {
                    assert.ok([...connections.values()]
                                  .filter((n) => n > 0).length > 1,
                              'clients are on more than one worker');
                }

                await Promise.all([1, 2, 3, 4].map(async (poster) => {
                    for (let i = 0; i < 25; i++) {
                        sent.push(await server.post(`${poster}: ${i}`));
                    }
                }));

                sent.sort((a, b) => a.id - b.id);

                for (const client of clients) {
                    await client.messages.count(100, 'messages');
                    assert.deepEqual(client.messages.items, sent);
                }

                assert.deepEqual(await server.history('?limit=1000'), sent);
            }));

        it('comes back after its worker was killed', withClients(
            { workers, allow: /exited on signal 9/ },
            async ({ server, subscribers }) => {
                const clients = await subscribers(4 * workers);
                const first = await server.post('before');

                for (const client of clients) {
                    await client.messages.count(1, 'message');
                }

                const [worker, n] = [...server.connections()]
                                        .sort((a, b) => b[1] - a[1])[0];
                const hit = new Inbox();

                assert.ok(n > 0);
                clients.forEach((client) => {
                    client.pusher.connection.bind('connecting',
                                                  () => hit.push(client));
                });

                process.kill(worker, 'SIGKILL');

                const meanwhile = await server.post('meanwhile');

                await hit.count(n, 'clients that reconnect');

                for (const client of hit.items) {
                    await client.subscribed.count(2, 'subscriptions');
                    assert.notEqual(client.subscribed.items[0],
                                    client.subscribed.items[1]);
                }

                assert.deepEqual(await server.history(`?after=${first.id}`),
                                 [meanwhile]);

                const last = await server.post('after');

                for (const client of clients) {
                    await client.messages.until(
                        (items) => items.at(-1).id === last.id, 'last');

                    if (!hit.items.includes(client)) {
                        assert.deepEqual(client.messages.items,
                                         [first, meanwhile, last]);
                        assert.equal(client.subscribed.items.length, 1);
                    }
                }

                assert.equal(hit.items.length, n);
                assert.equal(server.workers().length, workers);
                assert.ok(!server.workers().includes(worker));
            }));
    });
}


describe('pusher-js', limit, () => {

    it('gives up on an unknown key', withClients({},
        async ({ connect }) => {
            const client = connect('nobody');
            const { connection } = client.pusher;

            await client.states.until((items) => items.includes('disconnected'),
                                      'state disconnected');
            await client.errors.count(1, 'error');

            assert.deepEqual(client.states.items, ['disconnected']);
            assert.equal(client.errors.items[0].error.data.code, 4001);
            assert.match(client.errors.items[0].error.data.message, /key/i);

            /* and it has nothing that would make it try again */
            assert.ok(!connection.retryTimer);
            assert.ok(!connection.runner);
            assert.ok(!connection.connection);
        }));

    it('keeps a silent connection by ping and pong', withClients(
        { activityTimeout: '1s' },
        async ({ server, subscribers }) => {
            const [client] = await subscribers(1);
            const { socketId } = client;

            assert.equal(client.pusher.connection.activityTimeout, 1000);

            await client.frames.until((items) => (
                items.filter((e) => e.event === 'pusher:pong').length === 3),
                '3 pongs');

            const message = await server.post('still here');

            await client.messages.count(1, 'message');
            assert.deepEqual(client.messages.items, [message]);
            assert.equal(client.socketId, socketId);
            assert.deepEqual(client.states.items, ['connected']);
        }));
});
