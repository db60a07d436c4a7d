/*
 * The published server SDK for Node (the npm package pusher) against the
 * module, with pusher-js on the other side: P77, P85-P88, P91-P96, P99.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withClients } from './clients.mjs';
import { libraries } from './libraries.mjs';
import { key, packages, secret } from './server.mjs';
import { withSigner } from './signer.mjs';

const Pusher = packages('pusher');
const [library] = libraries;
const limit = { timeout: 60000 };


function sdk(server, options = {}) {
    return new Pusher({ appId: '17536051', key, secret, host: '127.0.0.1',
                        port: String(server.port), useTLS: false, ...options,
    });
}


async function json(answer) {
    const response = await answer;

    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^application\/json/);

    return response.json();
}


for (const workers of [1, 4]) {
    describe(`pusher for Node, workers: ${workers}`, limit, () => {

        const test = (name, run) => it(name, withClients(library, { workers },
                                                         run));
        const signed = (name, run) => it(name, withClients(library,
            { workers }, withSigner(run)));

        test('P85 P99: trigger', trigger);
        test('P86: without the one that triggered it', excluded);
        test('P85: 100 channels', many);
        test('P88: a batch', batch);
        test('P87: what trigger is told of its channels', info);
        test('P91 P92 P93 P94: channels', channels);
        test('P95 P96: users of a presence channel', users);
        signed('an encrypted channel', encrypted);
        signed('P99: what the SDK signs', authorizes);
        test('events to a user', toUser);
        test('P77: terminateUserConnections', terminate);
        test('P81: errors', errors);
    });
}


async function trigger({ server, spread }) {
    const pusher = sdk(server);
    const heard = (await spread(['ann', 'bob'])).map((c) => c.listen('chat'));

    await Promise.all(heard.map((listener) => listener.subscribed()));

    const sent = [{ text: 'žluť 😀', list: [1, null] }, 'a string', '', 7,
                  ['<&>', '"\\/\n'], {}];

    for (const data of sent) {
        assert.deepEqual(await json(pusher.trigger('chat', 'news', data)), {});
    }

    for (const listener of heard) {
        await listener.event('news', sent.length);
        assert.deepEqual(listener.of('news'), sent);
    }
}


async function excluded({ server, spread }) {
    const pusher = sdk(server);
    const [ann, bob] = await spread(['ann', 'bob']);
    const heard = [ann, bob].map((client) => client.listen('chat'));

    await Promise.all(heard.map((listener) => listener.subscribed()));

    await pusher.trigger('chat', 'news', 1, { socket_id: ann.socketId });
    await pusher.trigger('chat', 'news', 2, { socket_id: '1.1' });

    await heard[1].event('news', 2);
    await heard[0].event('news');
    assert.deepEqual(heard[0].of('news'), [2]);
    assert.deepEqual(heard[1].of('news'), [1, 2]);
}


async function many({ server, spread }) {
    const pusher = sdk(server);
    const names = Array.from({ length: 100 }, (_, i) => `many-${i}`);
    const [ann, bob] = await spread(['ann', 'bob']);
    const heard = [ann.listen(names[0]), bob.listen(names[99]),
                   bob.listen(names[50])];

    await Promise.all(heard.map((listener) => listener.subscribed()));
    assert.deepEqual(await json(pusher.trigger(names, 'news', 'x')), {});

    for (const listener of heard) {
        assert.equal(await listener.event('news'), 'x');
    }
}


async function batch({ server, spread }) {
    const pusher = sdk(server);
    const [ann] = await spread(['ann']);
    const [one, two] = [ann.listen('one'), ann.listen('presence-two')];

    await Promise.all([one.subscribed(), two.subscribed()]);

    assert.deepEqual(await json(pusher.triggerBatch([
        { channel: 'one', name: 'news', data: { n: 1 } },
        { channel: 'presence-two', name: 'news', data: 'n2' },
    ])), {});

    assert.deepEqual(await one.event('news'), { n: 1 });
    assert.equal(await two.event('news'), 'n2');

    assert.deepEqual(await json(pusher.triggerBatch([
        { channel: 'one', name: 'more', data: 1, info: 'subscription_count' },
        { channel: 'one', name: 'more', data: 2 },
        { channel: 'presence-two', name: 'more', data: 3, info: 'user_count' },
    ])), { batch: [{ subscription_count: 1 }, {}, { user_count: 1 }] });

    await one.event('more', 2);
    assert.deepEqual(one.of('more'), [1, 2]);
}


async function info({ server, spread }) {
    const pusher = sdk(server);
    const clients = await spread(['ann', 'bob', 'bob']);

    await Promise.all(clients.flatMap((client) => [
        client.listen('presence-room').subscribed(),
        client.listen('news').subscribed(),
    ]));

    const answer = await json(pusher.trigger(
        ['presence-room', 'news', 'empty'], 'x', 'y',
        { info: 'user_count,subscription_count' }));

    assert.deepEqual(answer, { channels: {
        'presence-room': { user_count: 2, subscription_count: 3 },
        news: { subscription_count: 3 },
        empty: { subscription_count: 0 },
    } });
}


async function channels({ server, spread }) {
    const pusher = sdk(server);
    const get = (path, params) => json(pusher.get({ path, params }));

    const clients = await spread(['ann', 'bob']);

    assert.deepEqual(await get('/channels'), { channels: {} });

    await Promise.all(clients.flatMap((client) => [
        client.listen('presence-room').subscribed(),
        client.listen('private-x').subscribed(),
        client.listen('cache-c').subscribed(),
    ]));

    await clients[0].signin();

    assert.deepEqual(await get('/channels'), { channels: {
        'presence-room': {}, 'private-x': {}, 'cache-c': {} } });
    assert.deepEqual(await get('/channels', { filter_by_prefix: 'pr' }),
                     { channels: { 'presence-room': {}, 'private-x': {} } });
    assert.deepEqual(await get('/channels', {
        filter_by_prefix: 'presence-', info: 'user_count' }),
                     { channels: { 'presence-room': { user_count: 2 } } });
    await assert.rejects(get('/channels', { info: 'user_count' }),
                         { status: 400 });

    assert.deepEqual(await get('/channels/presence-room',
                               { info: 'user_count,subscription_count' }),
                     { occupied: true, user_count: 2, subscription_count: 2 });
    assert.deepEqual(await get('/channels/nobody'), { occupied: false });
    await assert.rejects(get('/channels/private-x', { info: 'user_count' }),
                         { status: 400 });

    await pusher.trigger('cache-c', 'last', { x: 1 });

    const { cache } = await get('/channels/cache-c', { info: 'cache' });

    assert.equal(cache.data, '{"x":1}');
    assert.ok(cache.ttl > 0 && cache.ttl <= 1800);
}


async function users({ server, spread }) {
    const pusher = sdk(server);
    const clients = await spread(['ann', 'bob', 'bob']);
    const get = (path, params) => json(pusher.get({ path, params }));

    await Promise.all(clients.map(
        (client) => client.listen('presence-room').subscribed()));

    const { users: there } = await get('/channels/presence-room/users');

    assert.deepEqual(there.map(({ id }) => id).sort(), ['ann', 'bob']);
    assert.deepEqual(await get('/channels/presence-none/users'),
                     { users: [] });
    await assert.rejects(get('/channels/room/users'), { status: 400 });
}


async function encrypted({ server, spread, signer }) {
    const pusher = sdk(server, { encryptionMasterKeyBase64:
        Buffer.from('0123456789abcdef0123456789abcdef').toString('base64') });
    const name = 'private-encrypted-room';

    signer.channel = (id, channel) => pusher.authorizeChannel(id, channel);

    const clients = await spread(['ann', 'bob'], { channels: signer.url });
    const heard = clients.map((client) => client.listen(name));

    await Promise.all(heard.map((listener) => listener.subscribed()));

    const told = { text: 'žluť 😀', list: [1, 2] };

    assert.deepEqual(await json(pusher.trigger(name, 'told', told)), {});

    for (const listener of heard) {
        assert.deepEqual(await listener.event('told'), told);
        assert.ok(listener.client.of('told', name)[0].data.ciphertext);
    }
}


async function authorizes({ server, spread, signer }) {
    const pusher = sdk(server);

    signer.channel = (id, channel, user) => pusher.authorizeChannel(id,
        channel, channel.startsWith('presence-')
                 ? { user_id: user, user_info: { name: `N ${user}` } }
                 : undefined);
    signer.user = (id, user) => pusher.authenticateUser(id, { id: user });

    const [ann] = await spread(['ann'], { channels: signer.url,
                                          users: signer.url });
    const room = ann.listen('presence-room');

    await room.subscribed();
    await ann.listen('private-x').subscribed();
    assert.deepEqual(room.members(), { count: 1, me: 'ann',
                                       all: { ann: { name: 'N ann' } } });
    await ann.signin();
}


async function toUser({ server, spread }) {
    const pusher = sdk(server);
    const [ann, tab, bob] = await spread(['ann', 'ann', 'bob']);

    for (const client of [ann, tab, bob]) {
        await client.signin();
    }

    assert.deepEqual(await json(pusher.sendToUser('ann', 'told', { n: 1 })),
                     {});
    await pusher.sendToUser('bob', 'told', { n: 2 });

    const last = [[ann, { n: 1 }], [tab, { n: 1 }], [bob, { n: 2 }]];

    for (const [client, data] of last) {
        const channel = `#server-to-user-${client.user}`;
        const frame = await client.frame('told', channel);

        assert.deepEqual(frame.data, data);
        await client.roundTrip();
        assert.equal(client.of('told', channel).length, 1);
    }
}


async function terminate({ server, spread }) {
    const pusher = sdk(server);
    const [ann, tab, bob, anonymous] = await spread(['ann', 'ann', 'bob',
                                                     'ann']);
    const room = anonymous.listen('presence-room');

    for (const client of [ann, tab, bob]) {
        await client.signin();
    }

    await room.subscribed();

    const gone = [ann, tab].map((client) => new Promise((resolve) => {
        client.pusher.connection.bind('disconnected', resolve);
    }));
    const sockets = [ann, tab].map(({ pusher: { connection } }) => (
        connection.connection.transport.socket));

    assert.deepEqual(await json(pusher.terminateUserConnections('ann')), {});
    await Promise.all(gone);

    /* its WebSocket would keep Node for 30 s where the server closed first */
    sockets.forEach((socket) => clearTimeout(socket._closeTimer));

    for (const client of [ann, tab]) {
        const [error] = client.of('pusher:error');

        assert.equal(error.data.code, 4009);
        assert.equal(client.connections.items.length, 1);
        assert.ok(!client.pusher.connection.retryTimer, 'it stays away');
    }

    /* another user, and a member by that name that has not signed in */

    await bob.roundTrip();
    await anonymous.roundTrip();
    assert.equal(anonymous.connections.items.length, 1);
    assert.equal(room.members().count, 1);
}


async function errors({ server }) {
    const wrong = sdk(server, { secret: 'wrong' });
    const pusher = sdk(server);

    await assert.rejects(wrong.trigger('chat', 'news', 'x'), (error) => {
        assert.equal(error.status, 401);
        assert.match(error.body, /^Invalid signature: .*\n$/);
        return true;
    });
    await assert.rejects(sdk(server, { key: 'nobody' })
                             .trigger('chat', 'news', 'x'), { status: 401 });
    await assert.rejects(sdk(server, { appId: '1' })
                             .trigger('chat', 'news', 'x'), { status: 404 });
    await assert.rejects(pusher.trigger('chat', 'news', 'x'.repeat(10241)),
                         { status: 413 });
    await assert.rejects(pusher.trigger('chat', 'pusher:news', 'x'),
                         { status: 400 });
    assert.deepEqual(await json(pusher.trigger('chat', 'news',
                                               'x'.repeat(10240))), {});
}
