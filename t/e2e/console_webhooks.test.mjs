/*
 * The console's page of webhooks: what it says of those that do and those that
 * don't, and how it sends again what was given up.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { app, consoleTests, withConsole } from './console.mjs';
import { Receiver } from './receiver.mjs';

const limit = { timeout: 120000 };      // of a test

const { getBrowser } = consoleTests();

/* hooks(url) makes the lines of the app; the URL is that of a receiver. */

const test = (what, hooks, how, options = {}) => it(what, limit, async () => {
    const receiver = await Receiver.start();

    try {
        await withConsole(getBrowser,
            { ...options, app: hooks(receiver.url) },
            (given) => how({ ...given, receiver }))();
        assert.deepEqual(receiver.faults, []);

    } finally {
        await receiver.close();
    }
});

const card = ({ page }, url) => page.locator('.hook').filter({
    has: page.getByRole('heading', { name: url, exact: true }) });

/* What the card of a webhook says, by its terms. */

const facts = (window, url) => card(window, url).locator('.facts > div')
    .evaluateAll((all) => Object.fromEntries(all.map((one) => (
        [...one.children].map((part) => part.textContent)))));


describe('webhooks in the console', () => {

    test('how to have one', () => '', async ({ open }) => {
        const window = await open('#/');

        await window.link('Webhooks').click();
        await window.heading('Webhooks');
        await window.says('No app has a webhook.');
        await window.sound('no webhooks');
        await window.go(`#/webhooks/${app}`);
        await window.says('Nothing was given up.');
        await window.sound('nothing given up');
    });

    test('how each of them does', (url) => (
        `webhook ${url.replace('//', '//ann:a-password@')}
                 events=channel_occupied,member_added;
         webhook http://127.0.0.2:1/none channels=none-*,x batch=off retry=2h;`
    ), async ({ connect, open, receiver }) => {
        const window = await open('#/webhooks');
        const client = connect();
        const quiet = 'http://127.0.0.2:1/none';

        await window.until(() => card(window, receiver.url).innerText()
            .catch(() => ''), (text) => /nothing to send yet/.test(text));
        assert.equal((await facts(window, receiver.url))['Last success'],
                     'none yet');

        await client.connected();
        await client.listen('room').subscribed();
        await receiver.told('channel_occupied', { channel: 'room' });
        await window.until(() => card(window, receiver.url).innerText(),
                           (text) => /all right/.test(text));

        const { 'Last success': time, ...rest } = await window.until(
            () => facts(window, receiver.url), (all) => (
                all.Waiting === 'none' && all['Last answer'] === 'status 200'));

        assert.match(time, /^\d\d:\d\d:\d\d$/);
        assert.deepEqual(rest, {
            'Waiting': 'none', 'The oldest since': '–', 'Failed tries': 'none',
            'Last answer': 'status 200', 'Last error': 'none',
            'Given up': 'none', 'Events': 'channel_occupied, member_added',
            'Channels': 'all', 'Sent': 'in batches', 'Tried for': '5 min' });

        const other = await facts(window, quiet);

        assert.equal(other.Channels, 'none-*, x');
        assert.equal(other.Sent, 'one by one');
        assert.equal(other['Tried for'], '2 h');
        assert.equal(await window.page.getByRole('heading', { level: 2 })
                                 .innerText(), `App ${app}`);
        assert.doesNotMatch(await window.page.content(), /a-password/);
        assert.ok(await window.button('Send again').isHidden());
        await window.sound('webhooks that do');
    });

    test('what fails, and what to do', (url) => (
        `webhook ${url}; webhook http://127.0.0.2:1/ channels=room;`
    ), async ({ connect, open, receiver }) => {
        const window = await open('#/webhooks');
        const client = connect();
        const text = () => card(window, receiver.url).innerText();

        await receiver.be('error');
        await client.connected();
        await client.listen('room').subscribed();
        await window.says('Look into its log.');
        await window.until(() => facts(window, receiver.url), (all) => (
            all['Last error'] === 'status 500' && all.Waiting === '1 event'
            && /^\d\d:\d\d:\d\d, \d+ s$/.test(all['The oldest since'])));
        assert.match(await text(), /failing/);
        await window.until(
            () => card(window, 'http://127.0.0.2:1/').innerText(),
            (now) => /Nobody listens there/.test(now));
        await window.sound('webhooks that fail');

        await receiver.be('answers');
        await window.until(text, (now) => /all right/.test(now), 60000);
        assert.doesNotMatch(await text(), /What to do/);
        await receiver.told('channel_occupied', { channel: 'room' });
    });

    test('what was given up, which can be sent again', (url) => (
        `webhook ${url} events=channel_occupied retry=1s;`
    ), async ({ connect, open, receiver }) => {
        const window = await open('#/webhooks');
        const { page } = window;
        const client = connect();
        const rooms = Array.from({ length: 60 }, (_, i) => `room-${100 + i}`);
        const lines = () => page.locator('.rows > li').evaluateAll((all) => (
            all.map((line) => line.textContent.match(/room-\d+/)[0])));
        const told = (text) => (
            page.getByRole('status').filter({ hasText: text }).waitFor());
        const again = page.getByRole('button', { name: 'Send again' });

        await receiver.be('error');
        await client.connected();

        for (const room of rooms) {
            client.listen(room);
        }

        await window.until(() => facts(window, receiver.url), (all) => (
            all['Given up'] === '60 events' && all.Waiting === 'none'), 60000);
        await window.sound('events given up');

        /* the newest first, in two pages */

        await page.getByRole('link', { name: 'Look at 60 events' }).click();
        await window.heading('Given up');
        await window.until(async () => (await lines()).length, 50);
        assert.deepEqual(await lines(), rooms.slice(10).reverse());
        assert.match((await window.lines())[0], /channel_occupied.*status 500/);
        await page.locator('.rows summary').first().click();
        await window.says(/given up after (1 try|\d+ tries)/);
        await page.locator('.inside').getByText(receiver.url).waitFor();
        await page.locator('.json .key').getByText('channel').waitFor();
        await window.sound('the list of what was given up');
        await window.link('Older').click();
        await window.until(lines, rooms.slice(0, 10).reverse());
        assert.equal(await window.link('Older').count(), 0);
        await window.link('Newest').click();
        await window.until(async () => (await lines()).length, 50);

        /* again, which fails again; by keyboard, whose place stays */

        await page.locator('.crumbs').getByRole('link').click();
        await window.heading('Webhooks');
        await again.focus();
        await page.keyboard.press('Enter');
        await told(/\d+ events given up again\./);
        await window.until(() => facts(window, receiver.url), (all) => (
            all['Given up'] === '60 events'), 60000);
        await receiver.be('answers');
        await page.keyboard.press('Enter');
        await told('All of it has arrived.');
        assert.deepEqual(receiver.of('channel_occupied')
                                 .map(({ channel }) => channel), rooms);
        assert.ok(await again.evaluate((e) => e === document.activeElement));
        await window.until(() => facts(window, receiver.url), (all) => (
            all['Given up'] === 'none'));
        await window.sound('all was sent again');

        /* the next batch came although one had not arrived, as it should */

        receiver.faults = receiver.faults.filter((fault) => (
            !/ was refused, error$/.test(fault)));
    });

    test('what keeps it from being sent', (url) => `webhook ${url};`, async (
        { open }) =>
    {
        const window = await open(null);
        const { page } = window;
        const hook = { app, url: 'http://a/', events: [], channels: [],
                       batch: true, retry: 300, queued: 0, dead: 1, tries: 0,
                       last_status: 0, last_error: '', last_success: null,
                       oldest: null };

        await page.route('**/webhooks', (route) => (
            route.fulfill({ json: { webhooks: [hook] } })));
        window.expected = /404|503/;
        await page.goto(`${window.base}#/webhooks`);
        await window.says('events given up');
        await window.says('There is no error now: send again');
        await window.sound('events given up by one that does');
        await page.route('**/revive', (route) => route.fulfill({
            status: 503, contentType: 'text/plain',
            body: 'Webhooks are not sent yet\n' }));
        await page.getByRole('button', { name: 'Send again' }).click();
        await window.says('Not sent. The server takes no more requests now');
        await window.says('Webhooks are not sent yet');

        /* what is asked of it, and fails again; the page reads the list at
           once, and gets it when its first words have been seen */

        let goOn;
        const seen = new Promise((resolve) => { goOn = resolve; });

        await page.route('**/revive', (route) => route.fulfill({ json: {} }));
        await page.route('**/webhooks', async (route) => {
            await seen;
            await route.fulfill({ json: { webhooks: [hook] } });
        });
        await page.getByRole('button', { name: 'Send again' }).click();
        await window.says('What was given up is sent again.');
        Object.assign(hook, { dead: 0, queued: 3, last_error: '' });
        goOn();
        await window.says('3 events on the way…');
        Object.assign(hook, { tries: 1, last_error: 'status 500' });
        await window.says('3 events on the way. The last try failed: status '
                          + '500');

        /* a worker that has not begun has no numbers */

        await page.route('**/webhooks', (route) => {
            const { queued, dead, ...rest } = hook;

            return route.fulfill({ json: { webhooks: [rest] } });
        });
        await page.reload();
        await window.says('No worker has begun to send.');
        await window.sound('a webhook that is not sent yet');
    });
});
