/*
 * Reload storm: one reload after the other under load; the old workers of
 * several reloads are there at a time.
 *
 * A POST may meet the end of an idle connection that nginx closes between two
 * requests: then not a byte of an answer comes, and the message must not be
 * stored.  Anything else but 201 is a fault.
 *
 * 5 reloads in 10 s; CHAT_WHOLE=1: 30 in 60 s.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withServer } from '../e2e/server.mjs';
import { Storm } from './storm.mjs';

const RELOADS = process.env.CHAT_WHOLE ? 30 : 5;
const EVERY = 2000;


describe('reload storm', { timeout: 300000 }, () => {

    const seed = Number(process.env.STORM_SEED
                        ?? Math.floor(Math.random() * 2 ** 32));

    it(`${RELOADS} reloads, seed: ${seed}`, () => withServer(
        { workers: 4, http: 'chat_drain 3s;', app: 'cache_ttl 1s;' },
        async (server) => {
            const storm = new Storm(server, { seed });
            let most = 0;

            try {
                await storm.start();

                for (let i = 0; i < RELOADS; i++) {
                    await sleep(EVERY);
                    server.reload();
                    most = Math.max(most, server.workers().length);
                }

                await sleep(EVERY);
                await storm.stop();

                // whoever is sent away once more would miss what check() says
                await server.until(({ workers }) => workers === 4,
                                   '4 workers');

                const history = await storm.check();
                const stored = new Set(history.map(({ content }) => content));
                const idle = storm.posters.flatMap((one) => one.idle);

                for (const { unknown } of storm.posters) {
                    assert.deepEqual(unknown, [], 'broken answers');
                }

                assert.deepEqual(idle.filter((one) => stored.has(one)), [],
                                 'stored, and not answered');

                const status = await storm.checkEmpty();
                const closes = storm.closes();

                assert.equal(closes.cut ?? 0, 0, 'cut without a code');
                assert.ok(closes[4200] > 0);
                assert.equal(server.log().match(/exited on signal/), null);

                console.error(JSON.stringify({
                    seed, reloads: RELOADS, most,
                    stored: history.length,
                    acknowledged: storm.posted.length, idle: idle.length,
                    closes, workers: status.workers }));

            } finally {
                storm.close();
            }
        }));
});
