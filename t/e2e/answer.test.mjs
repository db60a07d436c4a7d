/*
 * A front end as many are written for a hosted Pusher, from another origin: it
 * shows the answer to its own POST unless that message is shown already, and
 * every event as it comes, whatever is shown.  Where the page handles the
 * answer before the event, it shows the message twice.
 *
 * Two windows post by their own send function, one message after another and
 * then several in flight, while a client in Node posts as well; others listen
 * to the channel, so that its events are some work for each worker.  nginx
 * closes connections after a few requests, so that POSTs meet all workers, not
 * that of the page's WebSocket alone; its access log tells whether they did.
 *
 * With each number of workers the pages send 100 messages, with CHAT_WHOLE
 * 1,000, with ANSWER_MESSAGES as many as it says.  What is printed, and not
 * judged: how many answers were handled before their events, and by how many
 * ms, and the same of the events that came first, which is as it should be.
 * ANSWER_BY=xhr measures pages that use XMLHttpRequest, as Angular's HttpClient
 * does by default, instead of fetch(); such a page is told of answers sooner,
 * and no promise is made for it.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { launch, Window } from './browser.mjs';
import { key, location } from './libraries.mjs';
import { withServer } from './server.mjs';
import { WebSocket } from './websocket.mjs';

const MESSAGES = Number(process.env.ANSWER_MESSAGES
                        ?? (process.env.CHAT_WHOLE ? 1000 : 100));
const WORKERS = [1, 2, 4, 8];
const BY = process.env.ANSWER_BY ?? 'fetch';
const WINDOWS = ['one', 'other'];
const LISTENERS = 200;
const IN_FLIGHT = 5;
const ANSWER = 20000;                   // ms, the limit of one
const EARLY = 'answers_early';          // in chat_status: left before events

const EACH = Math.ceil(MESSAGES / WINDOWS.length);
const SENT = EACH * WINDOWS.length;

const limit = { timeout: 60000 + SENT * 200 };      // of a test

/* of nginx: the page may post, connections are short, the log has workers */

const directives = `
    chat_cors *;
    keepalive_requests 3;
    log_format worker '$pid "$http_user_agent" $request_method $status $uri';
    access_log workers.log worker;
`;

let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());


/*
 * The front end.  It runs in the page, and knows nothing of this file; what it
 * notes in seen is for the test, and decides nothing.
 */

function frontEnd(base, key, options, by) {
    const list = document.getElementById('messages');
    const messages = [];
    const pusher = new window.Pusher(key, options);
    const channel = pusher.subscribe('chat');

    window.seen = { answers: {}, events: {}, subscribed: false };

    const show = (message) => {
        const item = document.createElement('li');

        item.dataset.id = message.id;
        item.textContent = message.content;
        list.append(item);
        messages.push(message);
    };

    const posts = {
        fetch: async (body) => {
            const response = await fetch(`${base}/messages`, {
                method: 'POST', body,
                headers: { 'Content-Type': 'application/json' } });

            return [response.status, await response.json()];
        },

        xhr: (body) => new Promise((resolve, reject) => {
            const request = new XMLHttpRequest();

            request.open('POST', `${base}/messages`);
            request.setRequestHeader('Content-Type', 'application/json');
            request.responseType = 'json';
            request.onload = () => resolve([request.status,
                                            request.response]);
            request.onerror = () => reject(new Error('no answer'));
            request.send(body);
        }),
    };

    window.send = async (content) => {
        const [status, message] = await posts[by](JSON.stringify({
            content }));

        if (status !== 201) {
            throw new Error(`${content}: ${status} `
                            + JSON.stringify(message));
        }

        window.seen.answers[message.id] = performance.now();

        if (!messages.some(({ id }) => id === message.id)) {
            show(message);
        }
    };

    channel.bind('new_message', (message) => {
        window.seen.events[message.id] ??= performance.now();
        show(message);
    });
    channel.bind('pusher:subscription_succeeded', () => {
        window.seen.subscribed = true;
    });
}


/* Where the front end comes from: a server that is not nginx. */

