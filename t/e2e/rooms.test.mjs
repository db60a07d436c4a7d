/*
 * The demo's names, people and rooms, in Chromium.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { launch } from './browser.mjs';
import { withDemo } from './demo.mjs';
import { key } from './server.mjs';

const limit = { timeout: 120000 };      // of a test

let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());

const demo = (...test) => withDemo(() => browser, ...test);

/* as the page writes a header: bytes of UTF-8 */
const named = (name) => ({ 'Chat-Name': Buffer.from(name).toString('latin1') });


describe('names in the demo', () => {

    it('are asked for, and kept', limit, demo(async ({ server, open }) => {
        const window = await open({ name: null });
        const { page } = window;

        await server.post('said to all');
        await window.live();
        await window.shows(['said to all']);
        assert.equal(await window.box.isVisible(), false);
        await page.getByText('Give a name to see who').waitFor();

        await page.getByLabel('Your name').fill('no "quotes"');
        await window.button('Join').click();
        await page.getByText('This name can not be taken.').waitFor();
        assert.equal(await window.box.isVisible(), false);

        await window.join('  Zoë 你好 O\'Neil ');
        await window.online('Zoë 你好 O\'Neil');
        await window.send('mine');
        await window.shows(['said to all', 'mine']);
        assert.deepEqual((await server.history()).map((m) => m.author),
                         [undefined, 'Zoë 你好 O\'Neil']);

        await page.reload();
        await window.online('Zoë 你好 O\'Neil');
        await window.send('mine, too');
        await window.shows(['said to all', 'mine', 'mine, too']);
        assert.deepEqual(await window.own(), ['mine', 'mine, too']);
    }));

    it('can be changed', limit, demo(async ({ open }) => {
        const [one, other] = [await open(), await open()];

        await one.online('Ann', 'Bob');
        await one.send('from Ann');
        await other.shows(['from Ann']);
        await one.button('Change name').click();
        await one.page.getByLabel('Your name').waitFor();
        await other.online('Bob');
        await one.shows(['from Ann']);
        assert.deepEqual(await one.own(), []);

        await one.join('Anna');
        await other.online('Anna', 'Bob');
        await one.send('from Anna');
        await other.shows(['from Ann', 'from Anna']);
        assert.deepEqual(await one.own(), ['from Anna']);
        assert.deepEqual(await other.room.locator('.author')
                                         .allTextContents(), ['Ann', 'Anna']);
    }));

    it('are those of a password, where nginx asks for one', limit, demo(
        async ({ server, open }) => {
            const hash = execFileSync('openssl', ['passwd', '-apr1', 'pass'],
                                      { encoding: 'utf8' });

            fs.writeFileSync(path.join(server.prefix, 'htpasswd'),
                             `eve:${hash}mal:${hash}`);

            const window = await open({ name: null, httpCredentials: {
                username: 'eve', password: 'pass' } });

            await window.box.waitFor();
            await window.online('eve');
            assert.equal(await window.button('Change name').count(), 0);
            await window.enter('Team');
            await window.send('with a password');
            await window.shows(['with a password']);

            const read = (headers) => server.request('GET',
                '/private/team/messages', null, headers);
            const basic = (who) => ({ Authorization: 'Basic '
                + Buffer.from(who).toString('base64') });

            const { status, text } = await read(basic('mal:pass'));

            assert.equal(status, 200);
            assert.equal(JSON.parse(text)[0].author, 'eve');
            assert.equal((await read(basic('eve:fail'))).status, 401);
            assert.equal((await read(named('eve'))).status, 403);
        }, { change: (conf) => conf
            .replace(/map \$http_chat_name \$user \{[^}]*\{[^}]*\}[^}]*\}/,
                     'map $remote_user $user { default $remote_user; }')
            .replace(/^ *server \{$/m, '$& auth_basic chat;'
                     + ' auth_basic_user_file htpasswd;') }));
});


