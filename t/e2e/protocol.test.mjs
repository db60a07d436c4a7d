/*
 * What pusher-js can do, unmodified, against the module: the current version
 * and the one before, on one worker and on four, with WebSocket and without.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withClients } from './clients.mjs';
import { libraries, oldest } from './libraries.mjs';
import { withSigner } from './signer.mjs';

const limit = { timeout: 120000 };


const info = (user) => ({ name: `Name of ${user}` });
const members = (me, ...users) => ({
    count: users.length, me,
    all: Object.fromEntries(users.map((user) => [user, info(user)])),
});


const fallbacks = ['xhr_streaming', 'xhr_polling'];

for (const library of libraries) {
    for (const workers of [1, 4]) {
        suite(library, workers);
    }

    for (const transport of fallbacks) {
        suite(library, 4, transport);
    }
}

for (const transport of fallbacks) {
    suite(oldest, 4, transport);
}


function suite(library, workers, transport = 'ws') {
    const on = `${library.name}, ${transport}, workers: ${workers}`;
    const options = { workers, transports: [transport] };

    const test = (what, how) => {
        it(`${on}: ${what}`, withClients(library, options, how));
    };
    const signed = (what, how) => test(what, withSigner(how));
    const cached = (prefix) => {
        test(prefix, (all) => cacheChannel(all, `${prefix}state`));
    };

    describe(on, limit, () => {
        test('public', publicChannel);
        test('private', privateChannel);
        test('private and presence, refused', refusedChannel);
        test('presence, 3 users, one with 2 tabs', presenceChannel);
        signed('private-encrypted-', encryptedChannel);
        ['cache-', 'private-cache-', 'presence-cache-'].forEach(cached);
        signed('private-encrypted-cache-', encryptedCacheChannel);
        test('client events, private', privateClientEvents);
        test('client events, presence', presenceClientEvents);
        test('client events, public', publicClientEvents);

        if (library === oldest) {
            return;
        }

        test('sign-in and events to a user', userEvents);
        test('sign-in, refused', refusedSignin);
        signed('watchlist', watchlist);
        it(`${on}: a killed worker`, withClients(library,
            { ...options, allow: /exited on signal 9/ }, killedWorker));
    });
}


async function publicChannel({ server, spread }) {
    const [ann, bob] = await spread(['ann', 'bob']);
    const name = 'a_b-c=d@e,f.g;h';
    const heard = [ann.listen(name), bob.listen(name)];

    for (const listener of heard) {
        assert.deepEqual(await listener.subscribed(), {});
    }

    const one = await server.publish(name, 'news', 'žluť 😀');
    const two = await server.publish(name, 'news', 'more');

    for (const listener of heard) {
        await listener.event('news', 2);
        assert.deepEqual(listener.of('news'), [one, two]);
    }

    assert.deepEqual(heard[0].events.items.map(([event]) => event),
                     ['pusher:subscription_succeeded', 'news', 'news']);

    ann.pusher.unsubscribe(name);
    await ann.roundTrip();

    const three = await server.publish(name, 'news', 'last');

    assert.deepEqual(await heard[1].event('news', 3), three);
    await ann.roundTrip();
    assert.equal(ann.of('news', name).length, 2);
}


async function privateChannel({ server, spread }) {
    const [ann, bob] = await spread(['ann', 'bob']);
    const heard = [ann, bob].map((client) => client.listen('private-room'));

    for (const listener of heard) {
        assert.deepEqual(await listener.subscribed(), {});
    }

    const message = await server.publish('private-room', 'news', 'secret');

    for (const listener of heard) {
        assert.deepEqual(await listener.event('news'), message);
    }

    assert.ok(heard[0].channel.subscribed);
}


/* By chat_auth, which answers 403 where there is no user. */

async function refusedChannel({ server, connect }) {
    const nobody = connect(undefined);
    const ann = connect('ann');
    const names = ['private-room', 'presence-room'];
    const refused = names.map((name) => nobody.listen(name));
    const heard = ann.listen('private-room');

    for (const listener of refused) {
        const error = await listener.event('pusher:subscription_error');

        assert.equal(error.type, 'AuthError');
        assert.equal(error.status, 403);
        assert.ok(!listener.channel.subscribed);
    }

    await heard.subscribed();

    const message = await server.publish('private-room', 'news', 'secret');

    assert.deepEqual(await heard.event('news'), message);
    await nobody.roundTrip();
    assert.deepEqual(nobody.of('news', 'private-room'), []);
    assert.equal(nobody.connections.items.length, 1);
}