async function withSite(server, test) {
    const options = JSON.stringify(location(server));

    const site = http.createServer((request, response) => {
        response.setHeader('Content-Type', 'text/html');
        response.end(`<!doctype html>
<title>Chat</title>
<link rel="icon" href="data:,">
<ul id="messages"></ul>
<script src="${server.url}/pusher-js/pusher.min.js"></script>
<script>
(${frontEnd})('${server.url}', '${key}', ${options}, '${BY}');
</script>
`);
    }).listen(0, '127.0.0.1');

    await once(site, 'listening');

    try {
        await test(`http://127.0.0.1:${site.address().port}`);

    } finally {
        site.closeAllConnections?.();
        site.close();
    }
}


/* A window whose name is its user agent, so that the log has it. */

class Page {
    static async open(site, name) {
        const page = new Page();

        page.name = name;
        page.window = await Window.open(browser, site, { userAgent: name });
        await page.until(() => window.seen?.subscribed);
        assert.ok(await page.window.page.evaluate(() => (
            window.seen?.subscribed)), `${name} has not subscribed: `
                                       + page.window.errors.join(', '));

        return page;
    }

    /* What is wrong then, the assertions at the end say better. */

    until(what, ...values) {
        return this.window.page.waitForFunction(what, values,
                                                { timeout: 30000 })
                               .catch(() => {});
    }

    /* Has the page send its messages: so many at a time. */

    async send(first, n, atOnce) {
        const fault = await this.window.page.evaluate(
            async ([name, first, n, atOnce, ms]) => {
                const end = first + n;
                let next = first;

                const answered = async (content) => {
                    let timer;
                    const late = new Promise((resolve, reject) => {
                        timer = setTimeout(reject, ms, new Error(
                            `${content}: no answer in ${ms} ms`));
                    });

                    await Promise.race([window.send(content), late]);
                    clearTimeout(timer);
                };

                const run = async () => {
                    while (next < end) {
                        await answered(`${name} ${next++}`);
                    }
                };

                await Promise.all(Array.from({ length: atOnce }, run));

            }, [this.name, first, n, atOnce, ANSWER])
            .catch((error) => error);

        assert.equal(fault, undefined, `${this.name} has sent: ${fault}`);
    }

    async sendAll() {
        const half = Math.ceil(EACH / 2);

        await this.send(0, half, 1);
        await this.send(half, EACH - half, IN_FLIGHT);
    }

    async look() {
        const all = await this.window.page.evaluate(() => {
            const items = document.querySelectorAll('#messages li');

            return { ...window.seen,
                     shown: [...items].map((item) => +item.dataset.id) };
        });
        const counts = new Map();

        for (const id of all.shown) {
            counts.set(id, (counts.get(id) ?? 0) + 1);
        }

        return { ...all, name: this.name, counts };
    }
}


/* Others on the channel, who answer Pings, and keep nothing. */

function listen(server) {
    return new Promise((resolve, reject) => {
        const socket = new WebSocket(server.port, `/app/${key}?protocol=7`);

        socket.onclose = () => reject(new Error('a listener was closed'));
        socket.onmessage = (text) => {
            const { event } = JSON.parse(text);

            if (event === 'pusher:connection_established') {
                socket.send('{"event":"pusher:subscribe",'
                            + '"data":{"channel":"chat"}}');

            } else if (event === 'pusher_internal:subscription_succeeded') {
                socket.onmessage = () => {};
                resolve(socket);
            }
        };
    });
}


/* A client that is no page. */

async function post(server, n) {
    const ids = [];

    for (let i = 0; i < n; i++) {
        ids.push((await server.post(`direct ${i}`)).id);
    }

    return ids;
}


/*
 * Of each message of the pages: when its event was handled, less when its
 * answer was, in ms.  Above 0, the answer was first.
 */

function leads(looks) {
    return looks.flatMap(({ answers, events }) => (
        Object.keys(answers).map((id) => events[id] - answers[id])));
}


