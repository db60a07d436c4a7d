/*
 * Pages whose WebSockets don't get through, in Chromium: pusher-js goes on by
 * HTTP, and all comes.  The page is of another origin than the server.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { launch, Window } from './browser.mjs';
import { key, libraries, oldest, options } from './libraries.mjs';
import { freePort } from './port.mjs';
import { withServer } from './server.mjs';

const limit = { timeout: 120000 };

const ALL = ['ws', 'wss', 'xhr_streaming', 'xhr_polling'];
const LONG = 60;                        // messages, of 28,000 units each

let browser;
let folder;                             // of the certificate

before(async () => {
    browser = await launch('--ignore-certificate-errors');
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chat-'));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes',
                             '-days', '2', '-subj', '/CN=localhost',
                             '-keyout', path.join(folder, 'key'),
                             '-out', path.join(folder, 'cert')],
                 { stdio: 'ignore' });
});

after(async () => {
    await browser?.close();
    fs.rmSync(folder, { recursive: true });
});


/* Servers that are no WebSocket's: where the page's WebSockets go. */

const walls = {
    refused: (socket) => socket.destroy(),

    hanging: () => {},

    /* the handshake gets through, and nothing behind it */

    'blocked half way': (socket, server) => {
        const upstream = net.connect(server.port, '127.0.0.1');
        let had = '';

        upstream.on('error', () => socket.destroy());
        socket.on('data', (data) => upstream.write(data));
        socket.on('close', () => upstream.destroy());
        upstream.on('data', (data) => {
            had += data.toString('latin1');

            const end = had.indexOf('\r\n\r\n');

            if (end >= 0) {
                socket.write(Buffer.from(had.slice(0, end + 4), 'latin1'));
                upstream.removeAllListeners('data');
                upstream.resume();
            }
        });
    },
};


async function withWall(wall, server, test) {
    const sockets = new Set();
    const listener = net.createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => sockets.delete(socket));
        wall(socket, server);
    }).listen(0, '127.0.0.1');

    await once(listener, 'listening');

    try {
        await test(listener.address().port);

    } finally {
        sockets.forEach((socket) => socket.destroy());
        listener.close();
    }
}


/* A proxy that passes on no answer before its end. */

async function withHolding(server, test) {
    const proxy = http.createServer((request, response) => {
        const { url, method, headers } = request;
        const upstream = http.request({
            host: '127.0.0.1', port: server.port, path: url, method, headers,
        }, (answer) => {
            const parts = [];

            answer.on('error', () => response.destroy());
            answer.on('data', (part) => parts.push(part));
            answer.on('end', () => {
                response.writeHead(answer.statusCode, answer.headers);
                response.end(Buffer.concat(parts));
            });
        });

        upstream.on('error', () => response.destroy());
        response.on('close', () => upstream.destroy());
        request.pipe(upstream);
    }).listen(0, 'localhost');

    await once(proxy, 'listening');

    try {
        await test(proxy.address().port);

    } finally {
        proxy.closeAllConnections();
        proxy.close();
    }
}


class Page {
    static async open(server, library, more, url = server.url) {
        const page = new Page();

        page.window = await Window.open(browser, `${url}/page`);

        await page.window.page.addScriptTag({
            url: `/${library.folder}/pusher.min.js` });
        await page.window.page.evaluate(([key, options]) => {
            const pusher = new window.Pusher(key, options);

            window.pusher = pusher;
            window.got = [];
            window.states = [];
            pusher.connection.bind('state_change', ({ current }) => {
                window.states.push(current);
            });

            for (const name of ['room', 'private-room']) {
                pusher.subscribe(name).bind_global((event, data) => {
                    window.got.push([event, data]);
                });
            }
        }, [`${key};${randomUUID()}`,
            { ...options(library, server, 'ann'), httpHost: 'localhost',
              ...more }]);

        return page;
    }

    run(what, ...values) {
        return this.window.page.evaluate(what, values);
    }

    until(what, ...values) {
        return this.window.page.waitForFunction(what, values,
                                                { timeout: 60000 });
    }

    /* Both channels are subscribed. */

    subscribed() {
        return this.until(() => window.got.filter(([event]) => (
            event === 'pusher:subscription_succeeded')).length >= 2);
    }

    /* What has come up to this message. */

    async news({ id }) {
        await this.until(([id]) => window.got.some(([event, data]) => (
            event === 'news' && data.id === id)), id);

        return this.run(() => window.got.filter(([event]) => event === 'news')
                                        .map(([, data]) => data));
    }

    transport() {
        return this.run(() => window.pusher.connection.connection
                                    .transport.name);
    }

    close() {
        return this.window.close();
    }
}


/* HTTP/2: a parameter of "listen", from nginx 1.25.1 on a directive. */

function http2() {
    const said = spawnSync(process.env.CHAT_NGINX || 'nginx', ['-v']).stderr;
    const [, ...version] = /nginx\/(\d+)\.(\d+)\.(\d+)/.exec(said) ?? [];
    const number = version.reduce((n, part) => n * 1000 + Number(part), 0);

    return version.length && number < 1_025_001 ? ['http2', '']
                                                : ['', 'http2 on;'];
}


