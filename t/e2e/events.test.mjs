/*
 * chat_events with the clients it is for: EventSource in Chromium, and curl.
 * Whatever cuts them off, they come back by themselves and have each event
 * exactly once.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch, Window } from './browser.mjs';
import { key, packages, secret, withServer } from './server.mjs';

const Pusher = packages('pusher');
const whole = Boolean(process.env.CHAT_WHOLE);
const events = whole ? 1000 : 150;
const cuts = whole ? 50 : 12;
const limit = { timeout: whole ? 600000 : 120000 };
const options = {
    workers: 2,
    http: 'chat_cors *; chat_drain 1s;',
    locations: 'location /stream/ { chat_events; }',
};

let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());


/* A proxy on one port that cuts all of its connections, in two ways. */

class Proxy {
    pairs = new Set();

    async start(port) {
        this.server = net.createServer((client) => {
            const upstream = net.connect(port, '127.0.0.1');
            const pair = [client, upstream];

            this.pairs.add(pair);

            for (const [from, to] of [pair, [upstream, client]]) {
                from.on('error', () => {});
                from.on('close', () => {
                    to.destroy();
                    this.pairs.delete(pair);
                });
                from.pipe(to);
            }
        }).listen(0, '127.0.0.1');

        await once(this.server, 'listening');
        this.port = this.server.address().port;
    }

    cut(n) {
        for (const pair of this.pairs) {
            pair.forEach((s) => (n % 2 ? s.resetAndDestroy() : s.end()));
        }
    }

    close() {
        this.cut(1);
        this.server.close();
    }
}


async function publish(server, channel, content) {
    const { status } = await server.request('POST', '/events', { content },
                                            { 'X-Channel': channel,
                                              'X-Event': 'news' });

    assert.equal(status, 201);
}


async function until(what) {
    for (const end = Date.now() + 20000; Date.now() < end; ) {
        if (await what()) {
            return true;
        }

        await sleep(10);
    }

    return false;
}


/* A page that keeps what its EventSource gets. */

class Page {
    static async open(server, proxy, channel) {
        const page = new Page();

        page.window = await Window.open(browser, `${server.url}/page`);
        page.window.expected = /./;     // it complains of each cut
        await page.window.page.evaluate((url) => {
            window.got = [];
            window.told = [];
            window.opened = 0;
            window.source = new EventSource(url);
            window.source.onopen = () => { window.opened++; };
            window.source.addEventListener('news', ({ data }) => {
                window.got.push(JSON.parse(data).content);
            });
            window.source.addEventListener('recovery', ({ data }) => {
                window.told.push(data);
            });
        }, `http://127.0.0.1:${proxy.port}/stream/${key}?channels=${channel}`);
        await page.window.page.waitForFunction(() => window.opened > 0);

        return page;
    }

    got() {
        return this.window.page.evaluate(() => window.got);
    }

    told() {
        return this.window.page.evaluate(() => window.told);
    }

    close() {
        return this.window.close();
    }
}


/* curl, which is started again with the last id whenever it has ended. */

class Curl {
    got = [];
    told = [];
    id = null;
    closed = false;

    constructor(port, channel) {
        this.url = `http://127.0.0.1:${port}/stream/${key}`
                   + `?channels=${channel}`;
        this.run();
    }

    async run() {
        while (!this.closed) {
            const args = ['-sN', this.url];

            if (this.id) {
                args.push('-H', `Last-Event-ID: ${this.id}`);
            }

            const child = spawn('curl', args,
                                { stdio: ['ignore', 'pipe', 'ignore'] });
            let rest = '';

            this.child = child;
            child.stdout.on('data', (bytes) => {
                const blocks = (rest + bytes).split('\n\n');

                rest = blocks.pop();
                blocks.forEach((block) => this.take(block));
            });

            await once(child, 'close');
            await sleep(20);
        }
    }

    take(block) {
        const fields = Object.fromEntries(block.split('\n').map(
            (line) => line.split(/: ?(.*)/s).slice(0, 2)));

        this.id = fields.id ?? this.id;

        if (fields.event === 'news') {
            this.got.push(JSON.parse(fields.data).content);
        } else if (fields.event === 'recovery') {
            this.told.push(fields.data);
        }
    }

