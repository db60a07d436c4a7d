/*
 * The demo as a person meets it, conf/nginx.conf and its page in Chromium:
 * messages, and what becomes of them when something is in the way.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch } from './browser.mjs';
import { age, withDemo } from './demo.mjs';

const MINUTE = 60000;
const DAY = 24 * 60 * MINUTE;

const limit = { timeout: 120000 };      // of a test

let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());

const demo = (...test) => withDemo(() => browser, ...test);


/* Of each message: the day above it, the author above it, the time in it. */

function marks() {
    return [...document.querySelectorAll('.room:not([hidden]) .message')]
        .map((item) => {
            const [day, author, time] = ['.day', '.author', 'time']
                .map((name) => item.querySelector(name))
                .map((e) => (e?.checkVisibility() ? e.textContent : ''));

            return [day, author, time && 'time'].filter(Boolean).join(' ');
        });
}


describe('messages of the demo', () => {

    it('are none at first', limit, demo(async ({ open }) => {
        const window = await open();

        await window.live();
        await window.room.getByText('No messages yet').waitFor();
        await window.send('The first');
        await window.shows(['The first']);
        await window.room.getByText('No messages yet')
                         .waitFor({ state: 'hidden' });
    }));

    it('are the history', limit, demo(async ({ server, open }) => {
        await server.post('one');
        await server.post('two\nlines');

        const window = await open();

        await window.shows(['one', 'two\nlines']);
        await window.live();
        await window.shows(['one', 'two\nlines']);
    }));

    it('go from window to window', limit, demo(async ({ open }) => {
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
        await one.sees(() => document.querySelectorAll('.own').length, 2);
        assert.deepEqual(await one.own(), ['Hello', 'How are you?']);
    }));

    it('keep the order in which they were sent', limit, demo(
        async ({ open }) => {
            const [one, other] = [await open(), await open()];
            const all = Array.from({ length: 20 }, (_, i) => `message ${i}`);

            await Promise.all([one.live(), other.live()]);

            for (const text of all) {
                await one.send(text);
            }

            await Promise.all([one.shows(all), other.shows(all)]);
        }));

    it('are text, markup too', limit, demo(async ({ open }) => {
        const [one, other] = [await open(), await open()];
        const script = '<script>document.title = "taken"</script>'
                       + '<img src=x onerror="document.title = \'taken\'">';

        await Promise.all([one.live(), other.live()]);
        await one.send(script);

        for (const window of [one, other]) {
            await window.shows([script]);
            await window.title('Lobby – Chat');
            assert.equal(await window.page.locator('.log script, .log img')
                                          .count(), 0);
        }
    }));

    it('have links, to the web only', limit, demo(async ({ open }) => {
        const window = await open();
        const links = {
            'see https://nginx.org/en/docs/.': 'https://nginx.org/en/docs/',
            '(http://a.example/?b=1&c=%20d#e)':
                'http://a.example/?b=1&c=%20d#e',
            'HTTPS://A.example': 'HTTPS://A.example',
            'javascript:alert(1) data:text/html,x file:///etc': null,
            'https:// http://[ ftp://a.example': null,
            '"https://a.example/"><img src=x>': 'https://a.example/',
        };

        await window.live();

        for (const [i, [text, link]] of Object.entries(links).entries()) {
            await window.send(text);
            await window.shows(Object.keys(links).slice(0, i + 1));

            const found = window.room.locator('.message').last().locator('a');

            assert.deepEqual(await found.allTextContents(),
                             link === null ? [] : [link]);

            for (const a of await found.all()) {
                assert.equal(await a.getAttribute('rel'),
                             'noopener noreferrer nofollow');
                assert.match(await a.evaluate((e) => e.href), /^https?:/);
            }
        }
    }));

    it('leave by Enter, not by Shift and Enter', limit, demo(
        async ({ open }) => {
            const window = await open();
            const { box } = window;

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

    it('are grouped, and parted by days', limit, demo(
        async ({ server, open }) => {
            const post = async (author, content, ago) => {
                const { text } = await server.request('POST', '/messages',
                    { content }, { 'Chat-Name': author });

                age(server, JSON.parse(text).id, ago);
            };

            /* yesterday and the day before, at about this time of day */

            await post('Bob', 'two days ago', 2 * DAY);
            await post('Bob', 'a day later', DAY);
            await post('Bob', 'with it', DAY);
            await post('Cid', 'answer', DAY);
            await post('Cid', 'now', 0);
            await post('Bob', 'and now', 0);
            await post('Bob', 'again', 0);

            const ann = await open();
            const day = await ann.page.evaluate((ms) => (
                new Intl.DateTimeFormat(undefined, { weekday: 'long',
                    day: 'numeric', month: 'long' })
                    .format(new Date(Date.now() - ms))), 2 * DAY);

            await ann.sees(marks, [`${day} Bob time`, 'Yesterday Bob',
                                   'time', 'Cid time', 'Today Cid time',
                                   'Bob', 'time']);

            await ann.send('and I');
            await ann.shows(['two days ago', 'a day later', 'with it',
                             'answer', 'now', 'and now', 'again', 'and I']);
            await post('Bob', 'much later', -6 * MINUTE);
            await post('Bob', 'later still', 0);
            await ann.page.reload();
            await ann.sees(() => document.querySelectorAll('.own').length, 1);
            await ann.sees(marks, [`${day} Bob time`, 'Yesterday Bob',
                                   'time', 'Cid time', 'Today Cid time',
                                   'Bob', 'time', 'time', 'Bob time',
                                   'Bob time']);
        }));

    it('are of yesterday after midnight', limit, demo(async ({ open }) => {
        const window = await open();

        await window.live();
        await window.send('late');
        await window.sees(marks, ['Today time']);
        await window.page.clock.setFixedTime(Date.now() + DAY);
        await window.page.evaluate(() => dispatchEvent(new Event('focus')));
        await window.sees(marks, ['Yesterday time']);
    }));

    it('are counted near the limit', limit, demo(async ({ server, open }) => {
        const window = await open();
        const counter = window.page.locator('#counter');

        await window.live();
        await window.box.fill('x'.repeat(10240 - 1025));
        assert.equal(await counter.textContent(), '');
        await window.box.fill('x'.repeat(10240 - 1024));
        assert.equal(await counter.textContent(), '1024 left');
        await window.box.fill('é'.repeat(5120));        // of 2 bytes
        assert.equal(await counter.textContent(), '0 left');
        await window.box.press('End');
        await window.box.pressSequentially('é');
        assert.equal(await counter.textContent(), '2 too many');

        await window.box.press('Enter');
        await window.page.getByRole('alert')
                         .filter({ hasText: 'The message is too long.' })
                         .waitFor();
        assert.equal((await window.box.inputValue()).length, 5121);
        await window.shows([]);

        await window.box.press('Backspace');
        assert.equal(await counter.textContent(), '0 left');
        await window.page.getByText('The message is too long.')
                         .waitFor({ state: 'hidden' });
        await window.box.press('Enter');
        await window.shows(['é'.repeat(5120)]);
        assert.equal((await server.history()).length, 1);
    }));

    it('can be corrected where they were not taken', limit, demo(
        async ({ server, open }) => {
            const window = await open();
            const { page, box } = window;
            const text = 'One sentence of many. '.repeat(370);

            window.expected = /status of 422/;
            await window.live();
            await window.send(text);
            await page.getByText('Not sent. The message is too long'
                                 + ' (maximum is 4096 bytes).').waitFor();
            await window.shows([], [text]);
            assert.equal(await window.button('Try again').count(), 0);

            const { height } = await window.room.locator('.failed')
                                                .boundingBox();

            assert.ok(height < 200, `${height} px`);

            await box.fill('of later');
            await window.button('Edit').click();
            await window.shows([]);
            assert.equal(await box.inputValue(), `${text}\nof later`);
            await box.fill('shorter');
            await box.press('Enter');
            await window.shows(['shorter']);

            await window.send(text);
            await window.button('Discard').click();
            await window.shows(['shorter']);
            assert.equal((await server.history()).length, 1);
        }, { change: (conf) => conf.replace(    // not what the page says
            'chat_zone ', 'chat_max_message_size 4k; chat_zone ') }));

    it('of earlier are read on scrolling up', limit, demo(
        async ({ server, open }) => {
            const all = [];

            for (let i = 1; i <= 120; i++) {
                all.push((await server.post(`message ${i}`)).content);
            }

            const window = await open();
            const { room } = window;

            await window.live();
            await window.shows(all.slice(-50));
            await window.sees(() => {
                const e = document.querySelector('.room:not([hidden])');

                return e.scrollHeight - e.scrollTop - e.clientHeight < 2;
            }, true);

            await room.evaluate((e) => { e.scrollTop = 0; });
            await window.shows(all.slice(-100));
            assert.ok(await room.evaluate((e) => e.scrollTop > 200));

            await room.evaluate((e) => { e.scrollTop = 0; });
            await window.shows(all);
            await window.button('Earlier messages')
                        .waitFor({ state: 'hidden' });
        }));

    it('are a bounded list, whose rest is history', limit, demo(
        async ({ server, open }) => {
            const all = [];
            const say = async (n) => {
                while (all.length < n) {
                    const { content } = await server.post(
                        `message ${all.length + 1}`);

                    all.push(content);
                }
            };
            const window = await open();
            const { room } = window;

            await window.live();
            await say(520);
            await window.shows(all.slice(-500));
            assert.ok(await room.evaluate((e) => (
                e.scrollHeight - e.scrollTop - e.clientHeight < 2)), 'the end');
            await room.locator('.day').first().waitFor();

            /* whoever reads them keeps them */

            await room.evaluate((e) => { e.scrollTop = 0; });
            await window.shows(all);
            await say(525);
            await window.shows(all);

            await room.evaluate((e) => { e.scrollTop = e.scrollHeight; });
            await window.shows(all.slice(-500));
            await say(530);
            await window.shows(all.slice(-500));
            await room.evaluate((e) => { e.scrollTop = 0; });
            await window.shows(all);
        }));
});


describe('the demo, cut off', () => {

    it('is sent what it missed at a reload', limit, demo(
        async ({ server, open }) => {
            const window = await open();
            const reads = [];
            const header = window.page.locator('#state');

            await window.live();
            await window.online('Ann');
            await server.post('before');
            await window.shows(['before']);

            /* the page is in all rooms, and has read this one's history */

            await server.until(({ subscriptions }) => subscriptions === 6,
                               'six subscriptions');
            await window.sees(() => (
                document.querySelector('.room:not([hidden]) .log').ariaBusy),
                'false');
            window.page.on('request', (request) => {
                if (new URL(request.url()).pathname === '/messages') {
                    reads.push(request.url());
                }
            });

            server.reload();
            await header.and(window.page.locator('[data-recovered=true]'))
                        .waitFor();
            await server.post('after');
            await window.shows(['before', 'after']);
            await window.live();
            assert.equal(await header.getAttribute('title'),
                         'Nothing was missed while it was away.');
            assert.deepEqual(reads, [], 'without a look at the history');
        }, { change: (conf) => conf.replace('location /app/ {',
            'location = /chat_status { chat_status; } $&') }));

    it('catches up, and sends what it could not', limit, demo(
        async ({ server, open }) => {
            const window = await open();
            const { page } = window;
            const { port } = server;
            const all = ['before'];
            const keys = [];

            window.expected = /ERR_CONNECTION|WebSocket connection/;
            page.on('request', (request) => {
                if (request.method() === 'POST'
                    && request.url().endsWith('/messages'))
                {
                    keys.push(request.headers()['idempotency-key']);
                }
            });

            await window.live();
            await window.sees(
                () => document.getElementById('online').textContent,
                '1 online');
            await server.post('before');
            await window.shows(all);

            await server.stop();
            await window.state('Reconnecting…');
            await window.sees(
                () => document.getElementById('online').textContent, '');
            await window.send('not sent');
            await page.getByText('Not sent. The server cannot').waitFor();
            await window.send('nor that');
            await window.shows(all, ['not sent', 'nor that']);

            /* Elsewhere, so that the page cannot be there meanwhile. */
            await server.start();

            for (let i = 0; i < 3; i++) {
                all.push((await server.post(`meanwhile ${i}`)).content);
            }

            await server.stop();
            await server.start(port);
            await window.hurry();
            await page.locator('#state[data-recovered=false]').waitFor();

            await window.shows([...all, 'not sent', 'nor that']);
            await server.post('after');
            await window.shows([...all, 'not sent', 'nor that', 'after']);

            assert.equal(keys.length, 4);
            assert.deepEqual(keys.slice(0, 2), keys.slice(2));
        }));

    it('stores once what is sent again', limit, demo(
        async ({ server, open }) => {
            const [one, other] = [await open(), await open()];
            const again = one.button('Try again');
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

    it('sends again when the server has said', limit, demo(
        async ({ server, open }) => {
            const window = await open();
            let refused = 0;

            window.expected = /status of 503/;
            await window.page.route('**/messages', (route) => (
                refused++ ? route.continue() : route.fulfill({
                    status: 503,
                    headers: { 'Retry-After': '10' },
                    json: { error: 'the database is locked' },
                })));

            await window.live();
            await window.send('patient');
            await window.page.getByText('Not sent. The server says: the'
                                        + ' database is locked (503).')
                             .waitFor();
            await window.shows(['patient']);
            assert.equal((await server.history()).length, 1);
        }));

    it('says that the history can not be read', limit, demo(
        async ({ server, open }) => {
            const window = await open();
            const { page } = window;
            const alert = page.getByText('The history could not be read. The'
                                         + ' server says: no luck (503).');

            await window.live();
            await server.post('before');
            await window.shows(['before']);

            window.expected = /status of 503/;
            await page.route('**/messages?*', (route) => route.fulfill({
                status: 503, json: { error: 'no luck' } }));
            await page.reload();
            await window.state('Live, no history');
            await alert.waitFor();

            await server.post('live');
            await window.shows(['live']);
            await page.unroute('**/messages?*');
            await window.hurry();
            await alert.waitFor({ state: 'hidden' });
            await window.shows(['before', 'live']);
        }));

    it('does without WebSocket', limit, demo(async ({ server, open }) => {
        const [one, other] = [await open(), await open()];

        await one.page.addInitScript(() => { delete globalThis.WebSocket; });
        await one.page.reload();
        await Promise.all([one.live(), other.live()]);
        await Promise.all([one.online('Ann', 'Bob'),
                           other.online('Ann', 'Bob')]);

        await one.box.pressSequentially('H');
        await other.page.getByText('Ann is typing…').waitFor();
        await one.send('Hello');
        await other.shows(['Hello']);
        await other.send('Hello yourself');
        await one.shows(['Hello', 'Hello yourself']);
        assert.match(await one.page.evaluate(() => (
            performance.getEntriesByType('resource').map(({ name }) => name)
                       .join())), /\/pusher\/app\/[^,]*\/xhr/);

        const header = one.page.locator('#state[data-recovered=true]');

        server.reload();
        await header.waitFor();
        await one.online('Ann', 'Bob');
        await one.send('Still here');
        await other.shows(['Hello', 'Hello yourself', 'Still here']);
    }));

    it('serves no more of its folder', limit, demo(async ({ server }) => {
        const status = async (target) => (
            (await server.request('GET', target)).status);

        assert.equal(await status('/'), 200);
        assert.equal(await status('/chat.css'), 200);
        assert.equal(await status('/once.js'), 200);
        assert.equal(await status('/pusher-js/pusher.min.js'), 200);
        assert.equal(await status('/nginx.conf'), 404);
        assert.equal(await status('/demo.png'), 404);
    }));

    it('runs no script but its own', limit, demo(async ({ open }) => {
        const { page, ...window } = await open();

        await page.evaluate(() => {
            const script = document.createElement('script');

            addEventListener('securitypolicyviolation', (violation) => {
                document.body.dataset.refused = violation.blockedURI;
            });
            script.textContent = 'document.body.dataset.taken = true';
            document.body.append(script);
        });
        await page.locator('body[data-refused=inline]').waitFor();
        assert.equal(await page.locator('body[data-taken]').count(), 0);
        window.errors.splice(0).forEach((error) => (
            assert.match(error, /Content Security Policy/)));
    }));
});