/* A server whose pages come by TLS and HTTP/2, too, and where. */

async function withTLS(test) {
    const port = await freePort();
    const [parameter, directive] = http2();

    await withServer({
        workers: 4,
        listen: `;
        listen 127.0.0.1:${port} reuseport ssl ${parameter};
        ${directive}
        ssl_certificate ${folder}/cert;
        ssl_certificate_key ${folder}/key`,
    }, (server) => test(server, port));
}


const test = (name, options, how) => {
    it(name, limit, () => withServer({ workers: 4, ...options }, how));
};


for (const library of [...libraries, oldest]) {
    describe(`${library.name}: WebSocket`, limit, () => {
        for (const [name, wall] of Object.entries(walls)) {
            test(`F9: ${library.name}: ${name}`, {}, (server) => (
                withWall(wall, server, (port) => (
                    goesOn(server, library, { wsPort: port,
                                              wssPort: port })))));
        }

        for (const name of ['refused', 'hanging']) {
            it(`F9: ${library.name}, TLS and HTTP/2: ${name}`, limit,
               () => withTLS((server, tlsPort) => (
                   withWall(walls[name], server, (port) => (
                       goesOn(server, library, {
                           wssPort: port, httpsPort: tlsPort, forceTLS: true,
                           ...endpoints(library, tlsPort),
                       }, `https://127.0.0.1:${tlsPort}`))))));
        }

        test(`F9: ${library.name}: streams held back, so it polls`, {},
             (server) => withWall(walls.refused, server, (wsPort) => (
                 withHolding(server, async (httpPort) => {
                     assert.equal(await goesOn(server, library,
                         { wsPort, wssPort: wsPort, httpPort }),
                                  'xhr_polling');
                 }))));
    });

    describe(`${library.name} without WebSocket`, limit, () => {
        for (const transport of ['xhr_streaming', 'xhr_polling']) {
            const on = `${library.name}, ${transport}`;

            test(`F5, F10, P112: ${on}: long answers, with emoji`, {},
                 (server) => longAnswers(server, library, transport));
            test(`F10, P114: ${on}: a reload, and a killed worker`,
                 { allow: /exited on signal 9/ },
                 (server) => workersLeave(server, library, transport));
        }
    });
}


/* Returns the transport. */

async function goesOn(server, library, more, url) {
    const page = await Page.open(server, library,
                                 { ...more, enabledTransports: ALL }, url);

    await page.subscribed();

    const transport = await page.transport();

    assert.match(transport, /^xhr_/);

    const message = await server.publish('room', 'news', 'žluť 😀');

    assert.deepEqual(await page.news(message), [message]);
    await page.close();

    return transport;
}


/* Where a page that came by TLS is authorised. */

function endpoints(library, port) {
    const auth = `https://127.0.0.1:${port}/auth`;

    return library.authorization(auth, auth, { 'X-User': 'ann' });
}


async function longAnswers(server, library, transport) {
    const page = await Page.open(server, library,
                                 { enabledTransports: [transport] });
    const sent = [];

    await page.subscribed();

    for (let n = 0; n < LONG; n++) {
        sent.push(await server.publish('room', 'news', 'x'.repeat(n % 7)
                                                       + '😀'.repeat(2300)));
    }

    assert.deepEqual(await page.news(sent.at(-1)), sent);
    assert.deepEqual(await page.run(() => window.states), ['connected']);
    assert.equal(await page.transport(), transport);
    await page.close();
}


/*
 * What comes meanwhile comes again: in order, none missing, and where the
 * client could not say any more that it has it, twice.
 */

async function workersLeave(server, library, transport) {
    const page = await Page.open(server, library,
                                 { enabledTransports: [transport] });
    const sent = [];
    const unknown = [];                 // the dead worker had these
    let killed = false;
    let stop = false;

    await page.subscribed();

    const publish = async () => {
        for (let n = 0; !stop; n++) {
            const content = `n${n}`;

            try {
                sent.push(await server.publish('room', 'news', content));

            } catch (error) {
                if (!killed) {
                    throw error;
                }

                unknown.push(content);
            }

            await sleep(20);
        }
    };

    const published = publish();

    await page.until(() => window.got.length > 10);

    const old = server.workers();

    server.reload();
    await page.until(() => window.states.includes('connecting')
                           && window.pusher.connection.state === 'connected');

    /* each of the new workers, so also that of the page */

    const before = await page.run(() => {
        window.states = [];
        return window.got.length;
    });

    await page.until(([n]) => window.got.length > n + 10, before);

    killed = true;

    for (const pid of server.workers().filter((pid) => !old.includes(pid))) {
        process.kill(pid, 'SIGKILL');
    }

    await page.until(() => window.states.includes('connecting')
                           && window.pusher.connection.state === 'connected');

    stop = true;
    await published;

    const got = await page.news(sent.at(-1));
    const first = got.filter(({ id, content }, i) => (
        got.findIndex((one) => one.id === id) === i
        && !unknown.includes(content)));

    assert.deepEqual(first, sent);
    await page.close();
}