async function presenceChannel({ server, spread }) {
    const name = 'presence-room';
    const [ann, bob, cid, tab] = await spread(['ann', 'bob', 'cid', 'cid']);
    const heard = new Map();

    /* one after the other, so that who sees whom come is determined */

    const here = [];

    for (const client of [ann, bob, cid, tab]) {
        const listener = client.listen(name);

        heard.set(client, listener);

        if (client !== tab) {
            here.push(client.user);
        }

        await listener.subscribed();
        assert.deepEqual(listener.members(), members(client.user, ...here));
    }

    const added = (client) => heard.get(client).of('pusher:member_added');
    const removed = (client) => heard.get(client).of('pusher:member_removed');
    const entry = (id) => ({ id, info: info(id) });

    /* the ring's order: what is told before the message has come with it */

    const fence = async () => {
        const message = await server.publish(name, 'fence', 'all');

        await Promise.all([...heard.values()].map((listener) => (
            listener.events.until(() => listener.of('fence')
                                      .some(({ id }) => id === message.id),
                                  'fence'))));
    };

    await fence();
    assert.deepEqual(added(ann), [entry('bob'), entry('cid')]);
    assert.deepEqual(added(bob), [entry('cid')]);
    assert.deepEqual(added(cid), []);
    assert.deepEqual(added(tab), []);

    /* a tab closes: cid stays */

    const { connections } = await server.status();

    heard.delete(cid);
    cid.close();
    await server.until((now) => now.connections === connections - 1,
                       'connection less');
    await fence();
    assert.deepEqual([ann, bob, tab].map(removed), [[], [], []]);
    assert.deepEqual(heard.get(ann).members(),
                     members('ann', 'ann', 'bob', 'cid'));

    /* the other leaves the channel: cid is gone */

    heard.delete(tab);
    tab.pusher.unsubscribe(name);
    await tab.roundTrip();
    await fence();

    for (const client of [ann, bob]) {
        assert.deepEqual(removed(client), [entry('cid')]);
        assert.deepEqual(heard.get(client).members(),
                         members(client.user, 'ann', 'bob'));
    }

    /* and bob, by closing */

    heard.delete(bob);
    bob.close();
    await heard.get(ann).event('pusher:member_removed', 2);
    await fence();
    assert.deepEqual(removed(ann), [entry('cid'), entry('bob')]);
    assert.deepEqual(heard.get(ann).members(), members('ann', 'ann'));
    assert.equal(added(ann).length, 2);
}


async function encryptedChannel({ server, spread, signer }) {
    const name = 'private-encrypted-room';
    const [ann, bob] = await spread(['ann', 'bob'], { channels: signer.url });
    const heard = [ann, bob].map((client) => client.listen(name));

    for (const listener of heard) {
        assert.deepEqual(await listener.subscribed(), {});
    }

    assert.deepEqual(signer.asked, [name, name]);

    const secret = { text: 'žluť 😀', list: [1, 2] };
    const data = signer.encrypt(name, secret);

    assert.ok(!data.includes('list'));
    await signer.send(server.port, name, 'client-note', data);

    for (const listener of heard) {
        assert.deepEqual(await listener.event('client-note'), secret);
        assert.deepEqual(listener.client.of('client-note', name)[0].data,
                         JSON.parse(data));
    }

    /* with another key: the library asks for it and goes on */

    signer.masterKey = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';
    await signer.send(server.port, name, 'client-note',
                  signer.encrypt(name, 'again'));

    for (const listener of heard) {
        assert.equal(await listener.event('client-note', 2), 'again');
    }

    assert.deepEqual(signer.asked, [name, name, name, name]);
}


async function encryptedCacheChannel({ spread, signer }) {
    const name = 'private-encrypted-cache-room';
    const [ann] = await spread(['ann'], { channels: signer.url });
    const heard = ann.listen(name);

    assert.deepEqual(await heard.subscribed(), {});
    assert.deepEqual(await heard.event('pusher:cache_miss'), {});
}


