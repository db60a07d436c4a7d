/*
 * pusher-js as a page has it, in Chromium: its builds for the browser, from
 * the same nginx, one window for each user, with WebSocket and without.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, Window } from './browser.mjs';
import { key, libraries, oldest, options } from './libraries.mjs';
import { withServer } from './server.mjs';
import { withSigner } from './signer.mjs';

const limit = { timeout: 120000 };      // of a test

let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());


/* A window with a client in it; what the client sees is kept in the page. */

class Page {
    static async open(server, library, user,
                      { authorizer, build, transports } = {})
    {
        const page = new Page();

        page.user = user;
        page.transports = transports;
        page.window = await Window.open(browser, `${server.url}/page`);

        await page.window.page.addScriptTag({
            url: `/${library.folder}/${build ?? 'pusher.min.js'}` });
        await page.window.page.evaluate(([key, options]) => {
            const pusher = new window.Pusher(key, options);

            window.seen = {};
            window.pusher = pusher;
            window.note = (where, event, data) => {
                (window.seen[where] ??= []).push([event, data]);
            };
            pusher.connection.bind('connected', () => {
                window.note('connection', 'connected');
            });
            pusher.connection.bind('message', ({ event, channel }) => {
                window.note('frames', event, channel);
            });
        }, [key, options(library, server, user, authorizer, transports)]);

        return page;
    }

    run(what, ...values) {
        return this.window.page.evaluate(what, values);
    }

    listen(channel) {
        return this.run(([channel]) => {
            window.pusher.subscribe(channel).bind_global((event, data) => {
                const { members } = window.pusher.channel(channel);

                /* the library's own object of members goes on changing */
                window.note(channel, event,
                            event === 'pusher:subscription_succeeded'
                                ? { ...members?.members ?? data } : data);
            });
        }, channel);
    }

    /* Waits until there are n, and returns all that is there by then. */

    async sees(where, n) {
        await this.window.page.waitForFunction(
            ([where, n]) => (window.seen[where]?.length ?? 0) >= n,
            [where, n], { timeout: 30000 })
            .catch(() => {});           // the caller's assertion says it

        return this.run(([where]) => window.seen[where] ?? [], where);
    }

    /* The server has handled all that was sent before, when it answers. */

    async roundTrip() {
        await this.run(() => window.pusher.connection.send_event(
                                                    'pusher:ping', {}));
        await this.window.page.waitForFunction(() => (
            window.seen.frames.some(([event]) => event === 'pusher:pong')));
    }

    async signin() {
        await this.run(() => window.pusher.signin());
        await this.window.page.waitForFunction(() => (
            window.seen.frames?.some(([event]) => (
                event === 'pusher:signin_success'))));
        assert.equal(await this.run(() => window.pusher.user.user_data.id),
                     this.user);
    }

    trigger(channel, event, data) {
        return this.run(([channel, event, data]) => (
            window.pusher.channel(channel).trigger(event, data)),
            channel, event, data);
    }
}


function withPages(library, { transports, ...serverOptions }, test) {
    return () => withServer(serverOptions, async (server) => {
        const pages = [];

        const open = async (user, how) => {
            const page = await Page.open(server, library, user,
                                         { ...how, transports });

            pages.push(page);
            return page;
        };

        try {
            await test({ server, open });
            pages.forEach(({ window }) => (
                assert.deepEqual(window.errors, [])));

        } finally {
            await Promise.all(pages.map(({ window }) => window.close()));
        }
    });
}


/* each library by one of them, with CHAT_WHOLE by both */

const fallbacks = ['xhr_streaming', 'xhr_polling'];
const whole = Boolean(process.env.CHAT_WHOLE);

for (const library of libraries) {
    for (const workers of [1, 4]) {
        suite(library, workers);
    }
}

for (const [n, library] of [...libraries, oldest].entries()) {
    for (const [k, transport] of fallbacks.entries()) {
        if (whole || k === n % 2) {
            suite(library, 4, transport);
        }
    }
}


