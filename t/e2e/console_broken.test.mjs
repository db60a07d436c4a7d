/*
 * The console where something is wrong: the server is away, lets nobody in,
 * was started anew, lost a worker, can't store, has no database.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe } from 'node:test';
import { app, consoleTests, trigger } from './console.mjs';

const chat = `#/channel/${app}/chat`;

const { test } = consoleTests();


/* A location that answers with a status as soon as there is such a file. */

const answers = `
    location /moody/ {
        root data;
        ${[401, 403, 503].map((status) => (
            `if (-f $document_root/${status}) { return ${status}; }`))
            .join('\n        ')}
        chat_console;
    }`;


/*
 * Watches over all that the page shows: no number of it may ever be below
 * zero.
 */

function watchNumbers() {
    window.negative = [];

    new MutationObserver(() => {
        const text = document.querySelector('main').innerText;

        if (/(^|[\s(])[-\u2212]\d/.test(text)) {
            window.negative.push(text);
        }
    }).observe(document.body, { childList: true, characterData: true,
                                subtree: true });
}


/*
 * Puts the database on a small file system where root can mount one; else a
 * limit of the file size stands for it: write() fails in the same place.
 * Returns a function that makes room, and one that takes it all back.
 */

async function fillUp(server) {
    const folder = path.join(server.prefix, 'data');
    const ballast = path.join(folder, 'ballast');
    const run = (...command) => (
        execFileSync(command[0], command.slice(1), { stdio: 'ignore' }));
    const limitTo = (size) => server.workers().forEach((pid) => (
        run('prlimit', '--pid', String(pid), `--fsize=${size}:unlimited`)));

    await server.stop();

    try {
        run('mount', '-t', 'tmpfs', '-o', 'size=1m,mode=0777', 'chat', folder);

    } catch {
        await server.start(server.port);
        limitTo(400000);
        return { makeRoom: () => limitTo('unlimited'), restore: () => {} };
    }

    fs.writeFileSync(ballast, 'x'.repeat(400000));
    await server.start(server.port);

    return { makeRoom: () => fs.unlinkSync(ballast), restore: async () => {
        await server.stop();
        run('umount', folder);
    } };
}


const source = new URL('../../ngx_chat_module/console/'
                       + 'ngx_chat_console_incidents.c', import.meta.url);


describe('the console in trouble', () => {

    test('has words for each kind of incident', async ({ open }) => {
        const window = await open();
        const [, list] = fs.readFileSync(source, 'utf8')
                           .match(/_incident_kinds\[\] = \{([^}]+)\}/);
        const kinds = [...list.matchAll(/"(\w+)"/g)].map(([, kind]) => kind);
        const known = await window.page.evaluate(async () => {
            const { KINDS } = await import('./incident_kinds.js');

            return Object.keys(KINDS).filter((kind) => (
                KINDS[kind].title && KINDS[kind].means && KINDS[kind].todo));
        });

        assert.ok(kinds.length > 10);
        assert.deepEqual(known.sort(), kinds.sort());
    });

    test('says that the server is away, and comes back', async (
        { server, open }) =>
    {
        const window = await open('#/');
        const { page } = window;
        const { port } = server;

        window.expected = /ERR_CONNECTION|ERR_EMPTY|ERR_INCOMPLETE/;
        await page.evaluate(watchNumbers);

        for (let i = 0; i < 10; i++) {
            await server.post(`message ${i}`);
        }

        await window.is('Live');
        await window.until(() => page.locator('path.line-1.line').nth(1)
                                     .getAttribute('d'), Boolean);

        /* a channel that listens, and a page of it that can't be read */

        await window.go(chat);
        await window.says('Listening');
        await server.post('before');
        await window.line('before').waitFor();

        await server.stop();
        await window.is('Away');
        await window.says('The server cannot be reached.');
        await window.says('Connecting again…');
        await window.sound('a server that is away');
        await window.link('History').click();
        await window.says('Numbers are from');
        await window.link('Live').click();

        await server.start(port);
        await window.is('Live');
        await window.says('Listening');
        await window.says('Some events may be missing here.');
        await trigger(server, 'chat', 'later', '{}');
        await window.line('later').waitFor();
        await window.line('before').waitFor();
        await window.link('History').click();
        await window.line('before').waitFor();

        /* its counters begin at 0, and are no negative rates */

        await window.go('#/');
        await window.says('nginx was started anew');
        assert.deepEqual(await page.evaluate(() => window.negative), []);
    });

    test('loses no event at a reload', async ({ server, open }) => {
        const window = await open(chat);
        const all = [];

        window.expected = /ERR_CONNECTION|ERR_EMPTY|ERR_INCOMPLETE/;
        await window.says('Listening');
        server.reload();

        for (let i = 0; i < 40; i++) {
            all.push(`number ${i}.`);
            await server.post(all.at(-1));
        }

        await server.left();
        all.push('the last.');
        await server.post('the last.');
        await window.line('the last.').waitFor();
        await window.button('Pause').click();
        assert.deepEqual(
            (await window.lines()).map((line) => (
                line.match(/"content":"([^"]+)"/)?.[1] ?? line)).reverse(),
            all);

        await window.go('#/');
        await window.says(/Workers \d+, \d+ (have gone|are new)\./);
    }, { http: 'chat_drain 1s;' });

    test('shows that a worker died', async ({ server, connect, open }) => {
        const window = await open('#/');
        const { page } = window;

        window.expected = /ERR_CONNECTION|ERR_EMPTY|ERR_INCOMPLETE/;
        await connect().connected();
        await page.evaluate(watchNumbers);
        await window.is('Live');

        const [pid] = server.workers();

        process.kill(pid, 'SIGKILL');
        await window.says(/A worker died\./);
        await window.until(async () => (
            (await window.table('Workers')).map(([id]) => Number(id)).sort()),
            (pids) => (pids.length === 2 && !pids.includes(pid)));
        assert.deepEqual(await page.evaluate(() => window.negative), []);

        await window.link(/^Incidents \d new/).click();
        await page.getByRole('heading', { name: 'A worker died' }).waitFor();
        await window.says(`process ${pid}`);
        await window.says('What to do');
        await window.says('Signal 9 was an operator');
        await window.sound('Incidents');
        await page.getByRole('link', { name: 'Incidents', exact: true })
                  .waitFor();
    }, { allow: /exited on signal 9/ });

    test('shows what the database says', async ({ server, open }) => {
        const window = await open(chat);
        const file = path.join(server.prefix, 'data/chat.db');
        const moved = `${file}-moved`;

        await window.says('Listening');
        fs.renameSync(file, moved);
        assert.equal((await server.request('POST', '/messages',
                                           { content: 'x' })).status, 503);

        await window.go('#/incidents');
        await window.until(() => window.page.locator('.incident h2')
                                            .allInnerTexts(),
                           (all) => all.some((text) => /database|stored/
                                                       .test(text)));
        await window.sound('Incidents of the database');

        window.expected = /503/;
        await window.go(`${chat}/history`);
        await window.button('Try again').waitFor();
        await window.says(/database|no more requests/);

        fs.renameSync(moved, file);
        await window.until(async () => (
            (await server.request('POST', '/messages',
                                  { content: 'again' })).status), 201);
        await window.button('Try again').click();
        await window.line('again').waitFor();
    }, { allow: /chat database/ });

    test('says that the disk is full', async ({ server, open }) => {
        const { makeRoom, restore } = await fillUp(server);

        try {
            const window = await open(chat);
            const { page } = window;
            const content = 'x'.repeat(9000);
            const post = async () => (await server.request('POST', '/messages',
                                                    { content })).status;
            const waits = (name) => page.locator('.chart').filter({
                has: page.getByRole('heading', { name, exact: true }) });

            await window.says('Listening');

            while (await post() === 201) {
                /* void */
            }

            await window.go('#/incidents');
            await window.says('Messages could not be stored');
            await window.says(/database or disk is full|disk I\/O error/);
            await window.says(/^(Make room on the disk|The disk, or a limit)/);
            await window.sound('a full disk');

            /* what needs no room goes on: events, and history */

            await window.go(chat);
            await window.says('Listening');
            await trigger(server, 'chat', 'goes on', '{}');
            await window.line('goes on').waitFor();
            await window.link('History').click();
            await window.line('xxx').first().waitFor();

            /* refused ones are counted, and show in the chart */

            await window.go('#/');
            await window.is('Live');
            await window.until(async () => {
                await post();
                return waits('Messages stored').locator('.legend').innerText();
            }, (text) => /[1-9][\d.]*\/s answered 503/.test(text));

            makeRoom();
            await window.until(post, 201);
            await post();
            await window.until(async () => {
                await post();
                return waits('Messages stored').locator('.number').innerText();
            }, (text) => /^[1-9]/.test(text));
            await window.is('Live');

        } finally {
            await restore();
        }
    }, { allow: /chat database|File too large|No space left/,
         under: ['sh', '-c', 'trap "" XFSZ; exec "$@"', 'sh'] });

    test('says what keeps one out', async ({ server, open }) => {
        const window = await open(null, { path: '/moody/' });
        const { page } = window;
        const file = (status) => path.join(server.prefix, `data/${status}`);

        await page.clock.install();
        await page.goto(`${window.base}#/`);

        window.expected = /status of (401|403|503)/;
        await window.is('Live');

        const cases = [[503, 'Overloaded', 'takes no more requests now (503)'],
                       [403, 'Not allowed', 'does not let you in (403)'],
                       [401, 'Signed out', 'wants you to sign in']];

        for (const [status, state, text] of cases) {
            fs.writeFileSync(file(status), '');
            await window.is(state);
            await window.says(text);
            await window.go(`#/channels/${app}`);
            await window.heading('Channels');
            await window.sound(state);

            /* a 401 is not asked for again and again: each opens a dialog */

            if (status === 401) {
                await page.waitForLoadState('networkidle');

                const asked = window.requests.length;

                await page.clock.fastForward(60000);
                assert.equal(window.requests.length, asked);
            }

            fs.unlinkSync(file(status));

            if (status === 401) {
                await page.locator('#banner').getByRole('button').click();

            } else if (status === 403) {
                await window.says('It is asked again every half minute.');
                await page.clock.fastForward(30000);
            }

            await window.is('Live');
            await window.says('Nobody is subscribed to a channel now.');
            await window.go('#/');
            await window.heading('Overview');
        }
    }, { locations: answers });

    test('works behind a password', async ({ server, open }) => {
        const users = path.join(server.prefix, 'operators');

        fs.writeFileSync(users, 'op:{PLAIN}first\n');

        const window = await open(chat, { path: '/guarded/',
            httpCredentials: { username: 'op', password: 'first' } });
        const { page } = window;

        await window.says('Listening');
        await page.getByLabel('Event', { exact: true }).fill('said');
        await window.button('Send').click();
        await window.line('said').waitFor();

        window.expected = /401/;
        fs.writeFileSync(users, 'op:{PLAIN}second\n');
        await window.is('Signed out');
        await window.says('The server wants you to sign in.');
    }, {
        locations: `location /guarded/ {
            auth_basic operators;
            auth_basic_user_file operators;
            chat_console;
        }`,
        allow: /password mismatch/,
    });

    test('says that nothing is stored', async ({ open }) => {
        const window = await open(null);
        const { page } = window;

        /* as a server without chat_database answers */

        await page.route('**/status', async (route) => {
            const response = await route.fetch();
            const { store, ...rest } = await response.json();

            assert.ok(store);
            await route.fulfill({ response, json: rest });
        });
        await page.route('**/history/*', (route) => route.fulfill({
            status: 404, json: { error: 'there is no chat_database' } }));
        window.expected = /404/;
        await page.goto(`${window.base}#/`);

        await window.is('Live');
        await window.says('events are sent, and nothing is stored');
        assert.equal(await page.getByRole('heading', { name: 'Commit time' })
                               .count(), 0);
        await window.sound('no database');
        await window.go(`${chat}/history`);
        await window.says('Nothing is stored here.');
        await window.sound('no history');
    });

    test('takes what it does not know', async ({ open }) => {
        const window = await open('#/');
        const { page } = window;
        const now = new Date().toISOString();
        const detail = '<script>document.title = "taken"</script>';

        await window.is('Live');
        await page.route('**/incidents', (route) => route.fulfill({ json: {
            now, incidents: [{ kind: 'something_new', count: 2, first: now,
                               last: now, pid: 1, detail }] } }));
        await page.route('**/status', async (route) => {
            const response = await route.fetch();
            const json = await response.json();

            json.connections_closed_by_reason['<b>new</b>'] = 7;
            json.version = 'another';
            await route.fulfill({ response, json });
        });
        await window.says('<b>new</b>');
        await window.says('nginx has another version of the module now.');
        await window.go('#/incidents');
        await window.says(detail);
        await window.says('something_new');
        await window.says('2 times');
        assert.match(await page.title(), /^Incidents/);
        await window.go('#/nowhere/at/all');
        await window.heading('Overview');
        await window.go('#/apps');
        await window.heading('Apps');
        await window.go('#/channel/%E0%A4%A/x');
        await window.heading('Overview');
    });

    test('waits for a slow server', async ({ open }) => {
        const window = await open('#/');
        const { page } = window;
        let answer;

        await window.is('Live');
        await page.route('**/status', async (route) => {
            await new Promise((resolve) => { answer = resolve; });

            // the page may have given the request up, or unroute() has it
            await route.continue().catch(() => {});
        });
        await window.is('Waiting…');
        await window.says('The server has not answered for some seconds.');
        await page.unroute('**/status');
        answer();
        await window.is('Live');
    });
});