describe('people in the demo', () => {

    it('are seen to come and go', limit, demo(async ({ open }) => {
        const ann = await open();

        await ann.online('Ann');
        await ann.page.getByText('1 online').waitFor();
        await ann.page.getByText('Only you.').waitFor();

        const bob = await open();

        await Promise.all([ann, bob].map((one) => one.online('Ann', 'Bob')));
        await ann.page.getByText('2 online').waitFor();
        await ann.page.getByText('Only you.').waitFor({ state: 'hidden' });
        assert.equal(await ann.page.locator('#people li')
                              .filter({ hasText: 'you' }).textContent(),
                     'AAnnyou');

        /* somebody who has two windows is one, and stays with one of them */

        const again = await open({ name: 'Bob' });

        await again.online('Ann', 'Bob');
        await ann.page.getByText('2 online').waitFor();
        await ann.page.evaluate(() => {
            const list = document.getElementById('people');

            new MutationObserver(() => {
                if (list.childElementCount < 2) {
                    document.body.dataset.alone = '';
                }
            }).observe(list, { childList: true });
        });
        await bob.page.goto('about:blank');
        await again.send('here');
        await ann.shows(['here']);
        await ann.online('Ann', 'Bob');
        assert.equal(await ann.page.locator('body[data-alone]').count(), 0,
                     'Ann was never alone');

        /* nor does the browser's cache of pages that were left */

        await again.page.goto('about:blank');
        await ann.online('Ann');
        await again.page.goBack({ waitUntil: 'commit' });
        await ann.online('Ann', 'Bob');
        await again.shows(['here']);
    }));

    it('are seen to type', limit, demo(async ({ open }) => {
        const [ann, bob] = [await open(), await open()];
        const [cid, dot] = [await open(), await open()];
        const line = (one, text) => one.sees(
            () => document.getElementById('typing').textContent, text);
        const type = (one) => one.box.pressSequentially('a');

        for (const one of [ann, bob, cid, dot]) {
            await one.online('Ann', 'Bob', 'Cid', 'Dot');
        }

        /* Ann's page forgets nobody while her clock stands still */

        await ann.page.clock.install();
        await ann.page.clock.pauseAt(Date.now() + 20000);

        await line(ann, '');
        await type(bob);
        await line(ann, 'Bob is typing…');
        await line(bob, '');
        await type(cid);
        await line(ann, 'Bob and Cid are typing…');
        await type(dot);
        await line(ann, 'Several people are typing…');
        await cid.page.goto('about:blank');
        await line(ann, 'Bob and Dot are typing…');
        await dot.send('a message');
        await line(ann, 'Bob is typing…');
        await ann.page.clock.fastForward(4900);
        await line(ann, 'Bob is typing…');
        await ann.page.clock.fastForward(200);
        await line(ann, '');

        /* who goes on says so again */

        await type(dot);
        await Promise.all([ann, bob].map((one) => (
            line(one, 'Dot is typing…'))));
    }));
});