function suite(library, workers, transport) {
    const row = transport ? `F10: ${transport}: ` : '';
    const on = `${row}Chromium, ${library.name}, workers: ${workers}`;
    const common = { workers, transports: transport && [transport] };
    const pages = (test) => withPages(library, common, test);

    const each = (what, test) => it(`${on}: ${what}`, limit, test);

    describe(on, () => {
        each('public and private', pages(publicAndPrivate));
        each('refused', pages(refused));
        each('presence and client events', pages(presence));
        each('encrypted', pages(withSigner(encrypted)));
        each('cache', pages(cache));
        each('a killed worker', withPages(library,
            { ...common, allow: /exited on signal 9/ }, killedWorker));

        if (library === oldest) {
            return;
        }

        each('sign-in and user events', pages(signin));
        each('watchlist', pages(withSigner(watchlist)));
    });
}


const succeeded = (data = {}) => ['pusher:subscription_succeeded', data];
const info = (user) => ({ name: `Name of ${user}` });
const list = (...users) => (
    Object.fromEntries(users.map((user) => [user, info(user)])));


async function publicAndPrivate({ server, open }) {
    const pages = [await open('ann'), await open('bob')];

    for (const channel of ['news', 'private-room']) {
        for (const page of pages) {
            await page.listen(channel);
            assert.deepEqual(await page.sees(channel, 1), [succeeded()]);
        }

        const message = await server.publish(channel, 'note', 'žluť 😀');

        for (const page of pages) {
            assert.deepEqual(await page.sees(channel, 2),
                             [succeeded(), ['note', message]]);
        }
    }
}


async function refused({ open }) {
    const nobody = await open(undefined);

    nobody.window.expected = /status of 403/;
    await nobody.listen('private-room');

    const [[event, error]] = await nobody.sees('private-room', 1);

    assert.equal(event, 'pusher:subscription_error');
    assert.equal(error.type, 'AuthError');
    assert.equal(error.status, 403);
}


async function presence({ open }) {
    const channel = 'presence-room';
    const ann = await open('ann');
    const added = (user) => ['pusher:member_added',
                             { id: user, info: info(user) }];
    const removed = (user) => ['pusher:member_removed',
                               { id: user, info: info(user) }];

    await ann.listen(channel);
    assert.deepEqual(await ann.sees(channel, 1), [succeeded(list('ann'))]);

    const bob = await open('bob');

    await bob.listen(channel);
    await bob.sees(channel, 1);

    const cid = await open('cid');

    await cid.listen(channel);
    await cid.sees(channel, 1);

    const tab = await open('cid');

    await tab.listen(channel);
    assert.deepEqual(await tab.sees(channel, 1),
                     [succeeded(list('ann', 'bob', 'cid'))]);

    assert.equal(await tab.trigger(channel, 'client-typing', { on: true }),
                 true);

    const typing = ['client-typing', { on: true }];

    assert.deepEqual(await ann.sees(channel, 4),
                     [succeeded(list('ann')), added('bob'), added('cid'),
                      typing]);
    assert.deepEqual(await cid.sees(channel, 2),
                     [succeeded(list('ann', 'bob', 'cid')), typing]);

    /* one tab closes, then the other */

    await cid.window.close();
    await tab.trigger(channel, 'client-typing', { on: false });
    await ann.sees(channel, 5);
    await tab.window.close();

    assert.deepEqual((await ann.sees(channel, 6)).slice(4),
                     [['client-typing', { on: false }], removed('cid')]);
    assert.deepEqual(await bob.sees(channel, 5),
                     [succeeded(list('ann', 'bob')), added('cid'), typing,
                      ['client-typing', { on: false }], removed('cid')]);
}


