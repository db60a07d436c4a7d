/*
 * The demo for all who look at it, in Chromium: in the light and in the dark,
 * on a desk and on a phone, by keyboard and by what axe knows of readers.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch } from './browser.mjs';
import { withDemo } from './demo.mjs';

const limit = { timeout: 180000 };      // of a test

const desk = { width: 1280, height: 800 };
const phone = { width: 390, height: 780 };

let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());

const demo = (...test) => withDemo(() => browser, ...test);


/*
 * The page in all that it may have to say; with look() at each, and the texts
 * that are shown then.
 */

async function tour({ server, open }, options, look) {
    const window = await open({ name: null, ...options });
    const { page } = window;
    const menu = page.getByRole('button', { name: 'Rooms and people' });
    const looks = (...texts) => look(window, ...texts);

    /* who has no name */

    await window.live();
    await window.room.getByText('No messages yet').waitFor();
    await looks('Live', 'No messages yet', 'Your name', 'Join');
    await page.getByLabel('Your name').fill('a"b');
    await window.button('Join').click();
    await page.getByText('This name can not be taken').waitFor();
    await looks('This name can not be taken');

    /* a conversation */

    await window.join('Ann');

    const other = await open({ name: 'Bob' });

    await Promise.all([window, other].map((one) => one.online('Ann', 'Bob')));
    await window.send('mine: https://nginx.org/');
    await other.shows(['mine: https://nginx.org/']);
    await other.send('of another: https://nginx.org/');
    await window.shows(['mine: https://nginx.org/',
                        'of another: https://nginx.org/']);
    await server.post('of nobody');
    await window.shows(['mine: https://nginx.org/',
                        'of another: https://nginx.org/', 'of nobody']);
    await other.enter('Team');
    await other.send('elsewhere');
    await other.shows(['elsewhere']);
    await other.back('Lobby');
    await window.title('(1) Lobby – Chat');

    /* a page says for 5 s that somebody types: too short to look at that */

    await page.evaluate(() => {
        const { setTimeout: set } = globalThis;

        globalThis.setTimeout = (what, ms, ...args) => (
            set(what, ms === 5000 ? 120000 : ms, ...args));
    });
    await other.box.pressSequentially('typing');
    await page.getByText('Bob is typing…').waitFor();
    await looks('mine', 'of another', 'No name', 'Bob', ':', 'Today',
                'Bob is typing…', 'Your message', 'Send');

    if (await menu.isVisible()) {
        await menu.click();
        await window.button('Change name').waitFor();
        await looks('Lobby', 'Team', 'private', 'Ann', 'you', 'Change name');
        await page.keyboard.press('Escape');
        await window.button('Change name').waitFor({ state: 'hidden' });
    }

    /* much of it */

    await window.send(Array.from({ length: 80 }, (_, i) => i).join('\n'));
    await window.sees(() => document.querySelector('.pending'), null);
    await window.room.evaluate((e) => { e.scrollTop = 20; });
    await window.button('To the end').waitFor();
    await other.send('more');
    await window.button('1 new').waitFor();
    await looks('1 new');

    /* too much */

    await window.box.fill('x'.repeat(10000));
    await looks('240 left');
    await window.box.fill('x'.repeat(10241));
    await window.box.press('Enter');
    await page.getByText('The message is too long.').waitFor();
    await looks('1 too many', 'The message is too long.');
    await window.box.fill('');

    /* what goes wrong */

    await other.close();

    window.expected = /ERR_CONNECTION|ERR_FAILED|WebSocket con|status of 422/;

    await page.route('**/messages', () => new Promise(() => {}));
    await window.send('under way');
    await page.getByText('Sending…').waitFor();
    await looks('Sending…', 'under way');
    await page.unroute('**/messages');

    await page.route('**/messages', (route) => route.fulfill({
        status: 422, json: { content: ['is not nice'] } }));
    await page.reload();
    await window.live();
    await window.send('not nice');
    await window.button('Edit').waitFor();
    await looks('Not sent. The message is not nice.', 'Edit', 'Discard');
    await page.unroute('**/messages');

    await page.route('**/pusher-js/*', (route) => route.abort());
    await page.reload();
    await window.state('Offline');
    await looks('Offline', 'could not be loaded');
    await page.unroute('**/pusher-js/*');

    await page.reload();
    await window.live();
    await page.route('**/messages?*', (route) => route.abort());
    await page.reload();
    await window.state('Live, no history');
    await looks('Live, no history', 'Try now', 'could not be read');

    await server.stop();
    await window.state('Reconnecting…');
    await window.send('not sent');
    await page.getByText('Not sent.').waitFor();
    await looks('Reconnecting…', 'not sent', 'Not sent.', 'Try again',
                'Discard');
}