    close() {
        this.closed = true;
        this.child.kill('SIGKILL');
    }
}


describe('server-sent events', limit, () => {
    it('are had exactly once, with cuts, reloads and a killed worker',
       limit, () => withServer({ ...options, allow: /exited on signal 9/ },
                               async (server) => {
        const proxy = new Proxy();

        await proxy.start(server.port);

        const page = await Page.open(server, proxy, 'chat');
        const curl = new Curl(proxy.port, 'chat');

        assert.ok(await until(() => curl.id), 'curl has begun');

        const sent = [];
        const each = Math.ceil(events / cuts);

        for (let cut = 0; cut < cuts; cut++) {
            for (let n = 0; n < each; n++) {
                sent.push(`message ${sent.length}`);
                await publish(server, 'chat', sent.at(-1));
            }

            /* each is back from the cut before, and has some of these */

            const n = sent.length - each;

            await until(async () => (await page.got()).length > n
                                    && curl.got.length > n);

            if (cut % 5 === 3) {
                server.reload();
            } else if (cut === cuts - 2) {
                process.kill(server.workers()[0], 'SIGKILL');
            } else {
                proxy.cut(cut);
            }
        }

        await until(async () => (await page.got()).length >= sent.length);
        await until(() => curl.got.length >= sent.length);

        assert.deepEqual(await page.told(), [], 'S6: all positions were good');
        assert.deepEqual(await page.got(), sent, 'S6, S9: EventSource');
        assert.deepEqual(curl.told, []);
        assert.deepEqual(curl.got, sent, 'S6, S9: curl');

        await page.close();
        curl.close();
        proxy.close();
    }));

    it('are told the truth behind a restart', limit,
       () => withServer(options, async (server) => {
        const proxy = new Proxy();

        await proxy.start(server.port);

        const page = await Page.open(server, proxy, 'chat');
        const curl = new Curl(proxy.port, 'chat');

        assert.ok(await until(() => curl.id), 'curl has begun');
        await publish(server, 'chat', 'before');
        await until(async () => (await page.got()).length > 0);
        await until(() => curl.got.length > 0);

        await server.stop();
        await server.start(server.port);

        const lost = '{"recovered":false}';

        await until(async () => (await page.told()).length > 0);
        await until(() => curl.told.length > 0);
        await publish(server, 'chat', 'after');
        await until(async () => (await page.got()).length > 1);
        await until(() => curl.got.length > 1);

        assert.deepEqual(await page.told(), [lost], 'S6: EventSource');
        assert.deepEqual(await page.got(), ['before', 'after']);
        assert.deepEqual(curl.told, [lost], 'S6: curl');
        assert.deepEqual(curl.got, ['before', 'after']);

        await page.close();
        curl.close();
        proxy.close();
    }));

    it('come from a private channel by a URL that the SDK signs', limit,
       () => withServer(options, async (server) => {
        const pusher = new Pusher({ appId: '17536051', key, secret });
        const path = `/stream/${key}`;
        const query = pusher.createSignedQueryString({
            method: 'GET', path, params: { channels: 'private-chat' } });
        const window = await Window.open(browser, `${server.url}/page`);

        await window.page.evaluate((url) => new Promise((resolve) => {
            window.got = [];
            window.source = new EventSource(url);
            window.source.onopen = resolve;
            window.source.addEventListener('news', ({ data }) => {
                window.got.push(JSON.parse(data).content);
            });
        }), `${path}?${query}`);
        await publish(server, 'private-chat', 'secret');
        await window.page.waitForFunction(() => window.got.length > 0);

        assert.deepEqual(await window.page.evaluate(() => window.got),
                         ['secret'], 'S8');
        await window.close();
    }));

    it('end for good where the app is disabled', limit,
       () => withServer({ ...options, app: 'enabled off;' },
                        async (server) => {
        const window = await Window.open(browser, `${server.url}/page`);

        window.expected = /./;

        const state = await window.page.evaluate((url) => (
            new Promise((resolve) => {
                const source = new EventSource(url);

                source.onerror = () => resolve(source.readyState);
            })), `${server.url}/stream/${key}?channels=chat`);

        assert.equal(state, 2, 'S9: closed');
        await window.close();
    }));
});
