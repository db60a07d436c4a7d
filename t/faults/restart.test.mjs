/*
 * Restarts that keep the listening socket, by the units of conf/systemd/, and
 * an upgrade in place, under load, with the published pusher-js: nobody is
 * refused, and pages with a token have all, by the history where they are
 * told so.
 *
 * How long pages are away, and what those without a token miss, is printed
 * and not tested; with CHAT_WHOLE=1 by all ways, with 200 pages.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { measure, summary, table } from './restart.mjs';
import { Held, Upgraded } from './ways.mjs';

const PAGES = 40;
const RATE = 40;                        // messages a second


/* allow: a pattern of alerts that may be in the log. */

async function run(name, server, act, allow) {
    try {
        const seen = await measure(server, { clients: PAGES, rate: RATE,
                                             act: () => act(server) });
        const bad = server.log().split('\n').filter((line) => (
            /\[(emerg|alert|crit)\]/.test(line) && !allow?.test(line)));
        const stored = new Set(seen.stored);

        console.error(summary(name, seen));

        assert.deepEqual(bad, [], 'the error log');
        assert.deepEqual(seen.load.refused, [], 'refused');
        assert.ok(!('ECONNREFUSED' in seen.load.failed), 'POSTs refused');
        assert.deepEqual(seen.load.acknowledged.filter((id) => (
            !stored.has(id))), [], 'got a 201, and not stored');

        /* a new zone knows no token */
        for (const { told } of seen.pages.filter((_, i) => i % 2)) {
            assert.deepEqual([told[0], told.at(-1)], [false, false], 'told');
        }

        return seen;

    } finally {
        await server.close();
    }
}


function missed({ missedWithToken }) {
    return missedWithToken.filter((n) => n !== 0);
}


describe('restart', { timeout: 800000 }, () => {

    it('keeps the socket', async () => {
        const server = new Held({ drain: '1s' });

        const seen = await run('restart', server, async () => {
            const old = server.main;

            await server.restart();
            await server.started();
            assert.notEqual(server.main, old);

            // or a worker would wait for what another one has accepted
            const text = fs.readFileSync(`/proc/${server.main}/fdinfo/3`,
                                         'utf8');

            assert.ok(parseInt(/^flags:\s*(\d+)/m.exec(text)[1], 8)
                      & fs.constants.O_NONBLOCK, 'not blocking');

        // nginx 1.22, where some are left when a busy machine sends TERM, and
        // where workers that do not end by that soon are killed
        }, /open socket #\d+ left in connection|aborting$|exited on signal 9/);

        const log = server.log();

        assert.match(log, /using inherited sockets from "3;"/);
        assert.deepEqual(missed(seen), [], 'missed with a token');

        if (!/\(SIGTERM\) received from/.test(log)) {
            assert.deepEqual(seen.load.failed, {}, 'POSTs');
        }
    });

    it('of a master that was killed keeps the socket', async () => {
        const seen = await run('master killed', new Held(),
                               (server) => server.kill());

        assert.deepEqual(missed(seen), [], 'missed with a token');
    });

    it('by an upgrade in place refuses nobody', async () => {
        const seen = await run('upgrade', new Upgraded(),
                               (server) => server.restart());

        assert.deepEqual(seen.load.failed, {}, 'POSTs');
    });

    if (process.env.CHAT_WHOLE) {
        it('by all ways, in numbers', () => table(200, 20));
    }
});
