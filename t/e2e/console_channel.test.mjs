/*
 * A channel in the operator's console: its events, history and members.
 */

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { channel, consoleTests, trigger } from './console.mjs';

const { test } = consoleTests();


describe('a channel of the console', () => {

    test('shows events as they come, private ones, too', async (
        { server, connect, open }) =>
    {
        const client = connect('ann');

        await client.connected();
        await client.listen('private-orders').subscribed();

        const window = await open(channel('private-orders'));
        const { page } = window;

        await window.says('Listening');
        await window.says('No events yet.');
        await window.sound('a channel without events');
        await window.until(() => page.locator('.headline').innerText(),
                           (text) => /Subscriptions\s+2/.test(text));

        const order = '{"id":12345678901234567890,"price":1.50,'
                      + '"items":[{"name":"<b>x</b>"}]}';

        await trigger(server, 'private-orders', 'placed', order);
        await trigger(server, 'private-orders', '<i>odd</i>',
                      '<img src=x onerror=alert(1)>\nline 2');
        await window.line('odd').waitFor();
        assert.match((await window.lines())[0], /<i>odd<\/i> <img src=x/,
                     'the newest is first');
        await window.says('2 events');

        /* opening a line stops the list; numbers are as they were written */

        await window.line('placed').locator('summary').click();
        await window.button('Resume').waitFor();

        const json = page.locator('.json');

        assert.equal(await json.locator('.number').allInnerTexts()
                               .then((all) => all.join()),
                     '12345678901234567890,1.50');
        await json.getByText('items').waitFor();
        await window.button('As it came').click();
        assert.equal(await page.locator('.inside pre').innerText(), order);
        await window.sound('an open event');

        await window.line('odd').locator('summary').click();
        assert.equal(await window.line('odd').locator('pre').innerText(),
                     '<img src=x onerror=alert(1)>\nline 2');
        assert.equal(await page.locator('main i, main b, main img').count(),
                     0, 'no markup');

        await trigger(server, 'private-orders', 'later', '{}');
        await window.says('paused, 1 new');
        assert.equal((await window.lines()).length, 2);
        await window.button('Resume').click();
        await window.line('later').waitFor();

        /* only some, fewer, none */

        await page.getByLabel('Only with this text').fill('ITEMS');
        await window.until(async () => (await window.lines()).length, 1);
        await trigger(server, 'private-orders', 'other', '{}');
        await window.says('4 events');
        await page.getByLabel('Only with this text').fill('nothing');
        await window.says('None of the last events has this text in it.');
        await page.getByLabel('Only with this text').fill('');
        await window.until(async () => (await window.lines()).length, 4);

        for (let i = 0; i < 60; i++) {
            await trigger(server, 'private-orders', 'many', String(i));
        }

        await window.says('64 events');
        await page.getByLabel('Lines').selectOption('50');
        await window.until(async () => (
            (await window.lines()).filter((line) => /many/.test(line)).length),
            50);
        await window.button('Clear').click();
        await window.says('No events yet.');

        /* it goes on while another part is shown */

        await window.link('History').click();
        await trigger(server, 'private-orders', 'meanwhile', '{}');
        await window.link('Live').click();
        await window.line('meanwhile').waitFor();
    });

    test('sends events', async ({ connect, open }) => {
        const client = connect('ann');

        await client.connected();

        const listener = client.listen('private-orders');

        await listener.subscribed();

        const window = await open(channel('private-orders'));
        const { page } = window;
        const [name, data] = [page.getByLabel('Event', { exact: true }),
                              page.getByLabel('Data')];

        window.expected = /status of 4/;
        await window.says('Listening');

        /* what the page says itself */

        await window.button('Send').click();
        await window.says('An event needs a name.');
        assert.ok(await name.evaluate((e) => e === document.activeElement));
        await name.fill('pusher:x');
        await window.button('Send').click();
        await window.says('Names that begin with pusher: are');
        await data.fill('{"a":');
        await window.says('Not JSON, 5 B: subscribers get it as text.');
        assert.ok(await window.button('Format').isDisabled());
        await window.sound('a form with a fault');

        /* what the server says */

        await name.fill('placed');
        await data.fill('x'.repeat(10241));
        await window.button('Send').click();
        await window.says('Not sent. The data content of this event exceeds');

        await data.fill('{"b":[12345678901234567890],"2":1,"1":{}}');
        await window.button('Format').click();
        assert.equal(await data.inputValue(), '{\n  "b": [\n'
            + '    12345678901234567890\n  ],\n  "2": 1,\n  "1": {}\n}');
        await data.fill('{"order":7}');
        await data.press('Control+Enter');
        await window.says('Sent “placed” at');
        assert.deepEqual(await listener.event('placed'), { order: 7 });
        await window.line('{"order":7}').waitFor();

        /* what was written is there when one comes back */

        await window.link('Channels').first().click();
        await window.heading('Channels');
        await page.goBack();
        await window.heading(/private-orders/);
        assert.equal(await name.inputValue(), 'placed');
        assert.equal(await data.inputValue(), '{"order":7}');
    });

    test('pages through the history', async ({ server, open }) => {
        const ids = [];

        for (let i = 1; i <= 120; i++) {
            ids.push((await server.post(`message ${i}`)).id);
        }

        await trigger(server, 'chat', 'shipped', '{"order":7}');

        const window = await open('#/');
        const { page } = window;
        const shown = async () => {
            const lines = await page.locator('.rows .id').allInnerTexts();

            return lines.length && `${lines[0]}-${lines.at(-1)}`;
        };
        const range = (from, to) => `#${ids[to]}-#${ids[from]}`;
        const last = `#${ids[119] + 1}-#${ids[71]}`;

        await window.go(channel('chat'));
        await window.says('Listening');
        await window.link('History').click();
        await window.until(shown, last);
        await window.line('shipped').locator('summary').click();
        await page.locator('.json').getByText('order').waitFor();
        await window.sound('History');

        await window.link('Older').click();
        await window.until(shown, range(21, 70));
        await window.link('Older').click();
        await window.until(shown, range(0, 20));
        assert.equal(await window.link('Older').count(), 0);
        await window.link('Newer').click();
        await window.until(shown, range(21, 70));
        await window.link('Newest').click();
        await window.until(shown, last);
        await window.link('Oldest').click();
        await window.until(shown, range(0, 49));
        await page.goBack();
        await window.until(shown, last);
        await page.reload();
        await window.until(shown, last);
        await window.line('message 120').waitFor();

        await window.go(channel('nothing', '/history'));
        await window.says('No message of this channel is stored.');
        await window.sound('an empty history');
    }, { app: 'store chat;' });

    test('sends members away', async ({ connect, open }) => {
        const clients = ['ann', 'bob', 'cid'].map((user) => connect(user));

        for (const client of clients) {
            await client.connected();
            await client.signin();
            await client.listen('presence-hall').subscribed();
        }

        const window = await open(channel('presence-hall', '/members'));
        const { page } = window;
        const members = async () => (await window.table('Members'))
                                    .map(([user]) => user).sort();

        await window.until(members, ['ann', 'bob', 'cid']);
        await window.says('{"name":"Name of ann"}');
        await window.until(() => page.locator('.headline').innerText(),
                           (text) => /Members\s+3/.test(text));
        await window.sound('Members');

        await page.getByLabel('Only with this text').fill('of BOB');
        await window.until(members, ['bob']);

        /* a question first, which can be left */

        await window.button('Disconnect bob').click();
        await page.getByRole('dialog', { name: 'Disconnect bob?' }).waitFor();
        await window.sound('a question');
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await window.button('Disconnect bob').click();
        await window.button('Disconnect').click();
        await window.says('The connections of bob were closed.');

        const { data } = await clients[1].frame('pusher:error');

        assert.equal(data.code, 4009);
        await page.getByLabel('Only with this text').fill('');
        await window.until(members, ['ann', 'cid']);
    });

    test('says what can’t be heard', async ({ open }) => {
        const window = await open(channel('#server-to-user-ann'));

        await window.heading(/#server-to-user-ann/);
        await window.says('What is sent to a user goes to');
        await window.go(channel('a,b'));
        await window.heading(/a,b/);
        await window.says('The events of a channel with a comma');
    });

    test('says what has no address', async ({ connect, open }) => {
        const clients = [connect('..'), connect('ann')];

        for (const client of clients) {
            await client.connected();
            await client.listen('..').subscribed();
        }

        await clients[0].listen('presence-hall').subscribed();

        const window = await open('#/channels');

        await window.link('..').click();
        await window.heading('..');
        await window.says('A channel with this name can’t be opened here');
        await window.sound('a channel that can’t be opened');
        await window.go(channel('presence-hall', '/members'));
        await window.button('Disconnect ..').click();
        await window.says('A user named “..” can’t be disconnected');
    });

    test('shows numbers of members as they are', async (
        { server, connect, open }) =>
    {
        const client = connect('ann', { channels: `${server.url}/numbers` });

        await client.connected();
        await client.listen('presence-hall').subscribed();

        const window = await open(channel('presence-hall', '/members'));

        await window.until(() => window.table('Members'), [
            ['ann', 'Disconnect', '{"id":12345678901234567890,"sum":1.50}']]);
        await window.page.getByLabel('Only with this text')
                         .fill('2345678901234567890,');
        await window.until(async () => (await window.table('Members')).length,
                           1);
    }, { locations: `location = /numbers {
        chat_auth user_id=$http_x_user
                  'user_info={"id":12345678901234567890,"sum":1.50}';
    }` });

    test('shows a cached event', async ({ server, connect, open }) => {
        const client = connect();

        await client.connected();
        await client.listen('cache-price').subscribed();
        await trigger(server, 'cache-price', 'set', '{"price":12.50}');

        const window = await open(channel('cache-price'));

        await window.until(() => window.page.locator('.headline').innerText(),
                           (text) => /Cached event\s+for 29 min more/
                                     .test(text));
        await window.line('Cached event').filter({ hasText: '12.50' })
                    .waitFor();
    });
});