async function encrypted({ server, open, signer }) {
    const channel = 'private-encrypted-room';
    const build = 'pusher-with-encryption.min.js';
    const authorizer = { channels: signer.url };
    const pages = [await open('ann', { build, authorizer }),
                   await open('bob', { build, authorizer })];
    const secret = { text: 'žluť 😀' };

    for (const page of pages) {
        await page.listen(channel);
        assert.deepEqual(await page.sees(channel, 1), [succeeded()]);
    }

    await signer.send(server.port, channel, 'client-note',
                      signer.encrypt(channel, secret));

    for (const page of pages) {
        assert.deepEqual(await page.sees(channel, 2),
                         [succeeded(), ['client-note', secret]]);
    }
}


async function cache({ server, open }) {
    const channel = 'private-cache-state';
    const early = await open('ann');

    await early.listen(channel);
    assert.deepEqual(await early.sees(channel, 2),
                     [succeeded(), ['pusher:cache_miss', {}]]);

    await server.publish(channel, 'state', 'one');

    const last = await server.publish(channel, 'state', 'two');
    const late = await open('bob');

    await late.listen(channel);
    assert.deepEqual(await late.sees(channel, 2),
                     [succeeded(), ['state', last]]);
    assert.deepEqual((await early.sees(channel, 4))[3], ['state', last]);
}


async function signin({ server, open }) {
    const pages = [await open('ann'), await open('bob'), await open('ann')];

    for (const page of pages) {
        await page.run(() => {
            window.pusher.user.bind('notice', (data) => {
                window.note('user', 'notice', data);
            });
        });
        await page.signin();
    }

    const message = await server.publish('#server-to-user-ann', 'notice',
                                         'for you');

    for (const page of [pages[0], pages[2]]) {
        assert.deepEqual(await page.sees('user', 1), [['notice', message]]);
    }

    await pages[1].roundTrip();
    assert.deepEqual(await pages[1].sees('user', 0), []);
}


async function watchlist({ open, signer }) {
    const authorizer = { users: signer.url };
    const ann = await open('ann', { authorizer });
    const event = (name, ...users) => [name, { name, user_ids: users }];

    signer.watchlists.ann = ['bob', 'cid'];

    await ann.run(() => {
        for (const event of ['online', 'offline']) {
            window.pusher.user.watchlist.bind(event, (data) => {
                window.note('watchlist', event, data);
            });
        }
    });
    await ann.signin();
    assert.deepEqual(await ann.sees('watchlist', 1),
                     [event('offline', 'bob', 'cid')]);

    const bob = await open('bob', { authorizer });

    await bob.signin();
    await ann.sees('watchlist', 2);
    await bob.window.close();
    assert.deepEqual(await ann.sees('watchlist', 3),
                     [event('offline', 'bob', 'cid'), event('online', 'bob'),
                      event('offline', 'bob')]);
}


async function killedWorker({ server, open }) {
    const channel = 'presence-room';
    const pages = [await open('ann'), await open('bob')];

    for (const page of pages) {
        page.window.expected = page.transports ? /net::|status of (404|503)/
                                               : /WebSocket connection/;
        await page.listen(channel);
        assert.equal((await page.sees(channel, 1))[0][0],
                     'pusher:subscription_succeeded');
    }

    const counts = [...server.connections()].filter(([, n]) => n > 0);

    for (const [worker] of counts) {
        process.kill(worker, 'SIGKILL');
    }

    for (const page of pages) {
        assert.equal((await page.sees('connection', 2)).length, 2);
        await page.window.page.waitForFunction((channel) => (
            window.seen[channel].filter(([event]) => (
                event === 'pusher:subscription_succeeded')).length === 2),
            channel);
    }

    const message = await server.publish(channel, 'note', 'again');

    for (const page of pages) {
        await page.window.page.waitForFunction((channel) => (
            window.seen[channel].at(-1)[0] === 'note'), channel);

        const [count, members, seen] = await page.run(([channel]) => {
            const { members } = window.pusher.channel(channel);

            return [members.count, members.members, window.seen[channel]];
        }, channel);

        assert.equal(count, 2);
        assert.deepEqual(members, list('ann', 'bob'));
        assert.deepEqual(seen.at(-1), ['note', message]);
        assert.equal(seen.filter(([event]) => event === 'note').length, 1);
    }
}