describe('the demo', () => {

    for (const [where, viewport] of Object.entries({ desk, phone })) {
        for (const colorScheme of ['light', 'dark']) {
            it(`can be read by all, ${colorScheme}, on a ${where}`, limit, demo(
                (all) => tour(all, { viewport, colorScheme },
                    async (window, ...texts) => {
                        await window.readable(...texts);
                        await window.axe();
                    })));
        }
    }

    it('has all of its content in landmarks', limit, demo(
        async ({ open }) => {
            const { page } = await open();
            const main = page.getByRole('main');
            const side = page.getByRole('complementary',
                                        { name: 'Rooms and people' });

            await page.getByRole('banner').getByRole('heading').waitFor();
            await side.getByRole('navigation', { name: 'Rooms' }).waitFor();
            await side.getByRole('region', { name: 'Online' }).waitFor();
            await main.getByRole('region', { name: 'Messages of Lobby' })
                      .waitFor();
            await main.getByRole('log').waitFor({ state: 'attached' });
            await main.getByLabel('Your message').waitFor();
            await main.getByRole('button', { name: 'Send' }).waitFor();

            assert.deepEqual(await page.evaluate(() => (
                [...document.body.children].map((e) => e.localName))),
                ['header', 'aside', 'main', 'template']);
        }));

    it('fits a phone', limit, demo(async ({ open }) => {
        const window = await open({ viewport: { width: 360, height: 640 } });
        const { page } = window;

        await window.live();
        await window.send('w'.repeat(500));
        await window.send('Short');
        await window.shows(['w'.repeat(500), 'Short']);

        const inside = async (locator) => {
            const box = await locator.boundingBox();

            return box.x >= 0 && box.y >= 0 && box.x + box.width <= 360
                   && box.y + box.height <= 640;
        };
        const wide = await page.evaluate(() => (
            [document.documentElement,
             document.querySelector('.room:not([hidden])')]
                .map((e) => e.scrollWidth - e.clientWidth)));

        assert.deepEqual(wide, [0, 0]);
        assert.ok(await inside(window.button('Send')));
        assert.ok(await inside(page.locator('#state')));

        assert.equal(await window.button('Change name').isVisible(), false);
        await page.getByRole('button', { name: 'Rooms and people' }).click();
        await window.button('Change name').waitFor();
        assert.ok(await inside(window.button('Change name')));
        await window.enter('Coffee');
        await window.button('Change name').waitFor({ state: 'hidden' });
    }));

    it('needs no mouse', limit, demo(async ({ server, open }) => {
        for (let i = 1; i <= 30; i++) {
            await server.post(`message ${i}`);
        }

        const window = await open({ name: null });
        const { keyboard } = window.page;
        const focused = (text) => window.sees(() => {
            const e = document.activeElement;

            return (e.ariaLabel ?? e.labels?.[0]?.textContent
                    ?? e.innerText).trim().split(/\s+/).join(' ');
        }, text);
        const press = async (...keys) => {
            for (const one of keys) {
                await keyboard.press(one);
            }
        };

        await focused('Your name');
        await keyboard.type('Ann');
        await press('Enter');
        await focused('Your message');
        await window.online('Ann');
        await keyboard.type('by keyboard');
        await press('Enter');
        await window.room.getByText('by keyboard').waitFor();
        await window.sees(() => document.querySelector('.pending'), null);
        await focused('Your message');

        /* back to the messages, up, and to the end again */

        await press('Shift+Tab');
        await focused('Messages of Lobby');
        await window.page.evaluate(() => (
            addEventListener('scrollend', () => {
                document.body.dataset.scrolled = '';
            }, { capture: true })));
        await press('PageUp');
        await window.page.locator('body[data-scrolled]').waitFor();
        await window.button('To the end').waitFor();
        await press('Tab');
        await focused('To the end');
        await press('Enter');
        await focused('Your message');
        await window.button('To the end').waitFor({ state: 'hidden' });

        /* into another room */

        await press('Shift+Tab');
        await focused('Messages of Lobby');
        await press('Shift+Tab');
        await focused('Change name');
        await press('Shift+Tab');
        await focused('Open a second window');
        await press('Shift+Tab');
        await focused('Team private');
        await press('Enter');
        await focused('Your message');
        await window.title('Team – Chat');
    }));
});
