/*
 * A receiver that is down for longer than its events are kept to be sent: they
 * are given up, and nothing that comes meanwhile is lost either.  When it is
 * back the operator has all sent again, and each event arrives once.
 *
 * In full, with CHAT_WHOLE=1, it is down for 6 minutes, and retry is the
 * default of 5; in short for as long as it takes with retry=2s.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Receiver } from '../e2e/receiver.mjs';
import { withServer } from '../e2e/server.mjs';

const whole = Boolean(process.env.CHAT_WHOLE);
const DOWN = whole ? 360000 : 0;        // ms, at least
const EVENTS = 50;


const stored = (receiver) => receiver.events.items
    .filter(({ name }) => name === 'message_stored')
    .map(({ data }) => JSON.parse(data).content);


async function post(server, first, n) {
    for (let i = first; i < first + n; i++) {
        await server.post(`message ${i}`);
    }
}


async function hooks(server, what) {
    const end = Date.now() + 120000;

    for ( ;; ) {
        const { webhooks } = await server.status();

        if (what(webhooks)) {
            return webhooks;
        }

        assert.ok(Date.now() < end, JSON.stringify(webhooks));
        await sleep(50);
    }
}


async function down(server, receiver) {
    const all = Array.from({ length: 3 * EVENTS }, (_, i) => `message ${i}`);

    await post(server, 0, EVENTS);
    await receiver.events.until(() => stored(receiver).length === EVENTS,
                                'messages before');

    await receiver.be('down');

    const begun = performance.now();

    await post(server, EVENTS, EVENTS);
    await sleep(DOWN);
    await hooks(server, ({ dead }) => dead === EVENTS);
    console.error(`given up after ${Math.round(performance.now() - begun)} ms`);

    // what comes later is tried in its own time
    await post(server, 2 * EVENTS, EVENTS);
    await receiver.be('answers');
    await receiver.events.until(() => stored(receiver).length === 2 * EVENTS,
                                'messages that are not given up', 120000);

    const { status } = await server.request(
        'POST', '/console/apps/17536051/webhooks/revive', undefined,
        { 'X-Chat-Console': '1' });

    assert.equal(status, 200);
    await receiver.events.until(() => stored(receiver).length === 3 * EVENTS,
                                'messages that were given up');
    await hooks(server, ({ queued, dead }) => queued + dead === 0);

    assert.deepEqual(stored(receiver).sort(), all.sort(), 'each once');
}


describe('a receiver that is down for long', { timeout: 900000 }, () => {
    it('gets all when it is back', async () => {
        const receiver = await Receiver.start();

        await withServer({
            workers: 2, allow: /chat webhook .*(failed|given up)/,
            app: `webhook ${receiver.url} events=message_stored`
                 + `${whole ? '' : ' retry=2s'};`,
            locations: 'location /console/ { chat_console; }',
        }, (server) => down(server, receiver)).finally(() => receiver.close());
    });
});