function figures(values) {
    const sorted = values.sort((a, b) => a - b);
    const at = (part) => {
        const ms = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];

        return Math.round(ms * 10) / 10;
    };

    return sorted.length === 0 ? { n: 0 }
        : { n: sorted.length, min: at(0), p50: at(0.5), p99: at(0.99),
            max: at(1) };
}


/*
 * How the requests of the pages went, by the access log: how many preflights
 * there were, and how many POSTs to another worker than the page's WebSocket.
 */

function ways(server, pages) {
    const lines = fs.readFileSync(path.join(server.prefix, 'workers.log'),
                                  'utf8').split('\n');
    let [preflights, posts, elsewhere] = [0, 0, 0];

    for (const { name } of pages) {
        const of = (what) => (
            lines.filter((line) => line.includes(` "${name}" ${what}`))
                 .map((line) => line.split(' ')[0]));
        const sockets = of('GET 101 ');

        assert.equal(sockets.length, 1, `WebSockets that ${name} has opened`);

        const own = of('POST 201 /messages');

        preflights += of('OPTIONS 204 /messages').length;
        posts += own.length;
        elsewhere += own.filter((worker) => worker !== sockets[0]).length;
    }

    return { preflights, posts, elsewhere };
}


async function onceEach(workers, server, site) {
    const pages = [];
    const listeners = [];

    try {
        for (const name of WINDOWS) {
            pages.push(await Page.open(site, name));
        }

        while (listeners.length < LISTENERS) {
            listeners.push(await listen(server));
        }

        const [direct] = await Promise.all([
            post(server, Math.ceil(MESSAGES / 2)),
            ...pages.map((page) => page.sendAll())]);

        /* behind all others: a page that has this event has had them all */

        const last = await server.post('the last');

        await Promise.all(pages.map((page) => (
            page.until(([id]) => window.seen.events[id], last.id))));

        const looks = await Promise.all(pages.map((page) => page.look()));
        const { [EARLY]: early } = await server.status();

        check(workers, looks, [...direct, last.id],
              { early, ...ways(server, pages) });
        pages.forEach(({ name, window }) => (
            assert.deepEqual(window.errors, [], `the console of ${name}`)));

    } finally {
        listeners.forEach((socket) => socket.destroy());
        await Promise.all(pages.map(({ window }) => window.close()));
    }
}


/* What the pages show, of what they and others have posted. */

function check(workers, looks, others, { early, preflights, posts,
                                         elsewhere })
{
    const own = looks.flatMap(({ answers }) => Object.keys(answers));
    const ids = [...own.map(Number), ...others];
    const doubled = ids.filter((id) => (
        looks.some(({ counts }) => counts.get(id) > 1))).length;
    const all = leads(looks);

    console.error(JSON.stringify({
        workers, by: BY, messages: SENT, elsewhere, doubled, early,
        answersFirstMs: figures(all.filter((ms) => ms > 0)),
        eventsFirstMs: figures(all.filter((ms) => ms <= 0)
                                  .map((ms) => -ms)) }));

    assert.equal(own.length, SENT, 'answers to the pages');
    assert.ok(preflights > 0 && (workers === 1 || elsewhere > 0),
              'the POSTs went not as this test wants them to:'
              + ` ${preflights} preflights, ${elsewhere} of ${posts} POSTs to`
              + " another worker than the page's WebSocket");

    for (const { name, counts } of looks) {
        assert.deepEqual(ids.filter((id) => !counts.has(id)), [],
                         `messages that ${name} does not show`);
        assert.deepEqual([...counts.keys()].filter((id) => !ids.includes(id)),
                         [], `what ${name} shows and nobody has posted`);
    }

    /* an answer waits 100 ms for a worker that hangs, and is counted then */

    assert.ok(doubled <= early, `of ${SENT} messages ${doubled} doubled with`
                                + ` ${workers} workers, ${early} answers were`
                                + ' early');
}


describe('a page that shows answers and events', () => {

    for (const workers of WORKERS) {
        it(`shows each message once, workers: ${workers}`, limit,
           () => withServer({ workers, http: directives }, (server) => (
               withSite(server, (site) => (
                   onceEach(workers, server, site))))));
    }
});