async function cacheChannel({ server, spread }, name) {
    const [ann, bob, cid] = await spread(['ann', 'bob', 'cid']);
    const early = ann.listen(name);

    await early.event('pusher:cache_miss');
    assert.deepEqual(early.events.items.map(([event]) => event),
                     ['pusher:subscription_succeeded', 'pusher:cache_miss']);
    assert.deepEqual(ann.of('pusher:cache_miss', name)[0].data, {});

    await server.publish(name, 'news', 'old');

    const last = await server.publish(name, 'update', 'newest');

    await early.event('update');

    const late = bob.listen(name);

    await late.event('update');

    const live = await server.publish(name, 'update', 'live');

    assert.deepEqual(await late.event('update', 2), live);
    assert.deepEqual(await early.event('update', 2), live);
    assert.deepEqual(
        bob.frames.items.filter(({ channel }) => channel === name)
                        .map(({ event, data }) => [event, data])
                        .slice(1),
        [['update', last], ['update', live]]);
    assert.equal(early.of('pusher:cache_miss').length, 1);
    assert.deepEqual(early.of('update'), [last, live]);

    /* it outlives the subscribers */

    ann.pusher.unsubscribe(name);
    bob.pusher.unsubscribe(name);
    await Promise.all([ann.roundTrip(), bob.roundTrip()]);

    const later = cid.listen(name);

    assert.deepEqual(await later.event('update'), live);
    assert.deepEqual(later.of('pusher:cache_miss'), []);
}


async function privateClientEvents({ spread }) {
    const [ann, bob, cid] = await spread(['ann', 'bob', 'cid']);
    const heard = [ann, bob, cid].map((client) => (
        client.listen('private-room')));
    const sent = [{ on: true, text: 'žluť' }, 'text', '', [1], 2, null];

    await Promise.all(heard.map((listener) => listener.subscribed()));

    for (const data of sent) {
        assert.equal(heard[0].channel.trigger('client-typing', data), true);
        await ann.sent();
    }

    for (const listener of heard.slice(1)) {
        await listener.event('client-typing', sent.length);
        assert.deepEqual(listener.of('client-typing'), sent);

        for (const frame of listener.client.of('client-typing',
                                               'private-room'))
        {
            assert.deepEqual(Object.keys(frame).sort(),
                             ['channel', 'data', 'event']);
        }
    }

    await ann.roundTrip();
    assert.deepEqual(heard[0].of('client-typing'), []);
    assert.deepEqual(ann.of('pusher:error'), []);
}


async function presenceClientEvents({ spread }) {
    const name = 'presence-room';
    const [ann, bob, tab] = await spread(['ann', 'bob', 'ann']);
    const heard = [ann, bob, tab].map((client) => client.listen(name));
    const from = [];

    await Promise.all(heard.map((listener) => listener.subscribed()));

    heard[1].channel.bind('client-typing', (data, metadata) => {
        from.push([data, metadata]);
    });
    heard[0].channel.trigger('client-typing', { on: true });

    for (const listener of heard.slice(1)) {
        await listener.event('client-typing');
        assert.deepEqual(listener.of('client-typing'), [{ on: true }]);
    }

    assert.deepEqual(from, [[{ on: true }, { user_id: 'ann' }]]);
    await ann.roundTrip();
    assert.deepEqual(ann.of('client-typing', name), []);
}


async function publicClientEvents({ server, spread }) {
    const [ann, bob] = await spread(['ann', 'bob']);
    const heard = [ann, bob].map((client) => client.listen('room'));

    await Promise.all(heard.map((listener) => listener.subscribed()));

    heard[0].channel.trigger('client-typing', {});

    const error = await ann.frame('pusher:error');

    assert.equal(error.data.code, null);
    assert.match(error.data.message, /private and presence/);

    const message = await server.publish('room', 'news', 'still here');

    for (const listener of heard) {
        assert.deepEqual(await listener.event('news'), message);
        assert.deepEqual(listener.of('client-typing'), []);
    }
}


async function userEvents({ server, spread }) {
    const all = await spread(['ann', 'bob', 'ann']);
    const heard = all.map(({ pusher }) => {
        const got = [];

        pusher.user.bind('notice', (data) => got.push(data));
        return got;
    });

    for (const client of all) {
        const { data } = await client.signin();

        assert.deepEqual(JSON.parse(data.user_data),
                         { id: client.user, user_info: info(client.user) });
        assert.equal(client.pusher.user.user_data.id, client.user);
    }

    const to = (user, text) => server.publish(`#server-to-user-${user}`,
                                              'notice', text);
    const first = await to('ann', 'one');
    const second = await to('bob', 'two');
    const third = await to('ann', 'three');

    await to('cid', 'nobody');

    /* what comes after, on a channel that all have, ends the waiting */

    const fences = all.map((client) => client.listen('fence'));

    await Promise.all(fences.map((listener) => listener.subscribed()));
    await server.publish('fence', 'end', 'now');
    await Promise.all(fences.map((listener) => listener.event('end')));

    assert.deepEqual(heard, [[first, third], [second], [first, third]]);
}


