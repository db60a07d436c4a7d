/*
 * Webhooks as an application in Node has them: what arrives is verified by
 * the published SDK (the npm package pusher), for each kind of event, by each
 * transport of pusher-js: P58, P61, P100-P103, P105, P116.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withClients } from './clients.mjs';
import { libraries } from './libraries.mjs';
import { Receiver } from './receiver.mjs';
import { key, packages, secret } from './server.mjs';

const Pusher = packages('pusher');
const [library] = libraries;
const limit = { timeout: 120000 };

const KINDS = 'events=channel_occupied,channel_vacated,member_added,'
              + 'member_removed,client_event,cache_miss,subscription_count,'
              + 'message_stored,connection_closed';


for (const transport of ['ws', 'xhr_streaming', 'xhr_polling']) {
    describe(`webhooks, ${transport}`, limit, () => {
        const options = { workers: 4, transports: [transport] };

        it('each kind of event', withReceiver(options, KINDS, kinds));
    });
}

describe('webhooks', limit, () => {
    it('one worker', withReceiver({ workers: 1 }, KINDS, kinds));
    it('batch=off', withReceiver({ workers: 4 }, `${KINDS} batch=off`, single,
                                 { largest: 1 }));
    it('the oldest key', withReceiver(
        { workers: 1, app: 'key oldest; secret s-of-oldest;' }, '', oldest,
        { key: 'oldest', secret: 's-of-oldest' }));
});


/* A test with clients, and a receiver of what they cause. */

function withReceiver(options, items, test, how) {
    return async () => {
        const receiver = await Receiver.start(how);
        const app = `${options.app ?? ''} subscription_count on;
                     webhook ${receiver.url} ${items};`;

        try {
            await withClients(library, { ...options, app }, async (all) => {
                await test({ ...all, receiver });
                assert.deepEqual(receiver.faults, []);
                verify(receiver);
            })();

        } finally {
            await receiver.close();
        }
    };
}


function sdk(own, others) {
    return new Pusher({ appId: '17536051', key: own, secret: others,
                        host: '127.0.0.1' });
}


/* Each request, by the SDK. */

function verify(receiver) {
    const right = sdk(receiver.key, receiver.secret);
    const wrong = sdk(receiver.key, 'another');

    assert.ok(receiver.requests.items.length > 0);

    for (const { headers, body, events, time } of receiver.requests.items) {
        const request = { headers, rawBody: body };
        const hook = right.webhook(request);

        assert.ok(hook.isValid(), body);
        assert.deepEqual(hook.getEvents(), events);
        assert.equal(hook.getTime().getTime(), time);
        assert.ok(!wrong.webhook(request).isValid());
        assert.ok(!right.webhook({ headers, rawBody: `${body} ` }).isValid());
    }
}


async function kinds({ server, spread, receiver }) {
    const [ann, tab, bob] = await spread(['ann', 'ann', 'bob']);
    const on = (channel) => receiver.events.items.filter((event) => (
        event.channel === channel));
    const listen = async (client, ...names) => {
        for (const name of names) {
            await client.listen(name).subscribed();
        }
    };
    const room = 'presence-room';

    await listen(ann, room, 'private-x', 'cache-c', 'news');
    await listen(tab, room, 'cache-c');
    await listen(bob, room, 'private-x', 'cache-c', 'news');

    bob.pusher.channel('private-x').trigger('client-typing', { on: true });
    bob.pusher.channel(room).trigger('client-typing', { text: 'žluť 😀' });
    await bob.roundTrip();

    const { id } = await server.post('hello');
    const from = { socket_id: bob.socketId };

    bob.close();
    await receiver.told('connection_closed', from);

    for (const name of ['news', 'private-x', 'cache-c', room]) {
        ann.pusher.unsubscribe(name);
    }

    tab.pusher.unsubscribe(room);
    await tab.roundTrip();
    await ann.roundTrip();

    for (const channel of [room, 'private-x', 'news']) {
        await receiver.told('channel_vacated', { channel });
    }

    assert.deepEqual(on(room), [
        { name: 'channel_occupied' },
        { name: 'member_added', user_id: 'ann' },
        { name: 'member_added', user_id: 'bob' },
        { name: 'client_event', event: 'client-typing',
          data: '{"text":"žluť 😀"}', ...from, user_id: 'bob' },
        { name: 'member_removed', user_id: 'bob' },
        { name: 'member_removed', user_id: 'ann' },
        { name: 'channel_vacated' },
    ].map((event) => ({ ...event, channel: room })));

    const counted = (n) => ({ name: 'subscription_count',
                              subscription_count: n });

    assert.deepEqual(on('private-x').slice(0, 4), [
        { name: 'channel_occupied' },
        counted(1),
        counted(2),
        { name: 'client_event', event: 'client-typing', data: '{"on":true}',
          ...from },
    ].map((event) => ({ ...event, channel: 'private-x' })));

    // the last change is that nobody is left, or the one before
    assert.deepEqual(on('news').filter(({ subscription_count: n }) => n !== 0),
                     [{ name: 'channel_occupied' }, counted(1), counted(2),
                      counted(1), { name: 'channel_vacated' },
                     ].map((event) => ({ ...event, channel: 'news' })));

    // three have missed it together; one is still there
    assert.deepEqual(on('cache-c').map(({ name }) => name)
                         .filter((name) => name !== 'subscription_count'),
                     ['channel_occupied', 'cache_miss']);

    const [stored] = on('chat');

    assert.equal(on('chat').length, 1);
    assert.equal(stored.name, 'message_stored');
    assert.equal(JSON.parse(stored.data).id, id);
    assert.equal(JSON.parse(stored.data).content, 'hello');

    assert.equal(receiver.of('connection_closed').length, 1);
}


async function single({ spread, receiver }) {
    const [ann] = await spread(['ann']);
    const names = Array.from({ length: 30 }, (_, i) => `room-${i}`);
    const listeners = names.map((name) => ann.listen(name));

    await Promise.all(listeners.map((listener) => listener.subscribed()));
    await receiver.told('channel_occupied', { channel: names.at(-1) });

    assert.deepEqual(receiver.of('channel_occupied')
                         .map(({ channel }) => channel), names);
    assert.ok(receiver.requests.items.every(({ events }) => (
        events.length === 1)));
}


/* By a receiver that has the new key, and knows the old one. */

async function oldest({ spread, receiver }) {
    const [ann] = await spread(['ann']);

    await ann.listen('news').subscribed();
    await receiver.told('channel_occupied', { channel: 'news' });

    const [{ headers, body }] = receiver.requests.items;
    const hook = sdk(key, secret).webhook({ headers, rawBody: body });

    assert.ok(!hook.isValid());
    assert.ok(hook.isValid({ key: 'oldest', secret: 's-of-oldest' }));
}
