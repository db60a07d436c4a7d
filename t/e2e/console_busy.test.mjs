/*
 * The console beside very many channels, and beside a channel with a thousand
 * events a second: 2,000 channels and 3,000 events, with CHAT_WHOLE=1 50,000
 * and 60,000.
 *
 * What it does is bounded, and what it says is exact: no event is missing in
 * its count, and a list that is paused has no gaps.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { app, consoleTests } from './console.mjs';
import { key } from './server.mjs';
import { WebSocket } from './websocket.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const channels = whole ? 50000 : 2000;
const events = whole ? 60000 : 3000;

const EACH = 500;                       // channels of a connection
const BATCH = 10;                       // events of a request
const EVERY = 10;                       // ms between requests
const LINES = 200;                      // of the list
const options = { zone: whole ? '128m' : '16m' };

const name = (i) => `room-${String(i).padStart(5, '0')}`;
const number = (n) => n.toLocaleString('en');

const { test } = consoleTests(options, 600000);


/* Connections that have subscribed to all of the channels. */

function subscribeAll(port) {
    const sockets = [];
    const ready = [];

    for (let first = 0; first < channels; first += EACH) {
        const socket = new WebSocket(port, `/app/${key}?protocol=7`);
        let left = EACH;

        sockets.push(socket);
        ready.push(new Promise((resolve) => {
            socket.onmessage = (text) => {
                const { event } = JSON.parse(text);

                if (event === 'pusher:connection_established') {
                    for (let i = first; i < first + EACH; i++) {
                        socket.send(JSON.stringify({
                            event: 'pusher:subscribe',
                            data: { channel: name(i) } }));
                    }

                } else if (event.endsWith('subscription_succeeded')
                           && --left === 0)
                {
                    resolve();
                }
            };
        }));
    }

    return { sockets, ready: Promise.all(ready) };
}


/*
 * Sends all of the events, numbered from 1, at a thousand a second: on one
 * connection, so that they come in this order.
 */

async function send(server, channel) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const begun = performance.now();
    const answers = [];

    for (let n = 0; n < events; n += BATCH) {
        const batch = Array.from({ length: BATCH }, (_, i) => ({
            name: 'tick', channel, data: JSON.stringify({ n: n + i + 1 }) }));
        const request = http.request(
            `${server.url}/console/apps/${app}/batch_events`,
            { method: 'POST', agent, headers: { 'X-Chat-Console': '1' } });

        request.end(JSON.stringify({ batch }));
        answers.push(once(request, 'response').then(([response]) => {
            response.resume();
            return response.statusCode;
        }));

        await sleep(begun + (n / BATCH + 1) * EVERY - performance.now());
    }

    assert.ok((await Promise.all(answers)).every((code) => code === 200));
    agent.destroy();

    return events / (performance.now() - begun) * 1000;
}


/* In the page: how many lines the list ever had, and how many were drawn. */

function watchLines() {
    window.most = 0;
    window.frames = 0;

    const count = () => {
        const { length } = document.querySelectorAll('.rows > li:not(.gap)');

        window.most = Math.max(window.most, length);
        window.frames++;
        requestAnimationFrame(count);
    };

    count();
}


describe('the console where there is much', () => {

    test(`${channels} channels`, async ({ server, open }) => {
        const { sockets, ready } = subscribeAll(server.port);

        try {
            await ready;

            const window = await open('#/channels');
            const { page } = window;
            const names = async () => (await window.table('Channels'))
                                      .map(([text]) => text);

            await window.says(`${number(channels)} channels`);
            await window.says('the 500 with most subscriptions');
            await window.says('Page 1 of 10');
            assert.equal((await names()).length, 50);

            await page.getByLabel('Sorted by').selectOption('Name');

            for (let i = 0; i < 5; i++) {
                await window.until(async () => (await names())[0],
                                   name(i * 50));
                await window.link('Next').click();
            }

            /* or the address of that page would empty the field again */

            await window.until(async () => (await names())[0], name(250));
            await page.getByLabel('Name begins with').fill('room-0199');
            await window.says('10 channels with “room-0199…”');
            await window.until(async () => (await names()).at(-1),
                               'room-01999');
            await page.getByLabel('Name begins with').fill('');
            await window.says(`${number(channels)} channels with subscribers`);
            await window.go('#/');
            await window.until(() => page.locator('.strip').innerText(),
                (text) => text.includes(`Channels\n${number(channels)}`));

        } finally {
            sockets.forEach((socket) => socket.destroy());
        }
    });

    test(`${events} events`, async ({ server, open }) => {
        const window = await open(`#/channel/${app}/busy`);
        const { page } = window;
        const shown = async () => (await window.lines()).map((line) => (
            Number(line.match(/"n":(\d+)/)?.[1] ?? NaN)));
        const down = (from, n) => Array.from({ length: n },
                                             (_, i) => from - i);

        await window.says('Listening');
        await page.evaluate(watchLines);

        const sent = send(server, 'busy');

        /* the page answers meanwhile */

        await page.locator('.gap').first().waitFor();
        await window.button('Pause').click();
        await window.button('Resume').waitFor();

        const paused = await shown();

        assert.deepEqual(paused, down(paused[0], paused.length));
        await window.says(/paused, [\d,]+ new/);
        await window.button('Resume').click();
        await page.getByLabel('Only with this text').fill('7}');
        await window.until(shown, (all) => (
            all.length > 0
            && all.every((n) => Number.isNaN(n) || n % 10 === 7)));
        await page.getByLabel('Only with this text').fill('');

        const rate = await sent;
        const { most, frames } = await page.evaluate(() => (
            { most: window.most, frames: window.frames }));

        assert.ok(most > 0 && most <= LINES, `${most} lines at a time`);
        await window.says(`${number(events)} events`);
        await window.button('Pause').click();
        assert.deepEqual(await shown(), down(events, LINES));
        await page.getByLabel('Lines').selectOption('1000');
        assert.deepEqual(await shown(), down(events, 1000));

        console.log(`# ${Math.round(rate)} events a second, ${frames} frames`
                    + ` in ${Math.round(events / rate)} s`);
    });
});
