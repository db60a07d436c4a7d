/*
 * A receiver that is down for longer than a batch of events is tried: that is
 * given up, and nothing else.  When it is back the others arrive by themselves,
 * and those when the operator has them sent again; each event once.
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
    await hooks(server, ({ dead }) => dead > 0);
    console.error(`given up after ${Math.round(performance.now() - begun)} ms`);

    // a batch at a time: what is behind it, and comes later, has its own time
    await post(server, 2 * EVENTS, EVENTS);
    await receiver.be('answers');

    const { dead } = await hooks(server, ({ queued }) => queued === 0);

    assert.equal(stored(receiver).length, 3 * EVENTS - dead,
                 'all but those that were given up');

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