describe('rooms of the demo', () => {

    it('have their own messages', limit, demo(async ({ server, open }) => {
        const [ann, bob] = [await open(), await open()];

        await Promise.all([ann, bob].map((one) => one.online('Ann', 'Bob')));
        await bob.enter('Coffee');
        await ann.send('in the lobby');
        await bob.title('(1) Coffee – Chat');
        await bob.send('at the bar');
        await bob.shows(['at the bar']);

        await ann.shows(['in the lobby']);
        await ann.title('(1) Lobby – Chat');
        await ann.page.getByRole('link', { name: 'Coffee 1 new' }).waitFor();
        await ann.box.fill('a draft');
        await ann.enter('Coffee');
        await ann.shows(['at the bar']);
        await ann.title('Coffee – Chat');
        assert.equal(await ann.box.inputValue(), '');
        await bob.box.pressSequentially('half');
        await ann.page.getByText('Bob is typing…').waitFor();

        await ann.back('Lobby');
        await ann.shows(['in the lobby']);
        assert.equal(await ann.page.locator('#typing').textContent(), '');
        assert.equal(await ann.box.inputValue(), 'a draft');

        await ann.page.goto(`${server.url}/#coffee`);
        await ann.page.reload();
        await ann.shows(['at the bar']);

        const { text } = await server.request('GET',
                                              '/rooms/coffee/messages');

        assert.deepEqual(JSON.parse(text).map((m) => [m.content, m.author]),
                         [['at the bar', 'Bob']]);
        assert.equal((await server.history()).length, 1);
    }));

    it('are closed to whom they are closed', limit, demo(
        async ({ server, open }) => {
            const [ann, bob] = [await open(), await open()];
            const guest = await open({ name: null });
            const { page } = guest;
            const asked = [];

            page.on('request', (request) => asked.push(request.url()));

            for (const one of [ann, bob]) {
                await one.enter('Team');
                await one.online('Ann', 'Bob');
            }

            await ann.send('between us');
            await bob.shows(['between us']);

            await guest.enter('Team');
            await guest.room.getByText('This room is private. Give a name')
                            .waitFor();
            await guest.shows([]);
            await guest.live();
            assert.deepEqual(asked.filter((url) => (
                /private|auth/.test(url))), []);

            /* nor does nginx let in whoever asks without the page */

            const status = async (method, target, ...more) => (
                await server.request(method, target, ...more)).status;
            const team = '/private/team/messages';
            const auth = { socket_id: '1.2', channel_name: 'private-team' };

            assert.equal(await status('GET', team), 403);
            assert.equal(await status('POST', team, { content: 'x' }), 403);
            assert.equal(await status('POST', '/pusher/auth', auth), 403);
            assert.equal(await status('GET', `/events/${key}`
                                             + '?channels=private-team'), 401);
            assert.equal(await status('GET', team, null, named('a"b')), 403);
            assert.equal(await status('GET', team, null, named('Eve')), 200);
            assert.equal(await status('POST', '/pusher/auth', auth,
                                      named('Eve')), 200);

            await guest.join('Cid');
            await guest.online('Ann', 'Bob', 'Cid');
            await guest.shows(['between us']);
            await guest.send('and me');
            await ann.shows(['between us', 'and me']);
        }));

    it('count what is new, in the title', limit, demo(async ({ open }) => {
        const [ann, bob] = [await open(), await open()];

        await Promise.all([ann, bob].map((one) => one.online('Ann', 'Bob')));

        /* another tab is in front: Playwright's windows all have the focus */

        const session = await ann.context.newCDPSession(ann.page);

        await session.send('Emulation.setFocusEmulationEnabled',
                           { enabled: false });

        const tab = await ann.context.newPage();

        await tab.goto('about:blank');
        await tab.bringToFront();

        await bob.send('one');
        await ann.title('(1) Lobby – Chat');
        await bob.send('two');
        await ann.title('(2) Lobby – Chat');
        await bob.enter('Team');
        await bob.send('three');
        await ann.title('(3) Lobby – Chat');
        await ann.page.getByRole('link', { name: 'Team private 1 new' })
                      .waitFor();

        await ann.page.bringToFront();
        await ann.title('(1) Lobby – Chat');
        await ann.shows(['one', 'two']);
        await ann.enter('Team');
        await ann.title('Team – Chat');
    }));

    it('lead to what is new at their end', limit, demo(
        async ({ server, open }) => {
            const all = [];

            for (let i = 1; i <= 40; i++) {
                all.push((await server.post(`message ${i}`)).content);
            }

            const [ann, bob] = [await open(), await open()];
            const top = () => ann.room.evaluate((e) => e.scrollTop);

            await ann.shows(all);
            await bob.shows(all);
            await ann.sees(() => document.getElementById('jump').hidden, true);

            await ann.room.evaluate((e) => { e.scrollTop -= 300; });
            await ann.button('To the end').waitFor();

            const before = await top();

            for (let i = 1; i <= 5; i++) {
                await bob.send(`new ${i}`);
                all.push(`new ${i}`);
            }

            await ann.button('5 new').waitFor();
            await ann.title('(5) Lobby – Chat');
            await ann.shows(all);
            assert.equal(await top(), before);

            await ann.button('5 new').click();
            await ann.title('Lobby – Chat');
            await ann.button('5 new').waitFor({ state: 'hidden' });
            assert.ok(await ann.room.evaluate((e) => (
                e.scrollHeight - e.scrollTop - e.clientHeight < 2)));
            assert.ok(await ann.box.evaluate(
                (e) => e === document.activeElement));

            /* scrolling does it as well */

            await ann.room.evaluate((e) => { e.scrollTop -= 300; });
            await ann.button('To the end').waitFor();
            await bob.send('last');
            await ann.button('1 new').waitFor();
            await ann.room.hover();
            await ann.page.mouse.wheel(0, 1000);
            await ann.title('Lobby – Chat');
        }));

    it('offer a second window, for somebody else', limit, demo(
        async ({ open }) => {
            const ann = await open();
            const link = ann.page.getByRole('link',
                                            { name: 'open a second window' });

            await ann.live();

            const [page] = await Promise.all([
                ann.context.waitForEvent('page'), link.first().click()]);

            await page.getByLabel('Your name').fill('Bob');
            await page.getByRole('button', { name: 'Join' }).click();
            await ann.online('Ann', 'Bob');
            await page.getByLabel('Your message').fill('From the second');
            await page.keyboard.press('Enter');
            await ann.shows(['From the second']);
            assert.deepEqual(await ann.own(), []);
            await ann.send('From the first');
            await page.getByText('From the first').waitFor();
        }));
});
