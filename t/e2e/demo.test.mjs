/*
 * The demo as a person meets it: conf/nginx.conf and its page in Chromium.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, Window } from './browser.mjs';
import { withServer } from './server.mjs';

const limit = { timeout: 120000 };      // of a test

let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());


/* A test with the demo served, and windows that report their errors. */

function withDemo(test) {
    return () => withServer({ demo: true }, async (server) => {
        const windows = [];

        const open = async (options) => {
            const window = await Window.open(browser, server.url, options);

            windows.push(window);
            return window;
        };

        try {
            await test({ server, open });
            windows.forEach(({ errors }) => assert.deepEqual(errors, []));

        } finally {
            await Promise.all(windows.map((window) => window.close()));
        }
    });
}


describe('the demo page', () => {

    it('says that there is nothing yet', limit, withDemo(async ({ open }) => {
        const window = await open();

        await window.live();
        await window.page.getByText('No messages yet').waitFor();
        await window.send('The first');
        await window.shows(['The first']);
        await window.page.getByText('No messages yet')
                         .waitFor({ state: 'hidden' });
    }));

    it('shows the history', limit, withDemo(async ({ server, open }) => {
        await server.post('one');
        await server.post('two\nlines');

        const window = await open();

        await window.shows(['one', 'two\nlines']);
        await window.live();
        await window.shows(['one', 'two\nlines']);
    }));

    it('sends from window to window', limit, withDemo(async ({ open }) => {
        const [one, other] = [await open(), await open()];

        await Promise.all([one.live(), other.live()]);

        await one.send('Hello');
        await other.shows(['Hello']);
        await other.send('Hello yourself');
        await one.shows(['Hello', 'Hello yourself']);
        await one.send('How are you?');

        const all = ['Hello', 'Hello yourself', 'How are you?'];

        await Promise.all([one.shows(all), other.shows(all)]);
        assert.deepEqual(await one.own(), ['Hello', 'How are you?']);
        assert.deepEqual(await other.own(), ['Hello yourself']);

        await one.page.reload();
        await one.live();
        await one.shows(all);
        assert.deepEqual(await one.own(), ['Hello', 'How are you?']);
    }));

    it('keeps the order of messages sent at once', limit, withDemo(
        async ({ open }) => {
            const [one, other] = [await open(), await open()];
            const all = Array.from({ length: 20 }, (_, i) => `message ${i}`);

            await Promise.all([one.live(), other.live()]);

            for (const text of all) {
                await one.send(text);
            }

            await Promise.all([one.shows(all), other.shows(all)]);
        }));

    it('shows markup as text', limit, withDemo(async ({ open }) => {
        const [one, other] = [await open(), await open()];
        const script = '<script>document.title = "taken"</script>'
                       + '<img src=x onerror="document.title = \'taken\'">';

        await Promise.all([one.live(), other.live()]);
        await one.send(script);

        for (const window of [one, other]) {
            await window.shows([script]);
            assert.equal(await window.page.title(), 'Chat');
            assert.equal(await window.page.locator('#log script, #log img')
                                          .count(), 0);
        }
    }));

    it('sends by Enter, not by Shift and Enter', limit, withDemo(
        async ({ open }) => {
            const window = await open();
            const box = window.page.getByLabel('Your message');

            await window.live();
            await box.fill('   ');
            await box.press('Enter');
            await box.fill('first');
            await box.press('Shift+Enter');
            await box.pressSequentially('second');
            await window.shows([]);
            await box.press('Enter');
            await window.shows(['first\nsecond']);
            assert.equal(await box.inputValue(), '');
            assert.ok(await box.evaluate((e) => e === document.activeElement));
        }));

    it('says why a message was not taken', limit, withDemo(
        async ({ server, open }) => {
            const window = await open();

            window.expected = /status of 422/;
            await window.live();
            await window.send('x'.repeat(10241));
            await window.page.getByText('The message is too long'
                                        + ' (maximum is 10240 bytes).')
                             .waitFor();
            await window.page.getByRole('button', { name: 'Discard' }).click();
            await window.shows([]);
            await window.page.getByText('No messages yet').waitFor();
            assert.equal((await server.history()).length, 0);
        }));

    it('reads earlier messages on scrolling up', limit, withDemo(
        async ({ server, open }) => {
            const all = [];

            for (let i = 1; i <= 120; i++) {
                all.push((await server.post(`message ${i}`)).content);
            }

            const window = await open();
            const scroll = window.page.locator('#scroll');

            await window.live();
            await window.shows(all.slice(-50));
            assert.ok(await scroll.evaluate((e) => (
                e.scrollHeight - e.scrollTop - e.clientHeight < 2)));

            await scroll.evaluate((e) => { e.scrollTop = 0; });
            await window.shows(all.slice(-100));
            assert.ok(await scroll.evaluate((e) => e.scrollTop > 200));

            await scroll.evaluate((e) => { e.scrollTop = 0; });
            await window.shows(all);
            await window.page.getByRole('button', { name: 'Earlier messages' })
                             .waitFor({ state: 'hidden' });
        }));

    it('is sent what it missed at a reload', limit, withDemo(
        async ({ server, open }) => {
            const window = await open();
            const reads = [];
            const header = window.page.locator('#state');

            await window.live();
            await server.post('before');
            await window.shows(['before']);
            window.page.on('request', (request) => {
                if (request.url().includes('/messages')) {
                    reads.push(request.url());
                }
            });

            server.reload();
            await header.and(window.page.locator('[data-recovered=true]'))
                        .waitFor();
            await server.post('after');
            await window.shows(['before', 'after']);
            assert.equal(await header.getAttribute('title'),
                         'Nothing was missed while it was away.');
            assert.deepEqual(reads, [], 'without a look at the history');
        }));

    it('catches up after the server was away', limit, withDemo(
        async ({ server, open }) => {
            const window = await open();
            const { port } = server;
            const all = ['before'];

            window.expected = /ERR_CONNECTION|WebSocket connection/;

            await window.live();
            await server.post('before');
            await window.shows(all);

            await server.stop();
            await window.state('Reconnecting…');
            await window.send('not sent');
            await window.page.getByText('Not sent. The server cannot')
                             .waitFor();

            /* Elsewhere, so that the page cannot be there meanwhile. */
            await server.start();

            for (let i = 0; i < 3; i++) {
                all.push((await server.post(`meanwhile ${i}`)).content);
            }

            await server.stop();
            await server.start(port);
            await window.page.getByRole('button', { name: 'Try now' }).click();
            await window.live();
            await window.page.locator('#state[data-recovered=false]')
                        .waitFor();
            await window.shows(all, ['not sent']);

            await window.page.getByRole('button', { name: 'Try again' })
                             .click();
            await window.shows([...all, 'not sent']);
            await server.post('after');
            await window.shows([...all, 'not sent', 'after']);
        }));

    it('stores once what is sent again', limit, withDemo(
        async ({ server, open }) => {
            const [one, other] = [await open(), await open()];
            const again = one.page.getByRole('button', { name: 'Try again' });
            const keys = [];

            /* The answers to the first two POSTs get lost. */

            one.expected = /ERR_CONNECTION_RESET/;
            await one.page.route('**/messages', async (route) => {
                keys.push(route.request().headers()['idempotency-key']);

                if (keys.length > 2) {
                    return route.continue();
                }

                assert.equal((await route.fetch()).status(), 201);
                return route.abort('connectionreset');
            });

            await Promise.all([one.live(), other.live()]);
            await one.send('Once');
            await one.shows([], ['Once']);
            await other.shows(['Once']);
            await again.click();
            await one.shows([], ['Once']);
            await again.click();
            await one.shows(['Once']);
            assert.deepEqual(await one.own(), ['Once']);

            /* The same words in another message. */

            await one.send('Once');

            for (const window of [one, other]) {
                await window.shows(['Once', 'Once']);
            }

            assert.equal((await server.history()).length, 2);
            assert.equal(keys.length, 4);
            assert.ok(keys.every((key) => /^[0-9a-f]{32}$/.test(key)));
            assert.equal(new Set(keys).size, 2);
            assert.equal(new Set(keys.slice(0, 3)).size, 1);
        }));

    for (const colorScheme of ['light', 'dark']) {
        it(`can be read by all, ${colorScheme}`, limit, withDemo(
            async ({ server, open }) => {
                const window = await open({ colorScheme });
                const { page } = window;

                window.expected = /ERR_FAILED|ERR_CONNECTION|WebSocket con/;

                await window.live();
                await window.readable('Live', 'No messages yet', 'Send',
                                      'Your message');

                await window.send('mine');
                await window.shows(['mine']);
                await server.post('of another');
                await window.shows(['mine', 'of another']);
                await window.readable('mine', 'of another', ':');

                await page.route('**/messages', () => new Promise(() => {}));
                await window.send('under way');
                await page.getByText('Sending…').waitFor();
                await window.readable('Sending…', 'under way');

                await page.unroute('**/messages');
                await page.route('**/pusher-js/*', (route) => route.abort());
                await page.reload();
                await window.state('Offline');
                await window.readable('Offline', 'could not be loaded');

                await page.unroute('**/pusher-js/*');
                await page.reload();
                await window.live();
                await server.stop();
                await window.state('Reconnecting…');
                await window.send('not sent');
                await page.getByText('Not sent.').waitFor();
                await window.readable('Reconnecting…', 'Try now', 'not sent',
                                      'Not sent.', 'Try again', 'Discard');
            }));
    }

    it('has all of its content in landmarks', limit, withDemo(
        async ({ open }) => {
            const { page } = await open();
            const main = page.getByRole('main');

            await page.getByRole('banner').getByRole('heading').waitFor();
            await main.getByRole('region', { name: 'Messages' }).waitFor();
            await main.getByRole('log').waitFor({ state: 'attached' });
            await main.getByLabel('Your message').waitFor();
            await main.getByRole('button', { name: 'Send' }).waitFor();

            assert.deepEqual(await page.evaluate(() => (
                [...document.body.children].map((e) => e.localName))),
                ['header', 'main']);
        }));

    it('fits a phone', limit, withDemo(async ({ open }) => {
        const window = await open({ viewport: { width: 360, height: 640 } });

        await window.live();
        await window.send('w'.repeat(500));
        await window.send('Short');
        await window.shows(['w'.repeat(500), 'Short']);

        const box = await window.page.getByRole('button', { name: 'Send' })
                                     .boundingBox();
        const wide = await window.page.evaluate(() => (
            [document.documentElement, document.querySelector('#scroll')]
                .map((e) => e.scrollWidth - e.clientWidth)));

        assert.deepEqual(wide, [0, 0]);
        assert.ok(box.x + box.width <= 360 && box.y + box.height <= 640);
    }));

    it('serves no more of its folder', limit, withDemo(async ({ server }) => {
        const status = async (target) => (
            (await server.request('GET', target)).status);

        assert.equal(await status('/'), 200);
        assert.equal(await status('/chat.css'), 200);
        assert.equal(await status('/pusher-js/pusher.min.js'), 200);
        assert.equal(await status('/nginx.conf'), 404);
    }));
});
