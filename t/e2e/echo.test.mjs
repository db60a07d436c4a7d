/*
 * laravel-echo, with pusher-js under it: private and presence channels,
 * whispers, refusals, and what an application publishes.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Inbox } from './inbox.mjs';
import { libraries, load, location, options } from './libraries.mjs';
import { key, packages, withServer } from './server.mjs';
import { withSigner } from './signer.mjs';

/* the file for import, that lies beside the one for require() */
const { default: Echo } = await import(new URL('echo.js',
    pathToFileURL(packages.resolve('laravel-echo'))));

const limit = { timeout: 120000 };


/* What an application sees of a channel: [what, with which value]. */

function watch(channel, ...whispers) {
    const seen = new Inbox();
    const push = (what) => (value) => seen.push([what, value]);

    channel.subscribed(push('subscribed'));
    channel.error(push('error'));
    channel.here?.((all) => push('here')(all.map(({ name }) => name).sort()));
    channel.joining?.(push('joining'));
    channel.leaving?.(push('leaving'));
    channel.listen('.news', push('news'));
    channel.listenForWhisper('typing', push('typing'));

    return seen;
}


function withEcho(broadcaster, library, workers, test) {
    return () => withServer({ workers }, async (server) => {
        const all = [];

        const echo = (user, authorizer) => {
            const { auth, authEndpoint, userAuthentication } = options(
                libraries[1], server, user, authorizer);
            const one = new Echo({ broadcaster, key, Pusher: load(library),
                                   ...location(server), authEndpoint, auth,
                                   userAuthentication });

            all.push(one);
            return one;
        };

        try {
            await test({ server, echo });

        } finally {
            all.forEach((one) => one.disconnect());
        }
    });
}


for (const workers of [1, 4]) {
    suite('reverb', libraries[0], workers);
    suite('pusher', libraries[1], workers);
}


function suite(broadcaster, library, workers) {
    const on = `${broadcaster}, ${library.name}, workers: ${workers}`;
    const run = (test) => withEcho(broadcaster, library, workers, test);

    describe(`laravel-echo, ${on}`, limit, () => {
        it(`echo, ${on}: private channel and whisper`, run(privateChannel));
        it(`echo, ${on}: presence channel and whisper`, run(presenceChannel));
        it(`echo, ${on}: refused by chat_auth`, run(refused));
        it(`echo, ${on}: refused by the server`,
           run(withSigner(wrongSignature)));
        it(`echo, ${on}: notifications of a user`, run(notification));
    });
}


async function privateChannel({ server, echo }) {
    const channels = ['ann', 'bob'].map((user) => echo(user).private('room'));
    const [ann, bob] = channels.map((channel) => watch(channel));

    await Promise.all([ann, bob].map((seen) => seen.count(1, 'subscribed')));

    channels[0].whisper('typing', { name: 'Ann' });
    await bob.count(2, 'whisper');

    const message = await server.publish('private-room', 'news', 'hello');

    await ann.count(2, 'news');
    await bob.count(3, 'news');

    assert.deepEqual(ann.items, [['subscribed', undefined],
                                 ['news', message]]);
    assert.deepEqual(bob.items, [['subscribed', undefined],
                                 ['typing', { name: 'Ann' }],
                                 ['news', message]]);
}


async function presenceChannel({ echo }) {
    const info = (user) => ({ name: `Name of ${user}` });
    const echoes = ['ann', 'bob', 'cid'].map((user) => echo(user));
    const channels = [];
    const seen = [];

    for (const [i, one] of echoes.entries()) {
        channels.push(one.join('room'));
        seen.push(watch(channels[i]));
        await seen[i].count(2, 'subscribed and here');
    }

    const [ann, bob, cid] = seen;

    await ann.count(4, 'joining');
    await bob.count(3, 'joining');

    channels[2].whisper('typing', { on: true });
    await Promise.all([ann.count(5, 'whisper'), bob.count(4, 'whisper')]);

    echoes[2].leave('room');
    await Promise.all([ann.count(6, 'leaving'), bob.count(5, 'leaving')]);

    echoes[1].disconnect();
    await ann.count(7, 'leaving');

    assert.deepEqual(ann.items, [
        ['subscribed', undefined], ['here', ['Name of ann']],
        ['joining', info('bob')], ['joining', info('cid')],
        ['typing', { on: true }],
        ['leaving', info('cid')], ['leaving', info('bob')]]);
    assert.deepEqual(bob.items, [
        ['subscribed', undefined], ['here', ['Name of ann', 'Name of bob']],
        ['joining', info('cid')], ['typing', { on: true }],
        ['leaving', info('cid')]]);
    assert.deepEqual(cid.items, [
        ['subscribed', undefined],
        ['here', ['Name of ann', 'Name of bob', 'Name of cid']]]);
}


/* chat_auth answers 403 where there is no user. */

async function refused({ echo }) {
    const nobody = echo(undefined);

    const both = [watch(nobody.private('room')), watch(nobody.join('room'))];

    for (const seen of both) {
        await seen.count(1, 'error');

        const [[what, error]] = seen.items;

        assert.equal(what, 'error');
        assert.equal(error.type, 'AuthError');
        assert.equal(error.status, 403);
        assert.equal(seen.items.length, 1);
    }

    assert.equal(nobody.connectionStatus(), 'connected');
}


/* Both frames of a refusal: the object reaches the application. */

async function wrongSignature({ server, echo, signer }) {
    signer.secret = 'another';

    const ann = echo('ann', { channels: signer.url });
    const errors = new Inbox();

    ann.connector.pusher.connection.bind('error', (error) => {
        errors.push(error);
    });

    const seen = watch(ann.private('room'));

    await seen.count(1, 'error');
    await errors.count(1, 'pusher:error');

    const [[what, error]] = seen.items;
    const [{ data }] = errors.items;

    assert.equal(what, 'error');
    assert.equal(error.type, 'AuthError');
    assert.equal(error.status, 401);
    assert.match(error.error, /^Invalid signature: Expected HMAC SHA256/);
    assert.deepEqual(data, { code: null, message: error.error });

    await server.publish('private-room', 'news', 'secret');

    const open = watch(ann.channel('open'));

    await open.count(1, 'subscribed');
    await server.publish('open', 'news', 'for all');
    await open.count(2, 'news');
    assert.equal(seen.items.length, 1);
    assert.equal(ann.connectionStatus(), 'connected');
}


/* As Laravel sends them: an event of that name on the user's own channel. */

async function notification({ server, echo }) {
    const seen = new Inbox();
    const name = 'private-App.Models.User.7';
    const channel = echo('7').private('App.Models.User.7');
    const subscribed = new Inbox();

    channel.notification((data) => seen.push(data));
    channel.subscribed(() => subscribed.push(true));
    await subscribed.count(1, 'subscribed');

    const message = await server.publish(name,
        'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated',
        'you have mail');

    await seen.count(1, 'notification');
    assert.deepEqual(seen.items, [message]);
}