async function refusedSignin({ connect }) {
    const nobody = await connect(undefined).connected();

    nobody.pusher.signin();
    await nobody.pusher.user.signinDonePromise;
    assert.equal(nobody.pusher.user.user_data, null);

    await nobody.roundTrip();
    assert.deepEqual(nobody.of('pusher:signin_success'), []);
    assert.equal(nobody.connections.items.length, 1);
}


async function watchlist({ server, spread, signer }) {
    signer.watchlists.ann = ['bob', 'cid', 'dan'];

    const [ann, bob, tab, dan] = await spread(['ann', 'bob', 'bob', 'dan'],
                                              { users: signer.url });
    const name = 'pusher_internal:watchlist_events';
    const told = [];

    for (const event of ['online', 'offline']) {
        ann.pusher.user.watchlist.bind(event, (data) => told.push(data));
    }

    await dan.signin();
    await ann.signin();
    await ann.frame(name);
    assert.deepEqual(told, [
        { name: 'online', user_ids: ['dan'] },
        { name: 'offline', user_ids: ['bob', 'cid'] }]);

    await bob.signin();
    await ann.frame(name, undefined, 2);

    /* a second connection tells nothing, nor does the first of them ending */

    await tab.signin();
    bob.close();
    dan.close();
    await ann.frame(name, undefined, 3);
    tab.close();
    await ann.frame(name, undefined, 4);
    await ann.roundTrip();

    assert.deepEqual(told.slice(2), [
        { name: 'online', user_ids: ['bob'] },
        { name: 'offline', user_ids: ['dan'] },
        { name: 'offline', user_ids: ['bob'] }]);
    assert.equal(ann.of(name).length, 4);
}


async function killedWorker({ server, spread }) {
    const users = ['ann', 'bob', 'cid', 'cid'];
    const all = await spread(users);
    const names = ['presence-room', 'private-room', 'news', 'cache-room'];
    const heard = all.map((client) => names.map((name) => (
        client.listen(name))));
    const notices = [];

    await Promise.all(heard.flat().map((listener) => listener.subscribed()));
    await server.publish('cache-room', 'state', 'before');
    await Promise.all(heard.map((list) => list[3].event('state')));

    /* nobody who came is still on the way to be told */

    const [{ id }] = await Promise.all([
        server.publish('presence-room', 'fence', 'all'),
        ...heard.map(([room]) => room.event('fence'))]);

    assert.equal(heard[0][0].of('fence')[0].id, id);

    all[0].pusher.user.bind('notice', (data) => notices.push(data));
    await all[0].signin();

    /* ann's worker; the others have one of their own, if there are more */

    const { worker } = all[0];
    const hit = all.filter((client) => client.worker === worker);
    const spared = all.filter((client) => client.worker !== worker);

    assert.equal(hit.length, server.workers().length === 1 ? 4 : 1);

    const before = heard.map(([room]) => room.events.items.length);

    process.kill(worker, 'SIGKILL');

    for (const client of hit) {
        const listeners = heard[all.indexOf(client)];

        await client.connected(2);
        await Promise.all(listeners.map((one) => one.subscribed(2)));
        assert.notEqual(...client.connections.items);
    }

    /* each channel works, and all agree on who is there */

    for (const [i, name] of names.entries()) {
        const message = await server.publish(name, 'after', name);

        for (const list of heard) {
            await list[i].event('after');
            assert.deepEqual(list[i].of('after'), [message]);
        }
    }

    for (const [i, client] of all.entries()) {
        assert.deepEqual(heard[i][0].members(),
                         members(client.user, 'ann', 'bob', 'cid'));
    }

    /*
     * Who was spared: ann never left, or left and came back.  A client that
     * polls may have had its poll in the dead worker.
     */

    const polls = server.options.transports.includes('xhr_polling');

    for (const client of polls ? [] : spared) {
        const i = all.indexOf(client);
        const seen = heard[i][0].events.items.slice(before[i])
            .filter(([event]) => /member_/.test(event))
            .map(([event, { id }]) => `${event} ${id}`);

        assert.equal(client.connections.items.length, 1);

        if (seen.length) {
            assert.deepEqual(seen, ['pusher:member_removed ann',
                                    'pusher:member_added ann']);
        }
    }

    /* the cached event has outlived the worker */

    for (const client of hit) {
        assert.equal(heard[all.indexOf(client)][3].of('state').length, 2);
        assert.equal(client.of('pusher:cache_miss', 'cache-room').length, 1);
    }

    /* signed in again by itself */

    await all[0].frame('pusher:signin_success', undefined, 2);

    const notice = await server.publish('#server-to-user-ann', 'notice', 'x');

    await all[0].frame('notice', '#server-to-user-ann');
    assert.deepEqual(notices, [notice]);
}
