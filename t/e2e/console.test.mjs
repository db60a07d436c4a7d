/*
 * The operator's console: its page in Chromium, as the module serves it.
 * console_channel.test.mjs has the page of a channel, console_webhooks.test.mjs
 * that of webhooks, console_nodes.test.mjs that of nodes,
 * console_broken.test.mjs what goes wrong, and console_busy.test.mjs very many
 * channels and events.
 */

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { app, channel, consoleTests, trigger } from './console.mjs';

const { test } = consoleTests();


describe('the console', () => {

    test('shows what the server does', async ({ server, connect, open }) => {
        const clients = [connect(), connect(), connect()];

        for (const client of clients) {
            await client.connected();
            await client.listen('chat').subscribed();
        }

        const window = await open();
        const { page } = window;
        const card = (name) => page.locator('.chart').filter({
            has: page.getByRole('heading', { name, exact: true }) });
        const number = (name) => card(name).locator('.number').innerText();
        const drawn = () => card('Connections').locator('path.line-1.line')
                                               .getAttribute('d');

        await window.heading('Overview');
        await window.is('Live');
        assert.equal(await page.title(),
                     `Overview – Console of 127.0.0.1:${server.port}`);
        await window.until(() => number('Connections'), '3');

        /* numbers that move by what happens: events for 3 subscribers, until
           all of them have moved */

        const moves = (name) => window.until(() => number(name), (text) => (
            /^[\d.,]+\/s$/.test(text) && parseFloat(text) > 0));
        let still = false;

        const moved = Promise.all([moves('Events'), moves('Deliveries'),
            moves('Messages stored'),
            window.until(() => number('Commit time'), (text) => (
                /^[\d.]+ (µs|ms|s) mean$/.test(text)))])
            .finally(() => { still = true; });

        const post = async () => {
            while (!still) {
                await server.post('a message');
                await page.waitForTimeout(100);
            }
        };

        await Promise.all([moved, post()]);
        assert.match(await number('Shared memory'), /^[\d.]+ K?B$/);

        for (const name of ['Connections', 'Events', 'Traffic']) {
            assert.match(await card(name).getByRole('img')
                                         .getAttribute('aria-label'),
                         /, the last ten minutes: between .+ and .+/);
        }

        const workers = await window.table('Workers');

        assert.deepEqual(workers.map(([pid]) => Number(pid)).sort(),
                         server.workers().sort());
        assert.equal(workers.reduce((all, row) => all + Number(row[1]), 0), 3);

        /* a reload of the page keeps the charts */

        const before = (await window.until(drawn, (d) => (
            d.split('L').length > 2))).split('L').length;

        await page.reload();
        await window.is('Live');
        await window.until(drawn, (d) => d?.split('L').length >= before);

        await page.getByText('minute by minute').click();
        await window.until(async () => (
            (await window.table('The last ten minutes'))[0][1]), '3');
        await window.sound('Overview with its table');
    });

    test('says that commits take longer than it knows', async ({ open }) => {
        const window = await open(null);
        const { page } = window;
        let n = 0;

        /* each time ten more, which have all taken 20 s */

        await page.route('**/status', async (route) => {
            const response = await route.fetch();
            const json = await response.json();
            const times = json.store.commit_times;

            n += 10;
            json.store.commits = n;
            json.store.commits_microseconds = n * 20000000;
            times.forEach((bucket) => { bucket.commits = 0; });
            times.at(-1).commits = n;
            await route.fulfill({ response, json });
        });
        await page.goto(`${window.base}#/`);
        await page.locator('.legend').getByText('over 10 s')
                  .waitFor();
        await page.locator('.number').getByText('20 s mean').waitFor();
    });

    test('shows an earlier moment, by the keyboard', async ({ open }) => {
        const window = await open();
        const { page } = window;
        const slider = page.getByRole('slider', { name: 'Last ten minutes' });
        const when = () => page.locator('output').innerText();

        await window.is('Live');
        await slider.focus();
        assert.equal(await when(), 'now');

        for (let i = 0; i < 5; i++) {
            await page.keyboard.press('ArrowLeft');
        }

        await window.until(when, (text) => (
            /^\d\d:\d\d:\d\d, (just now|\d+ s ago)$/.test(text)));
        assert.match(await slider.getAttribute('aria-valuetext'), /^\d\d:/);
        await page.keyboard.press('Tab');
        assert.ok(await window.button('Back to now').evaluate((e) => (
            e === document.activeElement)));
        await page.keyboard.press('Enter');
        await window.until(when, 'now');
    });

    test('counts what was refused', async ({ server, connect, open }) => {
        const client = connect('ann', { channels: `${server.url}/nowhere` });
        const listener = client.listen('private-x');

        await listener.event('pusher:subscription_error');
        client.pusher.send_event('pusher:subscribe', { channel: 'no spaces' });
        await client.roundTrip();

        const window = await open();
        const { page } = window;
        const table = () => window.table('Subscriptions refused');

        await window.until(async () => (await table()).map(([reason, , n]) => (
            [reason.split(' ')[0], n])), [['name', '1']]);
        await page.getByLabel('Also what has not happened').check();
        await window.until(async () => (await table()).length,
                           (n) => n >= 8);
        await window.says('The app has max_connections already.');
    });

    test('finds channels', async ({ connect, open }) => {
        const [ann, bob] = [connect('ann'), connect('bob')];

        await Promise.all([ann.connected(), bob.connected()]);

        for (let i = 0; i < 120; i++) {
            ann.listen(`room-${String(i).padStart(3, '0')}`);
        }

        await ann.listen('presence-hall').subscribed();
        await bob.listen('room-077').subscribed();
        await bob.listen('presence-hall').subscribed();
        await ann.roundTrip();

        const window = await open('#/channels');
        const { page } = window;
        const names = async () => (await window.table('Channels'))
                                  .map(([name]) => name);

        await window.heading('Channels');
        await window.says('121 channels');
        assert.deepEqual((await window.table('Channels')).slice(0, 3), [
            ['presence-hall', 'presence ', '2', '2'],
            ['room-077', 'public ', '2', ''],
            ['room-000', 'public ', '1', ''],
        ]);
        assert.equal((await names()).length, 50);

        /* pages of the most subscribed, and back */

        await window.link('Next').click();
        await window.says('Page 2 of 3');
        await window.link('Next').click();
        await window.until(async () => (await names()).length, 21);
        await page.goBack();
        await window.says('Page 2 of 3');

        /* what is no page is the first one */

        for (const page of ['-5', '0', 'x', 'Infinity']) {
            await window.go(`#/channels/${app}?page=2`);
            await window.until(async () => (await names())[0], 'room-048');
            await window.go(`#/channels/${app}?page=${page}`);
            await window.until(async () => (await names())[0],
                               page === 'Infinity' ? 'room-099'
                                                   : 'presence-hall');
        }

        /* by name, which has no end */

        await page.getByLabel('Sorted by').selectOption('Name');
        await window.until(async () => (await names())[0], 'presence-hall');
        await window.link('Next').click();
        await window.until(async () => (await names())[0], 'room-049');
        await window.link('Next').click();
        await window.until(async () => (await names()).at(-1), 'room-119');
        await window.link('Previous').click();
        await window.until(async () => (await names())[0], 'room-049');
        assert.match(page.url(), /sort=name&after=room-048$/);

        /* a prefix; the address has it, so a reload and a link do, too */

        await page.getByLabel('Name begins with').fill('room-07');
        await window.says('10 channels with “room-07…”');
        await window.until(async () => (await names()).length, 10);
        await page.reload();
        await window.says('10 channels with “room-07…”');
        assert.equal(await page.getByLabel('Name begins with').inputValue(),
                     'room-07');
        await window.link('room-077').click();
        await window.heading('room-077');
        await page.goBack();
        await window.says('10 channels with “room-07…”');
        await window.sound('Channels');

        /* none, and what one may want then */

        await page.getByLabel('Name begins with').fill('nobody-here');
        await window.says('No channel with subscribers begins with');
        await window.sound('no channels');
        await window.link('Open the channel “nobody-here”').click();
        await window.heading('nobody-here');
        await window.says('No events yet.');
    });

    test('chooses among apps', async ({ connect, open }) => {
        const client = connect();

        await client.connected();
        await client.listen('room').subscribed();

        const window = await open('#/channels');
        const { page } = window;

        await window.says('1 channel with subscribers');
        await page.getByLabel('App').selectOption('shop');
        await window.says('Nobody is subscribed to a channel now.');
        assert.match(page.url(), /#\/channels\/shop$/);
        await page.goBack();
        await window.says('1 channel with subscribers');

        window.expected = /404/;
        await window.go('#/channels/nothing');
        await window.says('Unknown app id.');

        await window.go('#/apps');
        await window.heading('Apps');

        const card = (name) => page.locator('.app').filter({
            has: page.getByRole('heading', { name, exact: true }) });
        const limits = () => card('shop').innerText();

        await window.until(limits, (text) => (
            /Connections\s+0 of 10, 0 %/.test(text)
            && /max_connections\s+10/.test(text)
            && /cache_ttl\s+5 min/.test(text)
            && /presence_members\s+no limit/.test(text)));
        assert.match(await card(app).innerText(), /no limit, not counted/);
        assert.doesNotMatch(await page.content(), /secret-of-the-shop/);
        await window.sound('Apps');
        await card('shop').getByRole('link').click();
        await window.says('Nobody is subscribed to a channel now.');
    }, {
        apps: 'chat_app shop { key key-of-the-shop; max_connections 10;'
              + ' secret secret-of-the-shop; cache_ttl 5m; }',
    });
});


/* One that fails and one that is new, with long words. */

const now = new Date().toISOString();
const url = `https://app.example.com/${'pusher/'.repeat(20)}`;
const refused = `Failed to connect to ${'x'.repeat(60)}: Connection refused`;

const webhooks = [
    { app, url, events: ['channel_occupied', 'channel_vacated', 'member_added',
                         'member_removed', 'client_event', 'cache_miss'],
      channels: [`${'long-'.repeat(30)}*`, 'x'], batch: true, retry: 300,
      queued: 100000, dead: 10000, tries: 12, last_status: 0,
      last_error: refused, last_success: now, oldest: now },
    { app: 'shop', url: 'http://a/', events: ['member_added'], channels: [],
      batch: false, retry: 60 },
];

const dead = [{ id: 123456789, url, tries: 12, error: refused,
                event: `{"name":"client_event","data":"${'w'.repeat(500)}"}`,
                created_at: now, dead_at: now }];

/* One that is cut off, with as long a name as there may be. */

const cluster = {
    node: 'n'.repeat(64), joined: 0, isolated: 1, away_milliseconds: 3600000,
    term: 0, applied: 123456789, behind: 0, log_lost: 1, log_trimmed: 2,
    nodes: [{ node: 'n'.repeat(64), lease_milliseconds: 10000 },
            { node: 'w'.repeat(64), lease_milliseconds: 0 }],
};

const cutOff = { now, incidents: [{ kind: 'cluster_out', count: 1, first: now,
                                    last: now, pid: 1, detail: refused }] };


describe('the console for all', () => {

    test('goes by keyboard alone', async ({ server, connect, open }) => {
        const client = connect();

        await client.connected();
        await client.listen('room').subscribed();

        const window = await open();
        const { page } = window;
        const focus = () => page.evaluate(() => {
            const e = document.activeElement;
            const { outlineStyle, outlineWidth } = getComputedStyle(e);

            return { text: (e.innerText ?? '').trim(), name: e.localName,
                     ring: outlineStyle !== 'none'
                           && parseFloat(outlineWidth) >= 2 };
        });
        const press = async (key) => {
            await page.keyboard.press(key);
            return focus();
        };

        await window.is('Live');
        assert.equal((await press('Tab')).text, 'Skip to content');
        await press('Enter');
        assert.deepEqual((await focus()).name, 'h1');
        await page.keyboard.press('Shift+Tab');     // Incidents
        assert.match((await focus()).text, /^Incidents/);
        await page.keyboard.press('Shift+Tab');     // Nodes
        await page.keyboard.press('Shift+Tab');     // Webhooks
        await page.keyboard.press('Shift+Tab');
        await page.keyboard.press('Shift+Tab');
        assert.deepEqual(await focus(), { text: 'Channels', name: 'a',
                                          ring: true });
        await page.keyboard.press('Enter');
        await window.until(focus, ({ name, text }) => (
            name === 'h1' && text === 'Channels'));
        await window.link('room').waitFor();

        /* filter, sort, the only channel, each with a ring around it */

        for (const name of ['input', 'select', 'a']) {
            const at = await press('Tab');

            assert.equal(at.name, name);
            assert.ok(at.ring, `${name} shows that it has the focus`);
        }

        await page.keyboard.press('Enter');
        await window.heading(/room/);
        await window.says('Listening');
        await trigger(server, 'room', 'said', '{"a":1}');
        await window.line('said').waitFor();

        let at = await focus();

        for (let i = 0; i < 20 && !/said/.test(at.text); i++) {
            at = await press('Tab');
            assert.ok(at.ring, `${at.name} ${at.text} shows its focus`);
        }

        await page.keyboard.press('Enter');
        await page.locator('.json .key').getByText('a').waitFor();
    });

    for (const colorScheme of ['light', 'dark']) {
        for (const width of colorScheme === 'dark' ? [1280, 390] : [360]) {
            test(`is sound in ${colorScheme}, ${width} wide`, async (
                { server, connect, open }) =>
            {
                const client = connect('ann');

                await client.connected();
                await client.listen('presence-hall').subscribed();
                await client.listen(`room-${'x'.repeat(150)}`).subscribed();
                await client.listen('private-encrypted-cache-x')
                            .event('pusher:subscription_error');
                await server.publish('presence-hall', 'said',
                                     'w'.repeat(500));

                const window = await open('#/', {
                    colorScheme, viewport: { width, height: 800 } });
                const { page } = window;
                const look = async (hash, text) => {
                    await window.go(hash);
                    await window.says(text);
                    await window.sound(hash);
                    await window.readable();
                };

                /* a busy machine may well have had an incident */

                await page.route('**/incidents', (route) => route.fulfill({
                    json: { now: new Date().toISOString(), incidents: [] } }));
                await window.is('Live');
                await page.getByLabel('Also what has not happened').check();
                await look('#/', 'The app has max_connections already.');
                await look('#/channels', '2 channels');
                await look(channel(`room-${'x'.repeat(150)}`), 'Listening');
                await look(channel('presence-hall', '/members'), 'Name of ann');
                await look(channel('presence-hall', '/history'), 'wwww');
                await look(channel('presence-hall'), 'Listening');
                await trigger(server, 'presence-hall', 'said',
                              `{"long":"${'w'.repeat(500)}","n":[1,null]}`);
                await window.line('said').locator('summary').click();
                await look(channel('presence-hall'), 'Resume');
                await look('#/apps', 'channels_per_connection');
                await look('#/incidents', 'Nothing went wrong.');
                await page.route('**/webhooks', (route) => route.fulfill({
                    json: { webhooks } }));
                await page.route('**/webhooks/dead?*', (route) => (
                    route.fulfill({ json: dead })));
                await look('#/webhooks', 'Nobody listens there');
                await look(`#/webhooks/${app}`, 'Connection refused');
                await page.locator('.rows summary').click();
                await look(`#/webhooks/${app}`, 'given up after 12 tries');
                await look('#/nodes', 'This server is alone.');
                await page.route('**/incidents', (route) => route.fulfill({
                    json: cutOff }));
                let shown = cluster;

                await page.route('**/status', async (route) => {
                    const response = await route.fetch();

                    await route.fulfill({ response, json: {
                        ...await response.json(), cluster: shown } });
                });
                await window.says('cut off: clients are sent away');
                await look('#/nodes', 'Connection refused');
                shown = { ...cluster, joined: 1, isolated: 0, term: 3 };
                await window.says('in the cluster');
                await look('#/nodes', 'event 123456789, 0 behind');

                /* something new beside the last one of the navigation */

                await page.route('**/incidents', (route) => route.fulfill({
                    json: { now, incidents: [{ kind: 'loop_stall', count: 1,
                        first: now, last: now, pid: 1, detail: '' }] } }));
                await page.reload();
                await window.link('Incidents 1 new').waitFor();
                await window.sound('something new');
            });
        }
    }

    test('moves nothing by itself', async ({ open }) => {
        const window = await open();

        await window.is('Live');
        assert.equal(await window.page.evaluate(() => (
            document.getAnimations().length)), 0);
    });

    test('works below any path', async ({ server, open }) => {
        const window = await open('#/channels', { path: '/a/b/' });
        const { page } = window;

        await window.says('Nobody is subscribed to a channel now.');
        await window.go(channel('chat'));
        await window.says('Listening');
        await server.post('hello');
        await window.line('hello').waitFor();

        /* another console of this host has what it has seen for itself */

        await page.route('**/incidents', (route) => route.fulfill({ json: {
            now, incidents: [{ kind: 'slow_client', count: 1, first: now,
                               last: now, pid: 1, detail: '' }] } }));
        await window.go('#/incidents');
        await window.says('A client did not read');
        await window.go('#/apps');
        await window.link('Incidents').waitFor();
        window.base = `${server.url}/`;
        await page.goto(`${server.url}/console/#/apps`);
        await window.link('Incidents 1 new').waitFor();
        assert.deepEqual(await page.evaluate(() => (
            Object.keys(localStorage))), [
                'chat-console-incidents-seen /a/b/']);
    }, { locations: 'location /a/b/ { chat_console; }' });
});
